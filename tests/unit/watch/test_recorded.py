"""What real boards said: a healthy slow fan is hunting, and a board whose host is off is no evidence."""

from __future__ import annotations

import csv
import json
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from noout.adapters.bmc import parse
from noout.adapters.bmc import parse_ipmi as ipmi
from noout.domain.cluster import NodeId
from noout.domain.hardware import Condition, HardwareState, LogEntry, Power, Reading, SensorKind, Unit, Urgency
from noout.watch.partlog import told
from noout.watch.policy import propose
from noout.watch.verdict import judge

BESIDE = Path(__file__).resolve().parents[3].parent / "shared" / "data"
DATA = Path(os.environ.get("NOOUT_TEST_DATA", str(BESIDE))) / "hardware"
NODE = NodeId("ams1", "pve1")

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the hardware recordings (NOOUT_TEST_DATA) are not here")


def test_the_supermicro_fan_log_is_hunting_not_failing():
    entries = []
    with (DATA / "ipmitool" / "supermicro-fana-flapping.ipmi-sel.csv").open(newline="") as file:
        for number, at, sensor, kind, text in csv.reader(file):
            assert kind == "Fan"
            when = datetime.strptime(at, "%Y/%m/%d %H:%M:%S").replace(tzinfo=UTC)
            entries.append(LogEntry(number, when, "", text, sensor.strip()))
    now = entries[-1].at + timedelta(minutes=5)
    state = HardwareState(NODE, now, True, Power.ON, log=tuple(entries))
    verdicts = judge([state], now)
    assert [(v.sensor, v.condition) for v in verdicts] == [("FANA", Condition.HUNTING)]
    assert propose(NODE, verdicts) is None


def test_a_drac_whose_host_is_off_lists_no_fans_and_is_no_evidence():
    text = (DATA / "dell-idrac9" / "Chassis" / "System.Embedded.1" / "Thermal.json").read_text()
    thermal = json.loads(text)
    assert thermal["Fans"] == []
    heat = tuple(
        Reading(t["Name"], SensorKind.TEMPERATURE, t.get("ReadingCelsius"), Unit.CELSIUS)
        for t in thermal.get("Temperatures", [])
    )
    start = datetime(2026, 11, 30, tzinfo=UTC)
    states = [HardwareState(NODE, start + timedelta(minutes=i), True, Power.OFF, readings=heat) for i in range(20)]
    verdicts = judge(states, states[-1].at)
    assert [v.condition for v in verdicts] == [Condition.LOST_TELEMETRY]
    assert "off" in verdicts[0].why
    assert propose(NODE, verdicts) is None


def lasting(minutes: int = 40, **said: object) -> list[HardwareState]:
    start = datetime(2026, 11, 30, tzinfo=UTC)
    state = HardwareState(NODE, start, True, Power.ON)
    return [replace(state, at=start + timedelta(minutes=i), **said) for i in range(minutes)]  # type: ignore[arg-type]


TREES = sorted(DATA.glob("**/*Thermal.json")) if DATA.is_dir() else []


@pytest.mark.parametrize("file", TREES, ids=lambda p: str(p.relative_to(DATA)).replace("/", ":"))
def test_no_recorded_board_is_suspected_of_anything(file: Path):
    """They were healthy, or had nothing to say."""
    readings = parse.from_thermal(json.loads(file.read_text()))
    states = lasting(readings=readings)
    verdicts = judge(states, states[-1].at)
    turning = any(r.value for r in readings if r.kind is SensorKind.FAN)
    expected = Condition.OK if turning else Condition.LOST_TELEMETRY
    assert {v.condition for v in verdicts} == {expected}
    assert propose(NODE, verdicts) is None


@pytest.mark.parametrize("name", ["DL360_Gen12", "DL380a", "DL325_Gen10Plus_FC"])
def test_a_fan_of_an_ilo_that_tells_percent_only_fails_by_the_ilos_word(name: str):
    readings = parse.from_thermal(json.loads((DATA / "hpe-ilo" / name / "Chassis" / "1" / "Thermal.json").read_text()))
    fans = [r for r in readings if r.kind is SensorKind.FAN]
    assert {r.unit for r in fans} == {Unit.PERCENT} and all(r.lower_critical is None for r in fans)
    ill = replace(fans[0], health="Critical")
    states = lasting(30, readings=readings)
    late = [replace(s, at=s.at + timedelta(minutes=30)) for s in lasting(5, readings=(ill, *readings[1:]))]
    found = [v for v in judge([*states, *late], late[-1].at) if v.condition is not Condition.OK]
    assert [(v.sensor, v.condition) for v in found] == [(ill.sensor, Condition.FAILED)]


def test_two_failed_fans_of_a_dell_cannot_wait_and_an_unplugged_fan_is_none():
    readings = ipmi.sensors((DATA / "ipmitool" / "dell-r320-two-failed-fans.sdr.txt").read_text().splitlines(), {})
    states = lasting(6, readings=readings)
    fault = propose(NODE, judge(states, states[-1].at))
    assert fault is not None and fault.urgency is Urgency.EVACUATE_NOW and fault.sensors == ("Fan3B", "Fan4B")
    readings = ipmi.sensors((DATA / "ipmitool" / "openbmc-unplugged-fans.sdr.txt").read_text().splitlines(), {})
    states = lasting(readings=readings)
    assert propose(NODE, judge(states, states[-1].at)) is None


def test_redundancy_that_is_lost_while_every_status_says_ok():
    text = (DATA / "ipmitool" / "redundancy-lost-but-ok.verbose.txt").read_text().splitlines()
    turning = (
        Reading("FAN1", SensorKind.FAN, 5000.0, Unit.RPM, 500.0),
        Reading("FAN2", SensorKind.FAN, 5000.0, Unit.RPM),
    )
    states = lasting(12, readings=turning, redundancy=ipmi.redundancy(text))
    fault = propose(NODE, judge(states, states[-1].at))
    assert fault is not None and (fault.template, fault.urgency) == ("power", Urgency.SCHEDULE)
    assert "redundancy of the power supplies is lost" in fault.summary


def test_a_storm_of_correctable_errors_names_the_dimm():
    rows = json.loads((DATA / "logs" / "supermicro-x10-ecc-storm.json").read_text())["Members"]
    log = tuple(
        LogEntry(r["Id"], datetime.fromisoformat(r["Created"]), r.get("Severity", ""), r["Message"]) for r in rows
    )
    busiest = max(log, key=lambda one: sum(timedelta() <= one.at - e.at < timedelta(hours=24) for e in log)).at
    seen = tuple(entry for entry in log if entry.at <= busiest)
    memory = [v for v in judge([HardwareState(NODE, busiest, True, Power.ON, log=seen)], busiest) if v.episodes]
    assert [(v.sensor, v.kind, v.condition) for v in memory] == [
        ("DIMMB1 correctable", SensorKind.MEMORY, Condition.DEGRADED)
    ]
    quiet = busiest + timedelta(days=8)
    assert propose(NODE, judge([HardwareState(NODE, quiet, True, Power.ON, log=seen)], quiet)) is None


def test_links_supplies_and_memory_of_real_management_logs():
    rows = json.loads((DATA / "logs" / "hpe-iml-critical-warning.json").read_text())["entries"]
    entries = [LogEntry(str(i), _utc(r[1]), r[2], r[3]) for i, r in enumerate(rows) if r[1] > "2000"]
    counted: dict[str, int] = {}
    for entry in entries:
        if (said := told(entry)) is not None:
            counted[said.sensor] = counted.get(said.sensor, 0) + 1
    assert counted == {
        "slot 1, port 1": 9,
        "slot 10, port 1": 8,
        "Power Supply 1": 2,
        "Power Supply 5": 1,
        "Processor 2, DIMM 4 uncorrectable": 1,
    }
    broken = next(entry for entry in entries if "Uncorrectable Memory Error" in entry.message)
    now = broken.at + timedelta(minutes=1)
    fault = propose(NODE, judge([HardwareState(NODE, now, True, Power.ON, log=tuple(entries))], now))
    assert fault is not None and fault.urgency is Urgency.EVACUATE_NOW and "DIMM 4" in fault.summary


def _utc(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))
