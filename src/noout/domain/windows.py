"""When a maintenance may begin: "Mon-Fri 08:00-17:00", in the cluster's own time; and when a guest is not moved."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
LOOK_AHEAD = timedelta(days=15)  # a week repeats itself; two, as a summer time may begin in one
_FORM = re.compile(r"^(\S+) (\d\d):(\d\d)-(\d\d):(\d\d)$")


@dataclass(frozen=True, slots=True)
class Window:
    """``days``: 0 = Monday. One that ends at or before its beginning ends on the next day."""

    days: frozenset[int]
    opens: time
    closes: time


def parse_window(text: str) -> Window:
    """``Mon-Fri 08:00-17:00``, ``Sat,Sun 22:00-04:00``, ``Tue 00:00-24:00``; ValueError for anything else."""
    found = _FORM.match(text)
    if found is None:
        raise ValueError(f"{text!r} is not like 'Mon-Fri 08:00-17:00'")
    days: set[int] = set()
    for part in found[1].split(","):
        first, dash, last = part.partition("-")
        if first not in DAYS or (dash and last not in DAYS):
            raise ValueError(f"{part!r} is not of {', '.join(DAYS)}")
        begin, end = DAYS.index(first), DAYS.index(last if dash else first)
        days |= {(begin + i) % 7 for i in range((end - begin) % 7 + 1)}
    hours = [int(each) for each in found.groups()[1:]]
    closes = (0, 0) if hours[2:] == [24, 0] else (hours[2], hours[3])
    try:
        return Window(frozenset(days), time(hours[0], hours[1]), time(*closes))
    except ValueError:
        raise ValueError(f"{text!r} names an hour that no day has") from None


@dataclass(frozen=True, slots=True)
class Freeze:
    """Nothing begins from ``since`` on and before ``until`` (UTC)."""

    since: datetime
    until: datetime
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Shut:
    """Nothing may begin now. ``why`` says until when, in the cluster's own time; ``until``: UTC."""

    why: str
    at: datetime
    until: datetime

    @property
    def for_s(self) -> float:
        return (self.until - self.at).total_seconds()


def next_begin(at: datetime, windows: Sequence[Window], freezes: Sequence[Freeze], zone: tzinfo) -> datetime:
    """As ``next_open``, and outside every freeze."""
    while True:
        opens = next_open(at, windows, zone)
        frozen = [freeze.until for freeze in freezes if freeze.since <= opens < freeze.until]
        if not frozen:
            return opens
        at = max(frozen)


def shut(at: datetime, windows: Sequence[Window], freezes: Sequence[Freeze], zone: tzinfo) -> Shut | None:
    """Why a maintenance may not begin at this moment, and when one may; None when it may."""
    opens = next_begin(at, windows, freezes, zone)
    if opens <= at:
        return None
    frozen = next((freeze for freeze in freezes if freeze.since <= at < freeze.until), None)
    reason = f" ({frozen.reason})" if frozen is not None and frozen.reason else ""
    what = f"the freeze{reason} to end" if frozen is not None else "the maintenance window to open"
    return Shut(f"{what}, {opens.astimezone(zone):%Y-%m-%d %H:%M} {zone}", at, opens)


def next_open(at: datetime, windows: Sequence[Window], zone: tzinfo) -> datetime:
    """The first moment from ``at`` on at which a maintenance may begin (UTC); ``at`` itself where none is given."""
    if not windows:
        return at
    today = at.astimezone(zone).date()
    found = []
    for window in windows:
        for ahead in range(-1, 9):  # a window of yesterday may still be open
            day = today + timedelta(days=ahead)
            if day.weekday() not in window.days:
                continue
            later = window.closes <= window.opens
            opens = datetime.combine(day, window.opens, zone).astimezone(UTC)
            closes = datetime.combine(day + timedelta(days=later), window.closes, zone).astimezone(UTC)
            if closes > at:
                found.append(max(at, opens))
                break
    return min(found)


def openings(
    since: datetime, until: datetime, windows: Sequence[Window], zone: tzinfo
) -> tuple[tuple[datetime, datetime], ...]:
    """When they are open between ``since`` and ``until``: half-open, in UTC, in order; those that overlap overlap."""
    found = []
    day, last = since.astimezone(zone).date() - timedelta(days=1), until.astimezone(zone).date()
    while day <= last:
        for window in windows:
            if day.weekday() in window.days:
                later = window.closes <= window.opens
                opens = datetime.combine(day, window.opens, zone).astimezone(UTC)
                closes = datetime.combine(day + timedelta(days=later), window.closes, zone).astimezone(UTC)
                if opens < until and closes > since:
                    found.append((max(opens, since), min(closes, until)))
        day += timedelta(days=1)
    return tuple(sorted(found))


def quiet_text(window: str, timezone: str) -> str:
    """A quiet hour as plans carry it: "Mon-Fri 08:00-18:00 Europe/Amsterdam"."""
    return f"{window} {timezone}"


def free_from(at: datetime, quiet: Sequence[str], need_s: float = 1.0) -> datetime | None:
    """The first moment from ``at`` on (UTC) from which ``need_s`` seconds lie outside all of ``quiet`` (texts as
    ``quiet_text`` makes them); None where no such time comes within two weeks."""
    until = at + LOOK_AHEAD
    busy: list[tuple[datetime, datetime]] = []
    for text in quiet:
        window, _, zone = text.rpartition(" ")
        busy += openings(at, until, (parse_window(window),), ZoneInfo(zone))
    need = timedelta(seconds=max(need_s, 1.0))
    found = at
    for begins, ends in sorted(busy):
        if begins >= found + need:
            break
        found = max(found, ends)
    return found if found < until else None
