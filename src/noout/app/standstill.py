"""One switch stops every new effect everywhere: of every run, on every cluster, in every process on this store.

Its stream is looked at before each effect. What is under way in the cluster (a migration, a shutdown) ends by itself;
nothing is undone, and everything that is held stays held.

noout turns it itself when its journal may be older than what was done: after a restore, and when a cluster tells of
something that the journal does not know. Only a person turns it back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from noout.domain.errors import Superseded
from noout.domain.journal import Event
from noout.domain.maintenance import Json
from noout.domain.note import Note
from noout.ports import Journal

STREAM = "standstill"
STOPPED, ALLOWED = "effects.stopped", "effects.allowed"


@dataclass(frozen=True, slots=True)
class Standstill:
    """Nothing new is done since ``at``. ``doubted``: because the journal may not be the latest."""

    at: datetime
    by: str
    reason: str
    doubted: bool = False

    @property
    def headline(self) -> str:
        why = f": {self.reason}" if self.reason else ""
        return f"No new effect is started anywhere since {self.at:%Y-%m-%d %H:%M:%S} UTC, by {self.by}{why}"

    def __str__(self) -> str:
        why = f": {self.reason}" if self.reason else ""
        return f"effects to be allowed again (stopped by {self.by}{why})"


async def standstill(journal: Journal) -> Standstill | None:
    """None while effects are allowed."""
    events = await journal.read(STREAM)
    if not events or events[-1].kind != STOPPED:
        return None
    last = events[-1]
    return Standstill(last.at, last.actor, str(last.data["reason"]), bool(last.data.get("doubted")))


async def stop_all(journal: Journal, actor: str, reason: str) -> bool:
    """False where it was stopped already; who stopped it first stays the one who did."""
    return await _switch(journal, STOPPED, actor, {"reason": reason})


async def allow_all(journal: Journal, actor: str, despite: Iterable[Note] = ()) -> bool:
    """False where nothing was stopped. ``despite``: notes that tell of more than the journal has: it counts all the
    same; so it does despite those for which it was stopped."""
    events = await journal.read(STREAM)
    named = [event.data["note"] for event in events[_last_yes(events) :] if "note" in event.data]
    known = [_key(note) for note in despite]
    return await _switch(journal, ALLOWED, actor, {"despite": [*known, *(each for each in named if each not in known)]})


async def doubt(journal: Journal, note: Note, why: str) -> bool:
    """A note tells of more than the journal has: stop everything, once for each note. False where an operator has seen
    it and said that the journal counts all the same."""
    while True:
        events = await journal.read(STREAM)
        if any(_key(note) in (event.data.get("despite") or ()) for event in events if event.kind == ALLOWED):
            return False
        if any(event.data.get("note") == _key(note) for event in events[_last_yes(events) :]):
            return True
        reason = f"this journal is older than what was done: {why}"
        try:
            data = {"reason": reason, "doubted": True, "note": _key(note)}
            await journal.append(STREAM, len(events), STOPPED, data)
        except Superseded:
            continue
        return True


def _last_yes(events: Sequence[Event]) -> int:
    """How many events there are up to the last time that effects were allowed."""
    return next((event.seq for event in reversed(events) if event.kind == ALLOWED), 0)


def _key(note: Note) -> Json:
    return [note.run, note.seq, note.digest]


async def _switch(journal: Journal, kind: str, actor: str, data: Mapping[str, Json]) -> bool:
    """Two people at once want the same thing, or the later one wins: it is tried until it is written."""
    while True:
        events = await journal.read(STREAM)
        if (events[-1].kind if events else ALLOWED) == kind:
            return False
        try:
            await journal.append(STREAM, len(events), kind, data, actor)
        except Superseded:
            continue
        return True
