"""The IPMI adapter's own promises, with a program in ipmitool's place that writes down what it is given."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from noout.adapters.bmc import IpmiBmc
from noout.adapters.bmc.ipmi import IDENTIFY_S
from noout.codec import decode, encode
from noout.domain.cluster import NodeId
from noout.domain.errors import Refused, Retryable
from noout.domain.hardware import HardwareState, Power

NODE = NodeId("ams1", "pve3")
SECRET = "not for the process list"
PROGRAM = """#!{python}
import os, pathlib, sys
here = pathlib.Path({home!r})
asked = sys.stdin.read()
with (here / "argv").open("a") as log:
    log.write(chr(0).join(sys.argv) + chr(10))
with (here / "asked").open("a") as log:
    log.write(asked)
(here / "password").write_text(os.environ.get("IPMI_PASSWORD", ""))
words = sys.argv[sys.argv.index("3", sys.argv.index("-R")) + 1:]
answer = here / "-".join(words).replace("/", "")
if (here / "dead").exists():
    sys.exit("Error: Unable to establish IPMI v2 / RMCP+ session")
if answer.with_suffix(".error").exists():
    sys.exit(answer.with_suffix(".error").read_text())
print((here / "look").read_text())
"""


class MovedClock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.at = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at

    async def sleep(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)

    def wall_s(self, seconds: float) -> float:
        return seconds


class Stand:
    def __init__(self, home: Path) -> None:
        self.home, self.clock = home, MovedClock()
        program = home / "ipmitool"
        program.write_text(PROGRAM.format(python=sys.executable, home=str(home)))
        program.chmod(0o700)
        self.say(" 01 00 00\nFAN1 | 01h | ok  | 29.1 | 6000 RPM")
        url = "ipmi://bmc3.example.net:6230"
        self.bmc = IpmiBmc(NODE, url, "noout", SECRET, self.clock, program=str(program))

    def say(self, text: str) -> None:
        (self.home / "look").write_text(text)

    def argv(self) -> list[list[str]]:
        return [line.split("\0") for line in (self.home / "argv").read_text().splitlines()]


@pytest.fixture
def stand(tmp_path: Path) -> Stand:
    return Stand(tmp_path)


async def test_one_process_a_look_and_the_password_not_in_its_arguments(stand: Stand) -> None:
    state = await stand.bmc.observe()
    assert (state.reachable, state.power) == (True, Power.ON)
    [argv] = stand.argv()
    assert SECRET not in " ".join(argv)
    assert (stand.home / "password").read_text() == SECRET
    assert argv[argv.index("-H") + 1] == "bmc3.example.net" and argv[argv.index("-p") + 1] == "6230"
    assert argv[argv.index("-L") + 1] == "OPERATOR", "no more than it needs"


async def test_what_does_not_change_is_asked_once(stand: Stand) -> None:
    await stand.bmc.observe()
    first = (stand.home / "asked").read_text()
    await stand.bmc.observe(log=False)
    second = (stand.home / "asked").read_text().removeprefix(first)
    assert "fru print 0" in first and "sensor" in first.splitlines()
    assert second.splitlines() == ["raw 0 1", "sdr elist"]


async def test_an_led_that_the_bmc_does_not_tell_of_is_shown_as_asked_for_until_it_runs_out(stand: Stand) -> None:
    """A BMC that cannot identify itself for good is asked for some minutes: the run lights it again."""
    (stand.home / "chassis-identify-force.error").write_text("Set Chassis Identify failed: Invalid data field")
    await stand.bmc.locate(True)
    assert stand.argv()[-1][-1] == str(IDENTIFY_S)
    assert (await stand.bmc.observe(log=False)).led_on is True
    await stand.clock.sleep(IDENTIFY_S)
    assert (await stand.bmc.observe(log=False)).led_on is False


async def test_a_bmc_that_tells_of_its_led_is_believed(stand: Stand) -> None:
    await stand.bmc.locate(True)
    stand.say(" 01 00 40")
    assert (await stand.bmc.observe(log=False)).led_on is False


async def test_a_machine_that_starts_by_itself(stand: Stand) -> None:
    stand.say(" 41 00 00")
    assert (await stand.bmc.observe(log=False)).power_restore == "AlwaysOn"


async def test_a_silent_bmc_is_unreachable_and_raises_nothing(stand: Stand) -> None:
    (stand.home / "dead").touch()
    state = await stand.bmc.observe()
    assert not state.reachable and state.power is Power.UNKNOWN
    assert "opens no IPMI session" in state.trouble and SECRET not in state.trouble
    with pytest.raises(Retryable):
        await stand.bmc.force_off()


async def test_an_answer_without_the_chassis_is_no_answer(stand: Stand) -> None:
    stand.say("FAN1 | 01h | ok  | 29.1 | 6000 RPM")
    assert not (await stand.bmc.observe()).reachable
    with pytest.raises(Retryable):
        await stand.bmc.power_on()


async def test_a_refusal_is_told_in_the_bmcs_words(stand: Stand) -> None:
    (stand.home / "chassis-power-off.error").write_text("Set Chassis Power Control failed: Insufficient privilege")
    with pytest.raises(Refused, match="Insufficient privilege"):
        await stand.bmc.force_off()


async def test_a_clock_that_is_off_is_said(stand: Stand) -> None:
    stand.say(" 01 00 00\n11/23/26 11:00:00 UTC")
    assert "3600 s ahead" in (await stand.bmc.observe()).trouble


async def test_without_ipmitool(tmp_path: Path) -> None:
    bmc = IpmiBmc(NODE, "ipmi://bmc3", "noout", SECRET, MovedClock(), program=str(tmp_path / "none"))
    assert "ipmitool is not installed" in (await bmc.observe()).trouble


async def test_one_that_hangs_is_ended_with_its_process(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("noout.adapters.bmc.ipmi.LOOK_WALL_S", 1.0)
    program = stand.home / "ipmitool"
    program.write_text(f"#!/bin/sh\necho $$ > {stand.home / 'number'}\nexec sleep 1000\n")
    state = await stand.bmc.observe()
    assert not state.reachable
    assert "did not end within" in state.trouble
    number = int((stand.home / "number").read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(number, 0)


@pytest.mark.parametrize(
    "text", ["", "\0" * 1000, "|" * 5000, " 01 00 00\nFAN1 | 01h | ok | 29.1 | 1e308 RPM", "x\n" * 50_000]
)
async def test_rubbish_in_its_place_is_survived(stand: Stand, text: str) -> None:
    stand.say(text)
    state = await stand.bmc.observe()
    assert decode(HardwareState, encode(state)) == state
