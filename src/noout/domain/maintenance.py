"""A maintenance: its plan (immutable, complete, in executable order), its actions, and its folded state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from noout.domain.ceph import CephState, OkToStop
from noout.domain.cluster import ClusterState, GuestId, MigrationProgress, NodeId, Task
from noout.domain.hardware import Fault, HardwareState
from noout.domain.reasons import Blocker, Caution
from noout.domain.workorder import Finding, Photo, WorkOrder

# JSON data: null, boolean, number, text, list or object of the same. (A recursive alias cannot be validated.)
Json = Any


class MoveKind(StrEnum):
    """How a guest leaves the node, and what it feels."""

    LIVE = "live"  # QEMU pre-copy: a blackout well below a second
    OFFLINE = "offline"  # a stopped guest's configuration (and disks) moves
    RELOCATE = "relocate"  # LXC: stop, move, start: an interruption of seconds
    SHUTDOWN = "shutdown"  # cannot leave: shut down by consent, stays here, started again afterwards


@dataclass(frozen=True, slots=True)
class Move:
    """One guest's move. Which moves start beside which: ``plan.release``.

    ``after``: guests whose moves must have finished before (room is made, or rules want it).
    ``expected_s``/``expected_blackout_ms``: estimates by the migration model, stated as such wherever shown.
    ``ejects``: (drive, volume) of local ISOs taken out before it by consent, and put back after the return.
    """

    guest: GuestId
    name: str
    kind: MoveKind
    source: NodeId
    target: NodeId | None  # None only for SHUTDOWN
    ram_bytes: int
    ha: bool = False
    with_local_disks: bool = False
    target_storage: str | None = None
    after: tuple[GuestId, ...] = ()
    expected_s: float = 0.0
    expected_blackout_ms: int = 0
    why: str = ""
    failback_off: bool = False  # HA would pull it back from the target: its failback is off while it is away
    ejects: tuple[tuple[str, str], ...] = ()
    with_conntrack: bool = False  # outside HA: PVE is asked to take the firewall's table of connections along
    wire_bytes: int = 0  # expected to cross the network, what is rewritten meanwhile included
    alone: bool = False  # nothing else is moved while it is: it rewrites its memory fast, or HA sends it past the limit
    throttled: bool = False  # QEMU is expected to slow it down until the copy catches up
    starts_s: float = 0.0  # expected start, counted from the first move's
    quiet: tuple[str, ...] = ()  # "Mon-Fri 08:00-18:00 Europe/Amsterdam": when its customer wants it left alone
    mirrors: tuple[str, ...] = ()  # "pve3:local-lvm": storages its disks are copied from and to, one guest at a time


@dataclass(frozen=True, slots=True)
class Stay:
    """A guest that leaves by this plan and does not come home by it: where it stays, why, and what can be done."""

    guest: GuestId
    name: str
    node: NodeId
    why: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class NodeLoad:
    """RAM of one node before and after the evacuation; ``reserve_bytes`` is kept for the OS and the OSDs."""

    node: NodeId
    capacity_bytes: int
    reserve_bytes: int
    before_bytes: int
    after_bytes: int
    cpus: int = 0
    cpu_before: float = 0.0  # in cores, as used when observed
    cpu_after: float = 0.0


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything the execution needs; it has no choice left to make.

    ``feasible`` exactly when there are no blockers. ``moves`` empties the node; ``returns`` brings the guests home
    (in its own executable order); ``stays`` names every guest that leaves and does not return. ``estimate_s`` is
    (low, high); ``lower_bound_s`` is computed from the data alone.
    """

    id: str
    node: NodeId
    made_at: datetime
    observed_at: datetime
    streams: int
    moves: tuple[Move, ...]
    returns: tuple[Move, ...]
    blockers: tuple[Blocker, ...]
    cautions: tuple[Caution, ...]
    loads: tuple[NodeLoad, ...]
    lower_bound_s: float
    estimate_s: tuple[float, float]
    survives_another_node: bool | None = None  # N+1 after the evacuation; None: not computed
    noout_guests: tuple[GuestId, ...] = ()  # what noout itself or its database runs in, wherever that is
    parent: str | None = None
    consents: tuple[GuestId, ...] = ()  # guests whose interruption the operator agreed to for this maintenance
    lead_s: float = 0.0  # the next move starts when one has this much left to copy: set-ups overlap; 0: none does
    stream_bytes_s: float = 0.0  # what PVE is told to keep each migration to (HA's own ignore it); 0: nothing
    stays: tuple[Stay, ...] = ()

    @property
    def feasible(self) -> bool:
        return not self.blockers


class Mode(StrEnum):
    ADVISE = "advise"
    STEP = "step"
    AUTO = "auto"


@dataclass(frozen=True, slots=True)
class Observation:
    """What was seen, all in one go, by the step that is about to act on it."""

    at: datetime
    cluster: ClusterState
    ceph: CephState | None
    hardware: HardwareState | None  # of the node in maintenance
    # Guests whose service answered before and answers no more: "task OK, customer down" shows only here.
    silent: frozenset[GuestId] = frozenset()
    # Guests whose service is asked -> when it last answered; None: not yet since noout was started.
    answered: Mapping[GuestId, datetime | None] = field(default_factory=dict)
    ok_to_stop: OkToStop | None = None  # Ceph's answer for all OSDs of the host at once, where the step asks for it
    tasks: Mapping[str, Task] = field(default_factory=dict)  # by UPID: the tasks of pending actions
    progress: Mapping[GuestId, MigrationProgress] = field(default_factory=dict)
    due: Mapping[GuestId, datetime] = field(default_factory=dict)  # in migration -> when it is worth another look
    stalled: frozenset[GuestId] = frozenset()  # in migration, and `transferred` has stood still too long
    shell: bool = True  # commands can be given on the nodes: HA maintenance mode is one


@dataclass(frozen=True, slots=True)
class Action:
    """One effect, said in full before it happens. The same object is shown, journalled and executed.

    ``verb`` picks the code that acts; ``args`` is all it needs; ``says`` tells a person; ``command`` is what that
    person would type to do it by hand.
    """

    step: str
    verb: str
    subject: str
    says: str
    command: str = ""
    args: Mapping[str, str | int | float | bool | None] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Identifies the effect within its maintenance; the same wish has the same key."""
        return f"{self.step}/{self.verb}/{self.subject}"


class Phase(StrEnum):
    """Where a maintenance stands, in the words people use."""

    PROPOSED = "proposed"
    PLANNED = "planned"
    EVACUATING = "evacuating"
    EVACUATED = "evacuated"  # waits for the technician
    HOLDING = "holding"  # hands-on confirmed: data held, services stopped, power down
    REPAIR = "repair"  # node off, technician at work
    REINTEGRATING = "reintegrating"
    RETURNING = "returning"
    DONE = "done"  # all home; on probation
    ABORTING = "aborting"
    ABORTED = "aborted"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Owned:
    """Something noout set on the world and must release: ("noout", "pve3"), ("noup", "pve3"), ("led", "ams1/pve3")."""

    kind: str
    subject: str
    since: datetime


@dataclass(frozen=True, slots=True)
class Moved:
    """A move that was observed to have happened. ``blackout_ms``: what QEMU said, None where it did not.

    ``arrived``: in which state a guest that ran before was found at its target, where it did not run ("paused").
    """

    guest: GuestId
    name: str
    kind: MoveKind
    source: NodeId
    target: NodeId | None
    started: datetime
    finished: datetime
    blackout_ms: int | None
    homeward: bool  # part of the return
    arrived: str = ""
    rate_bytes_s: float | None = None  # as its log measured it; None where it did not


@dataclass(frozen=True, slots=True)
class Pending:
    """An intent whose effect is not yet verified: after a crash it is looked for, not repeated blindly."""

    action: Action
    since: datetime
    attempt: int
    upid: str | None = None  # the PVE task, once known
    started: bool = False  # it was asked for, and that was written down; else we may have crashed before asking
    unknown: str = ""  # why nobody knows whether it was taken up: the answer was lost


@dataclass(frozen=True, slots=True)
class Doubted:
    """An effect that was asked for, did not show within its limit, and may still come: then it is ours all the same."""

    pending: Pending
    since: datetime  # when it was taken for failed


@dataclass(frozen=True, slots=True)
class Maintenance:
    """The state of one maintenance: a fold over its journal, nothing else."""

    id: str
    node: NodeId
    reason: str
    mode: Mode
    opened_at: datetime
    opened_by: str
    seq: int  # of the last event folded
    phase: Phase = Phase.PROPOSED
    fault: Fault | None = None
    fsid: str = ""  # of the Ceph whose data the node may hold; "" without one
    plan: Plan | None = None
    approved_by: str | None = None
    four_eyes: bool = False  # whoever opened it may not approve it
    step: str = ""
    steps_done: tuple[tuple[str, datetime], ...] = ()
    pending: tuple[Pending, ...] = ()
    failed: Mapping[str, int] = field(default_factory=dict)  # action key -> failures so far
    why_failed: Mapping[str, str] = field(default_factory=dict)  # action key -> the last failure, in words
    failed_at: Mapping[str, datetime] = field(default_factory=dict)  # action key -> when it last failed
    doubted: tuple[Doubted, ...] = ()
    moved: tuple[Moved, ...] = ()
    owned: tuple[Owned, ...] = ()
    blockers: tuple[Blocker, ...] = ()
    cautions: tuple[Caution, ...] = ()
    waiting_for: str = ""
    waiting_until: datetime | None = None
    waiting_since: datetime | None = None  # since when it has waited for just this
    waiting_code: str = ""  # of which kind the wait is (steps.waits)
    waiting_kind_since: datetime | None = None  # since when it has waited for something of this kind
    waiting_limit: datetime | None = None  # when people are told that it takes too long; None: a person ends it
    needs: str = ""  # who or what can end the wait: technician, approval, confirmation, time, ...
    work_order: WorkOrder | None = None
    hands_on_by: str | None = None
    hands_on_at: datetime | None = None
    hands_on_serial: str | None = None
    node_off_at: datetime | None = None
    findings: tuple[Finding, ...] = ()
    photos: tuple[Photo, ...] = ()
    force_off_at: datetime | None = None  # when an operator last decided to cut the power of a node that hangs
    signed_off_by: str | None = None
    signed_off_at: datetime | None = None
    node_on_at: datetime | None = None
    acceptance_until: datetime | None = None
    probation_until: datetime | None = None
    probation_over_at: datetime | None = None  # passed or failed
    probation_failed: str = ""  # what showed that it was not cured
    reopened: int = 0  # how often it was taken up again because its probation failed
    messages_seen: frozenset[str] = frozenset()
    paused: bool = False
    closing_up: str = ""  # why the node goes back as it was, not repaired; "" while it is worked on
    urgent: bool = False  # ... because something else failed while it is away: the fastest way back
    hold_until: datetime | None = None  # how long an operator said the data may be held; None: the configured limit
    healing: bool = False  # an operator let Ceph copy the node's data elsewhere
    aborting: bool = False
    abort_reason: str = ""
    closed_at: datetime | None = None
    outcome: str = ""
    facts: Mapping[str, Json] = field(default_factory=dict)  # step evidence worth keeping, by name
    confirmed: frozenset[str] = frozenset()  # step mode: keys of actions a person said yes to
    silence_accepted: frozenset[GuestId] = frozenset()  # silent guests an operator knows about
    left_away: frozenset[GuestId] = frozenset()  # guests an operator said need not come home
    elsewhere: Mapping[str, str] = field(default_factory=dict)  # guest -> node where others put it
    replan_wanted_at: datetime | None = None  # something the plan does not know was recorded at this time
    undone: tuple[str, ...] = ()  # steps whose undo is finished

    @property
    def open(self) -> bool:
        return self.closed_at is None

    @property
    def unknown(self) -> tuple[Pending, ...]:
        """Effects of which nobody knows whether they were taken up: asked for, no answer, and not seen since."""
        return tuple(each for each in (*self.pending, *(late.pending for late in self.doubted)) if each.unknown)
