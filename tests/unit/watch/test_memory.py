"""A watch that is written down and read again goes on as if nothing had been: a restart loses no episode."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from noout.domain.hardware import Alert, Condition, Reading, SensorKind, Unit
from noout.watch.memory import memory, recall
from noout.watch.node import NodeWatch
from noout.watch.verdict import verdicts
from tests.unit.watch.traces import PVE3, after, poll, steady, still, stop_entries


def months_work():
    """Some hours with a fan that stops, a supply that goes, memory errors and an alert."""
    for i in range(180):
        state = poll(60 * i, still("FAN3B") if i in {20, 60, 61, 62, 178, 179} else steady)
        supply = Reading("PSU1", SensorKind.POWER_SUPPLY, 200.0, Unit.WATT, present=i < 90, health="OK")
        errors = Reading("mc0 correctable", SensorKind.MEMORY, float(3 * i), Unit.COUNT)
        state = replace(state, readings=(*state.readings, supply), host=(errors,))
        if i == 100:
            state = replace(state, log=stop_entries([600, 5000], "FAN1A"), alerts=(Alert("a", "DiskSlow", after(50)),))
        yield replace(state, power=state.power, reachable=i not in {120, 121})


@pytest.mark.parametrize("cut", [3, 19, 61, 101, 121, 179])
def test_a_watch_that_is_recalled_says_what_the_other_says(cut):
    one = NodeWatch(PVE3)
    two = NodeWatch(PVE3)
    for number, state in enumerate(months_work()):
        if number == cut:
            two = recall(PVE3, json.loads(json.dumps(memory(two))))
        one.feed(state)
        two.feed(state)
    said = verdicts(one, after(10800))
    assert verdicts(two, after(10800)) == said
    assert {v.condition for v in said} >= {Condition.FLAPPING, Condition.FAILED, Condition.DEGRADED, Condition.OK}


def test_polls_from_before_are_not_counted_twice():
    states = list(months_work())
    told = NodeWatch(PVE3)
    for state in states:
        told.feed(state)
    again = recall(PVE3, memory(told))
    for state in states:
        assert not again.feed(state)
    assert verdicts(again, after(10800)) == verdicts(told, after(10800))


def test_the_document_is_small():
    told = NodeWatch(PVE3)
    for i in range(432 * 2):
        told.feed(poll(300 * i, log=stop_entries([300 * i - 100], first=10 * i) if i % 4 == 0 else ()))
    assert len(json.dumps(memory(told))) < 64_000


@pytest.mark.parametrize("broken", [{}, {"version": 1}, {"version": 2}, {"version": 2, "fans": None}])
def test_what_it_cannot_read_is_refused(broken):
    with pytest.raises((ValueError, KeyError, TypeError)):
        recall(PVE3, broken)
