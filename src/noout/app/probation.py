"""The watch over repairs: a fault that comes back reopens its maintenance, one that stays away closes the matter."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

from noout.app.proposals import Proposals
from noout.domain.cluster import NodeId
from noout.domain.errors import Superseded
from noout.domain.hardware import Fault, Verdict
from noout.domain.journal import Kind
from noout.domain.maintenance import Json, Maintenance
from noout.domain.proposals import Proposal
from noout.ports import Clock, Journal, Measurements
from noout.watch.probation import on_probation, passed, recurrence

log = logging.getLogger(__name__)

HOUR = timedelta(hours=1)


@dataclass(slots=True)
class Probation:
    """Asked at each look at a node; writes at most one word into the maintenance's journal, whose run is over."""

    journal: Journal
    measurements: Measurements
    clock: Clock
    proposals: Proposals

    async def mind(self, node: NodeId, verdicts: tuple[Verdict, ...]) -> tuple[Fault, Proposal | None] | None:
        """The old fault where it came back, with its proposal if that is new; None while it stays away."""
        past = self.proposals.past(node)
        m = past.repaired
        if m is None or past.running is not None or not on_probation(m):
            return None
        if (fault := recurrence(m, verdicts)) is not None:
            # Proposed first: after a crash in between, the next look finds it proposed and writes the rest.
            made = await self.proposals.consider(fault, reopens=m.id)
            await self._write(m, Kind.PROBATION_FAILED, {"why": fault.summary, "sensors": list(fault.sensors)})
            return fault, made
        now = self.clock.now()
        if m.probation_until is not None and now >= m.probation_until and m.closed_at is not None:
            watched = await self.watched(node, m.closed_at, now, m.probation_until - m.closed_at)
            if passed(m, now, watched):
                await self._write(m, Kind.PROBATION_PASSED, {"watched": round(watched, 3)})
        return None

    async def watched(self, node: NodeId, since: datetime, until: datetime, wanted: timedelta) -> float:
        """In how many hours since then the node was seen, as a share of those wanted: an hour that nobody watched is
        made up for by one more at the end."""
        seen = {each.at for each in await self.measurements.hardware(node, since) if each.reachable}
        seen |= {each.at for each in await self.measurements.trends(node, since)}
        hours = {int((at - since) / HOUR) for at in seen if since <= at <= until}
        return min(1.0, len(hours) / max(1.0, wanted / HOUR))

    async def _write(self, m: Maintenance, kind: Kind, data: dict[str, Json]) -> None:
        try:
            await self.journal.append(m.id, m.seq, kind, data)
        except Superseded:
            log.info("%s: somebody else wrote to its journal; the next look sees what", m.id)
        await self.proposals.refresh()
