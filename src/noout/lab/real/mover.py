"""A live migration that happens: two QEMU processes, qemu-server's order, and its words in the task's log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from noout.lab.real.qemu import Machine, begin, follow, per_s
from noout.lab.world.movers import LiveMigration
from noout.lab.world.precopy import size

if TYPE_CHECKING:
    from noout.lab.real.laws import RealLaws

BROKEN = (RuntimeError, TimeoutError)  # QEMU refused, hung up or fell silent


class RealMigration(LiveMigration):
    """From the lock to the unlocked guest. What the simulated one reckons, this one does and looks at."""

    laws: RealLaws

    def takes(self, low: float, high: float, what: str) -> float:
        return 0.0  # it takes what it takes

    def remote_started(self) -> None:
        self.turn += 1  # from here on nothing goes by the clock
        self.laws.soon(self._carry())

    async def _carry(self) -> None:
        machines, vmid = self.laws.machines, self.guest.vmid
        try:
            target, uri = await machines.incoming(vmid, self.m.target)
        except BROKEN as error:
            self._tell(str(error))
            self._failed("online migrate failure - remote command failed with exit code 255")
            return
        source = machines.running.get(vmid)
        if source is None or self.task.status != "running":  # it died, or its node did
            await machines.discard(vmid, target)
            return
        self._tell("start remote tunnel")
        self._tell("ssh tunnel ver 1")
        self.announce(uri)
        self.m.phase = "precopy"
        why = await self._copy(source, target, uri)
        if why:
            await machines.discard(vmid, target)
            self._failed(why)

    async def _copy(self, source: Machine, target: Machine, uri: str) -> str:
        """Why it came to nothing; empty when the guest runs at the target."""
        try:
            if self.m.phase != "cancelled":
                await begin(source, uri, bytes_per_s=self.m.bwlimit or 0)
            told = await follow(source, self._seen, self._tell)
            if told["status"] != "completed":
                self._tell(f"migration status error: {told['status']} - {told.get('error-desc', '')}".rstrip(" -"))
                stopped = self.m.phase == "cancelled"
                return f"online migrate failure - {'interrupted by signal' if stopped else 'aborting'}"
            self._completed(told)
            if self.guest.vmid in self.laws.killed_when_completed:
                target.process.kill()
            await target.ready()
            await target.qmp.execute("cont")
        except BROKEN as error:
            self._tell(str(error))
            await self._left_behind(source)
            return "online migrate failure - aborting"
        self.laws.machines.adopt(self.guest.vmid, target)
        await self.laws.machines.discard(self.guest.vmid, source)
        self.laws.advance()
        self.arrive("live")
        self.finished()
        return ""

    def _seen(self, told: dict[str, Any]) -> None:
        ram = told.get("ram")
        if ram:
            self.m.transferred, self.m.remaining = int(ram["transferred"]), int(ram["remaining"])
            self.m.rate, self.m.round = int(per_s(told)), int(ram["dirty-sync-count"])
        self.m.throttle = told.get("cpu-throttle-percentage", 0) / 100

    def _completed(self, told: dict[str, Any]) -> None:
        """In qemu-server's words; its speed is memory by time, whatever was sent."""
        self.m.phase, self.m.downtime = "switchover", told["downtime"] / 1000
        self.laws.calibration.append(told)
        speed = size(told["ram"]["total"] * 1000 / max(told["total-time"], 1))
        self._tell(f"average migration speed: {speed}/s - downtime {told['downtime']} ms")
        self._tell(f"migration completed, transferred {size(told['ram']['transferred'])} VM-state")
        self._tell("migration status: completed")

    async def _left_behind(self, source: Machine) -> None:
        """What the source is now: running, or sent and not taken, which only a person can undo (``cont``)."""
        try:
            status = await source.status()
        except BROKEN:
            return
        if status == "postmigrate":
            self.guest.qmpstatus = status
            self.laws.note(self.cluster, f"guest {self.guest.vmid} stands still in postmigrate on {self.m.source}")

    def _tell(self, text: str) -> None:
        self.laws.advance()
        self.say(text)

    def _failed(self, why: str) -> None:
        self.laws.advance()
        if self.task.status == "running":
            self.fail(why, 0.0)

    def cancel(self) -> None:
        """QEMU is asked to let go; what it answers ends the task."""
        self.m.phase = "cancelled"
        source = self.laws.machines.running.get(self.guest.vmid)
        if source is not None:
            self.laws.soon(self._let_go(source))

    async def _let_go(self, source: Machine) -> None:
        try:
            await source.qmp.execute("migrate_cancel")
        except BROKEN as error:
            self._tell(str(error))

    def lost(self, node: str) -> None:
        """The target's process died with it, and QEMU will say so; the source's is the guest itself."""
        if node == self.m.source:
            super().lost(node)
