"""The same checks on the lab's BMC and on real parts: what noout may expect of any machine's power, LED and senses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from noout.domain.hardware import Power, SensorKind
from tests.contract.bmc.boards import Board, IpmiStand, LabStand, Stand, sushy_emulator
from tests.support.ipmisim import ipmi_sim

PARTS = ["lab", pytest.param("ipmi_sim", marks=pytest.mark.real), pytest.param("sushy-tools", marks=pytest.mark.real)]
WITH_SENSES = PARTS[:2]  # the emulator has no fans, and was started without a password


@pytest.fixture(scope="module", params=PARTS)
def stand(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    home: Path = tmp_path_factory.mktemp("bmc")
    if request.param == "lab":
        yield LabStand()
    elif request.param == "ipmi_sim":
        with ipmi_sim(home) as sim:
            yield IpmiStand(sim)
    else:
        with sushy_emulator(home) as emulator:
            yield emulator


def test_it_says_what_it_is(stand: Stand) -> None:
    async def check(board: Board) -> None:
        state = await board.bmc.observe()
        assert (state.reachable, state.trouble, state.power) == (True, "", Power.ON)
        assert (state.serial, state.model) == (board.serial, board.model)
        assert state.led_on is not None

    stand.run(check)


def test_power_is_proved_by_looking(stand: Stand) -> None:
    """Cut and given again; what is so already is not asked for once more."""

    async def check(board: Board) -> None:
        await board.bmc.power_on()
        assert board.requested() == 0, "it was on already"
        await board.bmc.force_off()
        await board.power_becomes(Power.OFF, 30)
        asked = board.requested()
        await board.bmc.force_off()
        assert board.requested() == asked, "it was off already"
        await board.bmc.power_on()
        await board.power_becomes(Power.ON, 30)

    stand.run(check)


def test_the_led_is_set_and_read_back(stand: Stand) -> None:
    async def check(board: Board) -> None:
        for on in (False, True, False):
            await board.bmc.locate(on)
            assert (await board.bmc.observe(log=False)).led_on is on
            assert board.lit is None or board.lit() is on

    stand.run(check)


@pytest.mark.parametrize("stand", WITH_SENSES, indirect=True)
def test_a_fan_that_stops_is_seen_and_logged(stand: Stand) -> None:
    async def check(board: Board) -> None:
        assert board.stop_fan is not None
        before = {r.sensor: r for r in (await board.bmc.observe()).readings if r.kind is SensorKind.FAN}
        assert before[board.fan].value
        assert before[board.fan].lower_critical
        board.stop_fan(board.fan)
        for _ in range(20):  # it polls its own sensors
            state = await board.bmc.observe()
            fan = next(r for r in state.readings if r.sensor == board.fan)
            if fan.value == 0 and state.log:
                break
            await board.clock.sleep(0.2)
        assert (fan.value, fan.health) == (0, "Critical")
        assert state.log[-1].sensor == board.fan
        assert state.log[-1].severity == "Critical"
        assert abs((state.log[-1].at - state.at).total_seconds()) < 60

    stand.run(check)


@pytest.mark.parametrize("stand", WITH_SENSES, indirect=True)
def test_a_wrong_password_is_told_without_it(stand: Stand) -> None:
    async def check(board: Board) -> None:
        assert board.login is not None
        state = await board.login("not-the-password").observe()
        assert not state.reachable
        assert "password" in state.trouble
        assert "not-the-password" not in state.trouble

    stand.run(check)
