"""Samples come out of their packing as they went in, and small."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from noout.domain.cluster import GuestId
from noout.domain.impact import Sample
from noout.witness.packing import pack, unpack

T0 = datetime(2026, 11, 17, 9, 0, tzinfo=UTC)
WEB = GuestId("ams1", 101)

lags = st.one_of(
    st.integers(0, 3000).map(lambda ms: ms / 1000),
    st.integers(0, 10**7).map(lambda us: us / 10**6),
    st.floats(0, 100, allow_nan=False),
)
samples = st.builds(
    Sample,
    st.sampled_from([WEB, GuestId("ams1", 102), GuestId("rtm1", 101)]),
    st.integers(-(10**15), 10**15).map(lambda us: T0 + timedelta(microseconds=us)),
    st.booleans(),
    lags,
    st.sampled_from(["", "office", "büro"]),
    st.booleans(),
)


@settings(max_examples=50)
@given(st.lists(samples, max_size=40))
def test_what_comes_out_is_what_went_in(given_: list[Sample]) -> None:
    def track(sample: Sample) -> tuple[GuestId, str, bool]:
        return sample.guest, sample.vantage, sample.held

    found = list(unpack(pack(given_)))
    for each in {track(sample) for sample in given_}:
        assert [sample for sample in found if track(sample) == each] == [
            sample for sample in given_ if track(sample) == each
        ]
    assert len(found) == len(given_)


def test_a_day_of_one_service_is_small() -> None:
    """Asked each second by a prober that is 0 to 3 ms late, with twenty interruptions; in blocks of ten minutes."""
    chance = random.Random(7)
    dark = {chance.randrange(86_400) for _ in range(20)}
    day = [
        Sample(WEB, T0 + timedelta(seconds=n, milliseconds=lag), n not in dark, lag / 1000)
        for n in range(86_400)
        for lag in (chance.choice((0, 1, 1, 1, 2, 3)),)
    ]
    assert sum(len(pack(day[start : start + 600])) for start in range(0, len(day), 600)) < 40_000
