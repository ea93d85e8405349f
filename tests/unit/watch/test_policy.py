"""Condition -> action: each row of the table, what several mean together, and when a fault is proposed again."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from noout.domain.hardware import Condition, SensorKind, Urgency, Verdict
from noout.domain.proposals import Proposal, Standing
from noout.watch.policy import Actions, due, faults, propose, urgency
from tests.unit.watch.traces import PVE3, START

W, S, E = Urgency.WATCH, Urgency.SCHEDULE, Urgency.EVACUATE_NOW
FAN, HEAT, SUPPLY = SensorKind.FAN, SensorKind.TEMPERATURE, SensorKind.POWER_SUPPLY
MEMORY, NETWORK, DISK = SensorKind.MEMORY, SensorKind.NETWORK, SensorKind.DISK
OK, FLAPS, SLOW, DEAD = Condition.OK, Condition.FLAPPING, Condition.DEGRADED, Condition.FAILED
HUNTS, LOST = Condition.HUNTING, Condition.LOST_TELEMETRY


def say(sensor: str, condition: Condition, kind: SensorKind = FAN) -> Verdict:
    return Verdict(PVE3, sensor, condition, START, f"{sensor} is {condition.value}.", kind=kind)


@pytest.mark.parametrize(
    ("verdicts", "wanted"),
    [
        ([], W),
        ([say("FAN1", OK), say("FAN2", HUNTS)], W),
        ([say("fans", LOST), say("BMC", LOST, SUPPLY)], W),
        ([say("FAN1", FLAPS)], S),
        ([say("FAN1", SLOW)], S),
        ([say("FAN1", DEAD)], S),
        ([say("FAN1", DEAD), say("FAN2", FLAPS)], S),
        ([say("FAN1", DEAD), say("FAN2", DEAD)], E),
        ([say("fans", SLOW)], S),
        ([say("fans", DEAD)], E),
        ([say("CPU1", DEAD, HEAT)], E),
        ([say("PSU1", DEAD, SUPPLY)], S),
        ([say("power-supplies", SLOW, SUPPLY)], S),
        ([say("PSU1", DEAD, SUPPLY), say("power-supplies", SLOW, SUPPLY)], S),
        ([say("PSU1", DEAD, SUPPLY), say("PSU2", FLAPS, SUPPLY)], E),
        ([say("PSU1", SLOW, SUPPLY), say("PSU2", SLOW, SUPPLY)], S),
        ([say("mc0 correctable", SLOW, MEMORY)], S),
        ([say("mc0 uncorrectable", DEAD, MEMORY)], E),
        ([say("bond0", SLOW, NETWORK)], S),
        ([say("sda", DEAD, DISK)], W),
    ],
)
def test_what_a_node_with_these_verdicts_calls_for(verdicts: list[Verdict], wanted: Urgency) -> None:
    assert urgency(verdicts) is wanted
    fault = propose(PVE3, verdicts)
    assert (fault.urgency if fault else W) is wanted


def test_a_configured_action_holds_for_its_condition_alone() -> None:
    actions = Actions(fan_flapping=E, disk_failing=S)
    assert urgency([say("FAN1", FLAPS)], actions) is E and urgency([say("FAN1", SLOW)], actions) is S
    assert [each.template for each in faults(PVE3, [say("sda", DEAD, DISK)], actions)] == ["disks"]
    calm = Actions(fan_flapping=W)
    assert propose(PVE3, [say("FAN1", FLAPS)], calm) is None


def test_a_power_fault_is_not_hidden_behind_a_fan() -> None:
    found = faults(PVE3, [say("FAN1", FLAPS), say("PSU1", DEAD, SUPPLY), say("CPU1", DEAD, HEAT)])
    assert [(each.template, each.sensors, each.urgency) for each in found] == [
        ("fans", ("CPU1", "FAN1"), E),
        ("power", ("PSU1",), S),
    ]


def test_a_fault_is_due_once_and_again_only_for_a_reason() -> None:
    fault = propose(PVE3, [say("FAN1", FLAPS)])
    assert fault is not None and due(fault, None, START)
    known = Proposal(PVE3, fault, START, 1, ("FAN1",), S, Standing.OPEN)
    assert due(fault, known, START) == ""
    for standing in (Standing.SNOOZED, Standing.DECLINED, Standing.OPEN):
        put_aside = replace(known, standing=standing)
        assert "more urgent" in due(replace(fault, urgency=E), put_aside, START)
        assert "FAN2 joined" in due(replace(fault, sensors=("FAN1", "FAN2")), put_aside, START)
        assert due(replace(fault, sensors=()), put_aside, START) == ""
    snoozed = replace(known, standing=Standing.SNOOZED, until=START + timedelta(days=7), reason="parts ordered")
    assert due(fault, snoozed, START + timedelta(days=6)) == ""
    assert "parts ordered" in due(fault, snoozed, START + timedelta(days=7))
    assert due(replace(fault, urgency=E), replace(known, standing=Standing.TAKEN), START) == ""
