"""A node that was given up for a guest is not chosen for it again; for others it is a node like any other."""

from __future__ import annotations

from noout.plan.plan import make_plan
from tests.unit.plan.clusters import NOW, a_guest, a_node, a_state, gid, node_id


def test_a_target_that_was_given_up_is_not_chosen_again() -> None:
    nodes = [a_node(f"pve{i}", 40) for i in range(1, 5)]
    state = a_state(nodes, [a_guest(1, "pve3", 4), a_guest(2, "pve3", 4)])
    first = make_plan(state, None, node_id("pve3"), now=NOW)
    chosen = {move.guest: move.target for move in first.moves}
    tried = chosen[gid(1)]
    assert tried is not None
    again = make_plan(state, None, node_id("pve3"), now=NOW, avoid={gid(1): frozenset({tried})})
    assert again.feasible
    assert next(move.target for move in again.moves if move.guest == gid(1)) not in (tried, None)


def test_with_every_target_given_up_the_plan_says_who_has_nowhere_to_go() -> None:
    nodes = [a_node(f"pve{i}", 40) for i in range(1, 4)]
    state = a_state(nodes, [a_guest(1, "pve3", 4)])
    everywhere = frozenset({node_id("pve1"), node_id("pve2")})
    plan = make_plan(state, None, node_id("pve3"), now=NOW, avoid={gid(1): everywhere})
    assert not plan.feasible
    assert any("1" in blocker.subject for blocker in plan.blockers)
