"""Readings that only their peers make suspect, and limits set too high: what is held against a fan, and what is not."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from noout.domain.hardware import Condition, LogEntry
from noout.watch.memory import memory, recall
from noout.watch.node import NodeWatch
from noout.watch.policy import propose
from noout.watch.verdict import verdicts
from tests.unit.watch.test_fans import A_DAY, EVERY_S, two_zones, watched
from tests.unit.watch.traces import PVE3, after, fan, poll

HIGH, LOW = 9000.0, 3500.0


def two_days(limit: float = 300):
    fans = watched([limit] * 6)
    for number, speeds in two_zones(2):
        fans.feed(number * EVERY_S, speeds)
    return fans, 2 * A_DAY


def test_a_fan_is_not_low_because_its_only_peer_is_read_late():
    """The load falls away; the peer's reading is a moment older, and so is what it said a poll ago."""
    fans, first = two_days()
    for i in range(60):
        speeds = [5000.0, 4650.0, 5200.0, 4500.0, *((HIGH, HIGH) if i % 6 < 3 else (LOW, LOW))]
        if i % 6 == 3:
            speeds[5] = HIGH
        fans.feed((first + i) * EVERY_S, speeds)
    assert not any(each.low or each.odd for each in fans.fans)


def test_a_fan_far_slower_than_its_only_peer_is_low_from_its_first_such_reading_on():
    fans, first = two_days()
    for i in range(12):
        speeds = [5000.0, 4650.0, 5200.0, 4500.0, 1200.0 if i in (4, 5, 6, 9) else LOW, LOW]
        fans.feed((first + i) * EVERY_S, speeds)
    assert [(each.since / EVERY_S - first, each.until / EVERY_S - first) for each in fans.fans[4].low] == [
        (4, 7),
        (9, 10),
    ]
    assert not fans.fans[5].low


def test_what_is_in_doubt_is_dropped_when_the_bmc_goes_silent():
    fans, first = two_days()
    steady = [5000.0, 4650.0, 5200.0, 4500.0, LOW, LOW]
    fans.feed(first * EVERY_S, steady)
    fans.feed((first + 1) * EVERY_S, [*steady[:4], 1200.0, LOW])
    fans.silence((first + 2) * EVERY_S, "the BMC does not answer")
    for i in range(3, 10):
        fans.feed((first + i) * EVERY_S, steady)
    assert not fans.fans[4].low


@pytest.mark.parametrize("cut", [1, 2])
def test_what_is_in_doubt_survives_a_restart(cut):
    told = NodeWatch(PVE3)
    states = [poll(60 * i) for i in range(60 * 26)]
    slow = poll(60 * 60 * 26, lambda name: 3500.0 if name == "FAN2A" else poll_speed(name))
    for number, state in enumerate([*states, slow, poll(60 * (60 * 26 + 1))]):
        if number == len(states) + cut - 1:
            told = recall(PVE3, memory(told))
        told.feed(state)
    low = told.fan("FAN2A")
    assert low is not None
    assert [(each.since, each.what) for each in low.low] == [(slow.at.timestamp(), "low")]


def poll_speed(name: str) -> float:
    return 8400.0 if name.endswith("A") else 7600.0


def one_number(hours: int, chance: Random, text: str):
    """A board whose limit is one number for all fans; of one zone, which knows no bursts, one fan turns just above it
    and one below. The BMC logs when the first falls below it between the polls."""
    number = 0
    for minute in range(60 * hours):
        busy = 2.6 if minute % 90 < 25 else 1.0
        slow = {"FAN2A": 520.0, "FAN2B": 440.0}
        log = []
        if minute % 40 == 30:
            for second in (5, 12, 31):
                for i, word in enumerate(("Assertion", "De-assertion")):
                    at = after(60 * minute - 60 + second + 4 * i)
                    log.append(LogEntry(str(number), at, "", text.format(word), "FAN2A"))
                    number += 1
        readings = tuple(
            fan(name, round(chance.gauss(1, 0.008) * slow.get(name, 900.0 * busy)), limit=510.0)
            for name in ("FAN1A", "FAN1B", "FAN2A", "FAN2B", "FAN3A", "FAN3B")
        )
        yield poll(60 * minute, readings=readings, log=tuple(log))


@pytest.mark.parametrize(
    "text",
    [
        "Lower Critical - Going Low - {}",
        "Lower Non-recoverable - Going Low - {}",
        "Lower Critical - Going Low - {}, reading 500 RPM, limit 510 RPM",
    ],
)
def test_a_limit_set_too_high_makes_no_fault_from_the_first_hour_on(text):
    told = NodeWatch(PVE3)
    for state in one_number(8, Random(1), text):
        told.feed(state)
        found = verdicts(told, state.at)
        assert not {v.condition for v in found} & {Condition.FLAPPING, Condition.FAILED, Condition.DEGRADED}, found
    assert {v.sensor for v in found if v.condition is Condition.HUNTING} >= {"FAN2A"}
    assert propose(PVE3, found) is None


def test_a_stop_is_told_from_hunting_under_a_limit_set_too_high():
    told = NodeWatch(PVE3)
    text = "Lower Critical - Going Low - {}"
    for minute, state in enumerate(one_number(8, Random(1), text)):
        readings = state.readings
        if minute in {200, 260, 300}:
            readings = tuple(replace(each, value=0.0) if each.sensor == "FAN2A" else each for each in readings)
        told.feed(poll(60 * minute, readings=readings, log=state.log))
    found = {v.sensor: v.condition for v in verdicts(told, state.at)}
    assert found.pop("FAN2A") is Condition.FLAPPING
    assert set(found.values()) == {Condition.OK}
