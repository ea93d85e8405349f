"""From readings and log entries to a verdict that says why, and a proposal."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from noout.domain.hardware import Condition, LogEntry, Power, Reading, SensorKind, Unit, Urgency
from noout.watch.policy import propose
from noout.watch.verdict import judge
from tests.unit.watch.traces import FANS, PVE3, after, fan, poll, steady, still, stop_entries


def verdict(verdicts, sensor):
    return next(each for each in verdicts if each.sensor == sensor)


def trace(minutes):
    return [poll(60 * minute) for minute in range(minutes)]


def test_steady_fans_are_ok_and_nothing_is_proposed():
    verdicts = judge(trace(60), after(3600))
    assert {v.sensor for v in verdicts} == set(FANS)
    assert {v.condition for v in verdicts} == {Condition.OK}
    assert propose(PVE3, verdicts) is None


def test_a_fan_seen_stopping_by_the_log_alone_is_flapping():
    stops = [1000, 2500, 4000, 5500]
    states = trace(120)
    states[-1] = replace(states[-1], log=stop_entries(stops))
    verdicts = judge(states, after(7200))
    found = verdict(verdicts, "FAN3B")
    assert found.condition is Condition.FLAPPING
    assert len(found.episodes) == 4 and {e.what for e in found.episodes} == {"stall"}
    assert "stood still 4 times" in found.why and "5 other fans turned steadily" in found.why
    fault = propose(PVE3, verdicts)
    assert fault is not None and (fault.template, fault.sensors, fault.urgency) == (
        "fans",
        ("FAN3B",),
        Urgency.SCHEDULE,
    )
    assert "FAN3B" in fault.summary


def test_polls_and_log_of_the_same_stop_are_one_episode():
    states = [poll(60 * i, still("FAN3B") if i in {20, 40, 60} else steady) for i in range(80)]
    states[-1] = replace(states[-1], log=stop_entries([20 * 60 - 2, 40 * 60 - 2, 60 * 60 - 2]))
    found = verdict(judge(states, after(4800)), "FAN3B")
    assert found.condition is Condition.FLAPPING
    assert [set(e.sources) for e in found.episodes] == [{"readings", "log"}] * 3


def test_one_stop_is_too_little():
    states = trace(60)
    states[-1] = replace(states[-1], log=stop_entries([1000]))
    found = verdict(judge(states, after(3600)), "FAN3B")
    assert found.condition is Condition.OK and "too little" in found.why


def test_flapping_clears_after_quiet_days():
    day = 86400
    noisy = [poll(600 * i) for i in range(6 * 24 * 4)]
    noisy[5] = replace(noisy[5], log=stop_entries([600, 1500, 2400]))
    assert verdict(judge(noisy, after(day)), "FAN3B").condition is Condition.FLAPPING
    assert verdict(judge(noisy, after(4 * day)), "FAN3B").condition is Condition.OK


@pytest.mark.parametrize("dead", [("FAN3B",), ("FAN1A", "FAN3B")])
def test_dead_fans_are_failed_and_two_cannot_wait(dead):
    states = [poll(60 * i, still(*dead) if i >= 30 else steady) for i in range(36)]
    verdicts = judge(states, after(36 * 60))
    assert {v.sensor for v in verdicts if v.condition is Condition.FAILED} == set(dead)
    fault = propose(PVE3, verdicts)
    assert fault is not None
    assert fault.urgency is (Urgency.SCHEDULE if len(dead) == 1 else Urgency.EVACUATE_NOW)


def test_half_of_the_fans_low_at_once_blames_none_of_them():
    states = [poll(60 * i, still("FAN1A", "FAN2A", "FAN3A") if 30 <= i < 33 else steady) for i in range(60)]
    assert {v.condition for v in judge(states, after(3600))} == {Condition.OK}
    lasting = [poll(60 * i, still("FAN1A", "FAN2A", "FAN3A") if i >= 30 else steady) for i in range(40)]
    verdicts = judge(lasting, after(2400))
    assert verdict(verdicts, "fans").condition is Condition.DEGRADED
    assert not [v for v in verdicts if v.condition is Condition.FAILED]


@pytest.mark.parametrize(
    "silent",
    [
        {"reachable": False, "readings": ()},
        {"power": Power.OFF, "readings": tuple(fan(name, 0.0) for name in FANS)},
        {"readings": ()},
        {"readings": tuple(fan(name, 0.0) for name in FANS)},
        {"readings": tuple(fan(name, None) for name in FANS)},
        {"readings": tuple(fan(name, 1e308) for name in FANS)},
        {"readings": tuple(fan(name, float("nan")) for name in FANS)},
    ],
)
def test_lost_telemetry_is_never_evidence(silent):
    states = trace(30) + [poll(1800 + 60 * i, **silent) for i in range(30)]
    verdicts = judge(states, after(3600))
    assert {v.condition for v in verdicts} == {Condition.LOST_TELEMETRY}
    assert all(v.why.startswith("No evidence") for v in verdicts)
    assert propose(PVE3, verdicts) is None


def test_fans_spinning_up_after_a_gap_are_not_believed():
    states = trace(30) + [poll(7200 + 60 * i, still("FAN1A") if i < 3 else steady) for i in range(10)]
    found = verdict(judge(states, after(7800)), "FAN1A")
    assert found.condition is Condition.OK and not found.episodes


def test_a_slow_healthy_fan_under_a_high_limit_is_hunting():
    states = []
    for i in range(60):
        readings = tuple(fan(n, 560.0 if n != "FAN1A" else 530.0, limit=500.0) for n in FANS)
        states.append(poll(60 * i, readings=readings))
    log = tuple(
        LogEntry(str(k), after(600 * k), "Critical", "Lower Critical - Going Low - Assertion", "FAN1A")
        for k in range(1, 6)
    )
    states[-1] = replace(states[-1], log=log)
    verdicts = judge(states, after(3600))
    assert verdict(verdicts, "FAN1A").condition is Condition.HUNTING
    assert "correct the limit" in verdict(verdicts, "FAN1A").why
    assert propose(PVE3, verdicts) is None


def test_the_trigger_reading_tells_hunting_from_a_stall():
    def after_log(reading: int):
        text = f"FAN3B: Lower Critical - going low asserted, reading {reading} RPM, limit 1800 RPM"
        log = tuple(LogEntry(str(k), after(600 * k), "Critical", text, "FAN3B") for k in range(1, 6))
        states = trace(60)
        states[-1] = replace(states[-1], log=log)
        return verdict(judge(states, after(3600)), "FAN3B").condition

    assert after_log(0) is Condition.FLAPPING
    assert after_log(1200) is Condition.HUNTING


def test_a_log_with_a_broken_clock_or_a_flood_proposes_nothing():
    wrong = (datetime(1970, 1, 1, tzinfo=UTC), datetime(2099, 1, 1, tzinfo=UTC))
    text = "FAN3B: Lower Critical - going low asserted, reading 0 RPM"
    log = tuple(LogEntry(str(i), wrong[i % 2], "Critical", text, "FAN3B") for i in range(2000))
    states = trace(30)
    states[-1] = replace(states[-1], log=log)
    assert propose(PVE3, judge(states, after(1800))) is None


def test_a_percent_only_fan_is_failed_when_its_bmc_says_so():
    def at(i: int):
        fans = {n: fan(n, 30.0, limit=None, unit=Unit.PERCENT) for n in FANS}
        if i >= 40:  # percent is what is asked of a fan: that it fails is in its health
            fans["FAN2A"] = replace(fans["FAN2A"], health="Critical")
        return tuple(fans.values())

    verdicts = judge([poll(60 * i, readings=at(i)) for i in range(50)], after(3000))
    assert [v.sensor for v in verdicts if v.condition is Condition.FAILED] == ["FAN2A"]


def test_a_fan_that_never_turned_and_nobody_complains_of_is_standby():
    def at():
        return tuple(fan(n, 0.0 if n == "FAN2A" else 5000.0, limit=None) for n in FANS)

    found = verdict(judge([poll(60 * i, readings=at()) for i in range(30)], after(1800)), "FAN2A")
    assert found.condition is Condition.OK and "standby" in found.why


def test_a_critical_temperature_cannot_wait():
    hot = Reading("CPU1", SensorKind.TEMPERATURE, 97.0, Unit.CELSIUS, upper_critical=95.0)
    states = [poll(60 * i, steady) for i in range(10)]
    states = [replace(s, readings=(*s.readings, hot)) for s in states]
    fault = propose(PVE3, judge(states, after(600)))
    assert fault is not None and fault.urgency is Urgency.EVACUATE_NOW and "97 °C" in fault.summary


def test_a_lost_power_supply_is_scheduled_and_two_cannot_wait():
    def with_psus(*health: str):
        psus = tuple(
            Reading(f"PSU{i}", SensorKind.POWER_SUPPLY, 200.0, Unit.WATT, health=h) for i, h in enumerate(health)
        )
        return [replace(s, readings=(*s.readings, *psus)) for s in trace(10)]

    one = propose(PVE3, judge(with_psus("OK", "Critical"), after(600)))
    assert one is not None and (one.template, one.urgency) == ("power", Urgency.SCHEDULE)
    two = propose(PVE3, judge(with_psus("Critical", "Critical"), after(600)))
    assert two is not None and two.urgency is Urgency.EVACUATE_NOW


@pytest.mark.parametrize(("group", "template"), [("fans", "fans"), ("power-supplies", "power")])
def test_redundancy_that_the_bmc_says_is_lost_counts_though_every_sensor_is_ok(group, template):
    states = [replace(state, redundancy={group: "Lost"}) for state in trace(10)]
    fault = propose(PVE3, judge(states, after(600)))
    assert fault is not None and (fault.template, fault.urgency) == (template, Urgency.SCHEDULE)
    assert "redundancy" in fault.summary
    once = [*trace(10), replace(poll(600), redundancy={group: "Lost"})]
    assert propose(PVE3, judge(once, after(660))) is None
