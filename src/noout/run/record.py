"""One maintenance's journal in hand: read once, folded, and appended to only where it was left off."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from noout.domain.journal import Kind
from noout.domain.maintenance import Json, Maintenance
from noout.ports import Journal
from noout.run.fold import fold, fold_one


@dataclass(slots=True)
class Record:
    """The state as of the last event. ``write`` raises Superseded when somebody else wrote in between."""

    journal: Journal
    m: Maintenance

    @classmethod
    async def read(cls, journal: Journal, maintenance: str) -> Record:
        return cls(journal, fold(await journal.read(maintenance)))

    async def write(self, kind: Kind, data: Mapping[str, Json], actor: str = "noout") -> None:
        event = await self.journal.append(self.m.id, self.m.seq, kind, data, actor)
        self.m = fold_one(self.m, event)
