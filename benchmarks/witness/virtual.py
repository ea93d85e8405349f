"""24 virtual hours of what a prober tells, with its own drop-outs: how many interruptions does the ledger make up?"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from noout.domain.cluster import GuestId
from noout.domain.impact import Sample, Service
from noout.witness.ledger import experience

HOURS = 24
SECONDS = HOURS * 3600
START = datetime(2026, 11, 17, tzinfo=UTC)
APART_S = 2
# Planted once in each service, so that finding nothing proves something; at a time when somebody looked: what fell into
# the prober's own trouble would be a gap, and is counted as not measured.
OUTAGE_S = 5


@dataclass(frozen=True)
class Told:
    name: str
    services: int
    samples: int
    false: int
    disputed: int
    found: int  # of the planted outages, one in each service
    unmeasured_s: float  # the prober's own gaps, on average


def stretches(rng: random.Random, count: int, longest_s: int) -> set[int]:
    """The seconds of that many drop-outs."""
    found: set[int] = set()
    for _ in range(count):
        since = rng.randrange(SECONDS)
        found |= set(range(since, min(SECONDS, since + rng.randrange(1, longest_s))))
    return found


def planted(rng: random.Random, blind: set[int]) -> range:
    """An outage, whose seconds and the two beside them are none of the ``blind`` ones."""
    while True:
        since = rng.randrange(3600, SECONDS - 3600)
        if not blind & set(range(since - APART_S, since + OUTAGE_S + APART_S)):
            return range(since, since + OUTAGE_S)


def one_place(rng: random.Random, guest: GuestId) -> tuple[range, Iterator[Sample]]:
    """It was down, it was busy (its questions late, their answers lost to it), it left single questions out."""
    down, busy = stretches(rng, 20, 600), stretches(rng, 60, 120)
    outage = planted(rng, down | busy)
    return outage, _one(rng, guest, outage, down, busy)


def _one(rng: random.Random, guest: GuestId, outage: range, down: set[int], busy: set[int]) -> Iterator[Sample]:
    for second in range(1, SECONDS):
        if second in down or rng.random() < 0.001:
            continue
        late = second in busy
        ok = second not in outage and not (late and rng.random() < 0.7)
        lag_s = rng.uniform(0.6, 5.0) if late else rng.uniform(0.0, 0.04)
        yield Sample(guest, START + timedelta(seconds=second, microseconds=rng.randrange(40_000)), ok, lag_s)


def two_places(rng: random.Random, guest: GuestId) -> tuple[range, Iterator[Sample]]:
    """Each has its own line, which is cut now and then: then it gets no answer from anybody, in time."""
    cut = {"here": stretches(rng, 30, 300), "there": stretches(rng, 30, 300)}
    # Both lines cut at once, or one just after the other, cannot be told from a service that is silent.
    cut["there"] -= {second + aside for second in cut["here"] for aside in range(-APART_S, APART_S + 1)}
    outage = planted(rng, cut["here"] | cut["there"])
    return outage, _two(rng, guest, outage, cut)


def _two(rng: random.Random, guest: GuestId, outage: range, cut: dict[str, set[int]]) -> Iterator[Sample]:
    for second in range(1, SECONDS):
        for vantage, seconds in cut.items():
            ok = second not in outage and second not in seconds
            at = START + timedelta(seconds=second, microseconds=rng.randrange(900_000))
            yield Sample(guest, at, ok, 0.001, vantage)


def judged(name: str, services: int) -> Told:
    """The whole day of each service, through the ledger."""
    samples = false = disputed = found = 0
    unmeasured_s = 0.0
    for number in range(services):
        rng = random.Random(f"{name} {number}")
        guest = GuestId("ams1", 100 + number)
        outage, samples_of = (one_place if name == "one place" else two_places)(rng, guest)
        asked = list(samples_of)
        until = START + timedelta(seconds=SECONDS)
        account = experience(Service(guest, "web", "tcp:443"), asked, START, until, 1.0, ())
        samples += len(asked)
        disputed += len(account.disputed)
        first, last = START + timedelta(seconds=outage.start), START + timedelta(seconds=outage.stop)
        for gap in account.interruptions:
            if gap.last_good < last and (gap.next_good is None or gap.next_good > first):
                found += 1
            else:
                false += 1
        measured_us = account.availability.measured_us if account.availability else 0
        unmeasured_s += SECONDS - measured_us / 1e6
    return Told(name, services, samples, false, disputed, found, unmeasured_s / services)
