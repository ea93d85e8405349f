"""What a customer experienced, as probes saw it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from noout.domain.cluster import GuestId


@dataclass(frozen=True, slots=True)
class Service:
    """One thing a customer's clients talk to. ``probe`` is e.g. ``tcp:443``; ``addresses``: the guest's own."""

    guest: GuestId
    name: str
    probe: str
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sample:
    """One question and its answer. ``lag_s``: how late the prober itself was (its fault, not the guest's).

    ``vantage``: from where it was asked; "" is noout's own process. ``held``: the question was about a connection that
    is kept open: ``ok`` False says that it was found broken at ``at`` (one sample for each break).
    """

    guest: GuestId
    at: datetime
    ok: bool
    lag_s: float = 0.0
    vantage: str = ""
    held: bool = False


# Unanswered for so long after having answered a service is called silent: far above a blackout or one lost SYN.
SILENT_S = 8.0


class Cause(StrEnum):
    MOVE = "move"
    RELOCATION = "relocation"  # LXC: stop, move, start
    RESTART = "restart"  # consented shutdown and start
    UNRELATED = "unrelated"


class Confidence(StrEnum):
    """How surely the service was silent, and not the way to it: said of every interruption."""

    AGREED = "agreed"  # most of the vantage points that asked meanwhile, two or more, got no answer
    REPEATED = "repeated"  # one vantage point, two or more questions in a row
    SINGLE = "single"  # one question of one vantage point: a lost packet looks the same


@dataclass(frozen=True, slots=True)
class Interruption:
    """No good answer between ``last_good`` and ``next_good``: the half-open time [last_good, next_good).

    The true length lies within ``length`` - 2 x ``resolution_s`` .. ``length`` (one question's distance at each end):
    a probe cannot see what happened between two questions, so the longest possible is reported, the resolution beside
    it. ``already_failing``: no good answer was seen before it; ``last_good`` is then when asking began, and the true
    length may be more. ``probe``: how it was asked. ``seen_from``: the vantage points that missed an answer.
    ``blackout_ms``: the hypervisor's own figure of the move it is put down to.
    """

    guest: GuestId
    last_good: datetime
    next_good: datetime | None  # None: still going on at the end of the samples
    resolution_s: float
    missed: int
    cause: Cause = Cause.UNRELATED
    already_failing: bool = False
    probe: str = ""
    confidence: Confidence = Confidence.SINGLE
    seen_from: tuple[str, ...] = ()
    blackout_ms: int | None = None

    @property
    def length(self) -> timedelta | None:
        return None if self.next_good is None else self.next_good - self.last_good


@dataclass(frozen=True, slots=True)
class Availability:
    """Exact, in microseconds. ``measured_us``: time about which the samples say something (the prober's own gaps are
    not in it); ``unanswered_us``: as much of it as may have been without an answer at the longest."""

    measured_us: int
    unanswered_us: int

    @property
    def share(self) -> float | None:
        """At least so much of the measured time was answered, 0 to 1; None when nothing was measured."""
        return None if self.measured_us <= 0 else (self.measured_us - self.unanswered_us) / self.measured_us


@dataclass(frozen=True, slots=True)
class Baseline:
    """The same service from the first question until its first move began: what is usual for it."""

    since: datetime
    until: datetime
    samples: int
    interruptions: int
    unanswered_us: int

    @property
    def per_hour(self) -> float:
        hours = (self.until - self.since) / timedelta(hours=1)
        return self.interruptions / hours if hours > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Experience:
    """One service over one stretch of time: the witness's account, complete enough to print honestly.

    ``longest_gap_s`` is the longest time between two good answers (never a bare 0); None when not measured.
    ``every_s`` is the interval meant, ``resolution_s`` the largest there was between two questions (the prober's own
    gaps included): a pause shorter than that may have gone unseen. Of several vantage points the best counts.
    ``blackout_ms`` is QEMU's own figure for the guest's moves, kept beside it. ``probe``: how it was asked.
    ``disputed``: silences of one vantage point while others got answers: that one's own trouble, told and not counted.
    ``held_asked``, ``held_broken``: questions about a connection that was kept open, and how often it broke.
    ``availability``: raw. ``contractual``: without ``excluded_us``, the time that the customer's contract leaves out;
    None where it leaves out nothing. It never takes the raw one's place.
    """

    guest: GuestId
    name: str
    since: datetime
    until: datetime
    samples: int
    answered: int
    resolution_s: float | None
    longest_gap_s: float | None
    interruptions: tuple[Interruption, ...] = ()
    blackout_ms: int | None = None
    every_s: float | None = None
    probe: str = ""
    vantages: tuple[str, ...] = ()
    disputed: tuple[Interruption, ...] = ()
    held_asked: int = 0
    held_broken: int = 0
    baseline: Baseline | None = None
    availability: Availability | None = None
    contractual: Availability | None = None
    excluded_us: int = 0

    @property
    def measured(self) -> bool:
        return self.samples > 0
