"""What is new in the journal, looked up once for everybody in this process, however many maintenances wait.

One question a look: how far each open maintenance's stream is, and how many messages it has. Only streams that went on
are read. What is told is half a second old at the most: for whoever watches, never for whoever decides.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from noout.domain.maintenance import Maintenance
from noout.ports import Clock, Head, Journal
from noout.run.record import Known

OPENINGS = "openings"  # the stream in which all openings of an installation stand in line
LATELY_WALL_S = 0.45
SWEEP_WALL_S = 60.0  # between two looks at every stream there is


@dataclass(slots=True)
class News:
    journal: Journal
    known: Known
    clock: Clock
    _watched: set[str] = field(default_factory=set)
    _heads: dict[str, Head] = field(default_factory=dict)
    _others: set[str] = field(default_factory=set)  # streams that are no maintenance's
    _looked_at: datetime | None = None
    _swept_at: datetime | None = None
    _claims: int = 0
    _looking: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def heads(self, maintenances: Sequence[str]) -> Mapping[str, Head]:
        """How far their streams are. What is asked for is looked at from then on, until it is over."""
        new = not self._watched.issuperset(maintenances)
        self._watched.update(maintenances)
        await self._look(at_once=new)
        return self._heads

    async def state(self, maintenance: str) -> Maintenance:
        """UsageError when there is no such maintenance."""
        head = (await self.heads((maintenance,))).get(maintenance, Head())
        state = await self.known.at_least(maintenance, head.events)
        if not state.open:
            self._watched.discard(maintenance)
        return state

    async def open_ones(self) -> list[Maintenance]:
        """Every maintenance that is open, the oldest first."""
        await self._sweep()
        self._watched.add(OPENINGS)
        await self._look()
        if (claims := self._heads.get(OPENINGS, Head()).events) != self._claims:
            new = await self.journal.read(OPENINGS, self._claims)
            self._watched |= {claim.data["maintenance"] for claim in new}
            self._claims = claims
            await self._look(at_once=True)
        there = [each for each in self._watched if each != OPENINGS and each in self._heads]
        states = [await self.state(each) for each in there]
        return sorted((each for each in states if each.open), key=lambda each: each.opened_at)

    def _late(self, since: datetime | None, wall_s: float) -> bool:
        return since is None or self.clock.wall_s((self.clock.now() - since).total_seconds()) >= wall_s

    async def _sweep(self) -> None:
        """Those that nobody opened while we looked: opened before, or restored."""
        if not self._late(self._swept_at, SWEEP_WALL_S):
            return
        self._swept_at = self.clock.now()
        for stream in await self.journal.streams():
            known = self.known.states.get(stream)
            if stream in self._others or (known is not None and not known.open):
                continue
            found = await self.known.find(stream)
            if found is None:
                self._others.add(stream)
            elif found.open:
                self._watched.add(stream)

    async def _look(self, *, at_once: bool = False) -> None:
        async with self._looking:
            if at_once or self._late(self._looked_at, LATELY_WALL_S):
                self._heads = dict(await self.journal.heads(sorted(self._watched)))
                self._looked_at = self.clock.now()
