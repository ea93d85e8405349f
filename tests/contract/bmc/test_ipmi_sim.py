"""What only real IPMI shows: power that does not obey, states beside a status of ok."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from noout.adapters.bmc import IpmiBmc
from noout.adapters.clock import SystemClock
from noout.domain.hardware import HardwareState, Power, SensorKind
from noout.lab.real.ipmi import FANS, PASSWORD, USER, IpmiSim
from tests.contract.bmc.boards import NODE
from tests.support.ipmisim import ipmi_sim

pytestmark = pytest.mark.real


@pytest.fixture
def sim(tmp_path: Path) -> Iterator[IpmiSim]:
    with ipmi_sim(tmp_path) as running:
        yield running


def bmc_of(sim: IpmiSim) -> IpmiBmc:
    return IpmiBmc(NODE, sim.url, USER, PASSWORD, SystemClock())


async def seen(bmc: IpmiBmc, redundancy: str) -> HardwareState:
    """The first look that shows this redundancy of the fans: the simulator polls its sensors ten times a second."""
    for _ in range(20):
        state = await bmc.observe()
        if state.redundancy.get("fans") == redundancy:
            return state
        await asyncio.sleep(0.1)
    raise AssertionError(state.redundancy)


async def test_states_are_read_and_not_the_status_beside_them(sim: IpmiSim) -> None:
    bmc = bmc_of(sim)
    assert (await seen(bmc, "OK")).power_restore == "AlwaysOff"
    sim.write("ps2", 0b1001)
    sim.write("fans-redundancy", 0b10)
    state = await seen(bmc, "Lost")
    health = {r.sensor: r.health for r in state.readings if r.kind is SensorKind.POWER_SUPPLY}
    assert health == {"PS1 Status": "OK", "PS2 Status": "Critical"}
    sim.write("fans-redundancy", 0b100010)
    await seen(bmc, "Insufficient")


async def test_power_that_does_not_obey_is_seen_not_to(sim: IpmiSim) -> None:
    (sim.home / "stuck").touch()
    bmc = bmc_of(sim)
    await bmc.force_off()
    assert "set power 0" in sim.asked()
    assert (await bmc.observe(log=False)).power is Power.ON, "that it was accepted is no result"


async def test_a_fan_without_power_has_not_stopped(sim: IpmiSim) -> None:
    bmc = bmc_of(sim)
    await bmc.force_off()
    for fan in FANS:
        sim.turn(fan, 0)
    state = await bmc.observe(log=False)
    assert state.power is Power.OFF
    assert {r.value for r in state.readings if r.kind is SensorKind.FAN} == {None}
