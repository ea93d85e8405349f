"""One maintenance's journal in hand: read once, folded, and appended to only where it was left off."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from noout.domain.journal import Event, Kind
from noout.domain.maintenance import Json, Maintenance
from noout.ports import Journal
from noout.run.fold import fold, fold_one


@dataclass(slots=True)
class Known:
    """Folds each stream only from where it was last read: journals grow at their end and nowhere else.

    Scratch memory, never a truth: thrown away it is made again from the journal.
    """

    journal: Journal
    states: dict[str, Maintenance] = field(default_factory=dict)

    async def find(self, stream: str) -> Maintenance | None:
        """The state as of now; None when there is no such stream, or when it is not a maintenance's."""
        if stream not in self.states:
            events = await self.journal.read(stream)
            if not events or events[0].kind != Kind.OPENED:
                return None
            self.states[stream] = fold(events)
        return await self.get(stream)

    async def get(self, maintenance: str) -> Maintenance:
        """The state as of now; UsageError when there is no such maintenance."""
        known = self.states.get(maintenance)
        events = await self.journal.read(maintenance, known.seq if known else 0)
        if known is None:
            known = fold(events)
        else:
            for event in events:
                known = fold_one(known, event)
        self.states[maintenance] = known
        return known

    async def at_least(self, maintenance: str, seq: int) -> Maintenance:
        """The state after event ``seq``, or later; UsageError when there is no such maintenance."""
        known = self.states.get(maintenance)
        return known if known is not None and known.seq >= seq > 0 else await self.get(maintenance)

    def forget(self, maintenance: str) -> None:
        self.states.pop(maintenance, None)


@dataclass(slots=True)
class Record:
    """The state as of the last event. ``write`` raises Superseded when somebody else wrote in between."""

    journal: Journal
    m: Maintenance

    @classmethod
    async def read(cls, known: Known, maintenance: str) -> Record:
        return cls(known.journal, await known.get(maintenance))

    async def write(self, kind: Kind, data: Mapping[str, Json], actor: str = "noout") -> Event:
        event = await self.journal.append(self.m.id, self.m.seq, kind, data, actor)
        self.m = fold_one(self.m, event)
        return event
