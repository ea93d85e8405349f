"""The lab's virtual time, as another process reads it from the configuration."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from noout.adapters.clock import LabClock, SystemClock
from noout.lab.clock import LabClock as TheirClock
from tests.support.virtual import run_virtual

EPOCH = 1_796_032_800.0


def test_both_sides_agree_on_the_time() -> None:
    ours = LabClock(EPOCH, 1000.0, 60.0, wall=lambda: 1010.5)
    theirs = TheirClock(EPOCH, 1000.0, 60.0, wall=lambda: 1010.5)
    assert ours.now() == datetime.fromtimestamp(theirs.now(), UTC)
    assert ours.now() == datetime.fromtimestamp(EPOCH + 630, UTC)


def test_sleep_is_in_clock_time() -> None:
    async def main() -> tuple[float, float]:
        loop = asyncio.get_running_loop()
        clock = LabClock(EPOCH, loop.time(), 60.0, wall=loop.time)
        before = clock.now()
        await clock.sleep(600)
        await clock.sleep(-5)
        return loop.time(), (clock.now() - before).total_seconds()

    wall_s, clock_s = run_virtual(main())
    assert round(wall_s, 3) == 10
    assert round(clock_s, 3) == 600


async def test_the_system_clock_is_aware_and_utc() -> None:
    clock = SystemClock()
    before = clock.now()
    await clock.sleep(-1)
    assert clock.now() >= before
    assert before.tzinfo is UTC
