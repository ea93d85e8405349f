"""Memory, links, bonds and disks, as the host's exporters and other monitoring tell of them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from noout.domain.hardware import Alert, Condition, Power, Reading, SensorKind, Unit, Urgency
from noout.watch.policy import propose
from noout.watch.verdict import judge
from tests.unit.watch.traces import PVE3, after, poll, steady


def said(host, minutes=60, **more):
    """The verdicts about everything but fans; ``host``: minute -> readings."""
    states = [poll(60 * i, steady, host=tuple(host(i)), **more) for i in range(minutes)]
    return [v for v in judge(states, states[-1].at) if v.kind is not SensorKind.FAN]


def counter(sensor, kind, value):
    return Reading(sensor, kind, float(value), Unit.COUNT)


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        (lambda i: 7, []),  # what it counted before is not known to be new
        (lambda i: 7 if i < 30 else 9, [Condition.OK]),
        (lambda i: 7 if i < 30 else 200, [Condition.DEGRADED]),
        (lambda i: 200 if i < 30 else 0, []),  # a boot: it begins anew
    ],
)
def test_correctable_errors_count_by_what_they_grow(at, expected):
    found = said(lambda i: [counter("mc0 correctable", SensorKind.MEMORY, at(i))])
    assert [v.condition for v in found] == expected


def test_a_few_correctable_errors_hour_after_hour_are_a_fault():
    found = said(lambda i: [counter("mc0 correctable", SensorKind.MEMORY, i // 20)], minutes=20 * 22)
    assert [v.condition for v in found] == [Condition.DEGRADED]


def test_an_uncorrectable_error_cannot_wait():
    found = said(lambda i: [counter("mc0 uncorrectable", SensorKind.MEMORY, i // 50)])
    fault = propose(PVE3, found)
    assert fault is not None and (fault.template, fault.urgency) == ("memory", Urgency.EVACUATE_NOW)


@pytest.mark.parametrize(("flaps", "expected"), [(1, Condition.OK), (4, Condition.FLAPPING)])
def test_one_flap_of_a_link_is_watched_and_several_are_a_fault(flaps, expected):
    def host(i):
        return [counter("eno1 carrier changes", SensorKind.NETWORK, 2 * min(flaps, i // 10))]

    assert [v.condition for v in said(host)] == [expected]


@pytest.mark.parametrize(("carry", "expected"), [(2, None), (1, Condition.DEGRADED), (0, Condition.FAILED)])
def test_a_bond_that_lost_links(carry, expected):
    def host(i):
        return [Reading("bond0", SensorKind.NETWORK, float(carry if i > 50 else 2), Unit.LINKS, lower_critical=2.0)]

    assert [v.condition for v in said(host)] == ([expected] if expected else [])


def test_a_disk_about_to_fail_is_its_osds_matter_not_the_nodes():
    def host(i):
        return [Reading("sda", SensorKind.DISK, 0.0, Unit.STATE, health="Critical")]

    [found] = said(host)
    assert found.condition is Condition.FAILED and "its OSD" in found.why
    assert propose(PVE3, [found]) is None


def test_the_host_is_heard_while_its_bmc_is_silent():
    def host(i):
        return [Reading("bond0", SensorKind.NETWORK, 1.0 if i > 50 else 2.0, Unit.LINKS, lower_critical=2.0)]

    assert [v.condition for v in said(host, reachable=False, power=Power.UNKNOWN)] == [Condition.DEGRADED]


def test_a_supply_that_comes_and_goes_is_flapping():
    def supply(i):
        return Reading("PSU1", SensorKind.POWER_SUPPLY, 200.0, Unit.WATT, health="Critical" if i % 20 < 3 else "OK")

    states = [poll(60 * i) for i in range(5, 79)]
    states = [replace(s, readings=(*s.readings, supply(i))) for i, s in enumerate(states, 5)]
    [found] = [v for v in judge(states, states[-1].at) if v.kind is SensorKind.POWER_SUPPLY]
    assert found.condition is Condition.FLAPPING and "came back each time" in found.why


def test_what_other_monitoring_says_schedules_until_it_is_resolved():
    alert = Alert(
        "f1", "DiskReallocated", after(60), None, "critical", "sdb reallocates sectors", SensorKind.MEMORY, "mc0"
    )
    states = [poll(60 * i, alerts=(alert,) if i == 2 else ()) for i in range(10)]
    fault = propose(PVE3, judge(states, after(540)))
    assert fault is not None and fault.urgency is Urgency.SCHEDULE and "sdb reallocates sectors" in fault.summary
    resolved = replace(alert, until=after(700))
    assert propose(PVE3, judge([*states, poll(720, alerts=(resolved,))], after(720))) is None


def test_redundancy_that_does_not_suffice_cannot_wait():
    states = [replace(poll(60 * i), redundancy={"fans": "Insufficient"}) for i in range(5)]
    fault = propose(PVE3, judge(states, after(240)))
    assert fault is not None and fault.urgency is Urgency.EVACUATE_NOW


def test_redundancy_that_is_lost_and_a_fault_of_the_whole_cooling_can():
    told = {"Lost": "that the redundancy of the fans is lost", "Fault": "a fault of the fans as a whole"}
    for word, what in told.items():
        states = [replace(poll(60 * i), redundancy={"fans": word}) for i in range(5)]
        fault = propose(PVE3, judge(states, after(240)))
        assert fault is not None and fault.urgency is Urgency.SCHEDULE and what in fault.summary
