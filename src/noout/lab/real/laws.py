"""The laws of a world whose guests, BMCs and Ceph daemons are processes: what is asked of it is done, not reckoned.

Tasks, locks, names and refusals stay the simulated lab's, and so does the node itself: its power, its boot. What a
guest's clients see, no law says: they ask the guest.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, NoReturn

from noout.lab.real.boards import Boards
from noout.lab.real.ceph import RealCeph
from noout.lab.real.machines import Machines
from noout.lab.real.mover import BROKEN, RealMigration
from noout.lab.real.network import Network
from noout.lab.world.kernel import HasNow, LawError
from noout.lab.world.laws import Laws
from noout.lab.world.model import Cluster, Fan, Guest, Task, World
from noout.lab.world.movers import Done

BOOT_S = 12.0  # there is no firmware to wait for
END_S = 10.0


class RealLaws(Laws):
    live_mover = RealMigration
    tells_of_ceph = False

    def __init__(
        self, world: World, clock: HasNow, network: Network, machines: Machines, boards: Boards, ceph: RealCeph | None
    ) -> None:
        super().__init__(world, clock)
        self.network, self.machines, self.boards, self.daemons = network, machines, boards, ceph
        self.calibration: list[dict[str, Any]] = []  # what QEMU said of each migration that was completed
        self.killed_when_completed: set[int] = set()  # guests whose target dies before it may go on (a fault)
        self.broken: BaseException | None = None
        self._doing: set[asyncio.Task[None]] = set()
        machines.on_end = self._ended
        self._faults |= {
            "migration-link-cut": (self._cut, self._mend),
            "migration-link-slow": (self._slow, self._full),
            "operator-resumes": (self._resume, self._nothing),
            "guest-dirties": (self._dirty, self._dirty_not),
            "qemu-killed": (self._kill_qemu, self._nothing),
            "target-killed-when-completed": (self._doom, self._doom_not),
            "switch-does-not-learn": (self._unlearn, self._learn),
            "fan-history": (self._fan_history, self._nothing),
            "daemon-killed": (self._kill_daemon, self._nothing),
        }

    # --- what takes its time ---

    def soon(self, work: Coroutine[Any, Any, None]) -> None:
        """Do it beside everything else. A failure that its own code does not foresee ends the lab, aloud."""
        task = asyncio.get_running_loop().create_task(work)
        self._doing.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._doing.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self.broken = self.broken or task.exception()

    def _settle(self) -> None:
        super()._settle()
        if self.broken is not None:
            raise self.broken
        for cluster in self.world.clusters.values():
            for node in self.boards.pressed():
                power = cluster.nodes[node].power
                if not power and self.boards.power(node):
                    self.power_on(cluster, node)
                    self.boards.set_power(node, cluster.nodes[node].power)
                elif power and not self.boards.power(node):
                    self.power_cut(cluster, node, "by the BMC")

    # --- guests ---

    def _ended(self, vmid: int, node: str) -> None:
        """A QEMU process that nobody ended."""
        self.advance()
        for cluster in self.world.clusters.values():
            guest = cluster.guests.get(vmid)
            if guest is not None and guest.node == node and guest.status != "stopped":
                self._set_status(cluster, guest, "stopped")
                self.note(cluster, f"guest {vmid} ended on {node}")

    def start_now(self, cluster: Cluster, guest: Guest, user: str, done: Done | None = None) -> Task:
        task = self.new_task(cluster, guest.node, "qmstart", str(guest.vmid), user)
        self.soon(self._boot_guest(cluster, guest, task, done))
        return task

    async def _boot_guest(self, cluster: Cluster, guest: Guest, task: Task, done: Done | None) -> None:
        error = self._start_error(cluster, guest)
        if error is None:
            try:
                await self.machines.start(guest.vmid, guest.node)
            except BROKEN as failed:
                error = f"start failed: {failed}"
        self.advance()
        if error is None:
            self._running(cluster, guest)
        self.finish_task(cluster, task, error or "OK")
        if done is not None:
            done(error is None)

    def shutdown_now(
        self,
        cluster: Cluster,
        guest: Guest,
        user: str,
        timeout: float = 180,
        force_stop: bool = False,
        why: str = "stopped",
        done: Done | None = None,
    ) -> Task:
        """The guest has no disk to bring into order: its program is ended, and so is its machine."""
        task = self.new_task(cluster, guest.node, "qmshutdown", str(guest.vmid), user)
        self.soon(self._end_guest(cluster, guest, task, done))
        return task

    def stop_guest(self, cluster: Cluster, vmid: int, user: str) -> Task:
        guest = self.guest(cluster, vmid)
        task = self.new_task(cluster, guest.node, "qmstop", str(vmid), user)
        self.soon(self._end_guest(cluster, guest, task, None))
        return task

    async def _end_guest(self, cluster: Cluster, guest: Guest, task: Task, done: Done | None) -> None:
        error = f"VM is locked ({guest.lock})" if guest.lock else ""
        if not error:
            await self.machines.stop(guest.vmid)
            self.advance()
            if guest.status != "stopped":
                self._halt(cluster, guest, "stopped")
        self.finish_task(cluster, task, error or "OK")
        if done is not None:
            done(not error)

    def probe(self, cluster: Cluster, vmid: int, at: float) -> NoReturn:
        raise LawError("the guests of this lab are real: ask them themselves", 400)

    # --- the node ---

    def boot_s(self, node: str) -> float:
        return BOOT_S

    def power_on(self, cluster: Cluster, node: str) -> None:
        was = cluster.nodes[node].power
        super().power_on(cluster, node)
        if cluster.nodes[node].power and not was:
            self.boards.set_power(node, True)
            self.soon(self.network.cable(node, up=True))

    def _vanish(self, cluster: Cluster, node: str) -> None:
        """Its guests' processes end with it, and its cables lead nowhere."""
        for vmid, machine in list(self.machines.running.items()):
            if machine.host == node:
                self.soon(self.machines.stop(vmid))
        super()._vanish(cluster, node)
        self.boards.set_power(node, False)
        self.soon(self.network.cable(node, up=False))

    def _hands_pull_cords(self, cluster: Cluster, node: str) -> None:
        super()._hands_pull_cords(cluster, node)
        self.boards.mute(node, True)

    def _hands_plug_cords(self, cluster: Cluster, node: str) -> None:
        super()._hands_plug_cords(cluster, node)
        self.boards.mute(node, False)

    def _mute(self, cluster: Cluster, node: str) -> None:
        super()._mute(cluster, node)
        self.boards.mute(node, True)

    def _mute_off(self, cluster: Cluster, node: str) -> None:
        super()._mute_off(cluster, node)
        self.boards.mute(node, False)

    def _thresholds(self, cluster: Cluster, node: str, fan: Fan, what: str, severity: str) -> None:
        """The fan itself: the BMC sees it and writes its own log."""
        self.boards.turn(node, fan.name, what != "asserted")

    def _repair(self, cluster: Cluster, node: str, action: str, which: str | None) -> None:
        super()._repair(cluster, node, action, which)
        for fan in cluster.bmcs[node].fans.values():
            if not fan.cause:
                self.boards.turn(node, fan.name, True)

    # --- Ceph's daemons ---

    def daemon_stop(self, cluster: Cluster, name: str, silent: bool = False) -> None:
        if self.daemons is not None and self._is_running(cluster, name, False):
            self.note(cluster, f"{name} stopped")
            if self.daemons.daemons[name].poll() is None:
                self.soon(self.daemons.kill(name) if silent else self.daemons.stop(name))

    def daemon_start(self, cluster: Cluster, name: str) -> None:
        kind, _, which = name.partition(".")
        if self.daemons is None:
            return
        if kind == "osd" and self._ceph(cluster).osds[int(which)].will_not_start:
            self.note(cluster, f"{name} started and died again")
        elif self._is_running(cluster, name, True):
            self.note(cluster, f"{name} started")
            self.soon(self._start_daemon(name))

    async def _start_daemon(self, name: str) -> None:
        assert self.daemons is not None
        before = self.daemons.daemons[name]

        async def ended() -> bool:
            return before.poll() is not None

        await self.daemons.until(ended, limit_s=END_S)
        await self.daemons.start(name)

    def _is_running(self, cluster: Cluster, name: str, running: bool) -> bool:
        """Make it so in the records; whether that was a change."""
        ceph = self._ceph(cluster)
        records: dict[str, Any] = {f"osd.{each.id}": each for each in ceph.osds.values()}
        records |= {f"mon.{each.name}": each for each in ceph.mons.values()}
        records |= {f"mgr.{each.name}": each for each in ceph.mgrs.values()}
        found = records[name]
        changed = bool(found.running != running)
        found.running = running
        return changed

    # --- faults that only real parts have ---

    @staticmethod
    def _nothing(cluster: Cluster, **_: Any) -> None:
        """It has happened, and is over."""

    def _cut(self, cluster: Cluster, node: str) -> None:
        self.soon(self.network.cable(cluster.nodes[node].name, up=False, names=("mig",)))

    def _mend(self, cluster: Cluster, node: str) -> None:
        self.soon(self.network.cable(cluster.nodes[node].name, up=True, names=("mig",)))

    def _slow(self, cluster: Cluster, node: str, mbit: int = 64) -> None:
        self.soon(self.network.shape(cluster.nodes[node].name, int(mbit) * 1_000_000))

    def _full(self, cluster: Cluster, node: str, **_: Any) -> None:
        self.soon(self.network.shape(node))

    def _resume(self, cluster: Cluster, vmid: int) -> None:
        """``qm resume``: what rescues a guest that was sent and not taken."""
        self.soon(self._go_on(self.guest(cluster, int(vmid))))

    async def _go_on(self, guest: Guest) -> None:
        await self.machines.running[guest.vmid].qmp.execute("cont")
        guest.qmpstatus = ""

    def _unlearn(self, cluster: Cluster, node: str) -> None:
        """Guests that come to this node find their port on no bridge; QEMU and Proxmox VE notice nothing."""
        self.machines.unlearned.add(cluster.nodes[node].name)

    def _learn(self, cluster: Cluster, node: str) -> None:
        self.machines.unlearned.discard(node)
        for vmid, machine in self.machines.running.items():
            if machine.host == node:
                self.soon(self.network.replug(node, f"tap{vmid}i0"))

    def _dirty(self, cluster: Cluster, vmid: int, mib_per_s: int = 32) -> None:
        self.soon(self.machines.dirty(self.guest(cluster, int(vmid)).vmid, int(mib_per_s)))

    def _dirty_not(self, cluster: Cluster, vmid: int, **_: Any) -> None:
        self.soon(self.machines.dirty(int(vmid), 0))

    def _kill_qemu(self, cluster: Cluster, vmid: int, end: str = "source") -> None:
        """The guest's process, or the one that it is just moving to."""
        if end not in ("source", "target"):
            raise ValueError("end is source or target")
        self.machines.kill(self.guest(cluster, int(vmid)).vmid, end == "target")

    def _doom(self, cluster: Cluster, vmid: int) -> None:
        self.killed_when_completed.add(self.guest(cluster, int(vmid)).vmid)

    def _doom_not(self, cluster: Cluster, vmid: int) -> None:
        self.killed_when_completed.discard(int(vmid))

    def _fan_history(self, cluster: Cluster, node: str, fan: str, stops: int = 4, apart_s: float = 1500.0) -> None:
        """Stops in the past, in the BMC's own event log, the last one ``apart_s`` ago; its fan still has the cause."""
        record = self._the_fan(cluster, node, fan)
        record.cause = "connector"
        self.soon(self.boards.history(node, fan, [self.now - apart_s * i for i in range(int(stops), 0, -1)]))

    def _kill_daemon(self, cluster: Cluster, name: str) -> None:
        self.daemon_stop(cluster, name, silent=True)
