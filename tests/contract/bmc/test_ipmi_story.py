"""A fan that stands still for moments, on a BMC that speaks real IPMI, read by the real ipmitool in the real watch:
one proposal, however often it does so, with its picture. Nothing here is simulated by noout."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path

import pytest

from noout.adapters.bmc import IpmiBmc
from noout.adapters.clock import LabClock
from noout.adapters.store.memory import MemoryStore
from noout.app.proposals import stream_of
from noout.app.showing import picture_of
from noout.app.watcher import Watcher
from noout.domain.hardware import Condition, Fault, Urgency
from noout.lab.real.ipmi import FULL_RPM, PASSWORD, USER, IpmiSim
from tests.contract.bmc.boards import NODE
from tests.support.ipmisim import ipmi_sim
from tests.unit.watch.test_picture import drawn

pytestmark = pytest.mark.real

SPEED = 60.0  # of noout's clock; the BMC's is set to it before each stop
APART_S = 180.0
STOPS_MAX = 6


@pytest.fixture
def sim(tmp_path: Path) -> Iterator[IpmiSim]:
    with ipmi_sim(tmp_path) as running:
        yield running


@asynccontextmanager
async def watching(watcher: Watcher) -> AsyncIterator[None]:
    task = asyncio.create_task(watcher.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_a_fan_that_flaps_is_proposed_once_with_its_picture(sim: IpmiSim) -> None:
    clock = LabClock(time.time(), time.time(), SPEED)
    store = MemoryStore(clock)
    told: list[Fault] = []

    async def tell(fault: Fault) -> None:
        told.append(fault)

    watcher = Watcher(
        {NODE: IpmiBmc(NODE, sim.url, USER, PASSWORD, clock)}, store, store, clock, every_s=60, on_proposal=tell
    )

    async def stop() -> None:
        await asyncio.to_thread(sim.set_clock, clock.now())
        sim.turn("FAN2", 0)
        await asyncio.sleep(0.4)  # the simulator reads its fans ten times a second
        sim.turn("FAN2", FULL_RPM)
        await clock.sleep(APART_S)

    async with watching(watcher):
        await clock.sleep(APART_S)
        assert told == [], "four fans turn"
        stops = 0
        while not told and stops < STOPS_MAX:
            await stop()
            stops += 1
        assert [(each.node, each.sensors, each.urgency) for each in told] == [(NODE, ("FAN2",), Urgency.SCHEDULE)]
        await stop()
        await stop()
    assert len(told) == 1 and len(await store.read(stream_of(NODE))) == 1, "however often it does so"
    health = await watcher.health(NODE)
    (found,) = [verdict for verdict in health.verdicts if verdict.sensor == "FAN2"]
    assert found.condition is Condition.FLAPPING and len(found.episodes) >= stops + 2
    assert any("log" in episode.sources for episode in found.episodes), "the BMC wrote down what no look saw"
    assert {verdict.condition for verdict in health.verdicts if verdict.sensor != "FAN2"} == {Condition.OK}
    svg = await picture_of(store, NODE, health.verdicts, clock.now(), span=timedelta(days=1))
    assert "FAN2 of pve3: flapping" in svg and drawn(svg, "ln") and drawn(svg, "band")
    assert len(drawn(svg, "ep")) == 1 + len(found.episodes)
