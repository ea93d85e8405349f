"""What an account says besides its interruptions: availability, what was usual before, held connections."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from noout.domain.impact import Availability, Cause
from noout.domain.maintenance import MoveKind
from noout.witness.intervals import micros
from noout.witness.ledger import experience
from tests.unit.witness.test_ledger import EVERY_S, GUEST, SERVICE, START, at, moved, samples, told

TICK_US = 100_000


def test_availability_counts_the_longest_possible_silence_in_what_was_measured() -> None:
    account = told("+++---++++")
    assert account.availability == Availability(10 * TICK_US, 4 * TICK_US)
    assert account.availability.share == 0.6
    assert account.contractual is None


def test_the_probers_own_gap_is_not_measured_time() -> None:
    account = told("+++.....++")
    assert account.availability == Availability(4 * TICK_US, 0)
    assert told("+++..-..++").availability == Availability(10 * TICK_US, 6 * TICK_US)


def test_asking_slowly_all_the_time_is_a_coarse_measurement_and_no_gap() -> None:
    account = told("...+...+...+...+...+")
    assert account.availability == Availability(17 * TICK_US, 0)
    assert account.resolution_s == 0.4


def test_a_contract_leaves_out_its_windows_and_the_raw_figure_stays() -> None:
    asked = samples("+++---++++---+++")
    account = experience(SERVICE, asked, START, at(16), EVERY_S, (), excluded=[(at(5), at(8)), (at(30), at(40))])
    assert account.availability == Availability(16 * TICK_US, 8 * TICK_US)
    assert account.contractual == Availability(13 * TICK_US, 6 * TICK_US)
    assert account.excluded_us == 3 * TICK_US


answers = st.text(alphabet="+-.", min_size=1, max_size=40)


@given(answers, st.integers(0, 40), st.integers(0, 40))
def test_the_sums_agree_with_counting_ticks(text: str, since: int, until: int) -> None:
    account = experience(
        SERVICE, samples(text), START, at(len(text)), EVERY_S, (), calm_s=99.0, excluded=[(at(since), at(until))]
    )
    if account.availability is None:
        assert not account.measured
        return
    measured = {tick for tick in range(len(text)) if account.since <= at(tick) < account.until}
    silent = {
        tick
        for tick in measured
        for gap in account.interruptions
        if gap.last_good <= at(tick) < (gap.next_good or account.until)
    }
    out = {tick for tick in measured if since <= tick < until}
    assert account.availability == Availability(len(measured) * TICK_US, len(silent) * TICK_US)
    assert account.excluded_us == len(out) * TICK_US
    expected = Availability(len(measured - out) * TICK_US, len(silent - out) * TICK_US)
    assert account.contractual == (expected if out else None)


def test_what_was_usual_before_the_move_is_stated_and_not_put_down_to_it() -> None:
    move = moved(MoveKind.LIVE, 20, 26, 61)
    account = told("+++--+++++--++++++++" + "++--++++++", move)
    assert [gap.cause for gap in account.interruptions] == [Cause.UNRELATED, Cause.UNRELATED, Cause.MOVE]
    assert [gap.blackout_ms for gap in account.interruptions] == [None, None, 61]
    usual = account.baseline
    assert usual is not None
    assert (usual.since, usual.until, usual.samples, usual.interruptions) == (START, at(20), 19, 2)
    assert usual.unanswered_us == 6 * TICK_US
    assert usual.per_hour == 2 / (2 / 3600)


def test_a_silence_that_runs_into_the_move_counts_before_it_up_to_its_begin() -> None:
    usual = told("+++-------++++", moved(MoveKind.LIVE, 6, 12)).baseline
    assert usual is not None and (usual.interruptions, usual.unanswered_us) == (1, 3 * TICK_US)


def test_nobody_asked_before_the_move_and_nothing_is_said_of_it() -> None:
    assert told("....++++", moved(MoveKind.LIVE, 2, 6)).baseline is None
    assert told("++++++++").baseline is None


def test_held_connections_that_broke_are_counted_apart() -> None:
    """A new connection was always answered, the old one broke twice: no interruption, and no silence about it."""
    asked = samples("++++++++")
    held = [replace(each, held=True, ok=each.at not in (at(3), at(6))) for each in asked]
    account = experience(SERVICE, [*asked, *held], START, at(8), EVERY_S, ())
    assert (account.interruptions, account.samples) == ((), 8)
    assert (account.held_asked, account.held_broken) == (8, 2)
    only = experience(SERVICE, held, START, at(8), EVERY_S, ())
    assert not only.measured and only.held_broken == 2


def test_every_interruption_names_its_method() -> None:
    (gap,) = told("+++---+++").interruptions
    assert (gap.probe, gap.seen_from, gap.guest) == ("tcp:5432", ("",), GUEST)
    assert micros(gap.last_good) == micros(START) + 3 * TICK_US
    assert gap.length == timedelta(microseconds=4 * TICK_US)
