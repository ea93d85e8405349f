"""A BMC in memory that takes its time and says what the test has it say, for tests of the watch in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise

from noout.adapters.store.memory import MemoryStore
from noout.app.watcher import Watcher
from noout.app.watching.poller import Poller
from noout.domain.cluster import NodeId
from noout.domain.hardware import HardwareState, Power, Reading, SensorKind, Unit
from noout.ports import Clock
from tests.support.labsite import lab_site
from tests.support.virtual import run_virtual

NODE = NodeId("ams1", "pve3")
OTHER = NodeId(NODE.cluster, "pve1")


def fans(rpm: float = 6000.0) -> tuple[Reading, ...]:
    return tuple(
        Reading(f"FAN{n}", SensorKind.FAN, rpm if n == 1 else 6000.0, Unit.RPM, lower_critical=600.0)
        for n in (1, 2, 3, 4)
    )


@dataclass
class Board:
    """A BMC that takes its time, and says what the test has it say."""

    clock: Clock
    node: NodeId = NODE
    takes_s: float = 0.0
    say: Callable[[datetime], HardwareState] | None = None
    began: list[datetime] = field(default_factory=list)

    async def observe(self, *, log: bool = True) -> HardwareState:
        self.began.append(self.clock.now())
        await self.clock.sleep(self.takes_s)
        now = self.clock.now()
        return self.say(now) if self.say else HardwareState(self.node, now, True, Power.ON, False, fans())

    @property
    def apart_s(self) -> list[float]:
        return [(later - earlier).total_seconds() for earlier, later in pairwise(self.began)]

    async def power_on(self) -> None: ...

    async def force_off(self) -> None: ...

    async def locate(self, on: bool) -> None: ...


def silent(now: datetime) -> HardwareState:
    return HardwareState(NODE, now, False, trouble="no answer")


async def during(watcher: Watcher | Poller, seconds: float, then: Awaitable[None] | None = None) -> None:
    """Let it run for so long."""
    watching = asyncio.create_task(watcher.run())
    await asyncio.sleep(seconds)
    if then is not None:
        await then
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)


def virtually(main: Callable[[Clock, MemoryStore], Coroutine[None, None, None]]) -> None:
    async def whole() -> None:
        clock = lab_site().clock
        await main(clock, MemoryStore(clock))

    run_virtual(whole(), limit_s=1_000_000)
