"""The engine in memory: what it forgets when it is thrown away, the journal still knows."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from datetime import datetime

from noout.ports import Advance, Clock, Engine, Wait


class MemoryEngine:
    """``Engine`` on plain tasks. ``run`` is the loop of ``run.story``; steps are counted for limits in tests."""

    def __init__(self, clock: Clock, run: Callable[[Engine, str], Awaitable[None]]) -> None:
        self.clock = clock
        self.steps = 0
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self._run = run
        self._wakes: dict[str, asyncio.Event] = {}

    async def step(self, advance: Advance, maintenance: str) -> Wait | None:
        self.steps += 1
        return await advance(maintenance)

    async def inbox(self, maintenance: str, until: datetime | None) -> None:
        if until is None:
            return
        woken = self._wakes.setdefault(maintenance, asyncio.Event())
        left_s = max(0.0, (until - self.clock.now()).total_seconds())
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(woken.wait(), self.clock.wall_s(left_s))
        woken.clear()

    async def start(self, maintenance: str) -> None:
        running = self.tasks.get(maintenance)
        if running is None or running.done():
            self.tasks[maintenance] = asyncio.create_task(self._carry(maintenance))

    async def _carry(self, maintenance: str) -> None:
        await self._run(self, maintenance)

    async def wake(self, maintenance: str) -> None:
        self._wakes.setdefault(maintenance, asyncio.Event()).set()
