"""A node that is to be repaired takes nobody's guests while another one has room for them; it is said either way."""

from __future__ import annotations

from datetime import UTC

from noout.domain.cluster import ClusterState
from noout.domain.maintenance import Plan
from noout.plan.plan import make_plan
from noout.plan.policy import Policy
from noout.plan.rolling import Calendar, make_rolling
from noout.plan.together import plan_together
from noout.plan.wary import Ill, rather, wary
from tests.unit.plan.clusters import NOW, a_guest, a_node, a_state, node_id

PVE1, PVE2, PVE3 = (node_id(name) for name in ("pve1", "pve2", "pve3"))
ILL = {PVE2: "fans: FAN3B"}


def state(guests: int = 4, *, ram_gib: float = 4) -> ClusterState:
    """pve2 is empty, so that it is where everything would go; pve3 has a guest on it."""
    nodes = [a_node("pve1"), a_node("pve2"), a_node("pve3")]
    return a_state(nodes, [*(a_guest(100 + i, "pve1", ram_gib=ram_gib) for i in range(guests)), a_guest(900, "pve3")])


def plan_of(seen: ClusterState, ill: Ill = ILL) -> Plan:
    prefer = rather(frozenset(), (node.id for node in seen.nodes), ill)
    return wary(make_plan(seen, None, PVE1, now=NOW, prefer=prefer), ill)


def codes(plan: Plan) -> set[str]:
    return {caution.code for caution in plan.cautions} & {"plan.spares-ill", "plan.onto-ill"}


def test_an_ill_node_is_spared_and_the_plan_says_so() -> None:
    assert PVE2 in {move.target for move in make_plan(state(), None, PVE1, now=NOW).moves}, "else it would be taken"
    plan = plan_of(state())
    assert plan.feasible and {move.target for move in plan.moves} == {PVE3}
    assert codes(plan) == {"plan.spares-ill"}
    [said] = [caution for caution in plan.cautions if caution.code == "plan.spares-ill"]
    assert "pve2" in said.message and "FAN3B" in said.message


def test_where_nobody_else_has_room_it_is_taken_all_the_same_and_named() -> None:
    seen = state(6, ram_gib=6)
    plan = plan_of(seen)
    onto = [move for move in plan.moves if move.target == PVE2]
    assert plan.feasible and onto and len(onto) < 6, "no more of them than must be"
    [said] = [caution for caution in plan.cautions if caution.code == "plan.onto-ill"]
    assert said.evidence == {"guests": str(len(onto))} and "noout decline ams1/pve2" in said.remedy


def test_what_nobody_suspects_changes_nothing() -> None:
    assert plan_of(state(), {}) == make_plan(state(), None, PVE1, now=NOW)
    assert not codes(plan_of(state(), {PVE1: "fans: FAN1A"})), "the node itself is what it is about"


def test_the_operators_word_comes_first_and_ill_nodes_alone_are_as_good_as_none() -> None:
    nodes = (PVE1, PVE2, PVE3)
    assert rather(frozenset({PVE2, PVE3}), nodes, ILL) == {PVE3}
    assert rather(frozenset({PVE2}), nodes, ILL) == {PVE1, PVE3}
    assert rather(frozenset({PVE3}), nodes, ()) == {PVE3}
    assert rather(frozenset(), (PVE2,), ILL) == frozenset()


def test_several_nodes_at_once_spare_it_too() -> None:
    seen = a_state(
        [a_node(f"pve{n}") for n in range(1, 6)], [a_guest(100 + n, f"pve{1 + n % 2}", ram_gib=4) for n in range(6)]
    )
    plans = plan_together(seen, None, (PVE1, PVE2), now=NOW, policy=Policy(), ill={PVE3: "fans: FAN1"})
    assert {move.target.name for plan in plans for move in plan.moves if move.target} == {"pve4", "pve5"}
    assert all(codes(plan) == {"plan.spares-ill"} for plan in plans)


def test_turn_by_turn_guests_go_to_it_last() -> None:
    rolling = make_rolling(state(), None, now=NOW, policy=Policy(), calendar=Calendar(UTC), ill=ILL)
    turns = {stage.plan.node: stage.plan for stage in rolling.stages}
    assert {move.target for move in turns[PVE1].moves} == {PVE3}
    assert codes(turns[PVE1]) == {"plan.spares-ill"} and not codes(turns[PVE2])
