"""Time, from outside: the machine's own clock, or a lab's virtual one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds))

    def wall_s(self, seconds: float) -> float:
        return seconds


@dataclass(frozen=True)
class LabClock:
    """``now = epoch + speed x (wall() - started)``, in Unix seconds, as the lab's own configuration states it.

    Another process that reads the same three figures agrees with the lab, also after a restart.
    """

    epoch: float
    started: float
    speed: float = 1.0
    wall: Callable[[], float] = time.time

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.epoch + self.speed * (self.wall() - self.started), UTC)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(self.wall_s(max(0.0, seconds)))

    def wall_s(self, seconds: float) -> float:
        return seconds / self.speed


def uptime_s() -> float:
    """Seconds that only ever go forward, also while the machine is suspended: for what must not last longer."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()
