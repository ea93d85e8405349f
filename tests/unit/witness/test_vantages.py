"""Several vantage points: what most of them miss is an interruption, what one alone misses is its own trouble."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from noout.domain.impact import Confidence, Experience, Sample
from noout.witness.ledger import experience
from tests.unit.witness.test_ledger import EVERY_S, GUEST, SERVICE, START, at


def asked(*answers: str) -> list[Sample]:
    """One text for each vantage point a, b, c, as in the other tests; each asks a little later than the one before."""
    return [
        Sample(GUEST, at(tick + number * 0.25), answer == "+", 0.0, "abc"[number])
        for number, text in enumerate(answers)
        for tick, answer in enumerate(text, start=1)
        if answer != "."
    ]


def told(*answers: str) -> Experience:
    return experience(SERVICE, asked(*answers), START, at(len(answers[0]) + 1), EVERY_S, ())


def test_what_both_miss_is_told_with_the_time_in_which_nobody_had_an_answer() -> None:
    account = told("+++---++++", "+++---++++")
    (gap,) = account.interruptions
    assert (gap.last_good, gap.next_good, gap.missed) == (at(3.25), at(7), 6)
    assert (gap.confidence, gap.seen_from, account.vantages) == (Confidence.AGREED, ("a", "b"), ("a", "b"))
    assert account.disputed == ()


@pytest.mark.parametrize("answers", [("+++---++++", "++++++++++"), ("+++---++++", "++++++++++", "++++++++++")])
def test_what_one_alone_misses_is_told_as_disputed_and_does_not_count(answers: tuple[str, ...]) -> None:
    account = told(*answers)
    (gap,) = account.disputed
    assert account.interruptions == ()
    assert (gap.seen_from, gap.length, gap.confidence) == (("a",), timedelta(milliseconds=400), Confidence.REPEATED)
    assert account.longest_gap_s == 0.125 or account.longest_gap_s == 0.15
    assert account.availability is not None and account.availability.unanswered_us == 0


def test_two_of_three_are_most_of_them() -> None:
    account = told("+++---++++", "++++++++++", "+++---++++")
    (gap,) = account.interruptions
    assert (gap.last_good, gap.next_good, gap.seen_from) == (at(3.5), at(7), ("a", "c"))
    assert gap.length is not None and account.longest_gap_s == gap.length.total_seconds()


def test_one_that_asked_nothing_meanwhile_has_no_vote() -> None:
    (gap,) = told("+++---++++", "++......++").interruptions
    assert (gap.seen_from, gap.confidence) == (("a",), Confidence.REPEATED)


def test_a_good_answer_to_anybody_parts_two_silences() -> None:
    gaps = told("++-----+++", "++--+--+++").interruptions
    assert [(gap.last_good, gap.next_good) for gap in gaps] == [(at(2.25), at(5.25)), (at(5.25), at(8))]


def test_what_goes_on_at_the_end_for_both_has_no_length() -> None:
    (gap,) = told("++++---", "++++---").interruptions
    assert (gap.next_good, gap.length, gap.confidence) == (None, None, Confidence.AGREED)
    assert told("++++---", "+++++++").interruptions == ()


def test_one_lost_packet_is_said_to_be_one() -> None:
    (gap,) = told("+++-+++").interruptions
    assert gap.confidence is Confidence.SINGLE


LENGTH = 30
answers = st.text(alphabet="+-.", min_size=LENGTH, max_size=LENGTH)


@settings(max_examples=50)
@given(answers, answers)
def test_nothing_is_hidden_and_nothing_told_while_somebody_had_an_answer(a: str, b: str) -> None:
    """Whatever two vantage points saw: no good answer lies within an interruption that both took part in, every
    silence is told or disputed, and the measured gaps hold every one of them."""
    account = told(a, b)
    samples = asked(a, b)
    for gap in account.interruptions:
        within = [each for each in samples if gap.last_good < each.at < (gap.next_good or at(99))]
        assert not any(each.ok for each in within)
        assert {each.vantage for each in within if not each.ok} == set(gap.seen_from)
    failed = [each for each in samples if not each.ok]
    if failed and not any(each.ok for each in samples):
        assert account.interruptions
    assert bool(account.interruptions or account.disputed) == bool(failed)


@settings(max_examples=50)
@given(st.integers(1, LENGTH - 5), st.integers(1, 4))
def test_an_outage_for_everybody_is_found_by_any_number_of_vantage_points(first: int, missed: int) -> None:
    text = "".join("-" if first <= tick < first + missed else "+" for tick in range(LENGTH))
    for count in (1, 2, 3):
        (gap,) = told(*[text] * count).interruptions
        assert gap.length is not None and missed - 1 < gap.length / timedelta(seconds=EVERY_S) <= missed + 1
        assert len(gap.seen_from) == count
