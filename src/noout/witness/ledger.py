"""Samples -> what one service's customers experienced, with the resolution of the measurement.

All times stay exact (microseconds in ``timedelta``) until the last line: a pause is never rounded down.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median_low

from noout.domain.impact import Availability, Baseline, Cause, Experience, Interruption, Sample, Service
from noout.domain.maintenance import Moved, MoveKind
from noout.witness.intervals import Span, clipped, micros, total, without
from noout.witness.silences import Silence, agreed, silences

# A stopped guest that moves had no answer to lose, so OFFLINE blames nobody.
_CAUSES = {MoveKind.LIVE: Cause.MOVE, MoveKind.RELOCATE: Cause.RELOCATION, MoveKind.SHUTDOWN: Cause.RESTART}
# Two questions further apart than so many of the usual distances: the time between them was not measured.
_UNMEASURED = 2.5


@dataclass(frozen=True, slots=True)
class _Asked:
    """The questions that are evidence. ``first``: when measuring began, ``last``: when it ended."""

    by_vantage: Mapping[str, Sequence[Sample]]
    first: datetime
    last: datetime

    @property
    def all(self) -> list[Sample]:
        return sorted((each for some in self.by_vantage.values() for each in some), key=lambda each: each.at)

    @property
    def resolution(self) -> timedelta:
        """The widest distance between two questions of the vantage point that asked most evenly."""
        return min(_longest([self.first, *(each.at for each in some), self.last]) for some in self.by_vantage.values())

    @property
    def longest_gap(self) -> timedelta:
        """Between two good answers, of the vantage point with the shortest: what no other one contradicts."""
        return min(
            _longest([self.first, *(each.at for each in some if each.ok), self.last])
            for some in self.by_vantage.values()
        )


def experience(
    service: Service,
    samples: Iterable[Sample],
    since: datetime,
    until: datetime,
    every_s: float,
    moves: Sequence[Moved],
    *,
    calm_s: float | None = None,
    prober_lag_s_max: float | None = None,
    tolerance_s: float | None = None,
    excluded: Sequence[tuple[datetime, datetime]] = (),
) -> Experience:
    """The witness's account of one service between ``since`` and ``until``.

    ``every_s``: the finest sampling interval; ``calm_s``: the one that is kept to all the time (default the same). A
    sample that the prober took more than ``prober_lag_s_max`` (default half the interval) late is the prober's own
    gap, like one it never took: no evidence either way, so it makes the resolution coarser and never an interruption.

    An interruption is a time between two good answers longer than ``every_s + tolerance_s`` (default half the
    interval) in which at least one question got no good answer. Its length runs from the last good answer to the next
    one: the longest it can have been. Its resolution is the largest distance between two questions around it. Of
    several vantage points most of those that asked meanwhile have to agree (``silences.agreed``).

    The account covers what was measured: ``since`` and ``until`` of the result are cut to the samples.
    ``excluded``: half-open times that the customer's contract leaves out; the raw availability does not know them.
    """
    lag_max = every_s / 2 if prober_lag_s_max is None else prober_lag_s_max
    tolerance = timedelta(seconds=every_s / 2 if tolerance_s is None else tolerance_s)
    every = timedelta(seconds=every_s)
    own_moves = [move for move in moves if move.guest == service.guest]
    mine = [each for each in samples if each.guest == service.guest and since <= each.at <= until]
    held = [each for each in mine if each.held]
    told = Experience(
        guest=service.guest,
        name=service.name,
        since=since,
        until=until,
        samples=0,
        answered=0,
        resolution_s=None,
        longest_gap_s=None,
        blackout_ms=max((move.blackout_ms for move in own_moves if move.blackout_ms is not None), default=None),
        every_s=calm_s or every_s,
        probe=service.probe,
        held_asked=len(held),
        held_broken=sum(not each.ok for each in held),
    )
    asked = _usable((each for each in mine if not each.held and each.lag_s <= lag_max), since, until, every)
    return told if asked is None else _filled(told, asked, every + tolerance, own_moves, excluded)


def _filled(
    told: Experience,
    asked: _Asked,
    limit: timedelta,
    moves: Sequence[Moved],
    excluded: Sequence[tuple[datetime, datetime]],
) -> Experience:
    """The account with everything that the questions say. ``limit``: good answers so close leave no silence between."""
    found = {
        vantage: silences(vantage, some, asked.first, asked.last, limit) for vantage, some in asked.by_vantage.items()
    }
    counted, disputed = agreed(found, asked.by_vantage)
    interruptions = tuple(_blamed(silence, told, moves, asked.last) for silence in counted)
    unanswered = [(micros(each.last_good), micros(each.next_good or asked.last)) for each in interruptions]
    longest = max([asked.longest_gap, *(timedelta(microseconds=end - start) for start, end in unanswered)])
    questions = asked.all
    measured = _measured(questions, asked, unanswered, timedelta(seconds=told.every_s or 0.0))
    out = clipped([(micros(a), micros(b)) for a, b in excluded], micros(asked.first), micros(asked.last))
    return replace(
        told,
        since=asked.first,
        until=asked.last,
        samples=len(questions),
        answered=sum(each.ok for each in questions),
        resolution_s=asked.resolution.total_seconds(),
        longest_gap_s=longest.total_seconds(),
        interruptions=interruptions,
        vantages=tuple(sorted(asked.by_vantage)),
        disputed=tuple(_blamed(silence, told, moves, asked.last) for silence in disputed),
        baseline=_baseline(questions, asked, moves, interruptions),
        availability=Availability(total(measured), total(unanswered)),
        contractual=Availability(total(without(measured, out)), total(without(unanswered, out))) if out else None,
        excluded_us=total(out),
    )


def _usable(samples: Iterable[Sample], since: datetime, until: datetime, every: timedelta) -> _Asked | None:
    """Oldest first, one per instant and vantage point; a failed one outweighs a good one taken with it."""
    by_time: dict[tuple[str, datetime], Sample] = {}
    for sample in samples:
        key = (sample.vantage, sample.at)
        if key not in by_time or not sample.ok:
            by_time[key] = sample
    if not by_time:
        return None
    by_vantage: dict[str, list[Sample]] = {}
    for key in sorted(by_time):
        by_vantage.setdefault(key[0], []).append(by_time[key])
    first = min(some[0].at for some in by_vantage.values())
    last = max(some[-1].at for some in by_vantage.values())
    return _Asked(by_vantage, max(since, first - every), min(until, last))


def _longest(times: Sequence[datetime]) -> timedelta:
    return max((later - earlier for earlier, later in pairwise(times)), default=timedelta(0))


def _measured(asked: Sequence[Sample], span: _Asked, unanswered: Sequence[Span], calm: timedelta) -> list[Span]:
    """The time that the questions say something about: all of it but the prober's own gaps; an interruption counts
    with its whole length, gaps in it too, because that is the length it is told with.

    A prober that was held to a rate asks more slowly than it was set to, all the time: that is its resolution, no gap.
    """
    times = [span.first, *(each.at for each in asked), span.last]
    usual = median_low([b - a for a, b in pairwise(times)])
    limit = _UNMEASURED * max(calm, usual)
    gaps = [(micros(a), micros(b)) for a, b in pairwise(times) if b - a > limit]
    return without([(micros(span.first), micros(span.last))], without(gaps, unanswered))


def _blamed(silence: Silence, told: Experience, moves: Sequence[Moved], end: datetime) -> Interruption:
    """The interruption with its cause: the move it overlaps most; unrelated when it began before any of them.

    A move is given the resolution as slack at its end, because the first missed question may come that much later.
    """
    slack = timedelta(seconds=silence.resolution_s)
    best, cause, blackout_ms = timedelta(-1), Cause.UNRELATED, None
    for move in moves:
        if move.kind not in _CAUSES or silence.missed[0] < move.started:
            continue  # it was failing before this move began
        overlap = min(silence.next_good or end, move.finished + slack) - max(silence.last_good, move.started)
        if overlap >= timedelta(0) and overlap > best:
            best, cause, blackout_ms = overlap, _CAUSES[move.kind], move.blackout_ms
    return Interruption(
        guest=told.guest,
        last_good=silence.last_good,
        next_good=silence.next_good,
        resolution_s=silence.resolution_s,
        missed=len(silence.missed),
        cause=cause,
        already_failing=silence.already_failing,
        probe=told.probe,
        confidence=silence.confidence,
        seen_from=silence.seen_from,
        blackout_ms=blackout_ms,
    )


def _baseline(
    asked: Sequence[Sample], span: _Asked, moves: Sequence[Moved], interruptions: Sequence[Interruption]
) -> Baseline | None:
    """What was usual before the guest's first move began; None when it was not asked before that."""
    begun = min((move.started for move in moves), default=None)
    if begun is None or begun <= span.first:
        return None
    until = min(begun, span.last)
    before = [each for each in interruptions if each.cause is Cause.UNRELATED and each.last_good < until]
    silent = [(micros(each.last_good), micros(each.next_good or span.last)) for each in before]
    return Baseline(
        since=span.first,
        until=until,
        samples=sum(each.at < until for each in asked),
        interruptions=len(before),
        unanswered_us=total(clipped(silent, micros(span.first), micros(until))),
    )
