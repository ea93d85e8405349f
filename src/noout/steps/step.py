"""What a step is: a reconciler with four verbs, and the typed decisions it may take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, Protocol

from noout.codec import encode
from noout.domain.maintenance import Action, Json, Maintenance, Observation, Pending
from noout.domain.reasons import Blocker, Caution
from noout.steps.site import Site
from noout.steps.waits import WAITS, Needs

ATTEMPTS_MAX = 3
BACKOFF_S = (0.0, 15.0, 60.0)  # before the 2nd, 3rd, later attempt
LOOK_S = {"cordon": 10.0, "uncordon": 10.0}  # between two looks for an effect, where more than 2 s: HA thinks in rounds
UNASKED_S = 60.0  # how long an effect that may never have been asked for is waited for

# "anew": every configuration as it is now; without it, what no list says to have changed may be an hour old.
Sight = Literal["ceph", "anew", "hardware", "ok-to-stop"]


# --- decisions ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Act:
    """Effects wanted now, most urgent first; the run starts one at a time and asks again."""

    actions: tuple[Action, ...]


@dataclass(frozen=True, slots=True)
class Blocked:
    """Must not go on. Looked at again and again: it ends when the observation says so, or a person does."""

    blockers: tuple[Blocker, ...]


@dataclass(frozen=True, slots=True)
class Hold:
    """Nothing to do but wait for ``for_s``, then look again. ``code``: its kind (``waits.WAITS``). ``why`` is a stable
    sentence (no figures that tick): how long it has held is counted. ``limit_at``: of this very wait, else its kind's.
    """

    code: str
    why: str
    for_s: float
    limit_at: datetime | None = None

    @property
    def needs(self) -> Needs:
        return WAITS[self.code].needs


@dataclass(frozen=True, slots=True)
class Finished:
    evidence: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Note:
    """Something observed that the rest of the story needs: written down as a fact, then asked again."""

    name: str
    value: Json


@dataclass(frozen=True, slots=True)
class Ask:
    """Something the run must fetch or compute for the step: a new plan, the work order, the acceptance's answer."""

    what: Literal["plan", "work-order", "acceptance"]
    why: str


@dataclass(frozen=True, slots=True)
class Back:
    """An earlier step is no longer true (a guest came to the node): that step is taken up again."""

    to: str
    why: str


Decision = Act | Blocked | Hold | Finished | Note | Ask | Back


# --- verdicts on one effect -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Verified:
    evidence: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Failed:
    why: str


@dataclass(frozen=True, slots=True)
class NotYet:
    why: str = ""


Verdict = Verified | Failed | NotYet


class Step(Protocol):
    """``plan`` and ``undo`` are pure: the same maintenance and observation give the same decision."""

    @property
    def name(self) -> str: ...

    @property
    def sees(self) -> frozenset[Sight]:
        """What must be observed for it beyond cluster and Ceph."""
        ...

    def plan(self, m: Maintenance, seen: Observation) -> Decision: ...

    async def act(self, action: Action, seen: Observation, site: Site) -> str | None:
        """Ask the world for the effect; returns the UPID of the task where there is one."""
        ...

    def verify(self, pending: Pending, m: Maintenance, seen: Observation) -> Verdict: ...

    def undo(self, m: Maintenance, seen: Observation) -> Decision: ...


# --- small words every step uses ------------------------------------------------------------------------------


def waited_s(m: Maintenance, seen: Observation, why: str) -> float:
    """How long the run has been waiting for exactly ``why`` (0 when it has not)."""
    if m.waiting_for != why or m.waiting_since is None:
        return 0.0
    return (seen.at - m.waiting_since).total_seconds()


def is_pending(m: Maintenance, key: str) -> bool:
    return any(pending.action.key == key for pending in m.pending)


def owns(m: Maintenance, kind: str, subject: str | None = None) -> bool:
    return any(own.kind == kind and subject in (None, own.subject) for own in m.owned)


def exhausted(m: Maintenance, key: str) -> bool:
    return m.failed.get(key, 0) >= ATTEMPTS_MAX


def retry_at(m: Maintenance, key: str) -> datetime | None:
    """When a failed action may be tried again; None when it never failed."""
    failures = m.failed.get(key, 0)
    if not failures or key not in m.failed_at:
        return None
    return m.failed_at[key] + timedelta(seconds=BACKOFF_S[min(failures, len(BACKOFF_S) - 1)])


def attempt(m: Maintenance, seen: Observation, action: Action, *, remedy: str, code: str = "effect.failed") -> Decision:
    """The action now; or a wait while it is under way or backing off; or, tried too often, a blocker saying why."""
    if is_pending(m, action.key):
        return Hold("under-way", f"under way: {action.says}", LOOK_S.get(action.verb, 2.0))
    if exhausted(m, action.key):
        why = m.why_failed.get(action.key, "it failed")
        return blocked(code, action.subject, f"{action.says}: failed {m.failed[action.key]} times: {why}", remedy)
    again = retry_at(m, action.key)
    if again is not None and seen.at < again:
        return Hold("retry", f"trying again soon: {action.says}", max((again - seen.at).total_seconds(), 1.0))
    return Act((action,))


def warn_once(m: Maintenance, caution: Caution) -> Note | None:
    """The caution as a note, unless one of its code and subject has been written down already."""
    known = any((each.code, each.subject) == (caution.code, caution.subject) for each in m.cautions)
    return None if known else Note("caution", encode(caution))


def within(limit_s: float, pending: Pending, seen: Observation, why: str) -> Verdict:
    """Not yet, until the limit; then failed. What may never have been asked for is not waited for that long."""
    limit_s = limit_s if pending.started else min(limit_s, UNASKED_S)
    late = (seen.at - pending.since).total_seconds() >= limit_s
    return Failed(f"{why}, {limit_s:.0f} s after it was asked for") if late else NotYet(why)


def blocked(code: str, subject: str, message: str, remedy: str, **evidence: str) -> Blocked:
    return Blocked((Blocker(code, subject, message, remedy, evidence),))
