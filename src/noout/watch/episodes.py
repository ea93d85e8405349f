"""Stretches of low readings and log entries joined into episodes: one stop is one episode, however many records it
left behind.

Each episode of a fan is a "stall" (it stood still, or nearly), a "low" (it turned slowly), or "hunting" (it turned as
it should, below a limit set too high).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from noout.domain.hardware import Episode
from noout.watch.close import HUNTING_FROM
from noout.watch.fan import Fan
from noout.watch.log import Crossing

JOIN = timedelta(seconds=90)  # one stop leaves up to six records, and may be seen by a poll as well
HALF_LIFE, FLAPPING_FROM, CLEAR_BELOW = timedelta(hours=24), 2.0, 0.5


def moment(at: float) -> datetime:
    """Unix seconds as noout's own times."""
    return datetime.fromtimestamp(at, UTC)


def from_readings(fan: Fan) -> list[Episode]:
    """Each stretch of low readings; it ends at the poll that read well again, or lasts."""
    return [
        Episode(
            fan.name,
            moment(low.since),
            None if low.until is None else moment(low.until),
            low.what,
            low.lowest,
            ("readings",),
        )
        for low in fan.low
    ]


def from_log(sensor: str, entries: Sequence[Crossing], fan: Fan | None) -> list[Episode]:
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
            what = _nature(low, fan)
            lowest = min(readings, default=None)
            found.append(Episode(sensor, low[0].at, max(ends, default=low[-1].at), what, lowest, ("log",)))
    return found


def _nature(low: Sequence[Crossing], fan: Fan | None) -> str:
    """A trigger reading of 0 is a stall; one of 60 % of its limit and more is a healthy fan under a wrong limit.
    Without one, the fan's usual speed decides; without that, whether the deepest limit was crossed."""
    shares = [each.reading / each.limit for each in low if each.reading is not None and each.limit]
    if any(each.stopped or each.reading == 0 for each in low):
        return "stall"
    if shares:
        return "hunting" if min(shares) >= HUNTING_FROM else "low"
    if fan is not None and fan.limit:
        return "hunting" if fan.hunts else "stall"
    return "stall" if any(each.deepest for each in low) else "hunting"


def own(entries: Mapping[str, Sequence[Crossing]]) -> dict[str, list[Crossing]]:
    """The entries of each fan without those of moments at which half of the fans fell low together: a power-on, a BMC
    that starts anew, the fan bus; evidence about none of them."""
    falls = sorted((each.at, name) for name, some in entries.items() for each in some if each.low)
    shared: list[tuple[datetime, datetime]] = []
    group: list[tuple[datetime, str]] = []
    for fall in [*falls, (datetime.max.replace(tzinfo=UTC), "")]:
        if group and fall[0] - group[-1][0] > JOIN:
            names = {name for _, name in group}
            if len(names) > 1 and 2 * len(names) >= len(entries):
                shared.append((group[0][0], group[-1][0] + JOIN))
            group = []
        group.append(fall)
    if not shared:
        return {name: list(some) for name, some in entries.items()}
    return {name: [each for each in some if not _within(each.at, shared)] for name, some in entries.items()}


def _within(at: datetime, stretches: Sequence[tuple[datetime, datetime]]) -> bool:
    """Whether a moment is in one of the stretches (in order, apart from one another)."""
    place = bisect_right(stretches, at, key=lambda each: each[0])
    return place > 0 and at <= stretches[place - 1][1]


def joined(episodes: Sequence[Episode]) -> tuple[Episode, ...]:
    """The same stop seen in the log and by a poll is one episode with both sources."""
    result: list[Episode] = []
    for episode in sorted(episodes, key=lambda each: each.since):
        last = result[-1] if result else None
        if last is None or (last.until is not None and episode.since - last.until > JOIN):
            result.append(episode)
            continue
        ends = (last.until, episode.until)
        lows = [each.lowest for each in (last, episode) if each.lowest is not None]
        worst = min((last.what, episode.what), key=_gravity)
        result[-1] = Episode(
            last.sensor,
            last.since,
            None if None in ends else max(each for each in ends if each is not None),
            worst,
            min(lows, default=None),
            tuple(dict.fromkeys((*last.sources, *episode.sources))),
        )
    return tuple(result)


def _gravity(what: str) -> int:
    return ("stall", "low", "hunting").index(what) if what in ("stall", "low", "hunting") else 1


def score(episodes: Sequence[Episode], now: datetime) -> float:
    """The leaky bucket: each episode adds 1, and all of it halves every 24 hours."""
    return float(sum(0.5 ** ((now - each.since) / HALF_LIFE) for each in episodes if each.since <= now))


def flapping_since(episodes: Sequence[Episode], now: datetime) -> datetime | None:
    """When the flapping that is still going on began; None when the bucket never filled, or has run dry since."""
    return _filled(episodes, now, HALF_LIFE, FLAPPING_FROM, CLEAR_BELOW)


def _filled(
    episodes: Sequence[Episode], now: datetime, half_life: timedelta, full: float, dry: float
) -> datetime | None:
    level, since, last = 0.0, None, now
    for episode in episodes:
        began = episode.since
        if began > last:
            level *= 0.5 ** ((began - last) / half_life)
        if level < dry:
            since = None
        level += 1
        last = began
        if since is None and level >= full:
            since = began
    if now > last:
        level *= 0.5 ** ((now - last) / half_life)
    return since if level >= dry else None
