"""What was heard so far agrees with the account at the end, and never takes silence of the prober for a customer's."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from noout.domain.cluster import GuestId
from noout.domain.impact import Sample, Service
from noout.witness.ledger import experience
from noout.witness.tally import BUCKETS, Tally
from tests.unit.tell.cast import at

WEB = GuestId("ams1", 100)
T0 = at(9, 0)
EVERY_S = 1.0


def asked(*answers: bool, lag_s: float = 0.0, begins_s: float = 0.0, vantage: str = "") -> list[Sample]:
    return [
        Sample(WEB, T0 + timedelta(seconds=begins_s + n * EVERY_S), ok, lag_s, vantage) for n, ok in enumerate(answers)
    ]


def tally() -> Tally:
    return Tally(EVERY_S / 2, 2.5 * EVERY_S)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.booleans(), min_size=1, max_size=60), st.integers(0, 60))
def test_the_longest_silence_is_that_of_the_account_however_the_samples_come_in(answers: list[bool], cut: int) -> None:
    samples, found = asked(*answers), tally()
    found.add(samples[:cut])
    found.add(samples[cut:])
    told = experience(Service(WEB, "web", "tcp:443"), samples, T0, T0 + timedelta(hours=1), EVERY_S, ())
    (heard,) = found.heard()
    assert heard.longest.total_seconds() == told.longest_gap_s
    assert (heard.asked, heard.unanswered) == (len(answers), answers.count(False))


def test_a_time_in_which_nobody_asked_is_no_silence() -> None:
    found = tally()
    found.add(asked(True, True))
    found.add(asked(True, True, begins_s=600))  # noout was started again
    (heard,) = found.heard()
    assert heard.longest == timedelta(seconds=1)


def test_a_question_that_the_prober_was_late_with_says_nothing() -> None:
    found = tally()
    found.add(asked(True, True))
    found.add(asked(False, False, lag_s=0.9, begins_s=2))
    (heard,) = found.heard()
    assert (heard.unanswered, heard.longest) == (0, timedelta(seconds=1))


def test_of_two_vantage_points_the_one_with_the_shorter_silence_counts() -> None:
    found = tally()
    found.add(asked(True, False, False, False, True))
    found.add(asked(True, True, True, False, True, vantage="fra"))
    (heard,) = found.heard()
    assert heard.longest == timedelta(seconds=2)


def test_the_last_stretches_say_which_held_a_question_without_an_answer() -> None:
    found = tally()
    found.add(asked(*[True] * 12, False, True))
    (heard,) = found.heard()
    assert len(heard.recent) == BUCKETS and heard.recent[-3:] == (True, True, False)
    assert heard.recent[0] is None
