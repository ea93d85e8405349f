"""A new plan in mid-run: what is left to move, and everybody's way home."""

from __future__ import annotations

from dataclasses import replace

from noout.domain.cluster import GuestId
from noout.domain.maintenance import Moved, MoveKind, Stay
from noout.domain.reasons import Blocker
from noout.plan.returns import as_before
from noout.run.replan import keeping_what_is_done
from noout.steps import actions
from tests.unit.steps.scene import T0, guest, maintenance, move, node, owning, pending, plan


def moved(vmid: int, source: str, target: str | None, *, homeward: bool = False) -> Moved:
    there = node(target) if target else None
    return Moved(GuestId("ams1", vmid), f"g{vmid}", MoveKind.LIVE, node(source), there, T0, T0, None, homeward)


OLD = plan(move(100, "pve1"), move(101, "pve2"), returns=(move(101, "pve3", "pve2"), move(100, "pve3", "pve1")))


def ways(moves: tuple[object, ...]) -> list[tuple[int, str, str]]:
    return [(each.guest.vmid, each.source.name, each.target.name) for each in moves]  # type: ignore[attr-defined]


def test_those_already_away_still_come_home() -> None:
    m = maintenance(plan=OLD, moved=(moved(100, "pve3", "pve1"),))
    new = plan(move(101, "pve4"), returns=(move(101, "pve3", "pve4"),))
    assert ways(keeping_what_is_done(new, m).returns) == [(101, "pve4", "pve3"), (100, "pve1", "pve3")]


def test_a_guest_that_moves_on_goes_home_to_where_it_first_was() -> None:
    m = maintenance(plan=OLD, moved=(moved(100, "pve3", "pve1"),))
    new = plan(move(100, "pve2", "pve1"), returns=(move(100, "pve1", "pve2"),))
    assert ways(keeping_what_is_done(new, m).returns) == [(100, "pve2", "pve3")]


def test_who_is_home_again_is_not_brought_home_twice() -> None:
    m = maintenance(plan=OLD, moved=(moved(100, "pve3", "pve1"), moved(100, "pve1", "pve3", homeward=True)))
    assert keeping_what_is_done(plan(), m).returns == ()


def test_a_guest_that_we_shut_down_is_neither_moved_nor_in_the_way() -> None:
    m = maintenance(plan=OLD, owned=owning(("guest-down", "ams1/106")))
    new = replace(plan(move(106)), blockers=(Blocker("guest.passthrough", "ams1/106", "usb0", "unplug it"),))
    kept = keeping_what_is_done(new, m)
    assert kept.moves == () and kept.feasible


def test_a_node_may_hold_again_what_it_held_at_first() -> None:
    first = replace(OLD, loads=tuple(replace(load, before_bytes=99) for load in OLD.loads))
    kept = keeping_what_is_done(plan(), maintenance(plan=first))
    assert {load.before_bytes for load in kept.loads} == {99}
    assert kept.parent == first.id


def test_a_guest_that_has_just_arrived_and_was_not_yet_seen_to_comes_home_too() -> None:
    """HA has it on its target, still locked: the new plan does not find it on the node, and no move is on record."""
    going = pending(actions.move("evacuate", move(100, "pve1", ha=True), guest(100, ha=True)))
    m = maintenance(plan=OLD, moved=(moved(101, "pve3", "pve2"),), pending=(going,))
    new = plan(move(102, "pve4"), returns=(move(102, "pve3", "pve4"),))
    assert ways(keeping_what_is_done(new, m).returns) == [
        (102, "pve4", "pve3"), (100, "pve1", "pve3"), (101, "pve2", "pve3"),
    ]  # fmt: skip


def test_who_was_to_stay_where_it_went_is_not_brought_home_by_a_new_plan() -> None:
    stays = (Stay(GuestId("ams1", 100), "g100", node("pve1"), "the next nodes follow"),)
    m = maintenance(plan=replace(OLD, stays=stays, returns=()), moved=(moved(100, "pve3", "pve1"),))
    kept = keeping_what_is_done(plan(move(101, "pve4"), returns=(move(101, "pve3", "pve4"),)), m)
    assert ways(kept.returns) == [(101, "pve4", "pve3")]
    assert kept.stays == stays


def test_a_plan_made_anew_sends_nobody_home_where_the_one_before_did_not() -> None:
    moves = (move(100), move(101, failback_off=True))
    stays = (Stay(GuestId("ams1", 102), "g102", node("pve1"), "the next nodes follow"),)
    assert as_before(replace(plan(), stays=stays))(moves) == {GuestId("ams1", 100): "the next nodes follow"}
    unwilling = (replace(stays[0], remedy="make room"),)
    assert as_before(replace(plan(), stays=unwilling))(moves) == as_before(None)(moves) == {}
