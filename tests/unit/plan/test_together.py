"""Nodes that share a part: the last choice for each other's guests, and planned together when the part itself fails."""

from __future__ import annotations

from dataclasses import replace

import pytest

from noout.domain.ceph import Pool
from noout.domain.cluster import ClusterState, NodeId
from noout.domain.errors import UsageError
from noout.plan.forward import after_moves
from noout.plan.groups import Part
from noout.plan.lint import lint
from noout.plan.plan import make_plan
from noout.plan.policy import Policy
from noout.plan.together import plan_together
from tests.unit.plan.clusters import NOW, a_ceph, a_guest, a_node, a_state, node_id

PAIR = (node_id("pve1"), node_id("pve2"))
SHARED = Policy(parts=(Part("chassis", "c1", frozenset(PAIR)),))


def _state(nodes: int = 5, each: int = 2) -> ClusterState:
    names = [f"pve{i + 1}" for i in range(nodes)]
    guests = [a_guest(100 + 10 * i + k, name, 4) for i, name in enumerate(names) for k in range(each)]
    return a_state([a_node(name, 32) for name in names], guests)


def _targets(plan) -> set[NodeId]:
    return {move.target for move in plan.moves}


def test_nodes_of_the_same_chassis_are_the_last_choice_and_are_named():
    state = _state()
    alone = replace(state, guests=state.guests[:2])  # all others are empty: pve2 is as good as any
    plan = make_plan(alone, None, node_id("pve1"), now=NOW, policy=SHARED)
    assert node_id("pve2") not in _targets(plan)
    told = next(each for each in plan.cautions if each.code == "plan.shares-part")
    assert "pve1 shares chassis c1 with pve2" in told.message and "must take" not in told.message
    assert "noout plan pve1 --with pve2" in told.remedy


def test_where_no_other_node_has_room_the_neighbour_takes_them_and_it_is_said():
    nodes = [a_node("pve1"), a_node("pve2"), a_node("pve3", 9)]
    plan = make_plan(a_state(nodes, [a_guest(100, "pve1")]), None, node_id("pve1"), now=NOW, policy=SHARED)
    assert plan.feasible and _targets(plan) == {node_id("pve2")}
    assert any("pve2 must take guests of it" in caution.message for caution in plan.cautions)


def test_no_word_about_parts_that_a_node_does_not_share():
    plan = make_plan(_state(), None, node_id("pve3"), now=NOW, policy=SHARED)
    assert "plan.shares-part" not in {caution.code for caution in plan.cautions}


def test_both_are_emptied_into_the_others_and_each_plan_holds_in_its_turn():
    state = _state(each=3)
    few = [guest for guest in state.guests if guest.node not in PAIR or guest.id.vmid in (100, 110)]
    state = replace(state, guests=tuple(few))  # alone, each would choose the other
    assert _targets(make_plan(state, None, PAIR[0], now=NOW)) == {PAIR[1]}
    first, second = plan_together(state, None, PAIR, now=NOW, policy=Policy())
    assert first.feasible and second.feasible
    assert not (_targets(first) | _targets(second)) & set(PAIR)
    assert lint(first, state) == ()
    assert lint(second, after_moves(state, first.moves)) == ()
    assert first.survives_another_node is None and second.survives_another_node is True


def test_with_both_away_the_loss_of_one_more_is_asked_of_what_is_left():
    nodes = [a_node(name, 20) for name in ("pve1", "pve2", "pve3", "pve4", "pve5")]
    guests = [a_guest(100 + i, name, 6) for i, name in enumerate(("pve1", "pve2", "pve3", "pve4", "pve5"))]
    first, second = plan_together(a_state(nodes, guests), None, PAIR, now=NOW, policy=Policy())
    assert first.feasible and second.feasible
    assert second.survives_another_node is False  # two nodes of 12 GiB cannot hold five guests of 6 GiB
    assert make_plan(a_state(nodes, guests), None, PAIR[0], now=NOW).survives_another_node is True


def test_a_quorum_that_outlives_one_but_not_both_is_a_blocker_of_both():
    plans = plan_together(_state(4), None, PAIR, now=NOW, policy=Policy())
    for plan in plans:
        found = [blocker for blocker in plan.blockers if blocker.code == "cluster.quorum"]
        assert [blocker.message.split(":")[0] for blocker in found] == [
            "without pve1 and pve2 2 of 4 votes are left and 3 are needed"
        ]


def test_data_with_copies_on_both_is_a_blocker_unless_enough_are_left():
    one, _ = plan_together(_state(), a_ceph(5), PAIR, now=NOW, policy=Policy())
    assert "ceph.pool-min-size" in {blocker.code for blocker in one.blockers}
    enough = a_ceph(5, pools=(Pool(1, "rbd", 4, 2),), mons=("pve3", "pve4", "pve5"), quorum=("pve3", "pve4", "pve5"))
    enough = replace(enough, mgr_active="pve3", mgr_standbys=("pve4",))
    one, two = plan_together(_state(), enough, PAIR, now=NOW, policy=Policy())
    assert one.feasible and two.feasible, one.blockers


def test_mons_that_have_a_majority_without_one_but_not_without_both():
    ceph = a_ceph(5, pools=(Pool(1, "rbd", 4, 2),))
    one, _ = plan_together(_state(), ceph, PAIR, now=NOW, policy=Policy())
    assert "ceph.mon-quorum" in {blocker.code for blocker in one.blockers}


def test_a_node_is_named_once():
    with pytest.raises(UsageError, match="twice"):
        plan_together(_state(), None, (PAIR[0], PAIR[0]), now=NOW, policy=Policy())
