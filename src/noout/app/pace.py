"""Whether the runs of this process go on: each step says when the next one is due, and one that stays away is late."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from noout.ports import Advance, Clock, Engine, Wait

STEP_WALL_S_MAX = 900.0  # a step asks a whole cluster, which may answer slowly
LATE_WALL_S = 120.0  # an engine begins within a second


@dataclass(slots=True)
class Paces:
    clock: Clock
    due: dict[str, datetime] = field(default_factory=dict)

    def late(self, now: datetime) -> list[str]:
        """Maintenances whose next step, or the end of this one, is overdue."""
        return sorted(maintenance for maintenance, due in self.due.items() if now > due)

    def of(self, engine: Engine) -> Engine:
        """The same engine, whose steps are timed."""
        return _Timed(engine, self)

    def expect(self, maintenance: str, at: datetime, wall_s: float) -> None:
        self.due[maintenance] = at + timedelta(seconds=wall_s / self.clock.wall_s(1.0))

    def forget(self, maintenance: str) -> None:
        """It is over, or another process carries it."""
        self.due.pop(maintenance, None)


@dataclass(slots=True)
class _Timed:
    engine: Engine
    paces: Paces

    async def step(self, advance: Advance, maintenance: str) -> Wait | None:
        clock = self.paces.clock
        self.paces.expect(maintenance, clock.now(), STEP_WALL_S_MAX)
        try:
            wait = await self.engine.step(advance, maintenance)
        except Exception:  # the engine takes the run up again, or it is late
            self.paces.expect(maintenance, clock.now(), LATE_WALL_S)
            raise
        if wait is None:
            self.paces.forget(maintenance)
        else:
            self.paces.expect(maintenance, max(wait.until or clock.now(), clock.now()), LATE_WALL_S)
        return wait

    async def inbox(self, maintenance: str, until: datetime | None) -> None:
        await self.engine.inbox(maintenance, until)

    async def start(self, maintenance: str) -> None:
        await self.engine.start(maintenance)

    async def wake(self, maintenance: str) -> None:
        await self.engine.wake(maintenance)
