"""What a picture of one node shows: a sensor's readings with its peers', their gaps, its episodes and log entries."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median

from noout.domain.cluster import NodeId
from noout.domain.hardware import Condition, Episode, HardwareState, Power, Reading, SensorKind, Unit, Verdict

GAP, GAP_MAX = timedelta(minutes=5), timedelta(minutes=30)  # between them: three times the usual distance of two looks
SEVERITY = (
    Condition.FAILED, Condition.FLAPPING, Condition.DEGRADED, Condition.HUNTING, Condition.LOST_TELEMETRY, Condition.OK,
)  # fmt: skip
_DRAWN = {Unit.RPM, Unit.PERCENT, Unit.CELSIUS, Unit.WATT, Unit.COUNT, Unit.LINKS}

Points = tuple[tuple[datetime, float], ...]


@dataclass(frozen=True, slots=True)
class Stretch:
    """A time without evidence: ``why`` is "off" while the node was, "silent" where nothing was read."""

    since: datetime
    until: datetime
    why: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A log entry about the sensor. ``bad``: it tells of trouble; else of its end."""

    at: datetime
    bad: bool


@dataclass(frozen=True, slots=True)
class Trace:
    """``series``: the sensor's own points, in runs without a gap; ``peers``: sensors of the same kind, by name."""

    node: NodeId
    sensor: str
    verdict: Verdict | None
    unit: Unit | None  # None: nothing to draw, the sensor only has states
    series: tuple[Points, ...]
    peers: dict[str, tuple[Points, ...]]
    limit: float | None
    upper: bool  # the limit is one from above
    blanks: tuple[Stretch, ...]
    episodes: tuple[Episode, ...]
    marks: tuple[Mark, ...]
    since: datetime
    until: datetime
    polls: int


def worst(verdicts: Iterable[Verdict]) -> Verdict | None:
    """The verdict to speak of first: the gravest, and of those the one with the most episodes."""
    return min(verdicts, key=lambda each: (SEVERITY.index(each.condition), -len(each.episodes)), default=None)


def trace(
    node: NodeId, states: Sequence[HardwareState], verdicts: Sequence[Verdict], now: datetime, sensor: str = ""
) -> Trace:
    """Collect the picture of ``sensor`` (else of the worst verdict's) from a node's states, in any order.

    A verdict about all sensors of a kind shows the first of them.
    """
    polls = sorted((state for state in states if state.node == node and state.at <= now), key=lambda state: state.at)
    mine = [verdict for verdict in verdicts if verdict.node == node]
    told = worst([verdict for verdict in mine if verdict.sensor == sensor] if sensor else mine)
    names = _names(polls)
    wanted = sensor or (told.sensor if told else "")
    kind = told.kind if told else SensorKind.FAN
    own = wanted if wanted in names else next((name for name, reading in names.items() if reading.kind is kind), wanted)
    like = names.get(own)
    unit = like.unit if like is not None and like.unit in _DRAWN else None
    blanks = _blanks(polls)
    alike = [name for name, reading in names.items() if like is not None and _alike(reading, like) and name != own]
    first = polls[0].at if polls else now
    last = polls[-1].at if polls else now
    return Trace(
        node,
        own,
        told,
        unit,
        _runs(polls, own, blanks) if unit else (),
        {name: _runs(polls, name, blanks) for name in alike} if unit else {},
        _limit(like),
        like is not None and like.kind is SensorKind.TEMPERATURE,
        blanks,
        tuple(each for each in (told.episodes if told else ()) if each.until is None or each.until >= first),
        _marks(polls, own, first, last),
        first,
        last,
        sum(state.reachable for state in polls),
    )


def _readings(state: HardwareState) -> tuple[Reading, ...]:
    return (*state.readings, *state.host)


def _names(polls: Sequence[HardwareState]) -> dict[str, Reading]:
    """Each sensor as last read, in the order of its name."""
    found = {reading.sensor: reading for state in polls for reading in _readings(state)}
    return dict(sorted(found.items()))


def _alike(one: Reading, other: Reading) -> bool:
    return (one.kind, one.unit) == (other.kind, other.unit)


def _limit(like: Reading | None) -> float | None:
    if like is None:
        return None
    return like.upper_critical if like.kind is SensorKind.TEMPERATURE else like.lower_critical


def _evident(state: HardwareState) -> bool:
    return state.reachable and state.power is not Power.OFF


def _blanks(polls: Sequence[HardwareState]) -> tuple[Stretch, ...]:
    """Where nothing can be said: the BMC was silent, nobody asked it, or the node was off."""
    usual = median([(b.at - a.at).total_seconds() for a, b in pairwise(polls)] or [0.0])
    most = min(GAP_MAX, max(GAP, timedelta(seconds=3 * usual)))
    found: list[Stretch] = []
    for before, after in pairwise(polls):
        why = "off" if before.reachable and before.power is Power.OFF else "silent"
        if _evident(before) and after.at - before.at <= most:
            continue
        since = found.pop().since if found and found[-1].until == before.at and found[-1].why == why else before.at
        found.append(Stretch(since, after.at, why))
    return tuple(found)


def _runs(polls: Sequence[HardwareState], sensor: str, blanks: Sequence[Stretch]) -> tuple[Points, ...]:
    """The sensor's values, broken where there is a blank or it gave none."""
    starts = {blank.until for blank in blanks}
    runs: list[list[tuple[datetime, float]]] = [[]]
    for state in polls:
        value = next((r.value for r in _readings(state) if r.sensor == sensor and r.present), None)
        if state.at in starts or value is None or not _evident(state):
            runs.append([])
        if value is not None and _evident(state) and abs(value) < 1e9:
            runs[-1].append((state.at, value))
    return tuple(tuple(run) for run in runs if run)


def _marks(polls: Sequence[HardwareState], sensor: str, first: datetime, last: datetime) -> tuple[Mark, ...]:
    found = {
        (entry.id, entry.at): Mark(entry.at, entry.severity.upper() != "OK")
        for state in polls
        for entry in state.log
        if entry.at.tzinfo is not None and first <= entry.at <= last and _about(entry.sensor, entry.message, sensor)
    }
    return tuple(sorted(found.values(), key=lambda mark: mark.at))


def _about(named: str, message: str, sensor: str) -> bool:
    return bool(sensor) and (named == sensor or (not named and sensor in message))
