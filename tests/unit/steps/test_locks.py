"""A locked guest is waited for with a limit while the others move; then it is said who holds it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from noout.domain.cluster import GuestStatus, Task
from noout.domain.maintenance import Maintenance
from noout.steps.evacuate import Evacuate
from noout.steps.rules import Rules
from noout.steps.step import Act, Blocked, Decision, Hold, Note
from tests.unit.steps.scene import T0, cluster, guest, maintenance, move, plan, seen

STEP = Evacuate(Rules(lock_wait_s=600.0))
BACKUP = Task("UPID:pve3:vzdump", "pve3", "vzdump", "", True)


def noted(m: Maintenance, decision: Decision) -> Maintenance:
    assert isinstance(decision, Note), decision
    return replace(m, facts={**m.facts, decision.name: decision.value})


def test_a_locked_guest_is_waited_for_and_the_others_move() -> None:
    m = maintenance(plan=plan(move(100), move(101)))
    state = cluster(guest(100, lock="backup"), guest(101), running_tasks=(BACKUP,))
    m = noted(m, STEP.plan(m, seen(state)))
    decided = STEP.plan(m, seen(state, after_s=5))
    assert isinstance(decided, Act)
    assert [action.subject for action in decided.actions] == ["ams1/101"]
    alone = cluster(guest(100, lock="backup"), guest(101, "pve1"), running_tasks=(BACKUP,))
    held = STEP.plan(m, seen(alone, after_s=599))
    assert isinstance(held, Hold)
    assert held.why == "the backup lock of g100 (ams1/100) to be released (held by vzdump on pve3)"


def test_past_the_limit_guest_lock_wait_and_holder_are_named() -> None:
    state = cluster(guest(100, lock="backup"), running_tasks=(BACKUP,))
    m = maintenance(plan=plan(move(100)))
    m = noted(m, STEP.plan(m, seen(state)))
    said = STEP.plan(m, seen(state, after_s=600))
    assert isinstance(said, Blocked)
    (blocker,) = said.blockers
    assert (blocker.code, blocker.subject) == ("guest.locked", "ams1/100")
    assert "locked (backup): waited for 10 min" in blocker.message
    assert "UPID:pve3:vzdump on pve3" in blocker.remedy and "qm unlock 100" in blocker.remedy
    assert STEP.plan(m, seen(cluster(guest(100)), after_s=700)) == Note("locks", {}), "released: nothing is owed"


def test_a_lock_that_comes_back_is_waited_for_anew() -> None:
    m = maintenance(plan=plan(move(100)))
    m = noted(m, STEP.plan(m, seen(cluster(guest(100, lock="backup")))))
    m = noted(m, STEP.plan(m, seen(cluster(guest(100)), after_s=500)))
    again = STEP.plan(m, seen(cluster(guest(100, lock="snapshot")), after_s=700))
    since = (T0 + timedelta(seconds=700)).isoformat()
    assert again == Note("locks", {"ams1/100": {"lock": "snapshot", "since": since}})


def test_a_lock_that_does_not_end_by_itself_is_said_at_once() -> None:
    m = maintenance(plan=plan(move(100)))
    state = cluster(guest(100, lock="rollback"))
    m = noted(m, STEP.plan(m, seen(state)))
    said = STEP.plan(m, seen(state, after_s=1))
    assert isinstance(said, Blocked) and "does not end by itself" in said.blockers[0].message


def test_a_migration_by_others_is_waited_for_like_a_lock() -> None:
    theirs = Task("UPID:pve3:theirs", "pve3", "qmigrate", "100", True)
    m = maintenance(plan=plan(move(100)))
    state = cluster(guest(100), running_tasks=(theirs,))
    m = noted(m, STEP.plan(m, seen(state)))
    held = STEP.plan(m, seen(state, after_s=30))
    assert isinstance(held, Hold) and "migrate lock" in held.why


def test_a_guest_that_was_paused_for_no_good_reason_is_not_moved() -> None:
    m = maintenance(plan=plan(move(100), move(101)))
    state = cluster(guest(100, status=GuestStatus.PAUSED, qmp_status="io-error"), guest(101))
    decided = STEP.plan(m, seen(state))
    assert isinstance(decided, Act) and [each.subject for each in decided.actions] == ["ams1/101"]
    alone = STEP.plan(m, seen(cluster(state.guests[0], guest(101, "pve1"))))
    assert isinstance(alone, Blocked) and alone.blockers[0].code == "guest.not-running"
    assert "io-error" in alone.blockers[0].message
    meant = STEP.plan(m, seen(cluster(guest(100, status=GuestStatus.PAUSED, qmp_status="paused"), guest(101, "pve1"))))
    assert isinstance(meant, Act) and "--online 1" in meant.actions[0].command
