"""Guests on the move: QEMU live (pre-copy over the shared migration network), stopped guests, containers.

Refusals that PVE gives at once are ``LawError``; everything else fails inside the task, in PVE's words.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from noout.lab.world.chance import between, lognormal
from noout.lab.world.guests import GuestLaws
from noout.lab.world.kernel import HasNow, LawError
from noout.lab.world.model import Cluster, Disk, Guest, KiB, MiB, Migration, Task, World
from noout.lab.world.precopy import Stream, clock, size

PROBLEMS = "migration problems"
ABORTED = "migration aborted"
DISK_RATE = 400 * MiB
Done = Callable[[bool], None]


class MigrationLaws(GuestLaws):
    """Migration from the POST to the unlocked guest on the other node."""

    def __init__(self, world: World, clock: HasNow) -> None:
        super().__init__(world, clock)
        self._movers: dict[str, _Mover] = {}  # by UPID

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
        if target == source:
            raise LawError("Parameter verification failed.", 400, {"target": "target is local node."})
        if guest.lock:
            raise LawError(f"{'CT' if guest.type == 'lxc' else 'VM'} is locked ({guest.lock})")
        running = guest.status == "running"
        if guest.type == "qemu" and running and not online:
            raise LawError("can't migrate running VM without --online")
        if not by_ha and self.sid(guest) in cluster.ha.resources:
            return self.ha_migrate(cluster, self.sid(guest), target, user)
        kind = "vzmigrate" if guest.type == "lxc" else "qmigrate"
        task = self.new_task(cluster, source, kind, str(vmid), user)
        if by_ha:
            task.log.append("task started by HA resource agent")
        migration = Migration(
            vmid, source, target, task, online and running, self.now, by_ha, bwlimit * KiB if bwlimit else None
        )
        if guest.type == "lxc":
            _Relocation(self, cluster, guest, migration, done).begin(online, restart)
        elif running:
            _LiveMigration(self, cluster, guest, migration, done).begin(with_local_disks, targetstorage)
        else:
            _ColdMigration(self, cluster, guest, migration, done).begin()
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
            "running": int(guest.status == "running"),
            "has-dbus-vmstate": 1,
            "allowed_nodes": allowed,
            "not_allowed_nodes": refused,
            "local_disks": [_local_disk(d) for d in guest.disks if self._is_local(cluster, d)],
            "local_resources": list(guest.local_resources),
            "mapped-resources": [],
            "mapped-resource-info": {},
            "dependent-ha-resources": [],
        }

    def ha_blocking(self, cluster: Cluster, sid: str, target: str) -> list[str]:
        """Sids on ``target`` that a negative affinity keeps this one away from (given by the HA laws)."""
        return []

    def _is_local(self, cluster: Cluster, disk: Disk) -> bool:
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


def _local_disk(disk: Disk) -> dict[str, Any]:
    return {
        "cdrom": int(disk.cdrom),
        "drivename": disk.key,
        "is_attached": 1,
        "is_cloudinit": 0,
        "is_tpmstate": 0,
        "is_unused": 0,
        "is_vmstate": 0,
        "replicate": 1,
        "shared": 0,
        "size": disk.size,
        "volid": disk.volid,
    }


class _Mover:
    """One guest's move: the lock, the log, the end, whatever way it goes."""

    def __init__(
        self, laws: MigrationLaws, cluster: Cluster, guest: Guest, migration: Migration, done: Done | None
    ) -> None:
        self.laws, self.cluster, self.guest, self.m, self.done = laws, cluster, guest, migration, done
        self.task = migration.task
        self.turn = 0
        cluster.migrations[guest.vmid] = migration
        laws._movers[self.task.upid] = self
        laws._cancel[self.task.upid] = self.cancel
        guest.lock = "migrate"

    @property
    def seed(self) -> int:
        return self.laws.world.seed

    def say(self, text: str) -> None:
        self.laws.say(self.task, text)

    def then(self, seconds: float, fn: Callable[[], None]) -> None:
        """Go on later, unless it has ended or turned another way meanwhile."""
        turn = self.turn
        self.laws.after(seconds, lambda: fn() if self.task.status == "running" and self.turn == turn else None)

    def end(self, ok: bool, exitstatus: str = "OK") -> None:
        self.m.phase = "done" if ok else ("cancelled" if self.m.phase == "cancelled" else "failed")
        self.cluster.migrations.pop(self.guest.vmid, None)
        self.laws._movers.pop(self.task.upid, None)
        self.guest.lock = None
        self.laws.finish_task(self.cluster, self.task, exitstatus)
        if not ok:
            self.laws.note(
                self.cluster, f"migration of guest {self.guest.vmid} to {self.m.target} failed: {exitstatus}"
            )
        if self.done is not None:
            self.done(ok)

    def abort(self, why: str) -> None:
        """Fails before anything was sent."""
        seconds = clock(self.laws.now - self.m.started)
        self.say(f"ERROR: {why}")
        self.say("aborting phase 1 - cleanup resources")
        self.say(f"ERROR: migration aborted (duration {seconds}): {why}")
        self.end(False, ABORTED)

    def arrive(self, how: str) -> None:
        source, self.guest.node = self.guest.node, self.m.target
        self.laws.note(self.cluster, f"guest {self.guest.vmid} moved {source} -> {self.m.target} ({how})")

    def finished(self) -> None:
        self.say(f"migration finished successfully (duration {clock(self.laws.now - self.m.started)})")
        self.end(True)

    def begin_line(self) -> None:
        what = "CT" if self.guest.type == "lxc" else "VM"
        target = self.cluster.nodes[self.m.target]
        self.say(f"starting migration of {what} {self.guest.vmid} to node '{target.name}' ({target.ip})")

    def unreachable(self) -> str | None:
        node = self.cluster.nodes[self.m.target]
        return None if node.online else f"Can't connect to destination address using public key ({node.ip})"

    def cancel(self) -> None:
        """The task is stopped by a person."""
        self.m.phase = "cancelled"
        self.end(False, "interrupted by signal")

    def lost(self, node: str) -> None:
        """The source or the target went dark under it."""
        self.end(False, PROBLEMS)


class _LiveMigration(_Mover):
    def begin(self, with_local_disks: bool, targetstorage: str | None) -> None:
        self.with_local_disks, self.targetstorage = with_local_disks, targetstorage
        in_use = between(0.55, 0.9, self.seed, "ram-used", self.guest.vmid)
        self.stream = Stream(self.m, int(self.guest.maxmem * in_use))
        self.say("conntrack state migration not supported or disabled, active connections might get dropped")
        if self.guest.local_resources:
            devices = ", ".join(self.guest.local_resources)
            why = f"can't migrate VM which uses local devices: {devices}"
            self.say(f"ERROR: migration aborted (duration 00:00:00): {why}")
            self.then(0.4, lambda: self.end(False, ABORTED))
            return
        self.then(0.6, self.check)

    def check(self) -> None:
        self.begin_line()
        error = self.unreachable()
        if error:
            self.abort(error)
            return
        self.local = [d for d in self.guest.disks if self.laws._is_local(self.cluster, d)]
        for disk in self.local:
            self.say(f"found local disk '{disk.volid}' (attached)")
        bad = [d for d in self.local if d.cdrom or not self.with_local_disks]
        if bad:
            tail = "can't live migrate attached local disks without with-local-disks option"
            self.say(f"can't migrate local disk '{bad[0].volid}': {tail}")
            self.abort("Problem found while scanning volumes - can't migrate VM - check log")
            return
        self.say(f"starting VM {self.guest.vmid} on remote node '{self.m.target}'")
        self.then(between(1.5, 3.0, self.seed, "remote", self.task.upid), self.remote_started)

    def remote_started(self) -> None:
        node = self.cluster.nodes[self.m.target]
        if self.laws.ram_used(self.cluster, node.name) > node.maxmem:  # it is counted there already
            self.fail("online migrate failure - remote command failed: cannot set up guest memory 'pc.ram'", 1.0)
            return
        self.say("start remote tunnel")
        self.then(between(1.2, 2.2, self.seed, "tunnel", self.task.upid), self.tunnel_up)

    def tunnel_up(self) -> None:
        self.say("ssh tunnel ver 1")
        if self.local:
            self.m.phase = "disks"
            self.say("starting storage migration")
            total = sum(d.size for d in self.local)
            for disk in self.local:
                self.task.log.append(f"drive mirror is starting for drive-{disk.key}")
            rate = min(self.laws.stream_rate(self.cluster, self.m), DISK_RATE)
            self.then(total / rate, self.disks_copied)
            return
        self.go()

    def disks_copied(self) -> None:
        for disk in self.local:
            self.task.log.append(
                f"drive-{disk.key}: transferred {size(disk.size)} of {size(disk.size)} (100.00%), ready"
            )
        self.task.log.append("all 'mirror' jobs are ready")
        self.go()

    def go(self) -> None:
        socket = f"unix:/run/qemu-server/{self.guest.vmid}.migrate"
        self.say(f"starting online/live migration on {socket}")
        self.say("set migration capabilities")
        if self.m.bwlimit:
            self.say(f"migration speed limit: {size(self.m.bwlimit)}/s")
        self.say("migration downtime limit: 100 ms")
        self.say(f"migration cachesize: {size(_cache(self.guest.maxmem))}")
        self.say("set migration parameters")
        self.say(f"start migrate command to {socket}")
        self.copy_began = self.laws.now
        self.stream.begin()
        self.then(1.0, self.tick)

    def tick(self) -> None:
        """Once a second, as PVE polls ``query-migrate``."""
        fault = self.laws.migration_fault(self.cluster, self.guest.vmid)
        done_share = self.m.transferred / max(self.stream.memory, 1)
        self.m.stalled = fault == "stall" and done_share > 0.25
        if self.m.stalled:
            self.m.rate = 0
            self.then(1.0, self.tick)
            return
        if fault == "fail" and done_share > 0.35:
            self.laws.use_migration_fault(self.cluster, self.guest.vmid)
            self.say("migration status error: failed - Unable to write to socket: Broken pipe")
            self.fail("online migrate failure - aborting", 2.0)
            return
        self.stream.hopeless = fault == "no-converge"
        rate = self.laws.stream_rate(self.cluster, self.m)
        converged = self.stream.run(self.guest, rate, 1.0)
        for line in self.stream.log:
            self.say(line)
        self.stream.log.clear()
        if converged is None:
            sent, total = size(self.m.transferred), size(self.guest.maxmem)
            self.say(f"migration active, transferred {sent} of {total} VM-state, {size(rate)}/s")
            self.then(1.0, self.tick)
            return
        self.switch_over(rate)

    def switch_over(self, rate: int) -> None:
        """The guest stands still, the rest is sent, it goes on over there."""
        self.m.phase = "switchover"
        self.laws._cancel.pop(self.task.upid, None)
        key = (self.guest.vmid, self.task.upid)
        own = min(max(lognormal(0.045, 0.8, self.seed, "downtime", *key), 0.003), 0.45)
        self.m.downtime = own + self.m.remaining / rate
        network = min(max(lognormal(0.06, 0.6, self.seed, "relearn", *key), 0.01), 0.3)
        gap = self.m.downtime + network  # clients lose more than QEMU says: the network must learn the new place
        self.m.transferred += self.m.remaining
        self.m.remaining = 0
        self.laws.darken(self.guest, "blackout")
        self.laws.lighten(self.guest, "blackout", self.laws.now + gap)
        self.laws.lighten(self.guest, "unplugged")
        if self.laws.migration_fault(self.cluster, self.guest.vmid) == "unplugged":
            self.laws.use_migration_fault(self.cluster, self.guest.vmid)
            self.laws.darken(self.guest, "unplugged")
            self.laws.note(self.cluster, f"guest {self.guest.vmid} lost its network, unseen by PVE")
        self.then(gap, self.over)

    def over(self) -> None:
        seconds = max(int(self.laws.now - self.copy_began), 1)
        assert self.m.downtime is not None
        speed = size(self.guest.maxmem / seconds)
        self.say(f"average migration speed: {speed}/s - downtime {self.m.downtime * 1000:.0f} ms")
        self.say(f"migration completed, transferred {size(self.m.transferred)} VM-state")
        self.say("migration status: completed")
        for disk in self.local:
            disk.volid = f"{self.targetstorage or disk.storage}:{disk.volid.split(':', 1)[1]}"
            self.task.log.append(f"drive-{disk.key}: mirror-job finished")
        self.arrive("live")
        self.then(between(3.0, 5.0, self.seed, "clean-up", self.task.upid), self.finished)

    # --- ways to fail ---

    def fail(self, why: str, clean_up_s: float) -> None:
        """After the set-up: the guest goes on at the source, unlocked when the clean-up is done."""
        self.m.phase = "failed" if self.m.phase != "cancelled" else "cancelled"
        self.m.stalled = False
        self.turn += 1
        self.laws._cancel.pop(self.task.upid, None)
        self.say(f"ERROR: {why}")
        self.say("aborting phase 2 - cleanup resources")
        self.say("migrate_cancel")
        self.then(clean_up_s, self.cleaned_up)

    def cleaned_up(self) -> None:
        self.say(f"ERROR: migration finished with problems (duration {clock(self.laws.now - self.m.started)})")
        self.end(False, PROBLEMS)

    def cancel(self) -> None:
        self.m.phase = "cancelled"
        self.fail("online migrate failure - interrupted by signal", 3.0)

    def lost(self, node: str) -> None:
        if node == self.m.source:
            self.end(False, "unexpected status")
        elif self.m.phase in ("failed", "cancelled"):
            return
        elif self.guest.node == self.m.target:  # moved and died there
            self.end(False, PROBLEMS)
        else:
            self.say("migration status error: failed - Unable to write to socket: Broken pipe")
            self.fail("online migrate failure - aborting", 2.0)


class _ColdMigration(_Mover):
    def begin(self) -> None:
        self.begin_line()
        error = self.unreachable()
        if error:
            self.then(1.0, lambda: self.abort(error))
            return
        local = [d for d in self.guest.disks if self.laws._is_local(self.cluster, d) and not d.cdrom]
        for disk in local:
            self.say(f"found local disk '{disk.volid}' (attached)")
        copy = sum(d.size for d in local) / DISK_RATE
        self.then(2.0 + copy, self.moved)

    def moved(self) -> None:
        self.arrive("stopped")
        self.finished()


class _Relocation(_Mover):
    """A container: shut down, moved, started, if ``restart``; else only when it is stopped."""

    def begin(self, online: bool, restart: bool) -> None:
        self.was_running = self.guest.status == "running"
        if self.was_running and not restart:
            why = "lxc live migration is currently not implemented" if online else "can't migrate running container"
            self.then(0.5, lambda: self.refuse(why))
            return
        self.begin_line()
        error = self.unreachable()
        if error:
            self.then(1.0, lambda: self.refuse(error))
            return
        if not self.was_running:
            self.then(1.0, self.move)
            return
        self.say(f"shutdown CT {self.guest.vmid}")
        began = self.guest.started_at
        takes = between(1.0, 3.0, self.seed, "shutdown", self.guest.vmid, int(self.laws.now))
        self.then(takes * 0.5, lambda: self.laws._closing(self.guest, began, "restart"))
        self.then(takes, self.stopped)

    def refuse(self, why: str) -> None:
        self.say(f"ERROR: migration aborted (duration {clock(self.laws.now - self.m.started)}): {why}")
        self.end(False, ABORTED)

    def stopped(self) -> None:
        self.laws._halt(self.cluster, self.guest, "restart")
        self.move()

    def move(self) -> None:
        self.laws._cancel.pop(self.task.upid, None)
        for disk in self.guest.disks:
            self.say(f"volume '{disk.volid}' is on shared storage '{disk.storage}'")
        self.say("start final cleanup")
        self.then(1.5, self.moved)

    def moved(self) -> None:
        self.arrive("restart" if self.was_running else "stopped")
        if not self.was_running:
            self.finished()
            return
        self.say("start container on target node")
        self.guest.lock = None
        self.laws.start_now(self.cluster, self.guest, "root@pam", self.started)

    def started(self, ok: bool) -> None:
        if self.task.status != "running":
            return
        if ok:
            self.finished()
        else:
            self.end(False, "start container on target node failed")

    def cancel(self) -> None:
        """Before the move: it stays; if it was down already, it is started again here."""
        super().cancel()
        self.laws.lighten(self.guest, "restart")


def _cache(ram: int) -> int:
    """PVE's XBZRLE cache: an eighth of the RAM, rounded to a power of two."""
    power = 1
    while power * 2 <= ram // 8:
        power *= 2
    return power
