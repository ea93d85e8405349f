"""What was heard of each service so far, kept up as the samples come: the longest time between two good answers.

The rules of the account at the end (``witness.ledger``) as far as they need no later samples: a question that the
prober itself was late with is no evidence, a time in which nobody asked is no silence, and of several vantage points
the one with the shortest counts. Who agrees with whom, and what caused it, is left to the account.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from noout.domain.cluster import GuestId
from noout.domain.impact import Sample

BUCKET = timedelta(seconds=5)
BUCKETS = 24  # the last two minutes


@dataclass(slots=True)
class _Track:
    """One service from one vantage point."""

    first: datetime
    last: datetime
    good: datetime
    longest: timedelta = timedelta()


@dataclass(frozen=True, slots=True)
class Heard:
    """``longest``: between two good answers, or since the last one. ``since``: of the first question. ``recent``: the
    last stretches of BUCKET, oldest first: True where every question was answered, None where none was asked."""

    guest: GuestId
    since: datetime
    asked: int
    unanswered: int
    longest: timedelta
    recent: tuple[bool | None, ...]


@dataclass(slots=True)
class Tally:
    """Of one maintenance. ``lag_s_max``: a question later than that is the prober's own trouble; ``asked_s_max``: two
    questions further apart than that leave a time between them of which nothing is known."""

    lag_s_max: float
    asked_s_max: float
    at: datetime | None = None  # of the last sample
    _tracks: dict[tuple[GuestId, str], _Track] = field(default_factory=dict)
    _counts: dict[GuestId, list[int]] = field(default_factory=dict)
    _recent: dict[GuestId, dict[int, bool]] = field(default_factory=dict)

    def add(self, samples: Iterable[Sample]) -> None:
        """In the order of time; each later than those before it, of the same service and vantage point."""
        for sample in samples:
            self.at = sample.at if self.at is None else max(self.at, sample.at)
            if not sample.held and sample.lag_s <= self.lag_s_max:
                self._add(sample)

    def _add(self, sample: Sample) -> None:
        key = sample.guest, sample.vantage
        track = self._tracks.get(key)
        if track is None:
            track = self._tracks[key] = _Track(sample.at, sample.at, sample.at)
        if sample.at - track.last > timedelta(seconds=self.asked_s_max):
            track.good = sample.at
        track.last = sample.at
        if sample.ok:
            track.longest = max(track.longest, sample.at - track.good)
            track.good = sample.at
        counts = self._counts.setdefault(sample.guest, [0, 0])
        counts[0] += 1
        counts[1] += not sample.ok
        bucket, recent = int(sample.at.timestamp() // BUCKET.total_seconds()), self._recent.setdefault(sample.guest, {})
        recent[bucket] = recent.get(bucket, True) and sample.ok
        for old in [each for each in recent if each <= bucket - BUCKETS]:
            del recent[old]

    def heard(self) -> list[Heard]:
        """Of every service that was asked, by guest."""
        found = []
        for guest in sorted(self._counts):
            tracks = [track for (each, _), track in self._tracks.items() if each == guest]
            longest = min(max(track.longest, track.last - track.good) for track in tracks)
            asked, unanswered = self._counts[guest]
            recent, last = self._recent[guest], max(self._recent[guest])
            strip = tuple(recent.get(bucket) for bucket in range(last - BUCKETS + 1, last + 1))
            found.append(Heard(guest, min(track.first for track in tracks), asked, unanswered, longest, strip))
        return found
