"""The ledger's arithmetic, by example and by property: what it says can be checked against the samples."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from noout.domain.cluster import GuestId, NodeId
from noout.domain.impact import Cause, Experience, Sample, Service
from noout.domain.maintenance import Moved, MoveKind
from noout.witness.ledger import experience

GUEST = GuestId("ams1", 101)
SERVICE = Service(GUEST, "shop-db", "tcp:5432")
START = datetime(2026, 11, 17, 10, 0, tzinfo=UTC)
EVERY_S = 0.1
TICK = timedelta(milliseconds=100)


def at(ticks: float) -> datetime:
    return START + ticks * TICK


def samples(answers: str, *, lag_s: float = 0.0) -> list[Sample]:
    """One character a tick, the first at tick 1: ``+`` answered, ``-`` not, ``.`` never asked, ``~`` asked late."""
    return [
        Sample(GUEST, at(tick), answer == "+", 9.0 if answer == "~" else lag_s)
        for tick, answer in enumerate(answers, start=1)
        if answer != "."
    ]


def moved(kind: MoveKind, started: float, finished: float, blackout_ms: int | None = None) -> Moved:
    source, target = NodeId("ams1", "pve3"), NodeId("ams1", "pve4")
    return Moved(GUEST, "shop-db", kind, source, target, at(started), at(finished), blackout_ms, False)


def told(answers: str, *moves: Moved) -> Experience:
    return experience(SERVICE, samples(answers), START, at(len(answers)), EVERY_S, moves)


def test_all_good_states_its_resolution_and_never_a_bare_zero() -> None:
    account = told("++++++++++")
    assert (account.samples, account.answered, account.interruptions) == (10, 10, ())
    assert account.longest_gap_s == account.resolution_s == 0.1


def test_an_interruption_runs_from_the_last_good_answer_to_the_next() -> None:
    (gap,) = told("+++---++++").interruptions
    assert (gap.last_good, gap.next_good, gap.missed) == (at(3), at(7), 3)
    assert gap.length == timedelta(milliseconds=400)
    assert gap.resolution_s == 0.1


def test_an_interruption_without_end_has_no_length() -> None:
    account = told("++++----")
    (gap,) = account.interruptions
    assert gap.next_good is None and gap.length is None
    assert account.longest_gap_s == 0.4


def test_questions_never_asked_or_asked_late_coarsen_and_accuse_nobody() -> None:
    for answers in ("+++....+++", "+++~~~~+++", "+++.~~.+++"):
        account = told(answers)
        assert account.interruptions == ()
        assert account.resolution_s == account.longest_gap_s == 0.5


def test_a_gap_of_the_prober_beside_a_failed_answer_makes_its_resolution_coarse() -> None:
    (gap,) = told("+++...-+++").interruptions
    assert gap.length == timedelta(milliseconds=500)
    assert gap.resolution_s == 0.4  # from the last good answer to the question that failed


def test_nothing_measured_says_so() -> None:
    account = told("~~..~~", moved(MoveKind.LIVE, 1, 4, 64))
    assert not account.measured
    assert account.longest_gap_s is None and account.resolution_s is None
    assert account.blackout_ms == 64


def test_the_account_covers_only_what_was_measured() -> None:
    account = experience(SERVICE, samples("....++++...."), START, at(12), EVERY_S, ())
    assert (account.since, account.until) == (at(4), at(8))
    assert account.longest_gap_s == 0.1


def test_causes_follow_the_move_that_was_going_on() -> None:
    for kind, cause in (
        (MoveKind.LIVE, Cause.MOVE),
        (MoveKind.RELOCATE, Cause.RELOCATION),
        (MoveKind.SHUTDOWN, Cause.RESTART),
        (MoveKind.OFFLINE, Cause.UNRELATED),
    ):
        (gap,) = told("+++---++++", moved(kind, 2, 5)).interruptions
        assert gap.cause is cause


def test_silence_long_after_a_move_is_not_blamed_on_it() -> None:
    (gap,) = told("++++++++++++---+++", moved(MoveKind.LIVE, 2, 5)).interruptions
    assert gap.cause is Cause.UNRELATED


def test_silence_that_begins_as_the_move_ends_is_blamed_on_it() -> None:
    (gap,) = told("+++++----+++", moved(MoveKind.LIVE, 1, 4.5)).interruptions
    assert gap.cause is Cause.MOVE


def test_a_service_failing_before_the_move_is_neither_blamed_on_it_nor_hidden() -> None:
    (gap,) = told("+++------++", moved(MoveKind.LIVE, 6, 9)).interruptions
    assert gap.cause is Cause.UNRELATED
    (gap,) = told("----------+", moved(MoveKind.LIVE, 6, 9)).interruptions
    assert gap.cause is Cause.UNRELATED and gap.already_failing


def test_other_guests_samples_and_moves_do_not_count() -> None:
    other = [Sample(GuestId("ams1", 102), sample.at, False) for sample in samples("++++++")]
    account = experience(SERVICE, [*samples("++++++"), *other], START, at(6), EVERY_S, ())
    assert account.samples == account.answered == 6


def test_the_longest_blackout_of_out_and_back_is_kept_beside() -> None:
    account = told("++++++++", moved(MoveKind.LIVE, 1, 2, 64), moved(MoveKind.LIVE, 5, 6, 88))
    assert account.blackout_ms == 88


def test_calm_and_dense_questions_together_keep_the_coarser_resolution() -> None:
    calm = [Sample(GUEST, at(10 * n), True) for n in range(1, 4)]
    dense = [Sample(GUEST, at(30 + n), n != 5) for n in range(1, 11)]
    account = experience(SERVICE, [*calm, *dense], START, at(40), EVERY_S, (moved(MoveKind.LIVE, 31, 38),))
    assert (account.every_s, account.resolution_s, account.longest_gap_s) == (0.1, 1.0, 1.0)
    (gap,) = account.interruptions
    assert (gap.length, gap.resolution_s, gap.cause) == (timedelta(milliseconds=200), 0.1, Cause.MOVE)


answers = st.text(alphabet="+-.~", min_size=1, max_size=60)


@given(answers)
def test_every_missed_question_is_in_exactly_one_interruption(text: str) -> None:
    account = told(text)
    failed = [sample.at for sample in samples(text) if not sample.ok and sample.lag_s == 0]
    holders = [
        [gap for gap in account.interruptions if gap.last_good < when < (gap.next_good or at(99))] for when in failed
    ]
    assert all(len(found) == 1 for found in holders)
    assert sum(gap.missed for gap in account.interruptions) == len(failed)


@given(answers)
def test_no_claim_is_smaller_than_what_the_samples_leave_open(text: str) -> None:
    account = told(text)
    if not account.measured:
        return
    assert account.longest_gap_s is not None and account.resolution_s is not None
    assert account.longest_gap_s > 0
    for gap in account.interruptions:
        assert gap.resolution_s <= account.resolution_s
        if gap.length is not None:
            assert gap.length.total_seconds() <= account.longest_gap_s


@given(answers)
def test_late_questions_count_as_never_asked_and_order_does_not_matter(text: str) -> None:
    assert told(text) == told(text.replace("~", "."))
    shuffled = experience(SERVICE, samples(text)[::-1] * 2, START, at(len(text)), EVERY_S, ())
    assert shuffled == told(text)


@given(st.text(alphabet="+.~", min_size=1, max_size=60))
def test_the_prober_alone_never_makes_an_interruption(text: str) -> None:
    assert told(text).interruptions == ()


@given(
    starts=st.integers(min_value=200_000, max_value=4_000_000),
    length=st.integers(min_value=1, max_value=5_000_000),
    steps=st.lists(st.integers(min_value=20_000, max_value=100_000), min_size=120, max_size=160),
)
def test_a_true_outage_lies_within_what_is_reported(starts: int, length: int, steps: list[int]) -> None:
    """Asked at uneven times; the guest is silent exactly in [starts, starts + length) microseconds."""
    asked, now = [], 0
    for step in steps:
        now += step
        asked.append(Sample(GUEST, START + timedelta(microseconds=now), not starts <= now < starts + length))
    account = experience(SERVICE, asked, START, asked[-1].at, EVERY_S, (), tolerance_s=-EVERY_S)
    begun, true = START + timedelta(microseconds=starts), timedelta(microseconds=length)
    assert account.longest_gap_s is not None
    if begun + true > account.until:  # it outlasts the measurement
        return
    assert timedelta(seconds=account.longest_gap_s) >= true
    if all(sample.ok for sample in asked):
        assert account.interruptions == () and account.resolution_s is not None
        assert true <= timedelta(seconds=account.resolution_s)
        return
    (gap,) = account.interruptions
    assert gap.last_good < begun and gap.next_good is not None and gap.next_good >= begun + true
    assert gap.length is not None
    assert gap.length - 2 * timedelta(seconds=gap.resolution_s) <= true <= gap.length
