"""Does a guest's service answer? The only truth about interruptions, whatever PVE or QEMU say."""

from __future__ import annotations

from noout.lab.world.bmc import BmcLaws
from noout.lab.world.kernel import LawError
from noout.lab.world.model import Cluster


class ReachLaws(BmcLaws):
    def probe(self, cluster: Cluster, vmid: int, at: float) -> bool:
        """Did the service answer a request begun at ``at`` (Unix seconds, past or now)?"""
        if at > self.now + 1e-6:
            raise LawError(f"instant {at} has not come yet", 400)
        guest = self.guest(cluster, vmid)
        return not any(s.since <= at and (s.until is None or at < s.until) for s in guest.dark)
