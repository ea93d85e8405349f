"""The lint accepts what the planner makes, and refuses each way of spoiling it for the right reason."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from noout.domain.cluster import ClusterState
from noout.domain.maintenance import Plan
from noout.plan.lint import lint
from noout.plan.plan import make_plan
from noout.plan.policy import Policy
from tests.unit.plan.clusters import NOW, a_guest, a_node, a_state, apart, gid, node_id, pinned, together
from tests.unit.plan.strategies import clusters

PVE1, PVE3 = node_id("pve1"), node_id("pve3")
relaxed = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
fewer = settings(relaxed, max_examples=20)


@relaxed
@given(clusters(), st.integers(1, 3))
def test_every_plan_holds(state: ClusterState, streams: int):
    policy = Policy(streams=streams)
    plan = make_plan(state, None, PVE1, now=NOW, policy=policy)
    assert lint(plan, state, policy) == ()
    assert "plan.unsound" not in {blocker.code for blocker in plan.blockers}
    assert all(blocker.remedy for blocker in plan.blockers)


@fewer
@given(clusters(), st.data())
def test_a_plan_with_a_move_left_out_is_refused(state: ClusterState, data: st.DataObject):
    plan = _planned(state)
    gone = data.draw(
        st.sampled_from([m for m in plan.moves if m.source == PVE1 and m.kind.value != "offline"] or [None])
    )
    assume(gone is not None)
    spoilt = replace(plan, moves=tuple(m for m in plan.moves if m is not gone))
    assert f"{gone.guest} runs on pve1 and is not in the plan" in lint(spoilt, state)


@fewer
@given(clusters(), st.data())
def test_a_move_made_twice_or_from_elsewhere_is_refused(state: ClusterState, data: st.DataObject):
    plan = _planned(state)
    move = data.draw(st.sampled_from(plan.moves))
    assert f"{move.guest} is moved twice" in lint(replace(plan, moves=(*plan.moves, move)), state)
    other = node_id("pve2") if move.source != node_id("pve2") else PVE3
    elsewhere = replace(plan, moves=tuple(replace(m, source=other) if m is move else m for m in plan.moves))
    assert any(f"{move.guest} is on {move.source.name}, not on {other.name}" in each for each in lint(elsewhere, state))


@fewer
@given(clusters(), st.data())
def test_returns_left_out_or_led_astray_are_refused(state: ClusterState, data: st.DataObject):
    plan = _planned(state)
    move = data.draw(st.sampled_from(plan.returns))
    left_out = replace(plan, returns=tuple(m for m in plan.returns if m is not move))
    assert f"{move.guest} does not return" in lint(left_out, state)
    assume(move.target is not None)
    other = next(n.id for n in state.nodes if n.id not in {move.target, move.source})
    astray = replace(plan, returns=tuple(replace(m, target=other) if m is move else m for m in plan.returns))
    assert f"{move.guest} ends on {other.name}, not at home" in lint(astray, state)


def _planned(state: ClusterState) -> Plan:
    plan = make_plan(state, None, PVE1, now=NOW)
    assume(plan.feasible and plan.moves)
    return plan


@pytest.fixture
def tight() -> tuple[ClusterState, Plan]:
    """Somebody has to step aside before the largest guest of pve3 fits anywhere (16 GiB a node)."""
    nodes = [a_node(name, 24) for name in ("pve1", "pve2", "pve3")]
    guests = [a_guest(1, "pve1", 8), a_guest(2, "pve2", 6), a_guest(4, "pve3", 12)]
    state = a_state(nodes, guests)
    plan = make_plan(state, None, PVE3, now=NOW)
    assert lint(plan, state) == () and len(plan.moves) == 2
    return state, plan


def test_a_full_target_is_refused(tight):
    state, plan = tight
    aside, big = plan.moves
    back = tuple(replace(m, source=aside.source) if m.guest == big.guest else m for m in plan.returns)
    full = replace(plan, moves=(aside, replace(big, target=aside.target)), returns=back)
    assert any("may lack" in each and each.startswith("when ams1/4") for each in lint(full, state))


def test_room_that_nobody_waits_for_is_no_room(tight):
    state, plan = tight
    aside, big = plan.moves
    hasty = replace(plan, moves=(aside, replace(big, after=())))
    assert any("when ams1/4 starts, pve2 may lack" in each for each in lint(hasty, state))


def test_the_wrong_order_is_refused(tight):
    state, plan = tight
    aside, big = plan.moves
    assert "ams1/4 waits for ams1/2, which does not move before it" in lint(replace(plan, moves=(big, aside)), state)


def test_a_bystander_moved_for_nothing_is_refused():
    state = a_state([a_node(f"pve{i}") for i in range(1, 5)], [a_guest(1, "pve3"), a_guest(2, "pve1")])
    plan = make_plan(state, None, PVE3, now=NOW)
    extra = replace(
        plan.moves[0], guest=gid(2), name="guest-2", source=PVE1, target=node_id("pve4"), after=(), why="tidier"
    )
    back = replace(extra, source=extra.target, target=extra.source)
    spoilt = replace(plan, moves=(*plan.moves, extra), returns=(back, *plan.returns))
    assert lint(spoilt, state)[0] == "ams1/2 is moved off pve1 for no reason: nothing waits for it"


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        (apart(1, 2), "rule apart forbids it"),
        (pinned([1], {"pve2": 1, "pve3": 1}), "rule pin allows pve2, pve3"),
        (together(1, 3), "rule together keeps them together"),
    ],
)
def test_a_target_against_a_rule_is_refused(rule, reason):
    guests = [a_guest(1, "pve3"), a_guest(3, "pve3"), a_guest(2, "pve4")]
    state = a_state([a_node(f"pve{i}") for i in range(1, 5)], guests, rules=(rule,))
    plan = make_plan(state, None, PVE3, now=NOW)
    assert lint(plan, state) == ()
    old = next(m for m in plan.moves if m.guest == gid(1))
    bad = next(node_id(n) for n in ("pve4", "pve1") if n != old.target.name)
    spoilt = replace(
        plan,
        moves=tuple(replace(m, target=bad) if m is old else m for m in plan.moves),
        returns=tuple(replace(m, source=bad) if m.guest == old.guest else m for m in plan.returns),
    )
    assert any(reason in each for each in lint(spoilt, state))


@pytest.mark.parametrize(
    ("node", "reason"),
    [
        ({"online": False}, "its target pve4 is offline"),
        ({"storages": frozenset()}, "its target pve4 has no storage rbd"),
        ({"bridges": frozenset()}, "its target pve4 has no bridge vmbr0"),
        ({"ha_state": "maintenance"}, "its target pve4 is itself in maintenance"),
    ],
)
def test_an_unfit_target_is_refused(node, reason):
    state = a_state([a_node(f"pve{i}") for i in range(1, 5)], [a_guest(1, "pve3")])
    plan = make_plan(state, None, PVE3, now=NOW)
    there = replace(plan, moves=(replace(plan.moves[0], target=node_id("pve4")),))
    unfit = replace(state, nodes=(*state.nodes[:3], a_node("pve4", **node)))
    assert any(reason in each for each in lint(there, unfit))


def test_an_interruption_without_consent_is_refused():
    state = a_state(
        [a_node(f"pve{i}") for i in range(1, 5)],
        [a_guest(1, "pve3", local_resources=("usb0",), tags=frozenset({"shutdown-ok"}))],
    )
    plan = make_plan(state, None, PVE3, now=NOW)
    assert plan.feasible and lint(plan, state) == ()
    untagged = replace(state, guests=(replace(state.guests[0], tags=frozenset()),))
    assert lint(plan, untagged) == ("ams1/1 would be interrupted (shutdown) and nobody agreed to it",)
