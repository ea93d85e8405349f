"""A node's hardware as a picture, from what is kept of it: the last days look by look, what is older as trends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from noout.domain.cluster import NodeId
from noout.domain.hardware import HardwareState, LogEntry, Power, Reading, Verdict
from noout.domain.trend import TREND_S, Trend
from noout.ports import Measurements
from noout.watch.picture import picture
from noout.watch.trace import trace

SPAN = timedelta(days=7)


async def picture_of(
    measurements: Measurements,
    node: NodeId,
    verdicts: Sequence[Verdict],
    now: datetime,
    *,
    sensor: str = "",
    span: timedelta = SPAN,
    style: bool = True,
) -> str:
    """The SVG of one node over ``span``: of ``sensor``, else of what its worst verdict is about."""
    since = now - span
    raw = list(await measurements.hardware(node, since))
    old = [each for each in await measurements.trends(node, since) if not raw or each.at < raw[0].at]
    logged = await measurements.logged(node, since)
    states = [*_as_states(node, old, raw), *raw]
    if states:
        states[0] = replace(states[0], log=tuple(_merged(states[0].log, logged)))
    return picture(trace(node, states, verdicts, now, sensor), style=style)


def _as_states(node: NodeId, trends: Sequence[Trend], raw: Sequence[HardwareState]) -> list[HardwareState]:
    """Ten minutes as two looks, one with the lowest values and one with the highest: a stop stays to be seen."""
    limits = {reading.sensor: reading for state in raw for reading in (*state.readings, *state.host)}
    found: dict[datetime, list[Reading]] = {}
    for each in trends:
        like = limits.get(each.sensor) or Reading(each.sensor, each.kind, None, each.unit)
        for at, value in ((each.at, each.lowest), (each.at + timedelta(seconds=TREND_S / 2), each.highest)):
            found.setdefault(at, []).append(replace(like, value=value, present=True))
    return [HardwareState(node, at, True, Power.ON, readings=tuple(found[at])) for at in sorted(found)]


def _merged(first: Sequence[LogEntry], more: Sequence[LogEntry]) -> list[LogEntry]:
    return list({(entry.id, entry.at): entry for entry in (*first, *more)}.values())
