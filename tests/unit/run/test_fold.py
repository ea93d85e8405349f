"""The fold: total, idempotent where a crash may write twice, and the same whether taken at once or event by event."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from noout.codec import encode
from noout.domain.cluster import GuestId, NodeId
from noout.domain.errors import UsageError
from noout.domain.journal import Event, Kind
from noout.domain.maintenance import Action, Maintenance, Moved, MoveKind, Phase
from noout.domain.reasons import Blocker
from noout.run.fold import fold, fold_one
from noout.steps import actions
from tests.unit.steps.scene import maintenance, move, pending, plan

T0 = datetime(2026, 11, 30, 10, 0, tzinfo=UTC)
ACTION = Action("evacuate", "migrate", "ams1/100", "Migrate g100")
KEY = ACTION.key
MOVED = Moved(
    GuestId("ams1", 100), "g100", MoveKind.LIVE, NodeId("ams1", "pve3"), NodeId("ams1", "pve1"), T0, T0, 84, False
)  # fmt: skip


def events(*told: tuple[str, dict[str, Any]]) -> list[Event]:
    opened = (Kind.OPENED, {"node": "ams1/pve3", "reason": "a fan", "mode": "auto"})
    return [
        Event("m1", seq, T0 + timedelta(seconds=seq), kind, data, "noout", "")
        for seq, (kind, data) in enumerate((opened, *told), start=1)
    ]


def state(*told: tuple[str, dict[str, Any]]) -> Maintenance:
    return fold(events(*told))


def said(kind: str, key: str = "k", **data: Any) -> tuple[str, dict[str, Any]]:
    return Kind.MESSAGE, {"key": key, "kind": kind, "data": data}


INTENT = (Kind.INTENT, {"key": KEY, "action": encode(ACTION), "attempt": 1})


def test_what_is_not_known_changes_nothing_but_the_position() -> None:
    known = state(INTENT)
    newer = fold([*events(INTENT), Event("m1", 3, T0, "from.the.future", {"x": 1}, "noout", "")])
    assert newer.seq == 3
    assert (newer.pending, newer.phase, newer.owned) == (known.pending, known.phase, known.owned)


def test_a_stream_that_does_not_begin_with_an_opening_is_no_maintenance() -> None:
    with pytest.raises(UsageError):
        fold(events()[1:])
    with pytest.raises(UsageError):
        fold([Event("m1", 1, T0, Kind.FACT, {"name": "x"}, "noout", "")])


def test_folding_on_is_the_same_as_folding_all() -> None:
    told = events(INTENT, (Kind.STARTED, {"key": KEY, "upid": "U"}), (Kind.DONE, {"key": KEY}), said("pause"))
    m = fold(told[:2])
    for event in told[2:]:
        m = fold_one(m, event)
    assert m == fold(told)


def test_an_intent_is_pending_until_it_is_seen_done_or_failed() -> None:
    assert state(INTENT).pending[0].started is False
    asked = state(INTENT, (Kind.STARTED, {"key": KEY, "upid": "UPID:1"})).pending[0]
    assert asked.started and asked.upid == "UPID:1"
    assert state(INTENT, (Kind.DONE, {"key": KEY})).pending == ()
    failed = state(INTENT, (Kind.FAILED, {"key": KEY, "why": "no route"}))
    assert failed.pending == () and failed.failed == {KEY: 1} and failed.why_failed == {KEY: "no route"}
    assert state(INTENT, (Kind.FAILED, {"key": KEY, "why": "crash", "counts": 0})).failed == {KEY: 0}


def test_success_forgives_earlier_failures_and_so_does_a_person() -> None:
    failed = (Kind.FAILED, {"key": KEY, "why": "no route"})
    assert state(INTENT, failed, INTENT, (Kind.DONE, {"key": KEY})).failed == {}
    assert state(INTENT, failed, said("resume")).failed == {}


def test_a_new_target_is_a_new_chance() -> None:
    failed = (Kind.FAILED, {"key": KEY, "why": "no route"})
    to1 = (Kind.PLANNED, {"plan": encode(plan(move(100, "pve1")))})
    to2 = (Kind.PLANNED, {"plan": encode(plan(move(100, "pve2")))})
    assert state(to1, INTENT, failed, to1).failed == {KEY: 1}
    assert state(to1, INTENT, failed, to2).failed == {}


def test_what_a_crash_may_write_twice_counts_once() -> None:
    owned = (Kind.OWNED, {"kind": "noout", "subject": "pve3"})
    went = (Kind.MOVED, {"moved": encode(MOVED)})
    m = state(owned, owned, went, went)
    assert len(m.owned) == 1 and m.moved == (MOVED,)
    assert state(owned, (Kind.RELEASED, {"kind": "noout", "subject": "pve3"})).owned == ()


def test_a_refused_message_is_seen_and_nothing_else() -> None:
    kind, data = said("hands-on", serial="OTHER")
    m = state((kind, data | {"refused": "another machine"}))
    assert m.messages_seen == {"k"} and m.hands_on_by is None


def test_a_wait_that_becomes_a_blocker_goes_on_counting() -> None:
    waiting = (Kind.WAITING, {"why": "the node to boot", "until": None})
    blocked = (Kind.BLOCKED, {"blockers": [encode(Blocker("node.not-back", "ams1/pve3", "m", "r"))]})
    m = state(waiting, blocked, waiting)
    assert m.blockers == () and m.waiting_since == T0 + timedelta(seconds=2)
    assert state(waiting, INTENT).waiting_since is None


def test_a_step_taken_up_again_is_no_longer_done() -> None:
    entered, done = (Kind.STEP_ENTERED, {"step": "evacuate"}), (Kind.STEP_DONE, {"step": "evacuate", "evidence": {}})
    m = state(entered, done)
    assert [name for name, _ in m.steps_done] == ["evacuate"]
    again = state(entered, done, (Kind.STEP_ENTERED, {"step": "dispatch"}), entered)
    assert again.steps_done == () and again.phase is Phase.EVACUATING


def test_resume_judges_a_failed_acceptance_anew_and_accepts_a_known_silence() -> None:
    soak = {"soak_until": T0.isoformat()}
    no = (Kind.FACT, {"name": "acceptance", "value": {"ok": False, "reasons": ["FAN3B stood still"]}})
    m = state((Kind.FACT, {"name": "node-on", "value": soak}), no)
    assert m.facts["acceptance"]["ok"] is False and m.acceptance_until == T0
    m = state((Kind.FACT, {"name": "node-on", "value": soak}), no, said("resume"))
    assert "acceptance" not in m.facts and m.acceptance_until is None
    silent = (Kind.BLOCKED, {"blockers": [encode(Blocker("guest.silent", "ams1/100", "m", "r"))]})
    assert state(silent, said("resume")).silence_accepted == {GuestId("ams1", 100)}


def test_the_latest_answer_to_a_check_counts() -> None:
    m = state(
        said("finding", "a", check="fans.clean", answer="problem"),
        said("finding", "b", check="fans.clean", answer="done"),
    )
    assert [(each.check, each.answer) for each in m.findings] == [("fans.clean", "done")]


def test_a_guest_that_others_removed_is_nobodys_to_start() -> None:
    down = (Kind.OWNED, {"kind": "guest-down", "subject": "ams1/106"})
    assert state(down, (Kind.OBSERVED, {"guest": "ams1/106", "to": ""})).owned == ()


def test_resuming_tries_everything_again_and_goes_on_without_a_suspected_way() -> None:
    suspect = {
        "guest": "ams1/100",
        "name": "g100",
        "target": "pve1",
        "networks": ["vmbr0"],
        "moved": "",
        "accepted": False,
    }
    facts = [
        (Kind.FACT, {"name": "avoid", "value": {"ams1/100": ["pve1"]}}),
        (Kind.FACT, {"name": "locks", "value": {"ams1/101": {"lock": "backup", "since": T0.isoformat()}}}),
        (Kind.FACT, {"name": "suspects", "value": [suspect]}),
    ]
    blocked = [Blocker("canary.failed", "ams1/pve1", "", ""), Blocker("canary.no-answer", "ams1/102", "", "")]
    m = state(*facts, (Kind.BLOCKED, {"blockers": [encode(each) for each in blocked]}), said("resume"))
    assert "avoid" not in m.facts and "locks" not in m.facts
    assert [each["accepted"] for each in m.facts["suspects"]] == [True]
    assert m.silence_accepted == {GuestId("ams1", 102)}
    unseen = state(*facts, said("resume"))
    assert [each["accepted"] for each in unseen.facts["suspects"]] == [False], "nobody was told of it yet"


def test_without_a_new_plan_the_old_one_goes_on() -> None:
    why = ["target.given-up ams1/100 pve1"]
    told = [
        (Kind.FACT, {"name": "replan", "value": why}),
        (Kind.FACT, {"name": "no-new-plan", "value": {"why": why, "because": ["no room"]}}),
    ]
    m = state(*told)
    assert m.replan_wanted_at is None and m.facts["no-new-plan"]["because"] == ["no room"]
    assert "no-new-plan" not in state(*told, (Kind.PLANNED, {"plan": encode(plan(move(100)))})).facts


def test_an_answer_that_was_lost_is_remembered_until_the_effect_is_seen() -> None:
    asked = actions.set_flag("hold-data", "noout", "pve3")
    opened = maintenance(pending=(pending(asked, started=False),))
    lost = Event(opened.id, 6, T0, Kind.STARTED, {"key": asked.key, "unknown": "the answer was lost"}, "noout", "")
    m = fold_one(opened, lost)
    assert (m.pending[0].started, m.pending[0].unknown) == (True, "the answer was lost")
    assert fold_one(m, Event(opened.id, 7, T0, Kind.DONE, {"key": asked.key}, "noout", "")).pending == ()
