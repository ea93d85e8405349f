"""What is kept of each look: what is new in the log, with what others told of the node meanwhile, in the store before
anybody judges it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from noout.domain.cluster import NodeId
from noout.domain.errors import NooutError
from noout.domain.hardware import Alert, HardwareState, LogEntry, Power, Reading, SensorKind
from noout.ports import Clock, HostReport, Measurements

RAW = timedelta(hours=48)  # each reading; older ones as trends
TRENDS = timedelta(days=30)
THIN_EVERY = timedelta(hours=1)
KNOWN_MAX = 4000  # log entries of one node that are known to have been kept
FRESH_FACTOR = 3  # a report of the exporters counts for so many periods
SANE_SINCE = datetime(2000, 1, 1, tzinfo=UTC)  # a BMC without a clock is in 1970
AHEAD = timedelta(hours=1)


@dataclass(slots=True)
class Told:
    """What somebody told of a node between two looks. ``kept`` is set when it is in the store."""

    alerts: tuple[Alert, ...]
    entries: tuple[LogEntry, ...]
    kept: asyncio.Future[None]


@dataclass(slots=True)
class Keeper:
    """``reports``: the latest word of each source on each node, and when it came; ``boardless``: nodes without a BMC of
    their own in the configuration, for which an exporter may speak."""

    measurements: Measurements
    clock: Clock
    every_s: float
    boardless: frozenset[NodeId] = frozenset()
    reports: dict[NodeId, dict[str, tuple[datetime, HostReport]]] = field(default_factory=dict)
    _told: dict[NodeId, list[Told]] = field(default_factory=dict)
    _known: dict[NodeId, set[int]] = field(default_factory=dict)
    _thin_at: dict[NodeId, datetime] = field(default_factory=dict)

    def tell(self, node: NodeId, alerts: Sequence[Alert], entries: Sequence[LogEntry]) -> asyncio.Future[None]:
        """Have this kept with the next look; the future says when it is, or why it is not."""
        kept: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._told.setdefault(node, []).append(Told(tuple(alerts), tuple(entries), kept))
        return kept

    async def keep(self, state: HardwareState) -> HardwareState:
        """The state as it is kept. Raises what the store raises; nothing of this look is judged then."""
        told = self._told.pop(state.node, [])
        try:
            whole = await self._whole(state, told)
            await self.measurements.add_hardware(whole)
        except NooutError as error:
            for each in told:
                if not each.kept.done():
                    each.kept.set_exception(error)
                    each.kept.exception()  # whoever told it may have gone
            raise
        for each in told:
            if not each.kept.done():
                each.kept.set_result(None)
        self._known[state.node] |= {_key(entry) for entry in (*state.log, *whole.log)}
        return whole

    async def thin(self, node: NodeId) -> None:
        """Thin out what is old, now and then."""
        now = self.clock.now()
        due = self._thin_at.get(node)
        if due is None or now >= due:
            self._thin_at[node] = now + THIN_EVERY
            if due is not None:  # not at the start, when there is enough to do
                await self.measurements.thin_hardware(node, now - RAW, now - TRENDS)

    async def _whole(self, state: HardwareState, told: Sequence[Told]) -> HardwareState:
        pushed = (entry for each in told for entry in each.entries)
        entries = (*state.log, *(e if _sane(e, state.at) else replace(e, at=state.at) for e in pushed))
        log = await self._fresh(state.node, entries, state.at)
        alerts = {(each.id, each.at, each.until): each for some in told for each in some.alerts}
        whole = replace(state, log=log, alerts=tuple(alerts.values()))
        report = self._report(state.node, state.at)
        return reported(whole, report, state.node in self.boardless) if report is not None else whole

    def _report(self, node: NodeId, now: datetime) -> HostReport | None:
        every = self.reports.get(node, {}).values()
        return joined([each for at, each in every if now - at <= timedelta(seconds=FRESH_FACTOR * self.every_s)])

    async def _fresh(self, node: NodeId, entries: Sequence[LogEntry], now: datetime) -> tuple[LogEntry, ...]:
        """Those not kept before. One that has just appeared under an impossible time happened since the last look:
        it gets this look's. Those that the first look finds may be of any time, and say nothing."""
        first = node not in self._known
        if first:
            self._known[node] = {_key(entry) for entry in await self.measurements.logged(node, now - TRENDS)}
        known = self._known[node]
        fresh = {key: entry for entry in entries if (key := _key(entry)) not in known}.values()
        if len(known) > KNOWN_MAX:
            known.intersection_update({_key(entry) for entry in entries})
        return tuple(e if _sane(e, now) else replace(e, at=now) for e in fresh if not first or _sane(e, now))


def joined(reports: Sequence[HostReport]) -> HostReport | None:
    """Several sources' word on one node. A part that two tell of counts as ill when one of them says so."""
    if len(reports) < 2:
        return reports[0] if reports else None
    host: dict[tuple[SensorKind, str], Reading] = {}
    for reading in (each for report in reports for each in report.host):
        key = (reading.kind, reading.sensor)
        if key not in host or reading.health == "Critical":
            host[key] = reading
    bmc = next((each for each in reports if each.power is not Power.UNKNOWN), reports[0])
    online = next((each.online for each in reports if each.online is not None), None)
    return replace(bmc, host=tuple(host.values()), online=online)


def reported(state: HardwareState, report: HostReport, boardless: bool) -> HardwareState:
    """A look with what the exporters say: beside the BMC, and in its place where there is none."""
    state = replace(state, host=report.host, online=report.online)
    if not boardless or report.power is Power.UNKNOWN:
        return state
    return replace(
        state, reachable=True, power=report.power, readings=report.bmc, redundancy=report.redundancy, trouble=""
    )


def _sane(entry: LogEntry, now: datetime) -> bool:
    return SANE_SINCE < entry.at <= now + AHEAD


def _key(entry: LogEntry) -> int:
    return hash((entry.id, entry.at, entry.message))


def states_since(states: Sequence[HardwareState], repaired: datetime | None) -> list[HardwareState]:
    """What was seen since the repair: what was before it says nothing about the node any more."""
    if repaired is None:
        return list(states)
    return [
        replace(state, log=tuple(entry for entry in state.log if entry.at >= repaired))
        for state in states
        if state.at >= repaired
    ]
