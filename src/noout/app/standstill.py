"""One switch stops every new effect everywhere: of every run, on every cluster, in every process on this store.

Its stream is looked at before each effect. What is under way in the cluster (a migration, a shutdown) ends by itself;
nothing is undone, and everything that is held stays held.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from noout.domain.errors import Superseded
from noout.ports import Journal

STREAM = "standstill"
STOPPED, ALLOWED = "effects.stopped", "effects.allowed"


@dataclass(frozen=True, slots=True)
class Standstill:
    """Nothing new is done since ``at``."""

    at: datetime
    by: str
    reason: str

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
    return Standstill(last.at, last.actor, str(last.data["reason"]))


async def stop_all(journal: Journal, actor: str, reason: str) -> bool:
    """False where it was stopped already; who stopped it first stays the one who did."""
    return await _switch(journal, STOPPED, actor, {"reason": reason})


async def allow_all(journal: Journal, actor: str) -> bool:
    """False where nothing was stopped."""
    return await _switch(journal, ALLOWED, actor, {})


async def _switch(journal: Journal, kind: str, actor: str, data: dict[str, str]) -> bool:
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
