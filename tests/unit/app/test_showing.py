"""A picture over days: what was thinned out to trends still shows its stops."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from noout.adapters.store.memory import MemoryStore
from noout.app.showing import picture_of
from noout.watch.verdict import judge
from tests.unit.app.test_proposals import Hands
from tests.unit.watch.test_picture import drawn, flapping, numbers
from tests.unit.watch.traces import PVE3, poll, stop_entries


async def test_an_old_stop_is_drawn_from_the_trends_and_its_log_entries_are_there() -> None:
    clock = Hands()
    store = MemoryStore(clock)  # type: ignore[arg-type]
    old = flapping()
    fresh = [poll(200_000 + 60 * i) for i in range(60)]
    fresh[-1] = replace(fresh[-1], log=stop_entries([201_000], first=90))
    for state in (*old, *fresh):
        await store.add_hardware(state)
    clock.at = fresh[-1].at
    await store.thin_hardware(PVE3, clock.at - timedelta(hours=10), clock.at - timedelta(days=30))
    svg = await picture_of(store, PVE3, judge(fresh, clock.at), clock.at, sensor="FAN3B")
    line = drawn(svg, "ln")[-1].get("d", "")
    early = [y for x, y in numbers(line) if x < 200]
    assert max(early) - min(early) > 100, "the stop of the first hours"
    assert len(drawn(svg, "tick")) == 1 + 5
    short = await picture_of(store, PVE3, (), clock.at, sensor="FAN3B", span=timedelta(hours=1))
    assert len(drawn(short, "tick")) == 1 + 1
