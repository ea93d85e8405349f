"""Every node once: each turn holds in the cluster that the turns before it leave, and nobody moves more than needed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, timedelta
from zoneinfo import ZoneInfo

from hypothesis import HealthCheck, given, settings

from noout.domain.cluster import ClusterState
from noout.domain.maintenance import Move
from noout.domain.rolling import Rolling
from noout.domain.windows import parse_window
from noout.plan.forward import carried_out
from noout.plan.groups import Part
from noout.plan.lint import lint
from noout.plan.policy import Policy
from noout.plan.rolling import Calendar, make_rolling
from tests.unit.plan.clusters import (
    NOW,
    a_ceph,
    a_guest,
    a_node,
    a_state,
    apart,
    gid,
    ha,
    node_id,
    pinned,
)  # fmt: skip
from tests.unit.plan.strategies import clusters


def _roll(state: ClusterState, **more: object) -> Rolling:
    values = {"now": NOW, "policy": Policy(), "calendar": Calendar(UTC)} | more
    ceph = values.pop("ceph", None)
    return make_rolling(state, ceph, **values)  # type: ignore[arg-type]


def _even(nodes: int = 5, each: int = 4, ram: int = 4) -> ClusterState:
    names = [f"pve{i + 1}" for i in range(nodes)]
    guests = [a_guest(100 + 10 * i + k, name, ram) for i, name in enumerate(names) for k in range(each)]
    return a_state([a_node(name, 32) for name in names], guests)


def _moves(rolling: Rolling) -> list[Move]:
    return [move for stage in rolling.stages for move in (*stage.plan.moves, *stage.plan.returns) if move.target]


def test_only_the_first_nodes_guests_move_twice():
    rolling = _roll(_even())
    assert [len(rolling.stages), rolling.blocked] == [5, ()]
    assert rolling.bound_moves == 24  # 20 guests, and the four of the first node once more
    assert rolling.cost.moves - rolling.refill_moves == 24
    assert sum(stage.again for stage in rolling.stages) == 4
    assert rolling.there_and_back.moves == 40
    assert rolling.cost.spare_kept >= rolling.there_and_back.spare_kept


def test_the_last_node_takes_its_largest_guests_back_until_it_carries_half_a_part():
    rolling = _roll(_even())
    last = rolling.stages[-1]
    assert [stage.refill for stage in rolling.stages[:-1]] == [0, 0, 0, 0]
    returned = sum(move.ram_bytes for move in last.plan.returns)
    average = sum(guest.ram_bytes for guest in _even().guests) / 5
    assert 0.5 * average <= returned <= 0.75 * average
    assert last.refill == len(last.plan.returns)


def test_the_node_with_the_fewest_guests_is_the_first():
    state = _even()
    fewer = [guest for guest in state.guests if guest.node != node_id("pve4") or guest.id.vmid == 130]
    rolling = _roll(replace(state, guests=tuple(fewer)))
    assert rolling.stages[0].plan.node == node_id("pve4")
    assert rolling.bound_moves == 17 + 1
    assert rolling.cost.moves - rolling.refill_moves == 18


def test_guests_go_to_nodes_that_are_done_also_where_a_larger_one_is_emptier():
    state = _even(4, each=3)
    large = [a_guest(200 + k, "pve9", 1) for k in range(6)]
    rolling = _roll(replace(state, nodes=(*state.nodes, a_node("pve9", 200)), guests=(*state.guests, *large)))
    assert rolling.bound_moves == 18 + 3
    assert rolling.cost.moves - rolling.refill_moves == 21


def test_a_spare_node_takes_the_first_guests_and_nobody_moves_twice():
    state = _even(4)
    rolling = _roll(replace(state, nodes=(*state.nodes, a_node("pve9", 32))))
    assert rolling.stages[0].plan.node == node_id("pve9")
    assert rolling.cost.moves - rolling.refill_moves == rolling.bound_moves == rolling.guests == 16


def test_each_turn_holds_in_the_state_that_the_turns_before_it_leave():
    state = _even(ram=2)
    stages = _roll(state, ceph=a_ceph(5)).stages
    assert len(stages) == 5
    for stage in stages:
        assert lint(stage.plan, state, None, a_ceph(5)) == ()
        state = carried_out(state, stage.plan)


def test_a_node_that_cannot_be_done_is_named_and_the_others_go_on():
    state = _even(4)
    bound = replace(state.guests[0], local_resources=("usb0",))
    rolling = _roll(replace(state, guests=(bound, *state.guests[1:])))
    assert [plan.node.name for plan in rolling.blocked] == ["pve1"]
    assert rolling.blocked[0].blockers[0].code == "guest.passthrough"
    assert {stage.plan.node.name for stage in rolling.stages} == {"pve2", "pve3", "pve4"}
    assert not rolling.feasible


def test_the_last_that_can_be_done_is_filled_again_also_where_others_cannot():
    state = _even(5)
    bound = replace(state.guests[0], local_resources=("usb0",))
    rolling = _roll(replace(state, guests=(bound, *state.guests[1:])))
    assert [plan.node.name for plan in rolling.blocked] == ["pve1"]
    assert [stage.refill > 0 for stage in rolling.stages] == [False, False, False, True]


def test_what_was_done_already_is_not_done_again_and_takes_the_next_nodes_guests():
    state = _even(5)
    first, *others = _roll(state).stages
    later = _roll(carried_out(state, first.plan), done=frozenset({first.plan.node}))
    assert [stage.plan.node for stage in later.stages] == [stage.plan.node for stage in others]
    assert later.cost.moves - later.refill_moves == later.bound_moves == 20


def test_without_quorum_to_lose_no_turn_can_be():
    rolling = _roll(_even(2, each=1))
    assert not rolling.stages
    assert {plan.node.name for plan in rolling.blocked} == {"pve1", "pve2"}
    assert all("cluster.quorum" in {b.code for b in plan.blockers} for plan in rolling.blocked)


def test_a_guest_that_ha_would_fetch_comes_home_after_its_nodes_turn():
    state = _even(4, each=2)
    first = replace(state.guests[0], ha=ha(100, "pve1"))
    state = replace(
        state, guests=(first, *state.guests[1:]), rules=(pinned([100], {"pve1": 2, "pve2": 1}, strict=False),)
    )
    rolling = _roll(state)
    turn = next(stage for stage in rolling.stages if stage.plan.node == node_id("pve1"))
    assert gid(100) in {move.guest for move in turn.plan.returns}
    for stage in rolling.stages:
        state = carried_out(state, stage.plan)
    assert state.guest(gid(100)).node == node_id("pve1")


def test_guests_of_a_chassis_go_to_another_one_and_its_nodes_do_not_follow_each_other():
    parts = (
        Part("chassis", "c1", frozenset({node_id("pve1"), node_id("pve2")})),
        Part("chassis", "c2", frozenset({node_id("pve3"), node_id("pve4")})),
    )
    rolling = _roll(_even(4), policy=Policy(parts=parts))
    chassis = {"pve1": 1, "pve2": 1, "pve3": 2, "pve4": 2}
    for stage in rolling.stages[:3]:
        mine = chassis[stage.plan.node.name]
        assert all(chassis[move.target.name] != mine for move in stage.plan.moves)
    first, second = (stage.plan.node.name for stage in rolling.stages[:2])
    assert chassis[first] != chassis[second]


def test_turns_begin_in_the_windows_one_after_the_other():
    windows = tuple((text, parse_window(text)) for text in ("Mon-Tue 08:00-10:00",))
    rolling = _roll(_even(3), calendar=Calendar(ZoneInfo("Europe/Amsterdam"), windows, node_s=3600))
    begins = [stage.begins.astimezone(ZoneInfo("Europe/Amsterdam")) for stage in rolling.stages]
    # NOW is a Monday at 11:00 there: too late for that day; two turns of an hour and some minutes fit on Tuesday.
    assert [f"{each:%a %H:%M}" for each in begins[:1]] == ["Tue 08:00"]
    assert begins[1] == begins[0] + timedelta(seconds=rolling.stages[0].lasts_s)
    assert [f"{each:%a %d %H:%M}" for each in begins[2:]] == ["Mon 07 08:00"]
    assert rolling.windows == ("Mon-Tue 08:00-10:00",)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(clusters())
def test_nobody_is_lost_every_turn_holds_and_the_count_is_right(state: ClusterState):
    rolling = _roll(state)
    seen, emptied, moved = state, set(), set()
    again = 0
    for stage in rolling.stages:
        plan = stage.plan
        assert plan.feasible and lint(plan, seen) == ()
        going = {move.guest for move in plan.moves if move.target is not None}
        again += len(going & moved)
        moved |= going
        seen = carried_out(seen, plan)
        emptied.add(plan.node)
    assert {guest.id for guest in seen.guests} == {guest.id for guest in state.guests}
    assert emptied | {plan.node for plan in rolling.blocked} == {node.id for node in state.nodes}
    assert len(emptied) == len(rolling.stages)
    assert again == sum(stage.again for stage in rolling.stages)
    assert len(moved) == rolling.guests
    assert len(_moves(rolling)) == rolling.cost.moves >= rolling.bound_moves
    assert all(plan.blockers for plan in rolling.blocked)


def test_rules_hold_in_every_turn():
    state = replace(_even(5), rules=(apart(100, 110, 120, name="db"),))
    for stage in _roll(state).stages:
        state = carried_out(state, stage.plan)
        nodes = [guest.node for guest in state.guests if guest.id.vmid in (100, 110, 120)]
        assert len(set(nodes)) == 3
