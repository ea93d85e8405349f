"""Guests on the move: QEMU live (pre-copy over the shared migration network), stopped guests, containers.

Refusals that PVE gives at once are ``LawError``; everything else fails inside the task, in PVE's words.
"""

from __future__ import annotations

from typing import Any

from noout.lab.world import obstacles
from noout.lab.world.guests import GuestLaws
from noout.lab.world.kernel import HasNow, LawError
from noout.lab.world.model import Cluster, Disk, KiB, Migration, Snapshot, Task, World
from noout.lab.world.movers import ColdMigration, Done, LiveMigration, Mover, Relocation


class MigrationLaws(GuestLaws):
    """Migration from the POST to the unlocked guest on the other node."""

    live_mover: type[LiveMigration] = LiveMigration

    def __init__(self, world: World, clock: HasNow) -> None:
        super().__init__(world, clock)
        self._movers: dict[str, Mover] = {}  # by UPID

    # --- the door ---

    def start_migration(
        self,
        cluster: Cluster,
        vmid: int,
        target: str,
        *,
        online: bool,
        user: str,
        with_local_disks: bool = False,
        targetstorage: str | None = None,
        bwlimit: int | None = None,
        by_ha: bool = False,
        restart: bool = False,
        done: Done | None = None,
    ) -> Task:
        """What POST .../migrate does. ``bwlimit`` in KiB/s as there; ``restart`` is for containers.

        A guest under HA is only queued (``hamigrate``) unless ``by_ha``. ``done`` hears whether it arrived.
        """
        guest = self.guest(cluster, vmid)
        source = guest.node
        self.node(cluster, target)
        if not cluster.nodes[source].online:
            raise LawError(f"hostname lookup or connection to '{source}' failed", 595)
        if target == source:
            raise LawError("Parameter verification failed.", 400, {"target": "target is local node."})
        if guest.lock:
            raise LawError(f"{'CT' if guest.type == 'lxc' else 'VM'} is locked ({guest.lock})")
        running = guest.has_process if guest.type == "qemu" else guest.status == "running"
        if guest.type == "qemu" and running and not online:
            raise LawError("can't migrate running VM without --online")
        if not by_ha and cluster.ha.manages(self.sid(guest)):
            return self.ha_migrate(cluster, self.sid(guest), target, user)
        kind = "vzmigrate" if guest.type == "lxc" else "qmigrate"
        task = self.new_task(cluster, source, kind, str(vmid), user)
        if by_ha:
            task.log.append("task started by HA resource agent")
        migration = Migration(
            vmid, source, target, task, online and running, self.now, by_ha, bwlimit * KiB if bwlimit else None
        )
        if guest.type == "lxc":
            Relocation(self, cluster, guest, migration, done).begin(online, restart)
        elif running:
            self.live_mover(self, cluster, guest, migration, done).begin(with_local_disks, targetstorage)
        else:
            ColdMigration(self, cluster, guest, migration, done).begin()
        return task

    def ha_migrate(self, cluster: Cluster, sid: str, target: str, user: str) -> Task:
        raise NotImplementedError  # the HA laws give it

    # --- the precondition ---

    def migration_precondition(self, cluster: Cluster, vmid: int, target: str | None = None) -> dict[str, Any]:
        """GET .../migrate with QEMU's spelling. Offline nodes are listed as allowed, as PVE does."""
        guest = self.guest(cluster, vmid)
        if guest.lock:
            raise LawError(f"VM is locked ({guest.lock})")
        allowed: list[str] = []
        refused: dict[str, dict[str, Any]] = {}
        for name in cluster.nodes:
            if name == guest.node:
                continue
            reasons: dict[str, Any] = {}
            unmapped = obstacles.missing_mappings(cluster, guest, name)
            if unmapped:
                reasons["unavailable-resources"] = unmapped
            missing = sorted({d.storage for d in guest.disks if not self._has_storage(cluster, d, name)})
            if missing:
                reasons["unavailable_storages"] = missing
            blocking = self.ha_blocking(cluster, self.sid(guest), name)
            if blocking:
                reasons["blocking-ha-resources"] = [{"cause": "resource-affinity", "sid": s} for s in blocking]
            refused[name] = reasons  # also an empty one, for a node that is allowed
            if not reasons:
                allowed.append(name)
        return {
            "running": int(guest.has_process),
            "has-dbus-vmstate": 1,
            "allowed_nodes": allowed,
            "not_allowed_nodes": refused,
            "local_disks": [_local_disk(d) for d in guest.disks if self.is_local(cluster, d)]
            + [_saved_ram(s) for s in guest.snapshots if s.vmstate and self.is_local(cluster, _volume(s))],
            "local_resources": obstacles.local_resources(cluster, guest),
            "mapped-resources": sorted(guest.mapped),
            "mapped-resource-info": {
                key: {"name": name} | ({"live-migration": 1} if obstacles.mapped_live(cluster, guest, key) else {})
                for key, name in sorted(guest.mapped.items())
            },
            "dependent-ha-resources": [],
        }

    def ha_blocking(self, cluster: Cluster, sid: str, target: str) -> list[str]:
        """Sids on ``target`` that a negative affinity keeps this one away from (given by the HA laws)."""
        return []

    def is_local(self, cluster: Cluster, disk: Disk) -> bool:
        store = cluster.storages.get(disk.storage)
        return disk.volid != "none" and (store is None or not store.shared)

    def _has_storage(self, cluster: Cluster, disk: Disk, node: str) -> bool:
        if disk.volid == "none":
            return True
        store = cluster.storages.get(disk.storage)
        return store is not None and (not store.nodes or node in store.nodes)

    # --- the shared wire ---

    def stream_rate(self, cluster: Cluster, migration: Migration) -> int:
        """Bytes/s a stream gets now: its share of the source's and the target's link, and its own limit."""
        busy = [m for m in cluster.migrations.values() if m.phase in ("precopy", "disks") and not m.stalled]
        out = sum(m.source == migration.source for m in busy) or 1
        into = sum(m.target == migration.target for m in busy) or 1
        ends = (
            cluster.nodes[migration.source].migration_rate // out,
            cluster.nodes[migration.target].migration_rate // into,
        )
        return max(min(*ends, migration.bwlimit or ends[0]), 1 * KiB)

    def migration_fault(self, cluster: Cluster, vmid: int) -> str | None:
        return cluster.migration_faults.get(vmid)

    def use_migration_fault(self, cluster: Cluster, vmid: int) -> None:
        """One migration suffered it; a fault limited in ``times`` is used up (given by the faults)."""

    def nodes_met(self, cluster: Cluster, node: str) -> None:
        """A node went away: migrations to it fail; those from it die with it."""
        for migration in list(cluster.migrations.values()):
            if node in (migration.source, migration.target):
                self._movers[migration.task.upid].lost(node)


def _volume(snapshot: Snapshot) -> Disk:
    return Disk("vmstate", snapshot.vmstate, snapshot.vmstate_size)


def _saved_ram(snapshot: Snapshot) -> dict[str, Any]:
    row = _local_disk(_volume(snapshot)) | {"is_attached": 0, "is_vmstate": 1}
    del row["drivename"]
    return row


def _local_disk(disk: Disk) -> dict[str, Any]:
    return {
        "cdrom": int(disk.cdrom),
        "drivename": disk.key,
        "is_attached": 1,
        "is_cloudinit": 0,
        "is_tpmstate": 0,
        "is_unused": 0,
        "is_vmstate": 0,
        "replicate": int(disk.replicate),
        "shared": 0,
        "size": disk.size,
        "volid": disk.volid,
    }
