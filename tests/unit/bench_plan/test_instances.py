"""The clusters that plans are measured on: what is said of them is true."""

from __future__ import annotations

from dataclasses import replace

import pytest
from benchmarks.plan.instances import APART_SHARE, MIXES, Instance, make
from benchmarks.plan.validator import Executed, judge


def one_by_one(instance: Instance) -> list[Executed]:
    return [
        Executed(step.guest, step.source, step.target, 10.0 * i, 10.0 * i + 9)
        for i, step in enumerate(instance.planted)
    ]


@pytest.mark.parametrize("mix", MIXES)
@pytest.mark.parametrize("fill", [0.7, 0.9, 0.98])
def test_the_planted_plan_can_be_carried_out(mix: str, fill: float) -> None:
    for seed in range(4):
        instance = make(seed, 6, mix, fill)
        trace = one_by_one(instance)
        assert judge(instance.state, instance.limits, instance.leaving, trace).sound
        assert len({step.guest for step in instance.planted}) == len(instance.planted), "nobody moves twice"
        assert abs(instance.fill - fill) < 0.06
        assert instance.state.guests_on(instance.leaving)


def test_the_same_seed_makes_the_same_cluster() -> None:
    assert make(7, 5, "hosting", 0.9) == make(7, 5, "hosting", 0.9)
    assert make(7, 5, "hosting", 0.9).state != make(8, 5, "hosting", 0.9).state


def test_as_many_are_kept_apart_as_is_said() -> None:
    state = make(3, 12, "hosting", 0.9).state
    grouped = {guest for rule in state.rules for guest in rule.guests}
    assert APART_SHARE <= len(grouped) / len(state.guests) < APART_SHARE + 0.05


def test_the_validator_sees_ram_and_rules_at_every_instant() -> None:
    instance = next(i for i in (make(seed, 5, "hosting", 0.98) for seed in range(50)) if len(i.planted) > 5)
    trace = one_by_one(instance)
    assert judge(instance.state, instance.limits, instance.leaving, trace[:-1]).left
    at = {guest.id: guest.node for guest in instance.state.guests} | {each.guest: each.target for each in trace}
    taken = sum(guest.ram_bytes for guest in instance.state.guests if at[guest.id] == trace[-1].target)
    tight = instance.limits | {trace[-1].target: taken - 1}
    assert judge(instance.state, tight, instance.leaving, trace).overcommitted
    twice = [*trace, replace(trace[0], start_s=1.0, end_s=2.0)]
    assert judge(instance.state, instance.limits, instance.leaving, twice).impossible


def test_the_validator_sees_guests_meet() -> None:
    instance = make(1, 5, "hosting", 0.8)
    rule = instance.state.rules[0]
    first, second = sorted(rule.guests)[:2]
    at = {guest.id: guest.node for guest in instance.state.guests}
    trace = [Executed(first, at[first], at[second], 0.0, 1.0)]
    found = judge(instance.state, dict.fromkeys(instance.limits, 2**60), instance.leaving, trace).rules
    assert len(found) == 1 and str(second) in found[0]
