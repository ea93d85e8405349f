"""Pins and preferences by tag: what an owner wants of planned moves, whether or not HA knows the guest."""

from __future__ import annotations

from dataclasses import replace

import pytest

from noout.domain.cluster import ClusterState
from noout.domain.maintenance import Plan
from noout.plan.lint import lint
from noout.plan.plan import make_plan
from noout.plan.policy import Policy
from tests.unit.plan.clusters import NOW, a_guest, a_node, a_state, gid, node_id

NODES = [a_node(name, 64) for name in ("pve1", "pve2", "pve3", "pve4")]


def made(state: ClusterState) -> Plan:
    return make_plan(state, None, node_id("pve1"), now=NOW)


@pytest.mark.parametrize("there", ["pve2", "pve3", "pve4"])
def test_a_pinned_guest_goes_where_it_is_pinned(there: str) -> None:
    plan = made(a_state(NODES, [a_guest(100, "pve1", 8, tags=frozenset({f"pin-{there}"}))]))
    assert [move.target.name for move in plan.moves if move.target] == [there]


def test_one_of_several_pins_is_enough() -> None:
    full = [a_guest(200 + i, "pve2", 13) for i in range(4)]
    plan = made(a_state(NODES, [a_guest(100, "pve1", 8, tags=frozenset({"pin-pve2", "pin-pve4"})), *full]))
    assert [(move.guest, move.target.name) for move in plan.moves if move.target] == [(gid(100), "pve4")]


def test_a_guest_that_is_pinned_to_its_own_node_cannot_leave_and_the_tag_is_named() -> None:
    plan = made(a_state(NODES, [a_guest(100, "pve1", 8, tags=frozenset({"pin-pve1"}))]))
    assert not plan.feasible
    assert "pin-pve1" in plan.blockers[0].message


def test_a_pinned_guest_of_another_node_does_not_step_aside_elsewhere() -> None:
    nodes = [a_node(name, 24) for name in ("pve1", "pve2", "pve3")]
    aside = a_guest(200, "pve2", 10)
    state = a_state(nodes, [a_guest(100, "pve1", 15), aside, a_guest(300, "pve3", 6)])
    assert made(state).feasible, "it could, if nobody had pinned it"
    pinned = replace(aside, tags=frozenset({"pin-pve2"}))
    plan = made(a_state(nodes, [a_guest(100, "pve1", 15), pinned, a_guest(300, "pve3", 6)]))
    assert gid(200) not in {move.guest for move in plan.moves}


@pytest.mark.parametrize("there", ["pve2", "pve3", "pve4"])
def test_a_preference_is_followed_where_there_is_room(there: str) -> None:
    plan = made(a_state(NODES, [a_guest(100, "pve1", 8, tags=frozenset({f"prefer-{there}"}))]))
    assert [move.target.name for move in plan.moves if move.target] == [there]


def test_a_preference_stands_in_nobodys_way() -> None:
    full = [a_guest(200 + i, "pve2", 13) for i in range(4)]
    plan = made(a_state(NODES, [a_guest(100, "pve1", 8, tags=frozenset({"prefer-pve2"})), *full]))
    assert plan.feasible and len(plan.moves) == 1


def test_the_lint_refuses_a_pinned_guest_elsewhere() -> None:
    state = a_state(NODES, [a_guest(100, "pve1", 8, tags=frozenset({"pin-pve2"}))])
    plan = made(state)
    moves = (replace(plan.moves[0], target=NODES[2].id),)
    assert any("is pinned by its tags" in each for each in lint(replace(plan, moves=moves), state, Policy()))
