"""When the windows of a contract are open, in UTC: the night with an hour too many or too few as well."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from noout.domain.windows import openings, parse_window

ZONE = ZoneInfo("Europe/Amsterdam")


def opened(text: str, since: datetime, until: datetime) -> list[tuple[str, str]]:
    found = openings(since, until, [parse_window(text)], ZONE)
    return [(f"{a:%d %H:%M}", f"{b:%d %H:%M}") for a, b in found]


def test_windows_are_cut_to_the_time_asked_for_and_one_of_yesterday_still_counts() -> None:
    since = datetime(2026, 11, 18, 0, 30, tzinfo=UTC)  # Wednesday, 01:30 in Amsterdam
    found = opened("Tue,Wed 22:00-02:00", since, since + timedelta(hours=22))
    assert found == [("18 00:30", "18 01:00"), ("18 21:00", "18 22:30")]


def test_a_time_that_touches_a_window_holds_nothing_of_it() -> None:
    since = datetime(2026, 11, 18, 1, 0, tzinfo=UTC)  # it closes at this instant
    assert opened("Tue 22:00-02:00", since, since + timedelta(hours=5)) == []


@pytest.mark.parametrize(("night", "hours"), [("2026-10-24", 5), ("2026-03-28", 3)])
def test_a_window_over_the_change_of_the_clocks_has_the_length_it_has(night: str, hours: int) -> None:
    since = datetime.fromisoformat(f"{night}T00:00Z")
    ((opens, closes),) = openings(since, since + timedelta(days=2), [parse_window("Sat 23:00-03:00")], ZONE)
    assert closes - opens == timedelta(hours=hours)
