"""The way home: tolerant guests first, and nobody who stays away is forgotten."""

from __future__ import annotations

from dataclasses import replace

import pytest

from noout.domain.cluster import ClusterState
from noout.domain.maintenance import Plan, Stay
from noout.plan.lint import lint
from noout.plan.plan import make_plan
from noout.plan.policy import Policy
from tests.unit.plan.clusters import NOW, a_guest, a_node, a_state, apart, gid, node_id


def _plan(state: ClusterState, **more: object) -> Plan:
    return make_plan(state, None, node_id("pve1"), now=NOW, **more)  # type: ignore[arg-type]


def test_tolerant_guests_come_home_first_and_the_others_in_reverse_order():
    sizes = {100: 8, 101: 6, 102: 4}
    guests = [a_guest(vmid, "pve1", ram) for vmid, ram in sizes.items()]
    nodes = [a_node("pve1"), a_node("pve2"), a_node("pve3")]
    assert [move.guest.vmid for move in _plan(a_state(nodes, guests)).returns] == [102, 101, 100]
    guests[0] = replace(guests[0], tags=frozenset({"tolerant"}))
    assert [move.guest.vmid for move in _plan(a_state(nodes, guests)).returns] == [100, 102, 101]
    otherwise = Policy(tolerant_tag="calm")
    assert [move.guest.vmid for move in _plan(a_state(nodes, guests), policy=otherwise).returns] == [102, 101, 100]


def _beside_its_rival() -> ClusterState:
    nodes = [a_node("pve1"), a_node("pve2"), a_node("pve3")]
    return a_state(nodes, [a_guest(100, "pve1"), a_guest(101, "pve1")], rules=(apart(100, 101),))


def test_a_guest_that_a_rule_keeps_from_coming_back_stays_and_is_named():
    plan = _plan(_beside_its_rival())
    assert plan.feasible
    assert len(plan.returns) == len(plan.stays) == 1
    stay = plan.stays[0]
    assert stay.guest != plan.returns[0].guest
    assert "rule apart keeps them apart" in stay.why
    assert stay.node == next(move.target for move in plan.moves if move.guest == stay.guest)
    told = next(each for each in plan.cautions if each.code == "plan.stays-away")
    assert (told.subject, told.remedy) == (str(stay.guest), stay.remedy)
    assert "nothing to do" in stay.remedy


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda stay: (), "does not return"),
        (lambda stay: (replace(stay, node=node_id("pve1")),), "no move or no reason bears out"),
        (lambda stay: (replace(stay, why=""),), "no move or no reason bears out"),
        (lambda stay: (stay, Stay(gid(999), "who", node_id("pve2"), "because")), "no move or no reason bears out"),
    ],
)
def test_the_lint_wants_everybody_who_stays_named_with_place_and_reason(spoil, said):
    state = _beside_its_rival()
    plan = _plan(state)
    assert any(said in each for each in lint(replace(plan, stays=spoil(plan.stays[0])), state))


def test_who_is_said_to_stay_does_not_return():
    state = a_state([a_node("pve1"), a_node("pve2")], [a_guest(100, "pve1")])
    plan = _plan(state)
    twice = replace(plan, stays=(Stay(gid(100), "guest-100", node_id("pve2"), "because"),))
    assert "ams1/100 is said to stay, and returns" in lint(twice, state)


def test_guests_that_are_not_to_come_home_are_left_out_of_the_returns_without_a_caution():
    guests = [a_guest(100, "pve1"), a_guest(101, "pve1")]
    state = a_state([a_node("pve1"), a_node("pve2"), a_node("pve3")], guests)
    plan = _plan(state, staying=lambda moves: {gid(100): "it is wanted elsewhere"})
    assert [move.guest.vmid for move in plan.returns] == [101]
    assert [(stay.guest.vmid, stay.why) for stay in plan.stays] == [(100, "it is wanted elsewhere")]
    assert "plan.stays-away" not in {caution.code for caution in plan.cautions}
    assert lint(plan, state) == ()
