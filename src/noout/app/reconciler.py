"""Looks every few minutes whether the clusters are as the ledger says, and pages each oddity once.

What was told is in the ledger's own stream, so that neither a restart nor a second process tells it again.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from noout.app.compose import Installation, in_clock_s
from noout.app.ledger import STREAM, Books, Ledger, read_ledger
from noout.app.paging import wake
from noout.domain.errors import NooutError, Superseded
from noout.domain.journal import Event
from noout.domain.ownership import Oddity

log = logging.getLogger(__name__)

RAISED, OVER = "oddity.raised", "oddity.over"
EVERY_S = 180.0
WALL_S = 5.0  # ... but in a lab whose time runs fast not more often than this on the machine's clock

Page = Callable[[Oddity], Awaitable[None]]


@dataclass(slots=True)
class Reconciler:
    """``look`` compares once. An oddity is told when two looks in a row see it: a release may be under way."""

    found: Installation
    books: Books = field(init=False)
    seen: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.books = Books(self.found)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self.look()
            except NooutError as error:
                log.warning("the ledger could not be compared: %s", error)
            await self.found.clock.sleep(max(EVERY_S, in_clock_s(self.found.clock, WALL_S)))

    async def look(self) -> list[Oddity]:
        """Those that were paged now."""
        ledger = await read_ledger(self.found, self.books)
        told = _told(self.books.own)
        sure = [odd for odd in ledger.oddities if odd.key in self.seen and odd.key not in told]
        self.seen = {odd.key for odd in ledger.oddities}
        paged = [odd for odd in sure if await self._write(RAISED, odd.key, odd)]
        for odd in paged:
            why = f"{odd.message} → {odd.command}"
            await wake(self.found, why, maintenance=odd.maintenance, node="", cluster=odd.cluster)
        for key in told - self.seen:
            if not _unread(key, ledger):
                await self._write(OVER, key, None)
        return paged

    async def _write(self, kind: str, key: str, odd: Oddity | None) -> bool:
        """False where another process wrote first: then it has told it, or will see it at its next look."""
        data = {"key": key} | ({"message": odd.message, "command": odd.command} if odd is not None else {})
        seq = self.books.own[-1].seq if self.books.own else 0
        try:
            event = await self.found.journal.append(STREAM, seq, kind, data)
        except Superseded:
            return False
        self.books.own.append(event)
        return True


def _told(events: list[Event]) -> set[str]:
    """Keys of what was told and is not over."""
    open_ones: set[str] = set()
    for event in events:
        if event.kind == RAISED:
            open_ones.add(event.data["key"])
        elif event.kind == OVER:
            open_ones.discard(event.data["key"])
    return open_ones


def _unread(key: str, ledger: Ledger) -> bool:
    return key.split(" ")[1] in ledger.unread
