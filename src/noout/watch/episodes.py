"""Readings and log entries joined into episodes: one stop is one episode, however many records it left behind.

Each episode is a "stall" (the fan stood still, or nearly), a "low" (it turned slowly), or "hunting" (it turned as it
should, below a limit set too high).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median

from noout.domain.hardware import Episode, HardwareState
from noout.watch.log import HUNTING_FROM, Crossing, crossings, fan_sensors
from noout.watch.readings import Poll, Telemetry, believe, ordered

JOIN = timedelta(seconds=90)  # one stop leaves up to six records, and may be seen by a poll as well
STANDING = 0.1  # share of the usual speed below which a fan counts as standing still
COLLAPSE = 2.0  # a fan that usually turns at this many times its limit does not get there by hunting


@dataclass(frozen=True, slots=True)
class History:
    """One node's episodes by fan, with the telemetry that they were read from."""

    telemetry: Telemetry
    episodes: dict[str, tuple[Episode, ...]]


def history(states: Sequence[HardwareState], now: datetime) -> History:
    """Read the episodes of every fan out of one node's polls."""
    polls = ordered(states)
    telemetry = believe(polls)
    sensors = set(telemetry.sensors) | fan_sensors(polls)
    logged = crossings(polls, sensors, telemetry.off, now)
    episodes: dict[str, tuple[Episode, ...]] = {}
    for sensor in sorted(sensors):
        seen = _from_polls(sensor, telemetry.polls)
        seen += _from_log(sensor, [each for each in logged if each.sensor == sensor], telemetry)
        episodes[sensor] = tuple(_joined(seen))
    return History(telemetry, episodes)


def _from_polls(sensor: str, polls: Sequence[Poll]) -> list[Episode]:
    """Runs of low readings. An episode ends at the poll that read well again, or lasts."""
    usual = median([p.speed[sensor] for p in polls if sensor in p.speed and not p.low[sensor]] or [0.0])
    found: list[Episode] = []
    since: datetime | None = None
    lowest = 0.0
    for poll in polls:
        if sensor not in poll.speed or poll.common:
            continue
        value = poll.speed[sensor]
        if poll.low[sensor]:
            lowest = value if since is None else min(lowest, value)
            since = since or poll.at
        elif since is not None:
            found.append(Episode(sensor, since, poll.at, _kind(lowest, usual), lowest, ("readings",)))
            since = None
    if since is not None:
        found.append(Episode(sensor, since, None, _kind(lowest, usual), lowest, ("readings",)))
    return found


def _kind(lowest: float, usual: float) -> str:
    return "stall" if lowest <= STANDING * usual else "low"


def _from_log(sensor: str, entries: Sequence[Crossing], telemetry: Telemetry) -> list[Episode]:
    """Entries closer together than ``JOIN`` are one stop; what kind of stop is asked of all of them together."""
    groups: list[list[Crossing]] = []
    for entry in entries:
        if groups and entry.at - groups[-1][-1].at <= JOIN:
            groups[-1].append(entry)
        else:
            groups.append([entry])
    found = []
    for group in groups:
        if low := [each for each in group if each.low]:
            ends = [each.at for each in group if not each.low and each.at >= low[0].at]
            readings = [each.reading for each in low if each.reading is not None]
            what = _nature(sensor, low, telemetry)
            lowest = min(readings, default=None)
            found.append(Episode(sensor, low[0].at, max(ends, default=low[-1].at), what, lowest, ("log",)))
    return found


def _nature(sensor: str, low: Sequence[Crossing], telemetry: Telemetry) -> str:
    """A trigger reading of 0 is a stall; one of 60 % of its limit and more is a healthy fan under a wrong limit.
    Without one, the fan's usual speed decides; without that, whether the deepest limit was crossed."""
    shares = [each.reading / each.limit for each in low if each.reading is not None and each.limit]
    if any(each.stopped or each.reading == 0 for each in low):
        return "stall"
    if shares:
        return "hunting" if min(shares) >= HUNTING_FROM else "low"
    usual, limit = telemetry.usual.get(sensor, 0.0), telemetry.limits.get(sensor, 0.0)
    if usual and limit:
        return "stall" if usual >= COLLAPSE * limit else "hunting"
    return "stall" if any(each.deepest for each in low) else "hunting"


def _joined(episodes: Sequence[Episode]) -> list[Episode]:
    """The same stop seen in the log and by a poll is one episode with both sources."""
    result: list[Episode] = []
    for episode in sorted(episodes, key=lambda each: each.since):
        last = result[-1] if result else None
        if last is None or (last.until is not None and episode.since - last.until > JOIN):
            result.append(episode)
            continue
        ends = (last.until, episode.until)
        lows = [each.lowest for each in (last, episode) if each.lowest is not None]
        worst = min((last.what, episode.what), key=("stall", "low", "hunting").index)
        result[-1] = Episode(
            last.sensor,
            last.since,
            None if None in ends else max(each for each in ends if each is not None),
            worst,
            min(lows, default=None),
            tuple(dict.fromkeys((*last.sources, *episode.sources))),
        )
    return result
