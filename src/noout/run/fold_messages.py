"""What a message that was taken into the journal changes. A refused one changes nothing but ``seen``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from noout.domain.cluster import GuestId
from noout.domain.journal import Event, MessageKind
from noout.domain.maintenance import Maintenance, Phase
from noout.domain.workorder import Answer, Finding, Photo
from noout.steps.actions import force_off_key
from noout.steps.neighbours import AROUND, KNOWN_AWAY, WRONG_SERVER


def on_message(m: Maintenance, event: Event) -> Maintenance:
    m = replace(m, messages_seen=m.messages_seen | {event.data["key"]})
    handler = _HANDLERS.get(event.data.get("kind", ""))
    return m if handler is None or event.data.get("refused") else handler(m, event)


# What an operator who resumes the run is taken to know: the guest's service, or the guest, is as it is.
KNOWN_SILENCE = frozenset({"guest.silent", "guest.arrived-otherwise", "canary.no-answer"})


def _said_at(event: Event) -> datetime:
    at = event.data.get("at")
    return datetime.fromisoformat(at) if at else event.at


def _approve(m: Maintenance, event: Event) -> Maintenance:
    return replace(m, approved_by=event.actor)


def _hands_on(m: Maintenance, event: Event) -> Maintenance:
    serial = event.data.get("data", {}).get("serial")
    facts = {name: value for name, value in m.facts.items() if name not in (AROUND, KNOWN_AWAY, WRONG_SERVER)}
    return replace(m, hands_on_by=event.actor, hands_on_at=_said_at(event), hands_on_serial=serial, facts=facts)


def _finding(m: Maintenance, event: Event) -> Maintenance:
    """The latest answer to a check counts."""
    data = event.data.get("data", {})
    finding = Finding(
        data["check"], Answer(data["answer"]), data.get("note", ""), _said_at(event), event.actor, data.get("part", "")
    )
    return replace(m, findings=(*(each for each in m.findings if each.check != finding.check), finding))


def _photo(m: Maintenance, event: Event) -> Maintenance:
    data = event.data.get("data", {})
    return replace(m, photos=(*m.photos, Photo(data["check"], data["photo"], _said_at(event), event.actor)))


def _serial_again(m: Maintenance, event: Event) -> Maintenance:
    """What has gone away so far is not the technician's doing: the right server is in their hands."""
    facts = {name: value for name, value in m.facts.items() if name != WRONG_SERVER}
    told = event.data.get("data", {}).get("away", ())
    known = {*facts.get(KNOWN_AWAY, ()), *m.facts.get(WRONG_SERVER, ()), *told}
    return replace(m, facts={**facts, KNOWN_AWAY: sorted(known)})


def _sign_off(m: Maintenance, event: Event) -> Maintenance:
    return replace(m, signed_off_by=event.actor, signed_off_at=_said_at(event))


def _pause(m: Maintenance, event: Event) -> Maintenance:
    return replace(m, paused=True)


def _resume(m: Maintenance, event: Event) -> Maintenance:
    """Go on: failures are forgiven, known silences accepted, a failed acceptance is judged anew (without the
    differences that it named, where the operator says that they are meant so)."""
    silent = {GuestId.parse(each.subject) for each in m.blockers if each.code in KNOWN_SILENCE}
    left = {GuestId.parse(each) for each in event.data.get("data", {}).get("leave", [])}
    facts = dict(m.facts)
    failed_acceptance = not (facts.get("acceptance") or {"ok": True})["ok"]
    if failed_acceptance:
        if event.data.get("data", {}).get("accept_differences"):
            named = {*facts.get("accepted_differences", ()), *facts["acceptance"].get("differences", ())}
            facts["accepted_differences"] = sorted(named)
        del facts["acceptance"]
    for name in ("replan_why", "no-new-plan", "avoid", "locks"):  # what was tried, or waited for, may be so once more
        facts.pop(name, None)
    if any(each.code == "canary.failed" for each in m.blockers):
        facts["suspects"] = [{**each, "accepted": True} for each in facts.get("suspects", ())]
    if any(each.code.startswith("wait.") for each in m.blockers):  # it is given its whole time once more
        m = replace(m, waiting_code="", waiting_kind_since=None, waiting_limit=None)
    if m.urgent:  # the operator has seen the second fault and goes on all the same: what is so now is the new normal
        facts = {name: value for name, value in facts.items() if name not in ("baseline", "suspected")}
    return replace(
        m, paused=False, failed={}, why_failed={}, failed_at={}, facts=facts, blockers=(),
        closing_up="" if m.urgent else m.closing_up, urgent=False,
        acceptance_until=None if failed_acceptance else m.acceptance_until,
        silence_accepted=m.silence_accepted | silent, left_away=m.left_away | left,
        replan_wanted_at=event.at if any(b.code.startswith("target.") for b in m.blockers) else m.replan_wanted_at,
    )  # fmt: skip


def _abort(m: Maintenance, event: Event) -> Maintenance:
    reason = event.data.get("data", {}).get("reason", "")
    return replace(
        m, aborting=True, abort_reason=reason, paused=False, phase=Phase.ABORTING, blockers=(),
        failed={}, why_failed={}, failed_at={},
    )  # fmt: skip


def _close_up(m: Maintenance, event: Event) -> Maintenance:
    reason = event.data.get("data", {}).get("reason") or "not repairable today"
    return replace(m, closing_up=m.closing_up or reason, blockers=())


def _extend(m: Maintenance, event: Event) -> Maintenance:
    hours = float(event.data.get("data", {}).get("hours", 0))
    return replace(m, hold_until=_said_at(event) + timedelta(hours=hours), blockers=())


def _let_heal(m: Maintenance, event: Event) -> Maintenance:
    return replace(m, healing=True, blockers=())


def _force_off(m: Maintenance, event: Event) -> Maintenance:
    """The decision is this effect's confirmation too, and a new chance for it."""
    key = force_off_key(m.node)
    failed = {each: count for each, count in m.failed.items() if each != key}
    return replace(m, force_off_at=_said_at(event), confirmed=m.confirmed | {key}, failed=failed, blockers=())


def _confirm(m: Maintenance, event: Event) -> Maintenance:
    return replace(m, confirmed=m.confirmed | {event.data["data"]["action"]})


_HANDLERS: Mapping[str, Callable[[Maintenance, Event], Maintenance]] = {
    MessageKind.APPROVE: _approve,
    MessageKind.HANDS_ON: _hands_on,
    MessageKind.FINDING: _finding,
    MessageKind.PHOTO: _photo,
    MessageKind.SERIAL_AGAIN: _serial_again,
    MessageKind.SIGN_OFF: _sign_off,
    MessageKind.PAUSE: _pause,
    MessageKind.RESUME: _resume,
    MessageKind.ABORT: _abort,
    MessageKind.CLOSE_UP: _close_up,
    MessageKind.EXTEND: _extend,
    MessageKind.LET_HEAL: _let_heal,
    MessageKind.FORCE_OFF: _force_off,
    MessageKind.CONFIRM: _confirm,
}
