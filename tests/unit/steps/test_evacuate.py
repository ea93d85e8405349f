"""Evacuation: what may start now, what must wait, and when a guest counts as moved."""

from __future__ import annotations

from dataclasses import replace

import pytest

from noout.domain.cluster import GuestId, GuestStatus, HaService
from noout.domain.maintenance import Action, Move, MoveKind
from noout.steps import actions
from noout.steps.evacuate import Evacuate
from noout.steps.guest_effects import has_moved, has_moved_by_ha
from noout.steps.step import Act, Ask, Blocked, Failed, Finished, Hold, Note, NotYet, Verified
from tests.unit.steps.scene import (
    T0,
    cluster,
    guest,
    maintenance,
    move,
    node,
    owning,
    pending,
    plan,
    progress,
    seen,
    task,
)  # fmt: skip

STEP = Evacuate()


def moving(vmid: int, *, ha: bool = False) -> Action:
    each = move(vmid, ha=ha)
    return actions.move("evacuate", each, guest(vmid, ha=each.ha))


def keys(decision: object) -> list[str]:
    assert isinstance(decision, Act), decision
    return [action.key for action in decision.actions]


def test_moves_are_offered_in_the_plans_order() -> None:
    m = maintenance(plan=plan(move(101), move(100)))
    assert keys(STEP.plan(m, seen(cluster(guest(100), guest(101))))) == [
        "evacuate/migrate/ams1/101",
        "evacuate/migrate/ams1/100",
    ]


def test_no_more_than_the_plans_streams_fly() -> None:
    flying = tuple(pending(moving(vmid)) for vmid in (100, 101))
    m = maintenance(plan=plan(move(100), move(101), move(102)), pending=flying)
    assert isinstance(STEP.plan(m, seen(cluster(guest(100), guest(101), guest(102)))), Hold)


def test_guests_of_ha_go_one_at_a_time() -> None:
    flying = (pending(moving(100, ha=True)),)
    m = maintenance(plan=plan(move(100, ha=True), move(101, ha=True), move(102)), pending=flying)
    state = cluster(guest(100, ha=True), guest(101, ha=True), guest(102))
    assert keys(STEP.plan(m, seen(state))) == ["evacuate/migrate/ams1/102"]


def test_a_move_waits_for_those_that_make_room_for_it() -> None:
    m = maintenance(plan=plan(move(100), move(101, after=(GuestId("ams1", 100),))))
    assert keys(STEP.plan(m, seen(cluster(guest(100), guest(101))))) == ["evacuate/migrate/ams1/100"]
    assert keys(STEP.plan(m, seen(cluster(guest(100, "pve1"), guest(101))))) == ["evacuate/migrate/ams1/101"]


def test_a_target_that_filled_up_is_a_reason_for_one_new_plan_and_then_a_blocker() -> None:
    full = cluster(guest(100), guest(200, "pve1", ram_gib=46))
    m = maintenance(plan=plan(move(100)))
    first = STEP.plan(m, seen(full))
    assert first == Note("replan", ["target.full ams1/100"])
    noted = replace(m, facts={**m.facts, "replan_why": first.value})
    assert isinstance(STEP.plan(replace(noted, replan_wanted_at=T0), seen(full)), Ask)
    again = STEP.plan(noted, seen(full))
    assert isinstance(again, Blocked) and again.blockers[0].code == "target.full"


def test_room_counts_what_is_on_its_way() -> None:
    flying = (pending(moving(101)),)
    m = maintenance(plan=plan(move(101), move(100)), pending=flying)
    tight = cluster(guest(100), guest(101), guest(200, "pve1", ram_gib=42))
    assert isinstance(STEP.plan(m, seen(tight)), Hold), "only one of the two fits"


def test_an_offline_target_is_never_asked_for() -> None:
    m = maintenance(plan=plan(move(100)))
    assert STEP.plan(m, seen(cluster(guest(100), offline=("pve1",)))) == Note("replan", ["target.offline ams1/100"])


def test_a_failed_move_backs_off_and_gives_up_with_its_cause() -> None:
    key = "evacuate/migrate/ams1/100"
    m = maintenance(plan=plan(move(100)), failed={key: 1}, why_failed={key: "no route"}, failed_at={key: T0})
    state = cluster(guest(100))
    assert isinstance(STEP.plan(m, seen(state, after_s=5)), Hold)
    assert keys(STEP.plan(m, seen(state, after_s=16))) == [key]
    m = replace(m, failed={key: 3}, facts={**m.facts, "replan_why": ["guest.move-failed ams1/100"]})
    stuck = STEP.plan(m, seen(state, after_s=500))
    assert isinstance(stuck, Blocked) and "no route" in stuck.blockers[0].message


def test_a_guest_that_may_be_down_runs_until_hands_are_on() -> None:
    stays = Move(GuestId("ams1", 106), "g106", MoveKind.SHUTDOWN, node("pve3"), None, 1)
    m = maintenance(plan=plan(stays))
    assert isinstance(STEP.plan(m, seen(cluster(guest(106)))), Finished)


def test_maintenance_mode_only_once_no_ha_guest_is_left() -> None:
    m = maintenance(plan=plan(move(100, ha=True)))
    assert keys(STEP.plan(m, seen(cluster(guest(100, ha=True))))) == ["evacuate/ha-migrate/ams1/100"]
    assert keys(STEP.plan(m, seen(cluster(guest(100, "pve1", ha=True))))) == ["evacuate/cordon/ams1/pve3"]
    without_ha = STEP.plan(m, seen(cluster(guest(100, "pve1"))))
    assert isinstance(without_ha, Finished)


def test_a_stalled_migration_is_cancelled() -> None:
    flying = (pending(moving(100), upid="UPID:100"),)
    m = maintenance(plan=plan(move(100)), pending=flying)
    state = cluster(guest(100), running_tasks=(task(100),))
    assert isinstance(STEP.plan(m, seen(state)), Hold)
    decided = STEP.plan(m, seen(state, stalled=frozenset({GuestId("ams1", 100)})))
    assert keys(decided) == ["evacuate/cancel/ams1/100"]


def test_undo_starts_what_was_shut_down_and_ends_maintenance_mode() -> None:
    m = maintenance(plan=plan(), owned=owning(("maintenance-mode", "ams1/pve3"), ("guest-down", "ams1/106")))
    wanted = STEP.undo(m, seen(cluster(guest(106, status=GuestStatus.STOPPED))))
    assert isinstance(wanted, Act)


PLAIN = moving(100)
HA = moving(100, ha=True)


@pytest.mark.parametrize(
    ("on", "after_s", "upid_task", "expected"),
    [
        ("pve1", 5, None, Verified),
        ("pve3", 5, None, NotYet),  # nothing to be seen yet
        ("pve3", 61, None, Failed),  # it never began
        ("pve3", 5, task(100, "migration problems"), Failed),
        ("pve1", 5, task(100, "unexpected status"), Verified),  # placement is trusted, not the exit status
        ("pve3", 5, task(100, "OK"), NotYet),  # ... in both directions
        ("pve4", 5, None, Failed),  # somebody else moved it
    ],
)
def test_a_move_is_judged_by_where_the_guest_is(on: str, after_s: float, upid_task: object, expected: type) -> None:
    asked = pending(PLAIN, upid="UPID:100" if upid_task else None)
    tasks = {"UPID:100": upid_task} if upid_task else {}
    found = has_moved(asked, maintenance(), seen(cluster(guest(100, on)), after_s=after_s, tasks=tasks))
    assert isinstance(found, expected), found


def test_a_guest_that_arrived_but_does_not_run_has_moved_and_that_is_said() -> None:
    asked = pending(PLAIN)
    state = cluster(guest(100, "pve1", status=GuestStatus.STOPPED))
    assert isinstance(has_moved(asked, maintenance(), seen(state, after_s=5)), NotYet)
    found = has_moved(asked, maintenance(), seen(state, after_s=61))
    assert found == Verified({"blackout_ms": None, "arrived": "stopped"}), "it must be brought home all the same"


def test_qemus_own_pause_is_kept() -> None:
    asked = pending(PLAIN)
    found = has_moved(
        asked, maintenance(), seen(cluster(guest(100, "pve1")), progress={GuestId("ams1", 100): progress(84)})
    )
    assert found == Verified({"blackout_ms": 84})


@pytest.mark.parametrize(
    ("on", "service", "lock", "expected"),
    [
        ("pve1", HaService("vm:100", "started", "pve1"), None, Verified),
        ("pve1", HaService("vm:100", "migrate", "pve3", "pve1"), None, NotYet),
        ("pve1", HaService("vm:100", "started", "pve1"), "migrate", NotYet),
        ("pve1", HaService("vm:100", "started", "pve3"), None, NotYet),
        ("pve3", HaService("vm:100", "started", "pve3"), None, NotYet),
        ("pve3", HaService("vm:100", "error", "pve3"), None, Failed),
    ],
)
def test_ha_has_moved_it_only_when_node_state_and_lock_agree(
    on: str, service: HaService, lock: str | None, expected: type
) -> None:
    state = cluster(replace(guest(100, on, lock=lock), ha=service))
    found = has_moved_by_ha(pending(HA), maintenance(), seen(state, after_s=20))
    assert isinstance(found, expected), found


def test_ha_that_does_nothing_for_long_has_failed() -> None:
    state = cluster(guest(100, ha=True))
    found = has_moved_by_ha(pending(HA), maintenance(), seen(state, after_s=181))
    assert isinstance(found, Failed)
