"""When a maintenance may begin, in the cluster's own time."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from noout.domain.windows import Freeze, next_begin, next_open, parse_window, shut

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


def _utc(text: str) -> datetime:
    return _at(text).astimezone(UTC)


FREEZE = Freeze(_utc("2026-12-18T00:00"), _utc("2027-01-04T09:30"), "Christmas")


def test_nothing_begins_in_a_freeze_and_the_next_moment_is_in_a_window_after_it():
    office = [parse_window("Mon-Fri 08:00-17:00")]
    assert shut(_utc("2026-12-17T10:00"), office, [FREEZE], AMSTERDAM) is None
    frozen = shut(_utc("2026-12-21T10:00"), office, [FREEZE], AMSTERDAM)
    assert frozen is not None and frozen.until == _utc("2027-01-04T09:30")
    assert frozen.why == "the freeze (Christmas) to end, 2027-01-04 09:30 Europe/Amsterdam"
    early = shut(_utc("2026-12-21T10:00"), [parse_window("Sat 08:00-09:00")], [FREEZE], AMSTERDAM)
    assert early is not None and early.until == _utc("2027-01-09T08:00")


def test_a_window_that_opens_into_a_freeze_opens_after_it():
    closed = shut(_utc("2026-12-17T18:00"), [parse_window("Mon-Fri 08:00-17:00")], [FREEZE], AMSTERDAM)
    assert closed is not None and closed.until == _utc("2027-01-04T09:30")
    assert closed.why.startswith("the maintenance window to open, 2027-01-04 09:30") and closed.for_s > 0


def test_freezes_that_follow_each_other_are_waited_out():
    second = Freeze(FREEZE.until, _utc("2027-01-05T12:00"))
    assert next_begin(_utc("2026-12-20T00:00"), [], [second, FREEZE], AMSTERDAM) == _utc("2027-01-05T12:00")
