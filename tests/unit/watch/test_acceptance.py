"""A repaired node is accepted after a quiet soak, with an honest word on what the soak proves."""

from __future__ import annotations

import math
from dataclasses import replace

from noout.domain.hardware import LogEntry, Power
from noout.watch.acceptance import acceptance
from noout.watch.policy import propose
from noout.watch.verdict import judge
from tests.unit.watch.traces import FANS, PVE3, after, fan, poll, steady, still, stop_entries

BEFORE = poll(0, steady, inventory={"dimms": "16", "bios": "2.1"}, serial="LAB1", log=stop_entries([-600]))


def the_fault():
    """Stops an hour apart."""
    states = [poll(60 * i) for i in range(300)]
    states[-1] = replace(states[-1], log=stop_entries([3600, 7200, 10800, 14400]))
    fault = propose(PVE3, judge(states, after(18000)))
    assert fault is not None
    return fault


def soak(minutes: int, speed=steady, **more):
    off = [poll(100_000, still(*FANS), power=Power.OFF)]
    values = {"inventory": BEFORE.inventory, "serial": "LAB1", "log": BEFORE.log} | more
    return off + [poll(100_060 + 60 * i, speed, **values) for i in range(minutes + 1)]


def test_a_quiet_soak_is_accepted_and_says_how_little_it_proves():
    found = acceptance(BEFORE, soak(10), the_fault(), after(100_060 + 600), soak_s=600)
    assert found.ok and not found.findings
    assert found.until == after(100_060 + 600)
    assert math.isclose(found.chance.best, 1 - math.exp(-600 / 3600), rel_tol=1e-3)
    assert found.chance.low < found.chance.best < found.chance.high


def test_it_is_not_accepted_before_the_soak_is_over():
    found = acceptance(BEFORE, soak(5), the_fault(), after(100_060 + 300), soak_s=600)
    assert not found.ok and not found.findings and found.until == after(100_660)


def test_a_fan_that_still_stops_is_found_by_a_poll():
    states = soak(10)
    states[6] = replace(states[6], readings=tuple(fan(n, 0.0 if n == "FAN3B" else 8000.0) for n in FANS))
    found = acceptance(BEFORE, states, the_fault(), after(100_660), soak_s=600)
    assert not found.ok and "FAN3B stood still during the soak" in found.findings


def test_a_fan_that_still_stops_is_found_by_the_log():
    states = soak(10, log=(*BEFORE.log, *stop_entries([100_300], first=90)))
    found = acceptance(BEFORE, states, the_fault(), after(100_660), soak_s=600)
    assert not found.ok and any("log has FAN3B low" in each for each in found.findings)


def test_log_entries_from_before_the_soak_are_not_held_against_it():
    text = "FAN1A: Lower Critical - going low asserted, reading 0 RPM"
    off = LogEntry("90", after(100_010), "Critical", text, "FAN1A")
    found = acceptance(BEFORE, soak(10, log=(*BEFORE.log, off)), the_fault(), after(100_660), soak_s=600)
    assert found.ok


def test_missing_parts_and_another_machine_are_found():
    states = soak(10, inventory={"dimms": "15"}, serial="LAB2")
    states = [replace(s, readings=tuple(r for r in s.readings if r.sensor != "FAN2B")) for s in states]
    found = acceptance(BEFORE, states, the_fault(), after(100_660), soak_s=600)
    assert not found.ok
    assert "dimms: 16 before, 15 now" in found.findings
    assert "bios: 2.1 before, nothing now" in found.findings
    assert any("another machine" in each for each in found.findings)
    assert "FAN2B was there before and is not there now" in found.findings


def test_a_fan_that_never_spins_up_is_a_finding_and_no_soak_begins():
    found = acceptance(BEFORE, soak(10, still("FAN3B")), the_fault(), after(100_660), soak_s=600)
    assert not found.ok and found.until is None
    assert found.findings == ("FAN3B has not turned since power-on",)


def test_without_an_observation_from_before_it_says_what_was_not_compared():
    found = acceptance(None, soak(10), None, after(100_660), soak_s=600)
    assert found.ok and (found.chance.low, found.chance.high) == (0.0, 1.0)
    assert "could not be compared" in found.notes[0]


def test_stops_that_only_the_log_shows_from_before_the_repair_are_not_held_against_it():
    """The BMC shows its old entries in every poll, also those that nobody had read before the repair."""
    states = soak(10, log=stop_entries([90_000, 93_600, 97_200, 99_000]))
    found = acceptance(BEFORE, states, the_fault(), after(100_660), soak_s=600)
    assert found.ok and not found.findings


def test_a_soak_with_too_few_polls_proves_nothing_and_goes_on():
    states = soak(10)
    now = after(100_660)
    found = acceptance(BEFORE, [states[0], states[1], states[-1]], the_fault(), now, soak_s=600)
    assert not found.ok and not found.findings
    assert found.until is not None and found.until > now
