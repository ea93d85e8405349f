"""What a run needs of the program around it: its doors, and the rooms it asks for plans, work orders and judgement."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from noout.domain.ceph import CephState
from noout.domain.cluster import ClusterState, Guest, GuestId, MigrationProgress, NodeId
from noout.domain.maintenance import Json, Maintenance, Observation, Owned, Plan
from noout.domain.note import Note
from noout.domain.windows import Shut
from noout.domain.workorder import WorkOrder
from noout.ports import Clock, Description, Journal
from noout.run.opening import Unread
from noout.run.record import Known
from noout.steps.avoid import Avoid
from noout.steps.neighbours import in_the_cluster
from noout.steps.rules import RULES, Rules
from noout.steps.site import Site

MakePlan = Callable[[ClusterState, CephState | None, NodeId, datetime, Plan | None, Avoid], Awaitable[Plan]]


@dataclass(frozen=True, slots=True)
class Answer:
    """The acceptance's answer. ``ok`` None: not yet, ask again at ``until``."""

    ok: bool | None
    reasons: tuple[str, ...] = ()
    until: datetime | None = None
    evidence: Mapping[str, Json] = field(default_factory=dict)


async def as_recorded(state: ClusterState, guests: Sequence[Guest]) -> tuple[Sequence[Guest], Json]:
    return guests, None


async def nobody_is_silent(m: Maintenance) -> frozenset[GuestId]:
    return frozenset()


async def nobody_is_asked(m: Maintenance) -> Mapping[GuestId, datetime | None]:
    return {}


async def of_the_cluster(m: Maintenance, seen: Observation) -> Mapping[str, bool]:
    return in_the_cluster(m, seen)


async def nothing_is_frozen(m: Maintenance) -> str:
    return ""


def always_open(node: NodeId, at: datetime) -> Shut | None:
    return None


def nobody_else() -> bool:
    return True


def no_link(m: Maintenance) -> str:
    return ""


async def nobody_is_to_acknowledge(m: Maintenance) -> Unread | None:
    return None


async def always_doubt(m: Maintenance, note: Note, why: str) -> bool:
    return True


async def nobody_to_page(m: Maintenance, why: str) -> None:
    return None


def ten_minutes(m: Maintenance) -> float:
    return 600.0


@dataclass(slots=True)
class Sighting:
    """How far a migration had come when it last moved on; lost with the process, and then begun anew."""

    transferred_bytes: int
    since: datetime


@dataclass(frozen=True, slots=True)
class Read:
    """What a migration's log said when it was last read, and when it is worth reading again. ``doubtful``: it said
    nothing, or nothing new, so that the task itself is asked whether it runs."""

    progress: MigrationProgress | None
    due: datetime
    doubtful: bool = False

    @property
    def over(self) -> bool:
        return self.progress is not None and self.progress.over


@dataclass(frozen=True, slots=True)
class Noted:
    """What a run's note was last written from: the event, and what was owned."""

    at: datetime
    seq: int
    owned: tuple[Owned, ...]


@dataclass(frozen=True, slots=True)
class Context:
    """``addressed``: guests with the addresses at which they are probed, and what to write down of that.
    ``neighbours``: other servers near this one -> whether they stand; those of which nobody can say are left out.
    ``frozen``: why this run may start no effect now, "" when it may. ``shut``: why nothing is begun on this node
    at this hour. ``unacknowledged``: customers who have yet to acknowledge what is to come.
    ``page`` wakes people, and never raises.
    ``doubt``: a note tells of more than the journal has, in words: True unless an operator has said that the journal
    counts all the same.
    ``link``: where people see how it stands, "" when nowhere.
    ``inventory``: what the node says of itself from inside, None when it says nothing; None: nobody can ask it.
    ``leads``: whether this process leads the run for certain; ``journal`` refuses it when it does not.
    ``soak_s``: how long the repaired node is to prove itself.
    ``sightings``, ``logs``, ``described``, ``unkept`` and ``known`` are scratch memory."""

    journal: Journal
    clock: Clock
    site: Callable[[NodeId], Site]
    make_plan: MakePlan
    make_work_order: Callable[[Maintenance], WorkOrder]
    accept: Callable[[Maintenance, Observation], Awaitable[Answer]]
    silent: Callable[[Maintenance], Awaitable[frozenset[GuestId]]] = nobody_is_silent
    answered: Callable[[Maintenance], Awaitable[Mapping[GuestId, datetime | None]]] = nobody_is_asked
    addressed: Callable[[ClusterState, Sequence[Guest]], Awaitable[tuple[Sequence[Guest], Json]]] = as_recorded
    neighbours: Callable[[Maintenance, Observation], Awaitable[Mapping[str, bool]]] = of_the_cluster
    frozen: Callable[[Maintenance], Awaitable[str]] = nothing_is_frozen
    doubt: Callable[[Maintenance, Note, str], Awaitable[bool]] = always_doubt
    shut: Callable[[NodeId, datetime], Shut | None] = always_open
    unacknowledged: Callable[[Maintenance], Awaitable[Unread | None]] = nobody_is_to_acknowledge
    page: Callable[[Maintenance, str], Awaitable[None]] = nobody_to_page
    link: Callable[[Maintenance], str] = no_link
    inventory: Callable[[Maintenance, Observation], Awaitable[Json]] | None = None
    soak_s: Callable[[Maintenance], float] = ten_minutes
    probation_s: float = 7 * 86400.0
    stall_s: float = 60.0
    rules: Rules = RULES
    leads: Callable[[], bool] = nobody_else
    sightings: dict[str, Sighting] = field(default_factory=dict)
    logs: dict[str, Read] = field(default_factory=dict)  # by UPID
    unkept: set[str] = field(default_factory=set)  # whose journal could not be written: somebody was told
    noted: dict[str, Noted] = field(default_factory=dict)
    looked_back: dict[str, tuple[datetime, int]] = field(default_factory=dict)  # until when, and at which event
    described: dict[str, tuple[datetime, Description]] = field(default_factory=dict)  # the node's, when last read
    unread: dict[str, datetime] = field(default_factory=dict)  # since when it could not be read
    known: Known = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "known", Known(self.journal))
