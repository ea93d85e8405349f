"""Questions -> silences: of one vantage point first, then of several, where most have to agree.

A silence is the half-open time [last good answer, next good answer) with at least one question in it that got none.

Several vantage points: a silence that one of them saw is put to those others that asked something in the meantime. Each
of them votes: yes if one of its own questions got no good answer then, no if all did; one that asked nothing has no
vote. More than half of the votes have to be yes, or it is that vantage point's own trouble (its line, its machine) and
is told as disputed. What counts is then the time during which most of the voters were silent together: an answer to
anybody ends it.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from noout.domain.impact import Confidence, Sample
from noout.witness.intervals import covered, micros, moment


@dataclass(frozen=True, slots=True)
class Silence:
    """``end``: ``next_good``, or the end of the measurement while it goes on. ``missed``: when was asked in vain."""

    last_good: datetime
    next_good: datetime | None
    end: datetime
    missed: tuple[datetime, ...]
    resolution_s: float
    already_failing: bool
    seen_from: tuple[str, ...]

    @property
    def confidence(self) -> Confidence:
        if len(self.seen_from) > 1:
            return Confidence.AGREED
        return Confidence.REPEATED if len(self.missed) > 1 else Confidence.SINGLE


def silences(
    vantage: str, asked: Sequence[Sample], first: datetime, last: datetime, limit: timedelta
) -> tuple[Silence, ...]:
    """What one vantage point saw (``asked``: oldest first): every run of failed questions whose distance between good
    answers is over ``limit``, or that has no beginning or no end in the measurement ``first`` to ``last``."""
    found: list[Silence] = []
    last_good: datetime | None = None
    times: list[datetime] = []
    for sample in [*asked, None]:
        if sample is not None and not sample.ok:
            times.append(sample.at)
            continue
        next_good = None if sample is None else sample.at
        if times:
            start = first if last_good is None else last_good
            if next_good is None or last_good is None or next_good - start > limit:
                marks = [start, *times, *([next_good] if next_good else [])]
                widest = max((b - a for a, b in pairwise(marks)), default=timedelta(0))
                already = last_good is None
                end, missed = next_good or last, tuple(times)
                found.append(Silence(start, next_good, end, missed, widest.total_seconds(), already, (vantage,)))
        last_good, times = next_good, []
    return tuple(found)


def agreed(
    found: Mapping[str, Sequence[Silence]], asked: Mapping[str, Sequence[Sample]]
) -> tuple[list[Silence], list[Silence]]:
    """(silences that count, silences of one vantage point that others contradict), each in order of time."""
    if len(found) == 1:
        return [each for some in found.values() for each in some], []
    times = {vantage: [each.at for each in some] for vantage, some in asked.items()}
    everything = [each for some in found.values() for each in some]
    voted: dict[Silence, int] = {}  # those that count -> how many voted; with them the silences of those who agreed
    for silence in everything:
        others = [other for other in times if other not in silence.seen_from and _any_within(times[other], silence)]
        yes = [each for other in others for each in found[other] if _any_within(each.missed, silence)]
        if 2 * (1 + len({each.seen_from for each in yes})) > 1 + len(others):
            for each in (silence, *yes):
                voted[each] = max(voted.get(each, 0), 1 + len(others))
    together: list[Silence] = []
    for group in _groups(voted):
        together += _joint(group, max(voted[each] for each in group))
    told = [each for each in everything if any(_overlap(each, joint) for joint in together)]
    return sorted(together, key=_start), sorted((each for each in everything if each not in told), key=_start)


def _start(silence: Silence) -> tuple[datetime, datetime]:
    return silence.last_good, silence.end


def _any_within(times: Sequence[datetime], silence: Silence) -> bool:
    """Is one of the times between the two good answers (or up to the end of the measurement, while it goes on)?"""
    after = (
        bisect_right(times, silence.last_good) if not silence.already_failing else bisect_left(times, silence.last_good)
    )
    before = bisect_right(times, silence.end) if silence.next_good is None else bisect_left(times, silence.end)
    return after < before


def _overlap(one: Silence, other: Silence) -> bool:
    return one.last_good < other.end and other.last_good < one.end


def _groups(found: Iterable[Silence]) -> list[list[Silence]]:
    """Those that overlap, together; two that touch are parted by a good answer."""
    groups: list[list[Silence]] = []
    end: datetime | None = None
    for each in sorted(found, key=_start):
        if end is None or each.last_good >= end:
            groups.append([])
            end = each.end
        groups[-1].append(each)
        end = max(end, each.end)
    return groups


def _joint(group: Sequence[Silence], voters: int) -> list[Silence]:
    """The times in which most of those who voted were silent together, and somebody asked in vain."""
    vantages = {each.seen_from[0] for each in group}
    needed = min(voters // 2 + 1, len(vantages))
    found = []
    for start_us, end_us in covered([(micros(each.last_good), micros(each.end)) for each in group], needed):
        start, end = moment(start_us), moment(end_us)
        part = [each for each in group if each.last_good < end and start < each.end]
        seen = {each.seen_from[0]: _between(each, start, end) for each in part}
        missed = sorted(at for times in seen.values() for at in times)
        if not missed:
            continue
        found.append(
            Silence(
                last_good=start,
                next_good=None if all(each.next_good is None for each in part if each.end == end) else end,
                end=end,
                missed=tuple(missed),
                resolution_s=max(each.resolution_s for each in part),
                already_failing=all(each.already_failing for each in part),
                seen_from=tuple(sorted(vantage for vantage, times in seen.items() if times)),
            )
        )
    return found


def _between(silence: Silence, start: datetime, end: datetime) -> list[datetime]:
    return [at for at in silence.missed if start <= at <= end]
