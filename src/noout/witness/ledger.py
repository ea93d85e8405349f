"""Samples -> what one service's customers experienced, with the resolution of the measurement.

All times stay exact (microseconds in ``timedelta``) until the last line: a pause is never rounded down.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from noout.domain.impact import Cause, Experience, Interruption, Sample, Service
from noout.domain.maintenance import Moved, MoveKind

# A stopped guest that moves had no answer to lose, so OFFLINE blames nobody.
_CAUSES = {MoveKind.LIVE: Cause.MOVE, MoveKind.RELOCATE: Cause.RELOCATION, MoveKind.SHUTDOWN: Cause.RESTART}


@dataclass(frozen=True, slots=True)
class _Silence:
    """Questions without a good answer between two good ones (or the edge of what was measured)."""

    interruption: Interruption
    first_missed: datetime


def experience(
    service: Service,
    samples: Iterable[Sample],
    since: datetime,
    until: datetime,
    every_s: float,
    moves: Sequence[Moved],
    *,
    prober_lag_s_max: float | None = None,
    tolerance_s: float | None = None,
) -> Experience:
    """The witness's account of one service between ``since`` and ``until``.

    ``every_s``: the intended sampling interval. A sample that the prober took more than ``prober_lag_s_max`` (default
    half the interval) late is the prober's own gap, like one it never took: no evidence either way, so it makes the
    resolution coarser and never an interruption.

    An interruption is a time between two good answers longer than ``every_s + tolerance_s`` (default half the
    interval) in which at least one question got no good answer. Its length runs from the last good answer to the next
    one: the longest it can have been. Its resolution is the largest distance between two questions around it.

    The account covers what was measured: ``since`` and ``until`` of the result are cut to the samples.
    """
    lag_max = every_s / 2 if prober_lag_s_max is None else prober_lag_s_max
    tolerance = timedelta(seconds=every_s / 2 if tolerance_s is None else tolerance_s)
    every = timedelta(seconds=every_s)
    own_moves = [move for move in moves if move.guest == service.guest]
    blackouts = [move.blackout_ms for move in own_moves if move.blackout_ms is not None]
    blackout_ms = max(blackouts, default=None)
    asked = _usable(samples, service, since, until, lag_max)
    if not asked:
        return Experience(service.guest, service.name, since, until, 0, 0, None, None, (), blackout_ms, every_s)
    first, last = max(since, asked[0].at - every), min(until, asked[-1].at)
    questions = [first, *(sample.at for sample in asked)]
    good = [sample.at for sample in asked if sample.ok]
    marks = [first, *good, last]
    return Experience(
        guest=service.guest,
        name=service.name,
        since=first,
        until=last,
        samples=len(asked),
        answered=len(good),
        resolution_s=_longest(questions).total_seconds(),
        longest_gap_s=_longest(marks).total_seconds(),
        interruptions=tuple(
            _blamed(silence, own_moves, last) for silence in _silences(service, asked, first, every + tolerance)
        ),
        blackout_ms=blackout_ms,
        every_s=every_s,
    )


def _usable(
    samples: Iterable[Sample], service: Service, since: datetime, until: datetime, lag_max: float
) -> list[Sample]:
    """The samples that are evidence, oldest first, one per instant; a failed one outweighs a good one taken with it."""
    by_time: dict[datetime, Sample] = {}
    for sample in samples:
        if sample.guest != service.guest or not since <= sample.at <= until or sample.lag_s > lag_max:
            continue
        if sample.at not in by_time or not sample.ok:
            by_time[sample.at] = sample
    return [by_time[at] for at in sorted(by_time)]


def _longest(times: Sequence[datetime]) -> timedelta:
    return max((later - earlier for earlier, later in pairwise(times)), default=timedelta(0))


def _silences(service: Service, asked: Sequence[Sample], first: datetime, limit: timedelta) -> list[_Silence]:
    """Every run of failed questions whose distance between good answers is over ``limit`` (or has no end yet)."""
    found: list[_Silence] = []
    last_good: datetime | None = None
    times: list[datetime] = []
    for sample in [*asked, None]:
        if sample is not None and not sample.ok:
            times.append(sample.at)
            continue
        next_good = None if sample is None else sample.at
        if times:
            start = first if last_good is None else last_good
            ends = [next_good] if next_good else []
            if next_good is None or last_good is None or next_good - start > limit:
                interruption = Interruption(
                    guest=service.guest,
                    last_good=start,
                    next_good=next_good,
                    resolution_s=_longest([start, *times, *ends]).total_seconds(),
                    missed=len(times),
                    already_failing=last_good is None,
                )
                found.append(_Silence(interruption, times[0]))
        last_good, times = next_good, []
    return found


def _blamed(silence: _Silence, moves: Sequence[Moved], end: datetime) -> Interruption:
    """The interruption with its cause: the move it overlaps most; unrelated when it began before any of them.

    A move is given the resolution as slack at its end, because the first missed question may come that much later.
    """
    told = silence.interruption
    slack = timedelta(seconds=told.resolution_s)
    best = timedelta(-1)
    cause = Cause.UNRELATED
    for move in moves:
        if move.kind not in _CAUSES or silence.first_missed < move.started:
            continue  # it was failing before this move began
        overlap = min(told.next_good or end, move.finished + slack) - max(told.last_good, move.started)
        if overlap >= timedelta(0) and overlap > best:
            best, cause = overlap, _CAUSES[move.kind]
    return Interruption(
        told.guest,
        told.last_good,
        told.next_good,
        told.resolution_s,
        told.missed,
        cause,
        told.already_failing,
    )
