"""The journal folded into a ``Maintenance``: pure and total, so that every projection agrees with the run itself.

A kind, message or fact that is not known here changes nothing: older code can read a newer journal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime

from noout.codec import decode
from noout.domain.cluster import NodeId
from noout.domain.errors import UsageError
from noout.domain.hardware import Fault
from noout.domain.journal import Event, Kind
from noout.domain.maintenance import (
    Action,
    Doubted,
    Json,
    Maintenance,
    Mode,
    Moved,
    Owned,
    Pending,
    Phase,
    Plan,
)  # fmt: skip
from noout.domain.reasons import Blocker, Caution
from noout.domain.workorder import WorkOrder
from noout.run.fold_messages import on_message
from noout.steps.avoid import NO_NEW_PLAN

PHASE_ON_ENTRY = {
    "evacuate": Phase.EVACUATING,
    "dispatch": Phase.EVACUATED,
    "hold-data": Phase.HOLDING,
    "repair": Phase.REPAIR,
    "reintegrate": Phase.REINTEGRATING,
    "return": Phase.RETURNING,
}


def fold(events: Iterable[Event]) -> Maintenance:
    """The state after ``events`` (one stream, in order). UsageError when it does not begin with an opening."""
    m: Maintenance | None = None
    for event in events:
        if m is None:
            if event.kind != Kind.OPENED:
                raise UsageError(f"{event.stream}: a maintenance begins with {Kind.OPENED}, not {event.kind}")
            m = _opened(event)
        else:
            m = fold_one(m, event)
    if m is None:
        raise UsageError("there is no such maintenance", remedy="see `noout status`")
    return m


def fold_one(m: Maintenance, event: Event) -> Maintenance:
    handler = _HANDLERS.get(event.kind)
    return replace(handler(m, event) if handler else m, seq=event.seq)


def _opened(event: Event) -> Maintenance:
    data = event.data
    return Maintenance(
        id=event.stream,
        node=NodeId.parse(data["node"]),
        reason=data.get("reason", ""),
        mode=Mode(data.get("mode", Mode.STEP)),
        opened_at=event.at,
        opened_by=event.actor,
        seq=event.seq,
        fault=decode(Fault, data["fault"]) if data.get("fault") else None,
        fsid=data.get("fsid", ""),
        approved_by=data.get("approved_by"),
        four_eyes=bool(data.get("four_eyes")),
    )


def _reopened(m: Maintenance, event: Event) -> Maintenance:
    """From the beginning, in the same journal: what was done in the round before is no part of this one."""
    fresh = replace(_opened(event), fsid=event.data.get("fsid", m.fsid), messages_seen=m.messages_seen)
    return replace(fresh, reopened=m.reopened + 1)


def _probation_failed(m: Maintenance, event: Event) -> Maintenance:
    return replace(m, probation_over_at=event.at, probation_failed=event.data.get("why", ""))


def _probation_passed(m: Maintenance, event: Event) -> Maintenance:
    return replace(m, probation_over_at=event.at)


def _planned(m: Maintenance, event: Event) -> Maintenance:
    plan = decode(Plan, event.data["plan"])
    before = {move.guest: move.target for move in (m.plan.moves if m.plan else ())}
    # A new target is a new chance: what failed on the way to the old one says nothing about it.
    fresh = {str(move.guest) for move in plan.moves if before.get(move.guest, move.target) != move.target}
    forget = {key for key in m.failed if key.rpartition("/")[0].split("/")[0] == "evacuate" and _subject(key) in fresh}
    phase = Phase.PLANNED if m.phase is Phase.PROPOSED else m.phase
    return replace(
        _forget(m, forget), plan=plan, phase=phase, cautions=_merge(m.cautions, plan.cautions), blockers=(),
        facts={name: value for name, value in m.facts.items() if name != NO_NEW_PLAN},
        replan_wanted_at=None, confirmed=frozenset(),  # a yes was said to the old plan's effects
    )  # fmt: skip


def _merge(old: tuple[Caution, ...], new: Iterable[Caution]) -> tuple[Caution, ...]:
    known = {(caution.code, caution.subject) for caution in old}
    return old + tuple(caution for caution in new if (caution.code, caution.subject) not in known)


def _subject(key: str) -> str:
    return key.split("/", 2)[2]


def _forget(m: Maintenance, keys: Iterable[str]) -> Maintenance:
    gone = set(keys)
    return replace(
        m,
        failed={key: value for key, value in m.failed.items() if key not in gone},
        why_failed={key: value for key, value in m.why_failed.items() if key not in gone},
        failed_at={key: at for key, at in m.failed_at.items() if key not in gone},
    )


def _approved(m: Maintenance, event: Event) -> Maintenance:
    return replace(m, approved_by=event.data.get("by", event.actor))


def _step_entered(m: Maintenance, event: Event) -> Maintenance:
    """Entering a step that was done before takes it up again (a guest came to the node)."""
    step = event.data["step"]
    done = tuple(each for each in m.steps_done if each[0] != step)
    phase = m.phase if m.aborting else PHASE_ON_ENTRY.get(step, m.phase)
    fresh = replace(m, step=step, steps_done=done, phase=phase, blockers=(), confirmed=frozenset())
    return _waits_no_more(fresh)


def _step_done(m: Maintenance, event: Event) -> Maintenance:
    step = event.data["step"]
    if event.data.get("undone"):
        return _waits_no_more(replace(m, undone=(*m.undone, step), blockers=()))
    return _waits_no_more(replace(m, steps_done=(*m.steps_done, (step, event.at)), blockers=()))


def _waits_no_more(m: Maintenance) -> Maintenance:
    return replace(
        m, waiting_for="", waiting_until=None, waiting_since=None, needs="", waiting_code="", waiting_kind_since=None,
        waiting_limit=None,
    )  # fmt: skip


def _intent(m: Maintenance, event: Event) -> Maintenance:
    action = decode(Action, event.data["action"])
    pending = Pending(action, event.at, event.data.get("attempt", 1))
    rest = tuple(each for each in m.pending if each.action.key != action.key)
    m = replace(m, pending=(*rest, pending), blockers=(), confirmed=m.confirmed - {action.key})
    return _waits_no_more(m)


def _started(m: Maintenance, event: Event) -> Maintenance:
    key, upid = event.data["key"], event.data.get("upid")
    rest = tuple(each for each in m.pending if each.action.key != key)
    said = {"unknown": event.data.get("unknown", ""), "started": True}
    asked = (replace(each, upid=upid or each.upid, **said) for each in m.pending if each.action.key == key)
    return replace(m, pending=(*rest, *asked))


def _settled(m: Maintenance, key: str) -> Maintenance:
    return replace(m, pending=tuple(each for each in m.pending if each.action.key != key))


def _done(m: Maintenance, event: Event) -> Maintenance:
    key = event.data["key"]
    doubted = tuple(each for each in m.doubted if each.pending.action.key != key)
    return _forget(replace(_settled(m, key), doubted=doubted), (key,))


def _failed(m: Maintenance, event: Event) -> Maintenance:
    key = event.data["key"]
    may_come = event.data.get("may_come")
    doubted = tuple(Doubted(each, event.at) for each in m.pending if may_come and each.action.key == key)
    return replace(
        _settled(m, key),
        doubted=(*m.doubted, *doubted),
        failed={**m.failed, key: m.failed.get(key, 0) + int(event.data.get("counts", 1))},
        why_failed={**m.why_failed, key: event.data.get("why", "")},
        failed_at={**m.failed_at, key: event.at},
    )


def _moved(m: Maintenance, event: Event) -> Maintenance:
    moved = decode(Moved, event.data["moved"])
    if any((each.guest, each.started) == (moved.guest, moved.started) for each in m.moved):
        return m
    elsewhere = {guest: node for guest, node in m.elsewhere.items() if guest != str(moved.guest)}
    return replace(m, moved=(*m.moved, moved), elsewhere=elsewhere)


def _owned(m: Maintenance, event: Event) -> Maintenance:
    owned = Owned(event.data["kind"], event.data["subject"], event.at)
    if any((each.kind, each.subject) == (owned.kind, owned.subject) for each in m.owned):
        return m
    return replace(m, owned=(*m.owned, owned))


def _released(m: Maintenance, event: Event) -> Maintenance:
    gone = (event.data["kind"], event.data["subject"])
    return replace(m, owned=tuple(each for each in m.owned if (each.kind, each.subject) != gone))


def _observed(m: Maintenance, event: Event) -> Maintenance:
    data = event.data
    if "guest" not in data:
        return m
    why = data.get("why", data.get("what", ""))
    facts = {**m.facts, "replan_why": why} if data.get("replan") else m.facts
    wanted = event.at if data.get("replan") else m.replan_wanted_at
    elsewhere = {**m.elsewhere, data["guest"]: data.get("to", "")}
    gone = ("guest-down", data["guest"]) if not data.get("to") else None  # removed: nobody can start it again
    owned = tuple(each for each in m.owned if (each.kind, each.subject) != gone)
    return replace(m, elsewhere=elsewhere, facts=facts, replan_wanted_at=wanted, owned=owned)


def _blocked(m: Maintenance, event: Event) -> Maintenance:
    # What it was waiting for stays counted: a wait that has become a blocker must not start from nought.
    return replace(m, blockers=tuple(decode(Blocker, each) for each in event.data["blockers"]), needs="")


def _waiting(m: Maintenance, event: Event) -> Maintenance:
    why, code = event.data["why"], event.data.get("code", "")
    since = m.waiting_since if m.waiting_for == why and m.waiting_since else event.at
    kind_since = m.waiting_kind_since if m.waiting_code == code and m.waiting_kind_since else event.at
    return replace(
        m, waiting_for=why, waiting_since=since, blockers=(), needs=event.data.get("needs", ""), waiting_code=code,
        waiting_kind_since=kind_since, waiting_until=_time(event.data, "until"),
        waiting_limit=_time(event.data, "limit"),
    )  # fmt: skip


def _work_order(m: Maintenance, event: Event) -> Maintenance:
    return replace(m, work_order=decode(WorkOrder, event.data["work_order"]))


def _fact(m: Maintenance, event: Event) -> Maintenance:
    name, value = event.data["name"], event.data.get("value")
    if name == "caution":
        return replace(m, cautions=_merge(m.cautions, (decode(Caution, value),)))
    if name == "replan":
        return replace(m, replan_wanted_at=event.at, facts={**m.facts, "replan_why": value})
    if name == NO_NEW_PLAN:
        return replace(m, replan_wanted_at=None, facts={**m.facts, name: value})
    if name == "second-fault":
        return replace(m, closing_up=str(value), urgent=True, blockers=())
    if name == "node-off":
        return replace(m, node_off_at=event.at)
    if name == "node-on":
        m = replace(m, node_on_at=event.at)
    if name in {"node-on", "soak"}:
        return replace(m, acceptance_until=_time(value, "soak_until"))
    if name == "acceptance" and isinstance(value, Mapping) and value.get("ok") is None:
        return replace(m, acceptance_until=_time(value, "until") or m.acceptance_until)
    return replace(m, facts={**m.facts, name: value})


def _time(value: Json, key: str) -> datetime | None:
    text = value.get(key) if isinstance(value, Mapping) else None
    return datetime.fromisoformat(text) if text else None


def _closed(m: Maintenance, event: Event) -> Maintenance:
    data = event.data
    until = data.get("probation_until")
    return _waits_no_more(
        replace(
            m, closed_at=event.at, outcome=data.get("outcome", ""), phase=Phase(data.get("phase", Phase.DONE)),
            probation_until=datetime.fromisoformat(until) if until else None, blockers=(),
        )
    )  # fmt: skip


_HANDLERS: Mapping[str, Callable[[Maintenance, Event], Maintenance]] = {
    Kind.PLANNED: _planned,
    Kind.APPROVED: _approved,
    Kind.STEP_ENTERED: _step_entered,
    Kind.STEP_DONE: _step_done,
    Kind.INTENT: _intent,
    Kind.STARTED: _started,
    Kind.DONE: _done,
    Kind.FAILED: _failed,
    Kind.OBSERVED: _observed,
    Kind.BLOCKED: _blocked,
    Kind.WAITING: _waiting,
    Kind.MESSAGE: on_message,
    Kind.OWNED: _owned,
    Kind.RELEASED: _released,
    Kind.MOVED: _moved,
    Kind.WORK_ORDER: _work_order,
    Kind.FACT: _fact,
    Kind.CLOSED: _closed,
    Kind.PROBATION_FAILED: _probation_failed,
    Kind.PROBATION_PASSED: _probation_passed,
    Kind.REOPENED: _reopened,
}
