"""The laws of the world: the one door through which anything in it changes.

``Laws(world, clock)``; a wire handler calls ``advance()`` first, then reads records or calls one law. Each room
adds its own: ``kernel`` (time, tasks) → ``guests`` → ``migration`` → ``ha`` → ``ceph_data`` → ``ceph`` → ``power``
→ ``bmc`` → ``reach`` → ``faults`` → ``hands``.
"""

from __future__ import annotations

from noout.lab.world.hands import HandsLaws
from noout.lab.world.kernel import HasNow, LawError
from noout.lab.world.model import Cluster, Task

__all__ = ["HasNow", "LawError", "Laws"]


class Laws(HandsLaws):
    """Everything that can be done to the world. Refusals are ``LawError``; late failures are in the task."""

    def operator_moves(self, cluster: Cluster, vmid: int, target: str, user: str = "piet@pve") -> Task:
        """Somebody else moves a guest by hand, in whatever way fits it."""
        guest = self.guest(cluster, vmid)
        return self.start_migration(
            cluster, vmid, target, online=guest.type == "qemu", user=user, restart=guest.type == "lxc"
        )
