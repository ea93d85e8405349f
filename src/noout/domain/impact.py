"""What a customer experienced, as probes saw it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from noout.domain.cluster import GuestId


@dataclass(frozen=True, slots=True)
class Service:
    """One thing a customer's clients talk to. ``probe`` is e.g. ``tcp:443``."""

    guest: GuestId
    name: str
    probe: str


@dataclass(frozen=True, slots=True)
class Sample:
    """One question and its answer. ``lag_s``: how late the prober itself was in asking (its fault, not the guest's)."""

    guest: GuestId
    at: datetime
    ok: bool
    lag_s: float = 0.0


class Cause(StrEnum):
    MOVE = "move"
    RELOCATION = "relocation"  # LXC: stop, move, start
    RESTART = "restart"  # consented shutdown and start
    UNRELATED = "unrelated"


@dataclass(frozen=True, slots=True)
class Interruption:
    """No good answer between ``last_good`` and ``next_good``.

    The true length lies within ``length`` - 2 x ``resolution_s`` .. ``length`` (one question's distance at each end):
    a probe cannot see what happened between two questions, so the longest possible is reported, the resolution beside
    it. ``already_failing``: no good answer was seen before it; ``last_good`` is then when asking began, and the true
    length may be more.
    """

    guest: GuestId
    last_good: datetime
    next_good: datetime | None  # None: still going on at the end of the samples
    resolution_s: float
    missed: int
    cause: Cause = Cause.UNRELATED
    already_failing: bool = False

    @property
    def length(self) -> timedelta | None:
        return None if self.next_good is None else self.next_good - self.last_good


@dataclass(frozen=True, slots=True)
class Experience:
    """One service over one stretch of time: the witness's account, complete enough to print honestly.

    ``longest_gap_s`` is the longest time between two good answers (never a bare 0); None when not measured.
    ``every_s`` is the interval meant, ``resolution_s`` the largest there was between two questions (the prober's own
    gaps included): a pause shorter than that may have gone unseen.
    ``blackout_ms`` is QEMU's own figure for the guest's moves, kept beside it.
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

    @property
    def measured(self) -> bool:
        return self.samples > 0
