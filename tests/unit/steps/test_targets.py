"""A migration that is cancelled goes elsewhere; one that arrived otherwise is told; nobody's migration is touched."""

from __future__ import annotations

from dataclasses import replace

import pytest

from noout.domain.cluster import GuestId, GuestStatus, HaService, MigrationProgress, NodeId
from noout.domain.maintenance import Maintenance, Moved, MoveKind, Observation
from noout.domain.reasons import Blocker
from noout.run.look import adopted
from noout.steps import actions, checks
from noout.steps.avoid import avoided
from noout.steps.evacuate import Evacuate, without_a_new_plan
from noout.steps.guest_effects import has_moved, has_moved_by_ha
from noout.steps.step import Act, Ask, Blocked, Decision, Failed, Note, NotYet, Verified
from tests.unit.steps.scene import T0, cluster, guest, maintenance, move, node, pending, plan, seen, task

STEP = Evacuate()
KEY = "evacuate/migrate/ams1/100"
G100 = GuestId("ams1", 100)


def cancelled() -> Maintenance:
    return maintenance(
        plan=plan(move(100), move(101)), failed={KEY: 1}, failed_at={KEY: T0},
        why_failed={KEY: "cancelled, as it stands still"},
    )  # fmt: skip


def noted(m: Maintenance, decision: Decision) -> Maintenance:
    assert isinstance(decision, Note), decision
    return replace(m, facts={**m.facts, decision.name: decision.value})


def test_after_a_cancelled_migration_another_target_is_looked_for() -> None:
    state = cluster(guest(100), guest(101))
    m = cancelled()
    decision = STEP.plan(m, seen(state))
    assert decision == Note("avoid", {"ams1/100": ["pve1"]})
    m = noted(m, decision)
    assert avoided(m, state) == {G100: frozenset({node("pve1")})}
    wanted = STEP.plan(m, seen(state))
    assert wanted == Note("replan", ["target.given-up ams1/100 pve1"])
    asked = replace(m, facts={**m.facts, "replan_why": wanted.value}, replan_wanted_at=T0)
    assert isinstance(STEP.plan(asked, seen(state)), Ask)


def test_a_migration_that_failed_by_itself_is_tried_on_the_same_way_again() -> None:
    m = replace(cancelled(), why_failed={KEY: "migration problems"})
    assert isinstance(STEP.plan(m, seen(cluster(guest(100), guest(101)), after_s=60)), Act)


def test_where_no_plan_can_do_without_the_target_the_others_go_on_and_it_is_said() -> None:
    m = cancelled()
    m = replace(m, facts={"avoid": {"ams1/100": ["pve1"]}, "replan_why": ["target.given-up ams1/100 pve1"]})
    refused = replace(plan(), blockers=(Blocker("plan.no-room", "ams1/100", "no node has room", "add one"),))
    m = noted(m, without_a_new_plan(m, refused) or Ask("plan", ""))
    decided = STEP.plan(m, seen(cluster(guest(100), guest(101))))
    assert isinstance(decided, Act) and [each.subject for each in decided.actions] == ["ams1/101"]
    said = STEP.plan(m, seen(cluster(guest(100), guest(101, "pve1"))))
    assert isinstance(said, Blocked) and said.blockers[0].code == "guest.no-other-target"
    assert "could not be moved to pve1" in said.blockers[0].message and "no node has room" in said.blockers[0].message


def test_other_reasons_for_a_plan_are_no_reason_to_keep_the_old_one() -> None:
    m = maintenance(facts={"replan_why": ["target.given-up ams1/100 pve1", "target.full ams1/101"]})
    assert without_a_new_plan(m, plan()) is None
    assert without_a_new_plan(maintenance(facts={"replan_why": "g9 came after the plan"}), plan()) is None


# --- whose migration is it ---------------------------------------------------------------------------------------


def flying(target: str) -> Observation:
    running = task(100)
    state = cluster(guest(100), running_tasks=(running,))
    progress = {G100: MigrationProgress(1, 9, target=target)}
    return seen(state, tasks={running.upid: running}, progress=progress)


def test_only_a_migration_to_our_own_target_is_taken_for_ours() -> None:
    asked = pending(actions.move("evacuate", move(100), guest(100)))
    assert adopted(asked, flying("pve1")) == "UPID:100"
    assert adopted(asked, flying("pve2")) is None
    assert adopted(asked, replace(flying("pve1"), progress={}, tasks={})) is None, "before its log says where it goes"
    assert isinstance(has_moved(asked, maintenance(), flying("pve2")), NotYet), "it is waited for"


def test_somebody_elses_migration_is_never_cancelled() -> None:
    asked = pending(actions.move("evacuate", move(100), guest(100)))
    m = maintenance(plan=plan(move(100)), pending=(asked,))
    stalled = replace(flying("pve2"), stalled=frozenset({G100}))
    assert not isinstance(STEP.plan(m, stalled), Act)
    ours = replace(m, pending=(replace(asked, upid="UPID:100"),))
    decided = STEP.plan(ours, stalled)
    assert isinstance(decided, Act) and decided.actions[0].verb == "cancel"


# --- arrivals ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [GuestStatus.PAUSED, GuestStatus.STOPPED, GuestStatus.POSTMIGRATE])
def test_a_guest_that_arrived_otherwise_is_moved_and_the_remedy_is_said(status: GuestStatus) -> None:
    asked = pending(actions.move("evacuate", move(100), guest(100)))
    state = cluster(guest(100, "pve1", status=status), guest(101))
    found = has_moved(asked, maintenance(), seen(state, after_s=61))
    assert found == Verified({"blackout_ms": None, "arrived": status.value})
    moved = Moved(
        G100, "g100", MoveKind.LIVE, node("pve3"), node("pve1"), T0, T0, None, homeward=False, arrived=status.value
    )
    m = maintenance(plan=plan(move(100), move(101)), moved=(moved,))
    said = STEP.plan(m, seen(state, after_s=62))
    assert isinstance(said, Blocked) and said.blockers[0].code == "guest.arrived-otherwise"
    verb = "start" if status is GuestStatus.STOPPED else "resume"
    assert f"qm {verb} 100 on pve1" in said.blockers[0].remedy
    well = cluster(guest(100, "pve1"), guest(101))
    assert not checks.not_as_before(m, seen(well))
    assert not checks.not_as_before(replace(m, silence_accepted=frozenset({G100})), seen(state))


def test_a_paused_guest_may_arrive_paused() -> None:
    asked = pending(actions.move("evacuate", move(100), guest(100, status=GuestStatus.PAUSED)))
    state = cluster(guest(100, "pve1", status=GuestStatus.PAUSED))
    assert has_moved(asked, maintenance(), seen(state, after_s=5)) == Verified({"blackout_ms": None})


def test_an_ha_guest_in_error_on_its_target_has_moved() -> None:
    asked = pending(actions.move("evacuate", move(100, ha=True), guest(100, ha=True)))
    there = replace(guest(100, "pve1"), ha=HaService("vm:100", "error", "pve1"))
    found = has_moved_by_ha(asked, maintenance(), seen(cluster(there), after_s=30))
    assert isinstance(found, Verified) and found.evidence["arrived"] == "HA state error"
    moved = Moved(
        G100, "g100", MoveKind.LIVE, node("pve3"), node("pve1"), T0, T0, None, homeward=False, arrived="HA state error"
    )
    (said,) = checks.not_as_before(maintenance(moved=(moved,)), seen(cluster(there)))
    assert said.remedy.startswith("ha-manager set vm:100 --state disabled, then --state started")
    here = replace(guest(100), ha=HaService("vm:100", "error", "pve3"))
    assert isinstance(has_moved_by_ha(asked, maintenance(), seen(cluster(here), after_s=30)), Failed)


def test_nodes_to_avoid_are_the_clusters_own() -> None:
    m = maintenance(facts={"avoid": {"ams1/100": ["pve2", "pve1"]}})
    assert avoided(m, cluster(guest(100), guest(101))) == {
        G100: frozenset({NodeId("ams1", "pve1"), NodeId("ams1", "pve2")})
    }
