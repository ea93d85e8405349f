"""The journal's event and its hash chain; the kinds of event there are; the messages people send to a run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from noout.domain.maintenance import Json

GENESIS = "0" * 64
ERASED = "text.erased"  # in any stream: {"reads": {"12": digest of how event 12 reads since}}


class Kind(StrEnum):
    """Every kind of event a maintenance's stream can hold. Values are stable: exports and scripts read them."""

    OPENED = "maintenance.opened"
    PLANNED = "plan.made"
    APPROVED = "plan.approved"
    STEP_ENTERED = "step.entered"
    STEP_DONE = "step.done"
    INTENT = "effect.intended"
    STARTED = "effect.started"  # asked for; a PVE task may be named
    DONE = "effect.verified"  # seen to have happened
    FAILED = "effect.failed"  # seen not to have happened
    OBSERVED = "observed"  # something others did, or that fell out differently; a recorded cause
    BLOCKED = "blocked"
    WAITING = "waiting"
    MESSAGE = "message"
    OWNED = "ownership.taken"
    RELEASED = "ownership.released"
    MOVED = "guest.moved"
    WORK_ORDER = "workorder.issued"
    FACT = "fact"  # evidence by name: {"name": ..., "value": ...}
    EXPERIENCE = "witness.experience"
    CLOSED = "maintenance.closed"
    PROBATION_FAILED = "probation.failed"  # the fault came back after the repair; written by the watch
    PROBATION_PASSED = "probation.passed"  # it stayed away: from now on it is called repaired
    REOPENED = "maintenance.reopened"  # taken up again, from the beginning, because the probation failed


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the journal. ``seq`` counts from 1 within its stream; ``digest`` chains it to the one before."""

    stream: str
    seq: int
    at: datetime
    kind: str
    data: Mapping[str, Json]
    actor: str  # "noout", "operator:anna", "technician:ruben"
    digest: str


def digest(previous: str, stream: str, seq: int, at: datetime, kind: str, data: Mapping[str, Json], actor: str) -> str:
    """SHA-256 (hex) over the previous digest and the event's canonical JSON (sorted keys, no spaces, UTC ISO time)."""
    body = json.dumps(
        [previous, stream, seq, at.isoformat(), kind, data, actor],
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=False,
        allow_nan=False,
    )
    return hashlib.sha256(body.encode()).hexdigest()


def chain_error(events: Iterable[Event]) -> str | None:
    """None when the events (one stream, from seq 1) form an unbroken chain, else a sentence naming the first break."""
    chain = Chain()
    for event in events:
        if (error := chain.add(event)) is not None:
            return error
    return chain.error


@dataclass(slots=True)
class Chain:
    """One stream's events from seq 1, checked one after the other as they are added.

    An event whose text was erased keeps its digest, and its place; a later event says how it reads since. So whether
    an event was changed is known at the end only: ``error``.
    """

    events: int = 0
    head: str = GENESIS
    _changed: dict[int, tuple[str, str]] = field(default_factory=dict)  # seq -> how it reads, what to say of it
    _erased: dict[int, str] = field(default_factory=dict)

    def add(self, event: Event) -> str | None:
        """A sentence when this event cannot be the next one."""
        if event.seq != self.events + 1:
            return self.error or f"{event.stream}: event {self.events + 1} is missing (found {event.seq})"
        if event.digest != digest(self.head, event.stream, event.seq, event.at, event.kind, event.data, event.actor):
            said = f"{event.stream}: event {event.seq} ({event.kind}) was changed after it was written"
            self._changed[event.seq] = reading(event), said
        self._erased |= reads_since(event)
        self.events, self.head = event.seq, event.digest
        return None

    @property
    def error(self) -> str | None:
        """The first event that was changed, in a sentence."""
        changed = self._changed.items()
        return next((said for seq, (reads, said) in changed if self._erased.get(seq) != reads), None)


def reading(event: Event) -> str:
    """The digest of how an event reads now, whatever comes before it."""
    return digest(GENESIS, event.stream, event.seq, event.at, event.kind, event.data, event.actor)


def reads_since(event: Event) -> dict[int, str]:
    """Of an event that tells of an erasure: the events before it that read differently since, and how."""
    told = event.data.get("reads") if event.kind == ERASED else None
    if not isinstance(told, Mapping):
        return {}
    return {int(seq): str(how) for seq, how in told.items() if seq.isdecimal() and int(seq) < event.seq}


EXTEND_H_MAX = 24.0  # the longest a hold can be extended at once


class MessageKind(StrEnum):
    APPROVE = "approve"
    HANDS_ON = "hands-on"  # data: serial
    FINDING = "finding"  # data: check, answer, note, part
    PHOTO = "photo"  # data: check, photo (the digest of the picture, which is kept elsewhere)
    SIGN_OFF = "sign-off"
    SERIAL_AGAIN = "serial-again"  # the technician is at the right server, whatever else went away; data: serial
    PAUSE = "pause"
    RESUME = "resume"
    ABORT = "abort"  # data: reason
    CLOSE_UP = "close-up"  # put the node back as it was, not repaired; data: reason
    EXTEND = "extend"  # hold the data longer than the limit; data: hours, from now
    LET_HEAL = "let-heal"  # release noout while the node is away: Ceph copies its data elsewhere
    FORCE_OFF = "force-off"  # cut the power of a node whose system is down and whose BMC says On; data: reason
    CONFIRM = "confirm"  # step mode: data: action key
    LINK = "link"  # a technician's link was made: data: link (its hash), technician, expires. The run ignores it
    LINK_OPENED = "link-opened"  # by its first and only device: data: link, device (hashes). The run ignores it
    LINK_REVOKED = "link-revoked"  # data: link (its hash). The run ignores it
    TURNED_DOWN = "turned-down"  # what a technician sent and was refused; data: what, why, remedy. The run ignores it


@dataclass(frozen=True, slots=True)
class Message:
    """What a person tells a run. ``key`` makes it count once however often it is sent."""

    key: str
    kind: str
    actor: str
    at: datetime
    data: Mapping[str, Json] = field(default_factory=dict)
