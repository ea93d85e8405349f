"""The watch keeps its rhythm: however long the BMCs take, a round begins every ``every_s``."""

from __future__ import annotations

import asyncio
from datetime import datetime
from itertools import pairwise

import pytest

from noout.adapters.store.memory import MemoryStore
from noout.app.watcher import Watcher
from noout.domain.hardware import HardwareState, Power
from tests.support.labsite import lab_site
from tests.support.virtual import run_virtual
from tests.unit.steps.scene import NODE


@pytest.mark.parametrize(("takes_s", "apart_s"), [(0.0, 60.0), (40.0, 60.0), (75.0, 75.0)])
def test_a_slow_bmc_makes_no_round_later_than_it_must_be(takes_s: float, apart_s: float) -> None:
    async def main() -> None:
        clock, began = lab_site().clock, list[datetime]()

        class Slow:
            async def observe(self, *, log: bool = True) -> HardwareState:
                began.append(clock.now())
                await clock.sleep(takes_s)
                return HardwareState(NODE, clock.now(), True, Power.ON, False)

        store = MemoryStore(clock)
        watcher = Watcher({NODE: Slow()}, store, store, clock, 60.0)  # type: ignore[dict-item]
        watching = asyncio.create_task(watcher.run())
        await asyncio.sleep(400)
        watching.cancel()
        assert [(later - earlier).total_seconds() for earlier, later in pairwise(began)][:4] == [
            pytest.approx(apart_s, abs=0.01)
        ] * 4

    run_virtual(main())
