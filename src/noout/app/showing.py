"""A node's hardware as a picture, from what is kept of it: the last days look by look, what is older as trends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from noout.domain.cluster import NodeId
from noout.domain.hardware import HardwareState, LogEntry, Power, Reading, Verdict
from noout.domain.trend import TREND_S, Trend
from noout.ports import Measurements
from noout.watch.picture import picture
from noout.watch.trace import trace

SPAN = timedelta(days=7)
SPARK_POINTS = 140


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


@dataclass(frozen=True, slots=True)
class Spark:
    """One sensor's last days in small: ``points`` are the lowest value of each stretch, (0..1 of the time, 0..1 of the
    highest value seen); ``stops``: times (0..1) at which it read zero. Empty where nothing is kept of it."""

    points: tuple[tuple[float, float], ...] = ()
    stops: tuple[float, ...] = ()


async def spark_of(
    measurements: Measurements, node: NodeId, sensor: str, now: datetime, span: timedelta = SPAN
) -> Spark:
    since = now - span
    raw = await measurements.hardware(node, since)
    trends = [
        each
        for each in await measurements.trends(node, since)
        if each.sensor == sensor and (not raw or each.at < raw[0].at)
    ]
    values = [(each.at, each.lowest) for each in trends]
    for state in raw:
        values += [
            (state.at, each.value) for each in state.readings if each.sensor == sensor and each.value is not None
        ]
    return spark(values, since, span)


def spark(values: Sequence[tuple[datetime, float]], since: datetime, span: timedelta) -> Spark:
    lowest: dict[int, float] = {}
    for at, value in values:
        stretch = int((at - since) / span * SPARK_POINTS)
        lowest[stretch] = min(value, lowest.get(stretch, value))
    most = max(lowest.values(), default=0.0) or 1.0
    return Spark(
        tuple((stretch / SPARK_POINTS, value / most) for stretch, value in sorted(lowest.items())),
        tuple(stretch / SPARK_POINTS for stretch, value in sorted(lowest.items()) if value <= 0),
    )


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
