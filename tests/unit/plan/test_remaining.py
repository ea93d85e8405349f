"""What is left of an evacuation takes as long as its moves so far make one expect."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import timedelta

import pytest

from noout.domain.maintenance import Moved, MoveKind
from noout.plan.lint import lint
from noout.plan.plan import make_plan
from noout.plan.policy import MIB, Policy
from noout.plan.remaining import at_pace, pace, remaining_s
from tests.unit.plan.clusters import NOW, a_guest, a_node, a_state, gid, node_id

SHARED = Policy(encrypted=True, shared=True)
STATE = a_state([a_node(f"pve{i}", 512) for i in range(1, 5)], [a_guest(i, "pve3", 16) for i in range(1, 9)])
PLAN = make_plan(STATE, None, node_id("pve3"), now=NOW, policy=SHARED)


def done(vmid: int, rate_mib: float | None, **changes) -> Moved:
    rate = rate_mib * MIB if rate_mib else None
    arrived = Moved(gid(vmid), "", MoveKind.LIVE, node_id("pve3"), node_id("pve1"), NOW, NOW, 48, False, "", rate)
    return replace(arrived, **changes)


@pytest.mark.parametrize(
    ("rates", "ratio"),
    [([], None), ([None], None), ([275], 1.0), ([137.5], 0.5), ([275, 550, 550], 2.0), ([1], 0.1),
     ([550] * 9 + [275] * 5, 1.0)],
)  # fmt: skip
def test_the_pace_is_the_median_of_the_last_copies(rates, ratio):
    found = pace(PLAN, [done(i, rate) for i, rate in enumerate(rates, 1)])
    assert found == (None if ratio is None else pytest.approx(ratio, rel=0.02))


def test_the_way_home_says_nothing_of_the_way_out():
    assert pace(PLAN, [done(1, 100, homeward=True, finished=NOW + timedelta(hours=1))]) is None


def test_what_is_done_is_not_counted_again_and_half_the_rate_takes_twice_as_long():
    whole, _ = remaining_s(PLAN, (), None)
    assert whole == pytest.approx(PLAN.estimate_s[0], abs=0.2)
    half, half_high = remaining_s(PLAN, {gid(i) for i in range(1, 5)}, None)
    assert half == pytest.approx(whole / 2, rel=0.1) and half_high > 1.8 * half
    assert remaining_s(PLAN, {gid(i) for i in range(1, 9)}, None) == (0.0, 0.0)
    slow, _ = remaining_s(PLAN, (), 0.5)
    assert slow == pytest.approx(2 * whole, rel=0.1)


@pytest.mark.parametrize("ratio", [None, 0.25, 1.0, 3.0])
def test_a_plan_at_another_pace_still_holds(ratio: float | None):
    plan = at_pace(PLAN, ratio)
    assert lint(plan, STATE, SHARED) == ()
    assert math.isclose(plan.estimate_s[0] * (ratio or 1.0), PLAN.estimate_s[0], rel_tol=0.15)
    assert [move.guest for move in plan.moves] == [move.guest for move in PLAN.moves]
