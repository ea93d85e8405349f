"""The steps of a maintenance with what each has shown, and its journal's last lines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from noout.app.sentences import sentence
from noout.app.waiting import how_long, what_now
from noout.domain.journal import Event, Kind
from noout.domain.maintenance import Json, Maintenance, Phase
from noout.plan.outlook import minutes
from noout.plan.remaining import pace, remaining_s

JOURNAL_LINES = 40
STEPS = (
    ("evacuate", "Evacuate"), ("dispatch", "Technician to the rack"), ("hold-data", "Hold data"), ("repair", "Repair"),
    ("reintegrate", "Test and reintegrate"), ("return", "Guests home"),
)  # fmt: skip
TO_COME = {
    "evacuate": "every guest leaves",
    "dispatch": "LED on, work order out; waits for hands-on",
    "hold-data": "noout for this host alone, its OSDs stopped",
    "repair": "node off, checklist, sign-off",
    "reintegrate": "tested, quorum, data clean, noout given back",
    "return": "guests come home",
}


@dataclass(frozen=True, slots=True)
class Stop:
    """One step on the rail. ``state``: done, now, gate (a person must), wait. ``away``, ``going``: per cent."""

    title: str
    state: str
    at: datetime | None
    note: str = ""
    away: int = 0
    going: int = 0


def rail(m: Maintenance, evidence: Mapping[str, Mapping[str, Json]], now: datetime) -> list[Stop]:
    done = dict(m.steps_done)
    found = []
    for name, title in STEPS:
        if name in done and name != m.step:
            found.append(Stop(title, "done", done[name], shown(name, evidence.get(name, {}), m)))
        elif name == m.step and m.open:
            found.append(_now(m, title, now))
        else:
            state = "done" if m.outcome == "done" else "wait"
            found.append(Stop(title, state, done.get(name), "" if state == "done" else TO_COME[name]))
    return found


def _now(m: Maintenance, title: str, now: datetime) -> Stop:
    person = m.needs in ("technician", "approval", "confirmation", "operator")
    if m.plan is None or m.phase is not Phase.EVACUATING or not m.plan.moves:
        note = "; ".join(each.action.says for each in m.pending[:2]) or (
            f"waits for {m.waiting_for}" * bool(m.waiting_for)
        )
        return Stop(title, "gate" if person else "now", m.waiting_since if person else None, note)
    away = len({each.guest for each in m.moved if not each.homeward})
    whole = len(m.plan.moves)
    note = f"{away} of {whole} away, {len(m.pending)} under way"
    if by := empty_by(m, now):
        note += f". Empty by about {by}"
    return Stop(title, "gate" if person else "now", None, note, 100 * away // whole, 100 * len(m.pending) // whole)


def empty_by(m: Maintenance, now: datetime) -> str:
    """ "10:03 to 10:05 UTC" by what its moves have shown so far; "" when none is left."""
    if m.plan is None or m.phase is not Phase.EVACUATING:
        return ""
    low, high = remaining_s(m.plan, {move.guest for move in m.moved}, pace(m.plan, m.moved))
    if not high:
        return ""
    first, last = (f"{now + timedelta(seconds=each):%H:%M}" for each in (low, high))
    return f"{first} UTC" if first == last else f"{first} to {last} UTC"


def shown(step: str, evidence: Mapping[str, Json], m: Maintenance) -> str:
    """What a finished step has shown, in words."""
    match step:
        case "evacuate":
            away = len({each.guest for each in m.moved if not each.homeward})
            return f"{away} guest{'s' if away != 1 else ''} away, after {minutes(_took_s(m, step))}"
        case "dispatch":
            return f"{evidence.get('hands_on_by') or 'a technician'} at the rack, serial read"
        case "hold-data":
            osds = ", ".join(str(each) for each in evidence.get("osds_stopped") or ())
            held = "noout read back" if evidence.get("held") else "no data to hold"
            return f"{held}; OSDs {osds} stopped" if osds else held
        case "repair":
            off_s = _off_s(m)
            off = f", off for {minutes(off_s)}" if off_s is not None else ""
            return f"signed off by {evidence.get('signed_off_by') or 'nobody'}{off}"
        case "reintegrate":
            groups = evidence.get("pgs") or {}
            return ", ".join(f"{number} {state}" for state, number in groups.items()) or "tested and trusted again"
        case "return":
            left = len(evidence.get("leftovers") or ())
            return "every guest is home" if not left else f"{left} stay where they are"
    return ""


def _off_s(m: Maintenance) -> float | None:
    if m.node_on_at is None or m.node_off_at is None:
        return None
    return (m.node_on_at - m.node_off_at).total_seconds()


def _took_s(m: Maintenance, step: str) -> float:
    at = dict(m.steps_done).get(step)
    return (at - m.opened_at).total_seconds() if at is not None else 0.0


def evidence_in(events: Iterable[Event]) -> dict[str, Mapping[str, Json]]:
    return {
        str(event.data["step"]): event.data.get("evidence") or {} for event in events if event.kind == Kind.STEP_DONE
    }


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the journal. ``glyph``: what kind of news it is."""

    seq: int
    at: datetime
    who: str
    what: str
    glyph: str


_GLYPHS = {Kind.INTENT: "move", Kind.MOVED: "ok", Kind.FAILED: "stop", Kind.BLOCKED: "stop", Kind.WAITING: "wait"}


def lines(events: Sequence[Event]) -> list[Entry]:
    """The journal's last sentences, the newest first."""
    told = [
        Entry(
            event.seq, event.at, event.actor, said, _GLYPHS.get(Kind(event.kind), "") if event.kind in set(Kind) else ""
        )
        for event in events
        if (said := sentence(event)) is not None
    ]
    return told[-JOURNAL_LINES:][::-1]


def waits(m: Maintenance) -> tuple[str, str]:
    """What it waits for since when, and what a person can do about it."""
    return (f"{m.waiting_for}{how_long(m)}", what_now(m)) if m.open and m.waiting_for else ("", "")
