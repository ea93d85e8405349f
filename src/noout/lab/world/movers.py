"""One guest's move, step by step: live, stopped, or a container's relocation; and every way it can fail."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from noout.lab.world import obstacles
from noout.lab.world.chance import between
from noout.lab.world.model import Cluster, Disk, Guest, MiB, Migration
from noout.lab.world.precopy import Stream, clock, pause, size

if TYPE_CHECKING:
    from noout.lab.world.migration import MigrationLaws

PROBLEMS = "migration problems"
ABORTED = "migration aborted"
DISK_RATE = 400 * MiB
Done = Callable[[bool], None]


class Mover:
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
        for job in self.cluster.replication_jobs:  # PVE turns the job round
            if job["guest"] == self.guest.vmid and job["target"] == self.m.target:
                job["target"] = source
        self.laws.note(self.cluster, f"guest {self.guest.vmid} moved {source} -> {self.m.target} ({how})")

    def finished(self) -> None:
        self.say(f"migration finished successfully (duration {clock(self.laws.now - self.m.started)})")
        self.end(True)

    def begin_line(self) -> None:
        what = "CT" if self.guest.type == "lxc" else "VM"
        target = self.cluster.nodes[self.m.target]
        self.say(f"starting migration of {what} {self.guest.vmid} to node '{target.name}' ({target.ip})")

    def barred(self) -> bool:
        """Ends at once for what PVE never migrates so."""
        why = obstacles.at_once(self.cluster, self.guest, self.m.target, by_ha=self.m.by_ha)
        if why is not None:
            self.say(f"ERROR: migration aborted (duration 00:00:00): {why}")
            self.then(0.4, lambda: self.end(False, ABORTED))
        return why is not None

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


class LiveMigration(Mover):
    def begin(self, with_local_disks: bool, targetstorage: str | None) -> None:
        self.with_local_disks, self.targetstorage = with_local_disks, targetstorage
        in_use = between(0.55, 0.9, self.seed, "ram-used", self.guest.vmid)
        self.stream = Stream(self.m, int(self.guest.maxmem * in_use))
        self.say("conntrack state migration not supported or disabled, active connections might get dropped")
        if not self.barred():
            self.then(0.6, self.check)

    def check(self) -> None:
        self.begin_line()
        error = self.unreachable()
        if error:
            self.abort(error)
            return
        self.local = [d for d in self.guest.disks if self.laws.is_local(self.cluster, d)]
        for disk in self.local:
            self.say(f"found local disk '{disk.volid}' (attached)")
        error = next(
            obstacles.volume_errors(self.cluster, self.guest, self.local, self.m.target, self.with_local_disks), None
        )
        if error:
            self.say(error)
            self.abort(obstacles.SCAN)
            return
        replicas = obstacles.replication_targets(self.cluster, self.guest)
        if self.m.target in replicas:
            self.say("replicating disk images")
        # What is replicated is there already: only what was written since is sent, too little to count here.
        self.copied = [d for d in self.local if not (self.m.target in replicas and d.replicate)]
        self.say(f"starting VM {self.guest.vmid} on remote node '{self.m.target}'")
        self.then(self.takes(1.5, 3.0, "remote"), self.remote_started)

    def takes(self, low: float, high: float, what: str) -> float:
        return between(low, high, self.seed, what, self.task.upid)

    def remote_started(self) -> None:
        node = self.cluster.nodes[self.m.target]
        if self.laws.ram_used(self.cluster, node.name) > node.maxmem:  # it is counted there already
            self.fail("online migrate failure - remote command failed: cannot set up guest memory 'pc.ram'", 1.0)
            return
        if error := obstacles.on_start(self.cluster, self.guest, node):
            self.say(error)
            self.fail("online migrate failure - remote command failed with exit code 255", 1.0)
            return
        for disk in self.local:
            self.say(self.on_target(disk))
        self.say("start remote tunnel")
        self.then(self.takes(1.2, 2.2, "tunnel"), self.tunnel_up)

    def tunnel_up(self) -> None:
        self.say("ssh tunnel ver 1")
        if self.local:
            self.m.phase = "disks"
            self.say("starting storage migration")
            total = sum(d.size for d in self.copied)
            for disk in self.local:
                nbd = f"nbd:unix:/run/qemu-server/{self.guest.vmid}_nbd.migrate:exportname=drive-{disk.key}"
                self.say(f"{disk.key}: start migration to {nbd}")
                self.task.log.append(f"drive mirror is starting for drive-{disk.key}")
                done = f"transferred {size(disk.size / 64)} of {size(disk.size)} (1.56%) in 0s"
                self.task.log.append(f"drive-{disk.key}: {done}")
            rate = min(self.laws.stream_rate(self.cluster, self.m), DISK_RATE)
            self.then(total / rate, lambda: self.disks_copied(total / rate))
            return
        self.go()

    def disks_copied(self, seconds: float) -> None:
        for disk in self.local:
            done = f"transferred {size(disk.size)} of {size(disk.size)} (100.00%) in {int(seconds)}s, ready"
            self.task.log.append(f"drive-{disk.key}: {done}")
        self.task.log.append("all 'mirror' jobs are ready")
        self.go()

    def go(self) -> None:
        self.announce(f"unix:/run/qemu-server/{self.guest.vmid}.migrate")
        self.stream.begin()
        self.then(1.0, self.tick)

    def announce(self, uri: str) -> None:
        self.say(f"starting online/live migration on {uri}")
        self.say("set migration capabilities")
        if self.m.bwlimit:
            self.say(f"migration speed limit: {size(self.m.bwlimit)}/s")
        self.say("migration downtime limit: 100 ms")
        self.say(f"migration cachesize: {size(_cache(self.guest.maxmem))}")
        self.say("set migration parameters")
        self.say(f"start migrate command to {uri}")
        self.copy_began = self.laws.now

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
        stood_still = pause(self.m.remaining, rate, self.m.downtime_limit, self.seed, *key)
        self.m.downtime, gap = stood_still.downtime, stood_still.interruption
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
        if self.local:
            self.task.log.append("all 'mirror' jobs are ready")
        for disk in self.local:
            disk.volid = self.new_place(disk)
            for line in ("Completing block job...", "Completed successfully.", "mirror-job finished"):
                self.task.log.append(f"drive-{disk.key}: {line}")
        if self.local:
            self.say("stopping NBD storage migration server on target.")
        self.arrive("live" if self.guest.status == "running" else "paused")
        self.then(self.takes(3.0, 5.0, "clean-up"), self.finished)

    def new_place(self, disk: Disk) -> str:
        return f"{self.targetstorage or disk.storage}:{disk.volid.split(':', 1)[1]}"

    def on_target(self, disk: Disk) -> str:
        return f"volume '{disk.volid}' is '{self.new_place(disk)}' on the target"

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


class ColdMigration(Mover):
    def begin(self) -> None:
        if self.barred():
            return
        self.begin_line()
        error = self.unreachable()
        if error:
            self.then(1.0, lambda: self.abort(error))
            return
        isos = [d for d in self.guest.disks if self.laws.is_local(self.cluster, d) and d.cdrom]
        if isos:
            self.say(f"can't migrate local disk '{isos[0].volid}': local cdrom image")
            self.then(1.0, lambda: self.abort(obstacles.SCAN))
            return
        local = [d for d in self.guest.disks if self.laws.is_local(self.cluster, d) and not d.cdrom]
        for disk in local:
            self.say(f"found local disk '{disk.volid}' (attached)")
        if local:
            self.say("copying local disk images")
        self.local = local
        self.then(2.0 + sum(d.size for d in local) / DISK_RATE, self.moved)

    def moved(self) -> None:
        for disk in self.local:
            self.say(f"successfully imported '{disk.volid}'")
            self.say(f"volume '{disk.volid}' is '{disk.volid}' on the target")
        self.arrive("stopped")
        self.finished()


class Relocation(Mover):
    """A container: shut down, moved, started, if ``restart``; else only when it is stopped."""

    def begin(self, online: bool, restart: bool) -> None:
        self.was_running = self.guest.status == "running"
        if online or (self.was_running and not restart):
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
        if self.unreachable():
            self.back()
        else:
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

    def lost(self, node: str) -> None:
        """Without its target it stays: a shutdown goes on, and what was shut down is started again where it was."""
        if node == self.m.source or not self.was_running or self.guest.node != self.m.source:
            super().lost(node)
        elif self.guest.status == "stopped":
            self.back()

    def back(self) -> None:
        self.turn += 1
        self.say("start container on source node")
        self.guest.lock = None
        self.laws.start_now(self.cluster, self.guest, "root@pam", self.is_back)

    def is_back(self, ok: bool) -> None:
        if self.task.status == "running":
            self.end(False, PROBLEMS)

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
