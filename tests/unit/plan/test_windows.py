"""When a maintenance may begin, in the cluster's own time."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from noout.domain.windows import next_open, parse_window

AMSTERDAM = ZoneInfo("Europe/Amsterdam")


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=AMSTERDAM)


@pytest.mark.parametrize(
    ("window", "at", "opens"),
    [
        ("Mon-Fri 08:00-17:00", "2026-11-30T09:30", "2026-11-30T09:30"),  # a Monday, in it
        ("Mon-Fri 08:00-17:00", "2026-11-30T06:00", "2026-11-30T08:00"),
        ("Mon-Fri 08:00-17:00", "2026-12-04T17:00", "2026-12-07T08:00"),  # Friday, closed: Monday
        ("Sat,Sun 22:00-04:00", "2026-11-30T03:00", "2026-11-30T03:00"),  # Sunday's, past midnight
        ("Sat,Sun 22:00-04:00", "2026-11-30T05:00", "2026-12-05T22:00"),
        ("Fri-Mon 10:00-11:00", "2026-12-01T00:00", "2026-12-04T10:00"),  # over the weekend
        ("Tue 00:00-24:00", "2026-12-01T23:59", "2026-12-01T23:59"),
        ("Sun 08:00-09:00", "2026-03-29T00:00", "2026-03-29T08:00"),  # the hour between two and three is skipped
    ],
)
def test_the_next_moment(window: str, at: str, opens: str):
    assert next_open(_at(at).astimezone(UTC), [parse_window(window)], AMSTERDAM) == _at(opens)


def test_the_earliest_of_several_and_at_once_without_any():
    some = [parse_window("Wed 08:00-09:00"), parse_window("Tue 20:00-21:00")]
    assert next_open(_at("2026-11-30T12:00"), some, AMSTERDAM) == _at("2026-12-01T20:00")
    assert next_open(_at("2026-11-30T12:00"), [], AMSTERDAM) == _at("2026-11-30T12:00")


@pytest.mark.parametrize(
    "text", ["", "Mon", "Mo-Fr 08:00-17:00", "Mon 8-17", "Mon 25:00-26:00", "Mon-Fri  08:00-17:00"]
)
def test_what_is_no_window_is_refused(text: str):
    with pytest.raises(ValueError, match=r"is not|names an hour"):
        parse_window(text)
