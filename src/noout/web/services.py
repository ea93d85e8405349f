"""What the web needs of the program: a handful of callables, wired by ``app``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from noout.app.access import Access
from noout.app.overview import Overview
from noout.app.standstill import Standstill
from noout.app.technician import FieldWork
from noout.app.watcher import Health
from noout.app.watching.reception import Reception
from noout.domain.access import Person
from noout.domain.cluster import NodeId
from noout.domain.journal import Event, MessageKind
from noout.domain.maintenance import Json, Maintenance
from noout.domain.ownership import Oddity
from noout.domain.proposals import Proposal


@dataclass(frozen=True, slots=True)
class Console:
    """What the operators' console needs; it is served where people may sign in.

    ``health``: what is known of the nodes of these clusters; ``judged``: of one, with all its verdicts (None without a
    BMC); ``picture``: its last days as SVG. ``tell`` raises Refused where a run would not take it.
    """

    access: Access
    clusters: Sequence[str]
    overview: Overview
    proposals: Callable[[], Awaitable[Sequence[Proposal]]]
    health: Callable[[Sequence[str]], Awaitable[Sequence[Health]]]
    judged: Callable[[NodeId], Awaitable[Health | None]]
    picture: Callable[[Health | None], Awaitable[str]]
    oddities: Callable[[], Awaitable[Sequence[Oddity]]]
    standstill: Callable[[], Awaitable[Standstill | None]]
    events: Callable[[str], Awaitable[Sequence[Event]]]
    tell: Callable[[str, MessageKind, str, Mapping[str, Json], str], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class WebServices:
    """What the web needs of the program.

    ``person_of``: a bearer token -> whose it is; None when it is nobody's.
    ``reception``: takes what is sent about the nodes' hardware; None where nothing watches them.
    ``base_url``: what links begin with, where it differs from how the request came ("https://noout.example").
    ``timezone``: the technicians' own, for times on their page.
    ``console``: what operators' pages need; None where nobody can sign in.
    ``metrics``: figures of noout itself, for a Prometheus; None where nothing is served all the time.
    """

    field: FieldWork
    maintenances: Callable[[], Awaitable[Sequence[Maintenance]]]
    person_of: Callable[[str], Awaitable[Person | None]]
    reception: Reception | None = None
    base_url: str = ""
    timezone: str = "UTC"
    metrics: Callable[[], Awaitable[str]] | None = None
    console: Console | None = None
