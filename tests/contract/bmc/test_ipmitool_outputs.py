"""What ipmitool printed for real machines in trouble, and what noout makes of it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from noout.adapters.bmc import parse_ipmi as parse
from noout.domain.cluster import NodeId
from noout.domain.hardware import HardwareState, Power, Reading, SensorKind, Unit
from noout.watch.verdict import judge


@pytest.fixture
def outputs(recordings: Path) -> Path:
    return recordings / "hardware" / "ipmitool"


def lines(file: Path) -> list[str]:
    return file.read_text().splitlines()


def fans(readings: tuple[Reading, ...]) -> dict[str, Reading]:
    return {reading.sensor: reading for reading in readings if reading.kind is SensorKind.FAN}


def test_two_failed_fans_of_a_dell(outputs: Path) -> None:
    readings = parse.sensors(lines(outputs / "dell-r320-two-failed-fans.sdr.txt"), {})
    seen = fans(readings)
    assert len(seen) == 10
    assert {name for name, fan in seen.items() if fan.value == 0} == {"Fan3B", "Fan4B"}
    assert {fan.health for fan in seen.values() if fan.value == 0} == {"Critical"}
    heat = {r.sensor: r.value for r in readings if r.kind is SensorKind.TEMPERATURE}
    assert heat == {"Inlet Temp": 32, "Temp": 46}


def test_unplugged_fans_of_an_openbmc_have_no_reading_and_no_fault(outputs: Path) -> None:
    seen = fans(parse.sensors(lines(outputs / "openbmc-unplugged-fans.sdr.txt"), {}))
    assert {name: fan.value for name, fan in seen.items()} == {"fan1": 2400, "fan2": None, "fan3": 2300, "fan4": None}
    assert {fan.health for fan in seen.values() if fan.value is None} == {""}


def test_the_limits_of_a_supermicro_with_slow_fans(outputs: Path) -> None:
    text = lines(outputs / "supermicro-x10-low-threshold.sensor.txt")
    limits = parse.limits(text)
    assert limits["FAN3"] == (500, 25400)
    assert limits["FAN2"] == (None, None)
    seen = fans(parse.sensors(text, limits))
    assert (seen["FAN3"].value, seen["FAN3"].lower_critical, seen["FAN3"].health) == (400, 500, "Critical")
    assert (seen["FAN2"].value, seen["FAN2"].unit) == (None, Unit.RPM)


def test_a_fan_at_its_upper_limit_is_a_warning(outputs: Path) -> None:
    [fan] = parse.sensors(lines(outputs / "fan-at-upper-nc.sensor.txt"), {})
    assert (fan.value, fan.health, fan.upper_critical) == (13300, "Warning", None)


def test_lost_redundancy_is_read_though_every_status_says_ok(outputs: Path) -> None:
    """The list shows nothing but ok: nothing is claimed from it. The states tell."""
    assert parse.redundancy(lines(outputs / "redundancy-lost-but-ok.sdr.txt")) == {}
    assert parse.redundancy(lines(outputs / "redundancy-lost-but-ok.verbose.txt")) == {"power-supplies": "Lost"}
    elist = [
        "Pwr Redund | 02h | ok  | 21.1 | Redundancy Lost",
        "Fan Redundancy | 08h | ok | 30.1 | Fully Redundant",
    ]
    assert parse.redundancy(elist) == {"power-supplies": "Lost", "fans": "OK"}


@pytest.mark.parametrize(
    ("told", "word"),
    [
        ("Redundancy Lost", "Lost"),
        ("Non-Redundant: Sufficient from Redundant", "Lost"),
        ("Non-Redundant: Sufficient from Insufficient", "Lost"),
        ("Non-Redundant: Insufficient Resources", "Insufficient"),
        ("Redundancy Lost, Non-Redundant: Insufficient Resources", "Insufficient"),
        ("Redundancy Degraded from Non-Redundant", "Degraded"),
    ],
)
def test_redundancy_that_is_gone_is_not_yet_cooling_that_does_not_suffice(told: str, word: str) -> None:
    elist = [f"Fan Redundancy | 08h | ok  | 30.1 | {told}", "Fan 2 Redundancy | 09h | ok  | 30.2 | Fully Redundant"]
    assert parse.redundancy(elist) == {"fans": word}


def test_a_supply_that_lost_its_input(outputs: Path) -> None:
    entries = parse.log_entries(lines(outputs / "psu-ac-lost.sel.txt"))
    assert [entry.id for entry in entries] == ["21", "22", "23", "24"]
    assert [entry.severity for entry in entries] == ["OK", "OK", "Critical", "Critical"]
    assert entries[-1].at == datetime(2025, 11, 11, 13, 22, 54, tzinfo=UTC)
    assert entries[-1].sensor == "#0xc1"


@pytest.mark.parametrize(
    ("told", "present", "health"),
    [
        ("Presence detected", True, "OK"),
        ("Presence detected, Power Supply AC lost", True, "Critical"),
        ("", False, ""),
    ],
)
def test_states_of_a_supply(told: str, present: bool, health: str) -> None:
    [supply] = parse.sensors([f"PS1 Status | 06h | ok  | 10.1 | {told}"], {})
    assert (supply.present, supply.health) == (present, health)


def test_a_supply_that_nothing_is_said_of_is_no_evidence() -> None:
    assert parse.sensors(["PS1 Status | 06h | ns  | 10.1 | Disabled"], {}) == ()


def test_an_entry_before_the_clock_was_set_says_not_when() -> None:
    unset = "   1 |  Pre-Init  |0000014585| Fan FAN1 | Lower Critical going low  | Asserted"
    up = "   a | 11/23/26 | 07:19:16 UTC | Fan FAN1 | Lower Critical going low  | Deasserted | Reading 6000"
    [entry] = parse.log_entries([unset, up, up])
    assert (entry.id, entry.sensor, entry.severity) == ("a", "FAN1", "OK")
    assert entry.at == datetime(2026, 11, 23, 7, 19, 16, tzinfo=UTC)


@pytest.mark.parametrize(
    ("line", "power", "restore", "led"),
    [
        (" 01 00 00", Power.ON, "AlwaysOff", None),
        (" 21 10 40 70", Power.ON, "LastState", False),
        (" 40 00 50", Power.OFF, "AlwaysOn", True),
        (" 61 00 60", Power.ON, "", True),
    ],
)
def test_chassis_status(line: str, power: Power, restore: str, led: bool | None) -> None:
    assert parse.chassis(line) == parse.Chassis(power, restore, led)


def test_what_is_no_chassis_status() -> None:
    assert parse.chassis("FAN1             | 01h | ok  | 29.1 | 6000 RPM") is None


def test_a_machine_without_power_has_no_stalled_fans() -> None:
    [fan] = parse.off(parse.sensors(["FAN1 | 01h | lnr | 29.1 | 0 RPM"], {}))
    assert (fan.value, fan.health, fan.present) == (None, "", True)


def test_six_records_of_one_stop_are_one_episode() -> None:
    """As OpenIPMI's simulator writes them for a fan that stood still for five seconds."""
    levels = ("Non-critical", "Critical", "Non-recoverable")
    told = [("10", "Asserted", "Reading 0 < Threshold"), ("15", "Deasserted", "Reading 6000 > Threshold")]
    sel = [
        f"{number:4x} | 11/23/26 | 07:20:{second} GMT | Fan FAN1 | Lower {level} going low  | {what} | {why} 600 RPM"
        for number, (second, what, why, level) in enumerate(
            ((second, what, why, level) for second, what, why in told for level in levels), 1
        )
    ]
    entries = parse.log_entries(sel)
    assert len(entries) == 6
    at = datetime(2026, 11, 23, 7, 21, tzinfo=UTC)
    fan = Reading("FAN1", SensorKind.FAN, 6000.0, Unit.RPM, lower_critical=600.0)
    state = HardwareState(NodeId("ams1", "pve3"), at, True, Power.ON, readings=(fan,), log=entries)
    [verdict] = judge([state], at)
    [episode] = verdict.episodes
    assert (episode.what, episode.lowest, episode.sources) == ("stall", 0, ("log",))
    assert (episode.since.second, episode.until and episode.until.second) == (10, 15)
