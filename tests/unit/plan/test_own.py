"""noout's own guests: named, last out, last home, never stopped."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from noout.domain.cluster import GuestKind, GuestStatus
from noout.domain.maintenance import Move, MoveKind, Plan
from noout.plan.lint import lint
from noout.plan.plan import make_plan
from noout.plan.policy import Policy
from tests.unit.plan.clusters import NOW, a_guest, a_node, a_state, gid, node_id

OWN = Policy(noout_guests=frozenset({gid(5)}), consents=frozenset({gid(5)}))
UUID = "8e5a1d1c-59b0-4a0e-93c5-4c3f0ddc0a11"


def six_nodes() -> list[Any]:
    return [a_node(f"pve{i}") for i in range(1, 7)]


def planned(*guests: Any, policy: Policy = OWN) -> Plan:
    return make_plan(a_state(six_nodes(), guests), None, node_id("pve3"), now=NOW, policy=policy)


def house(**own: Any) -> list[Any]:
    others = [a_guest(vmid, "pve3", 4) for vmid in (1, 2, 8)] + [a_guest(9, "pve1", 4)]
    return [*others, a_guest(5, "pve3", 20, **own)]  # the largest: by its length alone it would go first


def test_it_is_named_and_goes_last_when_all_others_have_left() -> None:
    plan = planned(*house())
    assert plan.feasible and plan.noout_guests == (gid(5),)
    assert [c.subject for c in plan.cautions if c.code == "noout.self"] == ["ams1/5"]
    assert plan.moves[-1].guest == gid(5)
    assert set(plan.moves[-1].after) == {gid(1), gid(2), gid(8)}
    assert planned(*house(), policy=Policy()).moves[0].guest == gid(5), "it is the order that makes it last"


def test_it_comes_home_last() -> None:
    plan = planned(*house())
    assert plan.returns[-1].guest == gid(5)
    assert set(plan.returns[-1].after) == {gid(1), gid(2), gid(8)}


def test_noout_and_its_database_go_one_after_the_other() -> None:
    policy = Policy(noout_guests=frozenset({gid(5), gid(1)}))
    last_two = planned(*house(), policy=policy).moves[-2:]
    assert {move.guest for move in last_two} == {gid(5), gid(1)}
    assert last_two[0].guest in last_two[1].after


def test_it_is_found_by_the_uuid_of_its_machine() -> None:
    assert planned(*house(uuid=UUID), policy=Policy(machine_uuid=UUID.upper())).noout_guests == (gid(5),)
    assert planned(*house(), policy=Policy(machine_uuid="")).noout_guests == ()


def test_one_on_another_node_stays_where_it_is_and_is_remembered() -> None:
    """Even where its leaving would make room: nobody moves noout but for its own node."""
    plan = planned(a_guest(1, "pve3"), a_guest(5, "pve1"))
    assert plan.noout_guests == (gid(5),) and [move.guest for move in plan.moves] == [gid(1)]


@pytest.mark.parametrize(
    "own",
    [
        {"kind": GuestKind.LXC},
        {"local_resources": ("usb0",)},
        {"kind": GuestKind.LXC, "tags": frozenset({"relocate-ok", "shutdown-ok"})},
    ],
)
def test_it_is_never_stopped_whoever_agreed(own: dict[str, Any]) -> None:
    plan = planned(*house(**own))
    assert [(b.code, b.subject) for b in plan.blockers] == [("noout.cannot-restart", "ams1/5")]
    assert gid(5) not in {move.guest for move in plan.moves}


def test_where_it_finds_no_room_it_is_not_shut_down_either() -> None:
    policy = replace(OWN, consents=frozenset({gid(5)}))
    plan = planned(a_guest(5, "pve3", 30), *(a_guest(10 + i, f"pve{i}", 20) for i in (1, 2, 4, 5, 6)), policy=policy)
    assert [blocker.code for blocker in plan.blockers] == ["plan.no-room"]
    assert not [move for move in plan.moves if move.kind is MoveKind.SHUTDOWN]


def test_a_stopped_one_leaves_too() -> None:
    plan = planned(*house(status=GuestStatus.STOPPED))
    assert plan.moves[-1].guest == gid(5) and plan.moves[-1].kind is MoveKind.OFFLINE


def test_the_lint_sees_a_plan_that_takes_it_first_or_stops_it() -> None:
    state = a_state(six_nodes(), house())
    plan = make_plan(state, None, node_id("pve3"), now=NOW, policy=OWN)
    assert lint(plan, state, OWN) == ()
    free = tuple(replace(move, after=()) for move in plan.moves)
    assert any("does not wait" in each for each in lint(replace(plan, moves=free), state, OWN))
    stopped: list[Move] = [
        replace(move, kind=MoveKind.SHUTDOWN, target=None) if move.guest == gid(5) else move for move in plan.moves
    ]
    assert any("would be stopped" in each for each in lint(replace(plan, moves=tuple(stopped)), state, OWN))


def test_the_lint_sees_failback_that_was_forgotten() -> None:
    state = a_state(six_nodes(), house())
    plan = make_plan(state, None, node_id("pve3"), now=NOW, policy=OWN)
    wrong = tuple(replace(move, failback_off=True) for move in plan.moves)
    assert any("fetch it back" in each for each in lint(replace(plan, moves=wrong), state, OWN))


def test_a_mistyped_guest_is_refused_before_noout_switches_itself_off() -> None:
    plan = planned(a_guest(1, "pve3"), policy=Policy(noout_guests=frozenset({gid(55)})))
    assert [(b.code, b.subject) for b in plan.blockers] == [("noout.self-unknown", "ams1/55")]
