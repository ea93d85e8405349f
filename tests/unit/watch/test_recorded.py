"""What real boards said: a healthy slow fan is hunting, and a board whose host is off is no evidence."""

from __future__ import annotations

import csv
import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from noout.domain.cluster import NodeId
from noout.domain.hardware import Condition, HardwareState, LogEntry, Power, Reading, SensorKind, Unit
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
