"""Arithmetic on stretches of time, against an oracle that counts single instants."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from itertools import pairwise
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from noout.witness.intervals import Span, clipped, common, covered, merged, micros, moment, total, without

spans = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=8)


def instants(some: list[Span]) -> set[int]:
    """The oracle: every instant that is held, one by one."""
    return {at for start, end in some for at in range(start, end)}


def plain(some: list[Span]) -> bool:
    """Sorted, none empty, none touching the next."""
    return all(start < end for start, end in some) and all(a[1] < b[0] for a, b in pairwise(some))


@given(spans, spans, st.integers(0, 40), st.integers(0, 40))
def test_every_operation_agrees_with_counting_instants(a: list[Span], b: list[Span], since: int, until: int) -> None:
    for found, expected in (
        (merged(a), instants(a)),
        (common(a, b), instants(a) & instants(b)),
        (without(a, b), instants(a) - instants(b)),
        (clipped(a, since, until), instants(a) & set(range(since, until))),
    ):
        assert instants(found) == expected
        assert plain(found)
    assert total(a) == len(instants(a))
    assert total(common(a, b)) + total(without(a, b)) == total(a)


@given(spans, st.integers(1, 4))
def test_what_several_cover_agrees_with_counting(a: list[Span], at_least: int) -> None:
    found = covered(a, at_least)
    assert instants(found) == {at for at in range(40) if sum(start <= at < end for start, end in a) >= at_least}
    assert total(found) == sum(end - start for start, end in found)


def test_two_silences_that_touch_are_two_and_as_time_they_are_one() -> None:
    assert covered([(0, 5), (5, 9)], 1) == [(0, 5), (5, 9)]
    assert merged([(0, 5), (5, 9)]) == [(0, 9)]


@given(st.integers(-(10**16), 10**17), st.integers(-14 * 60, 14 * 60))
def test_an_instant_survives_to_the_microsecond_and_its_time_zone_does_not_matter(us: int, offset: int) -> None:
    assert micros(moment(us)) == us
    assert micros(moment(us).astimezone(timezone(timedelta(minutes=offset)))) == us


def test_the_night_in_which_the_clocks_change_has_no_hour_too_many() -> None:
    zone = ZoneInfo("Europe/Amsterdam")
    before = datetime(2026, 10, 25, 2, 30, tzinfo=zone)  # the first half past two
    after = datetime(2026, 10, 25, 2, 30, tzinfo=zone, fold=1)  # the second, one hour later
    assert micros(after) - micros(before) == 3_600_000_000
