"""What the web needs of the program: a handful of callables, wired by ``app``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from noout.app.access import Access
from noout.app.desk import Desk
from noout.app.links import Visit
from noout.app.overview import Overview
from noout.app.showing import Spark
from noout.app.standstill import Standstill
from noout.app.technician import Bench, FieldWork
from noout.app.watcher import Health
from noout.app.watching.reception import Reception
from noout.domain.access import Person
from noout.domain.cluster import GuestId, MigrationProgress, NodeId
from noout.domain.customers import Customer
from noout.domain.journal import Event, MessageKind
from noout.domain.maintenance import Json, Maintenance
from noout.domain.ownership import Oddity
from noout.domain.workorder import Answer
from noout.web.portal.pages import Portals
from noout.witness.tally import Heard


class Shown(Protocol):
    """What the operators' pages show and do; ``app.console`` has it over an installation."""

    @property
    def clusters(self) -> Sequence[str]: ...

    @property
    def overview(self) -> Overview: ...

    @property
    def desk(self) -> Desk: ...

    async def health(self, clusters: Sequence[str]) -> Sequence[Health]:
        """What is known of the nodes of these clusters."""

    async def judged(self, node: NodeId) -> Health | None:
        """One node with all its verdicts; None without a BMC."""

    async def picture(self, health: Health | None) -> str:
        """Its last days as SVG; "" where nothing is known."""

    async def oddities(self) -> Sequence[Oddity]: ...

    async def standstill(self) -> Standstill | None: ...

    async def stop_all(self, actor: str, reason: str, address: str) -> None: ...

    async def allow_all(self, actor: str, address: str) -> None: ...

    async def spark(self, node: NodeId, sensor: str) -> Spark:
        """The sensor's last days in small."""

    async def state(self, maintenance: str) -> Maintenance:
        """Half a second old at the most. UsageError when there is none of that name."""

    async def events(self, maintenance: str, after: int = 0) -> Sequence[Event]: ...

    @property
    def customers(self) -> Sequence[Customer]: ...

    async def progress(self, m: Maintenance) -> Mapping[GuestId, MigrationProgress]:
        """How far the guests under way are; of those that tell."""

    async def heard(self, m: Maintenance) -> Sequence[Heard]:
        """What the witness has heard of each service so far."""

    async def tell(self, maintenance: str, kind: MessageKind, actor: str, data: Mapping[str, Json], key: str) -> None:
        """Once for each ``key``. Raises Refused where a run would not take it."""


@dataclass(frozen=True, slots=True)
class Console:
    """The operators' console; it is served where people may sign in."""

    access: Access
    shown: Shown


class Field(Protocol):
    """What technicians see and do: ``FieldWork`` on the spot, or by way of control on a public process."""

    @property
    def clock(self) -> Reads: ...

    async def enter(self, token: str, device: str | None) -> Visit: ...

    async def bench(self, visit: Visit) -> Bench: ...

    async def hands_on(self, visit: Visit, serial: str, key: str) -> bool: ...

    async def serial_again(self, visit: Visit, serial: str, key: str) -> bool: ...

    async def finding(self, visit: Visit, check: str, answer: Answer, note: str, key: str, part: str = "") -> bool: ...

    async def photo(self, visit: Visit, check: str, picture: bytes, key: str) -> bool: ...

    async def picture(self, visit: Visit, digest: str) -> bytes | None: ...

    async def not_today(self, visit: Visit, why: str, key: str) -> bool: ...

    async def sign_off(self, visit: Visit, key: str) -> bool: ...


class Reads(Protocol):
    """A clock that is only looked at."""

    def now(self) -> datetime: ...

    def wall_s(self, seconds: float) -> float: ...


class TechnicianServices(Protocol):
    """What the technicians' pages need."""

    @property
    def field(self) -> Field: ...

    @property
    def base_url(self) -> str: ...


@dataclass(frozen=True, slots=True)
class WebServices:
    """What the web needs of the program.

    ``person_of``: a bearer token -> whose it is; None when it is nobody's.
    ``reception``: takes what is sent about the nodes' hardware; None where nothing watches them.
    ``base_url``: what links begin with, where it differs from how the request came ("https://noout.example").
    ``console``: what operators' pages need; None where nobody can sign in.
    ``metrics``: figures of noout itself, for a Prometheus; None where nothing is served all the time.
    ``ready``: whether noout does what it is there for; None where nobody knows.
    ``technicians``: their pages are served here, not by a public process.
    ``proxies``: addresses whose word counts on where a request came from.
    ``portal``: customers' portals and the status page; None where a public process serves them.
    ``technicians_url``: what technicians' links begin with, where a public process serves them.
    """

    field: FieldWork
    maintenances: Callable[[], Awaitable[Sequence[Maintenance]]]
    person_of: Callable[[str], Awaitable[Person | None]]
    reception: Reception | None = None
    base_url: str = ""
    metrics: Callable[[], Awaitable[str]] | None = None
    console: Console | None = None
    ready: Callable[[], Awaitable[bool]] | None = None
    technicians: bool = True
    proxies: str = "127.0.0.1"
    technicians_url: str = ""
    portal: Portals | None = None
