"""One maintenance's journal in hand: read once, folded, and appended to only where it was left off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from noout.domain.journal import Event, Kind, digest
from noout.domain.maintenance import Json, Maintenance
from noout.domain.note import Note
from noout.ports import Journal
from noout.run.fold import fold, fold_one


@dataclass(slots=True)
class Known:
    """Folds each stream only from where it was last read: journals grow at their end and nowhere else.

    Unless a database takes over that lacks the newest events of the one before it. Then what is new there does not
    follow what was read here; the stream is read from its beginning again, and ``lost`` names the last event that was
    known.

    Scratch memory, never a truth: thrown away it is made again from the journal.
    """

    journal: Journal
    states: dict[str, Maintenance] = field(default_factory=dict)
    lost: dict[str, Note] = field(default_factory=dict)
    _last: dict[str, Note] = field(default_factory=dict)  # event of each stream that was read or written here

    async def find(self, stream: str) -> Maintenance | None:
        """The state as of now; None when there is no such stream, or when it is not a maintenance's."""
        if stream not in self.states:
            events = await self.journal.read(stream)
            if not events or events[0].kind != Kind.OPENED:
                return None
            return self._whole(stream, events)
        return await self.get(stream)

    async def get(self, maintenance: str) -> Maintenance:
        """The state as of now; UsageError when there is no such maintenance."""
        known = self.states.get(maintenance)
        if known is None:
            return self._whole(maintenance, await self.journal.read(maintenance))
        events = await self.journal.read(maintenance, known.seq)
        if not self._goes_on(known, events):
            return self._whole(maintenance, await self.journal.read(maintenance))
        for event in events:
            known = fold_one(known, event)
        return self._keep(known, events)

    def _goes_on(self, known: Maintenance, events: Sequence[Event]) -> bool:
        """Whether these events, the ones after ``known``, follow it, and what was written here since is among them."""
        last = self._last[known.id]
        if last.seq > known.seq:
            place = last.seq - known.seq
            return any(each.digest == last.digest for each in events[place - 1 : place])
        return not events or _follows(events[0], last.digest)

    def _whole(self, stream: str, events: Sequence[Event]) -> Maintenance:
        last = self._last.get(stream)
        if last is not None and not any(each.digest == last.digest for each in events[last.seq - 1 : last.seq]):
            self.lost[stream] = last
        return self._keep(fold(events), events)

    def _keep(self, state: Maintenance, events: Sequence[Event]) -> Maintenance:
        self.states[state.id] = state
        if events:
            self.wrote(events[-1])
        return state

    def wrote(self, event: Event) -> None:
        self._last[event.stream] = Note(event.stream, event.seq, event.digest)

    async def at_least(self, maintenance: str, seq: int) -> Maintenance:
        """The state after event ``seq``, or later; UsageError when there is no such maintenance."""
        known = self.states.get(maintenance)
        return known if known is not None and known.seq >= seq > 0 else await self.get(maintenance)

    def forget(self, maintenance: str) -> None:
        self.states.pop(maintenance, None)


def _follows(event: Event, previous: str) -> bool:
    """Whether it was written after the event with this digest; False too for one that was erased, and reads
    differently since."""
    made = digest(previous, event.stream, event.seq, event.at, event.kind, event.data, event.actor)
    return made == event.digest


@dataclass(slots=True)
class Record:
    """The state as of the last event. ``write`` raises Superseded when somebody else wrote in between."""

    known: Known
    m: Maintenance

    @classmethod
    async def read(cls, known: Known, maintenance: str) -> Record:
        return cls(known, await known.get(maintenance))

    @property
    def journal(self) -> Journal:
        return self.known.journal

    async def write(self, kind: Kind, data: Mapping[str, Json], actor: str = "noout") -> Event:
        event = await self.journal.append(self.m.id, self.m.seq, kind, data, actor)
        self.known.wrote(event)
        self.m = fold_one(self.m, event)
        return event
