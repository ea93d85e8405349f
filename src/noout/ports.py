"""The doors to the world, as Protocols; one real implementation each in ``adapters``.

Errors are those of ``domain.errors``. A method that has an effect raises UnknownOutcome when the answer was lost;
the caller then observes before it does anything else.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from noout.domain.ceph import CephState, OkToStop
from noout.domain.cluster import ClusterState, Guest, GuestId, MigrationProgress, Near, NodeId, Task
from noout.domain.errors import NooutError
from noout.domain.hardware import HardwareState, LogEntry, Power, Reading
from noout.domain.impact import Sample, Service
from noout.domain.inventory import NodeInventory
from noout.domain.journal import Event, Message
from noout.domain.maintenance import Json
from noout.domain.survey import CephSurvey, ClusterSurvey
from noout.domain.trend import Trend


class Clock(Protocol):
    """The only source of time."""

    def now(self) -> datetime:
        """Clock time (UTC). Against the lab: its epoch + speed x wall time since it started."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait ``seconds`` of Clock time."""
        ...

    def wall_s(self, seconds: float) -> float:
        """How long ``seconds`` of Clock time take on the machine's own clock (s)."""
        ...


@dataclass(frozen=True, slots=True)
class Precondition:
    """What PVE itself says before a migration. ``blocked`` maps target node name -> reasons in words."""

    running: bool
    local_disks: tuple[str, ...]
    local_resources: tuple[str, ...]
    blocked: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Description:
    """A node's own, as Markdown. ``digest``: of the configuration it was read from; "" where there is none yet."""

    text: str = ""
    digest: str = ""


class Hypervisor(Protocol):
    """One Proxmox VE cluster. ``has_shell``: commands can be given on its nodes (HA maintenance mode is one)."""

    name: str
    has_shell: bool

    async def permissions(self) -> Mapping[str, frozenset[str]]:
        """What noout may do here: path -> privileges that hold there and below. A path without any is not in it."""
        ...

    async def observe(self, *, keep_s: float | None = None, near: Near | None = None) -> ClusterState:
        """The cluster now: per-node lists and configurations, never the lagging ``/cluster/resources`` alone.

        ``keep_s``: configurations and inventories of so long ago will do, where no list says that they changed.
        ``near``: no more than this need be looked at. The whole is, when the last whole look is too old, or when
        anything beside what was asked for is seen to have changed."""
        ...

    async def own_addresses(self, guest: Guest) -> Sequence[str]:
        """What the running guest tells of its own network cards, net0's first; nobody else vouches for it.

        Refused where it does not tell, with the reason."""
        ...

    async def precondition(self, guest: Guest, target: NodeId) -> Precondition: ...

    async def migrate(
        self,
        guest: Guest,
        target: NodeId,
        *,
        online: bool,
        with_local_disks: bool = False,
        target_storage: str | None = None,
        with_conntrack: bool = False,
        limit_bytes_s: float = 0.0,
    ) -> Task:
        """Start a migration (LXC running: relocation by restart). Returns the task; it is not the outcome.

        ``with_conntrack``: a guest behind the PVE firewall takes its table of connections along.
        ``limit_bytes_s``: what it may send, disks included; 0: what the cluster allows."""
        ...

    async def ha_migrate(self, guest: Guest, target: NodeId) -> None:
        """Queue ``ha-manager migrate``. Nothing has moved when this returns."""
        ...

    async def shutdown_guest(self, guest: Guest, timeout_s: int) -> Task:
        """A clean shutdown; never a hard stop."""
        ...

    async def start_guest(self, guest: Guest) -> Task: ...

    async def set_drive(self, guest: Guest, drive: str, volume: str | None) -> None:
        """Put a medium into a CD drive of a virtual machine ("ide2"); None takes out what is in it."""
        ...

    async def task(self, upid: str) -> Task: ...

    async def moves_made(self, guest: Guest, source: NodeId, since: datetime) -> Sequence[Task]:
        """Migrations of the guest away from ``source``, whoever began them after ``since`` and all over and well; the
        last one first. The node's own clock counts. ``source`` must be up."""
        ...

    async def progress(self, upid: str) -> MigrationProgress | None:
        """Read from the task's log; None before the first figure."""
        ...

    async def cancel(self, upid: str) -> None: ...

    async def ceph_service(self, node: NodeId, action: str, service: str) -> Task:
        """``action`` start | stop; ``service`` "osd.3", "mon.pve3", "mgr.pve3"."""
        ...

    async def shutdown_node(self, node: NodeId) -> None:
        """Ask the node to shut down; PVE makes no safety check and no task. Power is proved by the BMC only."""
        ...

    async def maintenance_mode(self, node: NodeId, on: bool) -> None:
        """HA maintenance mode. Starts moving HA guests by its own choice: only on a node empty of them."""
        ...

    async def add_node_rule(self, name: str, guests: Sequence[Guest], nodes: Sequence[str]) -> None:
        """A strict HA rule: ``guests`` may be on ``nodes`` only. HA moves any that are elsewhere, at once.

        Refused when it contradicts a rule there is."""
        ...

    async def delete_rule(self, name: str) -> None:
        """Nothing moves when a rule is deleted."""
        ...

    async def set_failback(self, guest: Guest, on: bool) -> None:
        """Whether HA brings the guest back to the nodes its rule likes best. Off to on may move it."""
        ...

    async def set_onboot(self, guest: Guest, on: bool) -> None:
        """Whether the guest starts with its node; the node must be up."""
        ...

    async def set_crs(self, value: str) -> None:
        """How HA places and rebalances: datacenter.cfg's ``crs``; "" unsets it."""
        ...

    async def describe(self, node: NodeId) -> Description:
        """The node must be up."""
        ...

    async def set_description(self, node: NodeId, text: str, digest: str) -> None:
        """Refused when the configuration is no longer the one with this digest. The node must be up."""
        ...

    async def set_cluster_noout(self, on: bool) -> None:
        """Ceph's flag for the whole cluster; for one host there is no way through this API."""
        ...


class CephCluster(Protocol):
    async def observe(self) -> CephState: ...

    async def ok_to_stop(self, osds: Sequence[int]) -> OkToStop: ...

    async def osd_machines(self) -> Mapping[int, str]:
        """OSD -> short host name of the machine its daemon last ran on, whatever its CRUSH host is called."""
        ...

    async def set_host_flags(self, host: str, flags: frozenset[str]) -> None: ...

    async def unset_host_flags(self, host: str, flags: frozenset[str]) -> None: ...

    async def fail_mgr(self) -> None:
        """Let a standby mgr take over."""
        ...

    async def fail_mds(self, name: str) -> None:
        """Let a standby MDS take over from this one."""
        ...


@dataclass(frozen=True, slots=True)
class Completed:
    """A finished command."""

    exit: int
    stdout: str
    stderr: str


class Surveyor(Protocol):
    """What the doctor asks of one Proxmox VE cluster beside the observation."""

    async def survey(self, nodes: Sequence[NodeId]) -> ClusterSurvey:
        """``nodes``: those that are online. What cannot be read is named in the answer."""
        ...


class CephSurveyor(Protocol):
    """What the doctor asks of one Ceph cluster beside the observation."""

    async def survey(self) -> CephSurvey: ...

    async def try_shells(self, nodes: Sequence[NodeId]) -> Mapping[NodeId, NooutError | str]:
        """Run one harmless command on each node: node -> why it did not run, "" where it did."""
        ...


class Inspector(Protocol):
    """What a node of one cluster says of itself from inside."""

    async def inspect(self, node: NodeId, peers: Sequence[NodeId]) -> NodeInventory:
        """``peers``: the other nodes that are online. What cannot be read is named in the answer."""
        ...


class Shell(Protocol):
    async def run(self, node: NodeId, argv: Sequence[str], *, timeout_s: float = 30.0) -> Completed:
        """Run one command on a node; ``argv`` is never interpreted by a shell. Retryable when nothing was run."""
        ...


class Bmc(Protocol):
    """One node's board management controller."""

    node: NodeId

    async def observe(self, *, log: bool = True) -> HardwareState:
        """Never raises for a sick BMC: ``reachable`` is False then."""
        ...

    async def power_on(self) -> None: ...

    async def force_off(self) -> None:
        """Cut the power. Only a person decides that; a node that is up loses what it holds."""
        ...

    async def locate(self, on: bool) -> None: ...


class EventSource(Protocol):
    """A BMC that can send its events itself."""

    async def subscribed(self, destination: str, context: str, known: str) -> str:
        """See to it that this BMC sends its events to ``destination`` with ``context`` in each: where its subscription
        is, the one at ``known`` if that still stands. Those to the same destination that nobody keeps are ended.

        Raises Refused when the BMC cannot do it, Retryable or UnknownOutcome when it may later.
        """
        ...

    async def unsubscribe(self, known: str) -> None: ...


@dataclass(frozen=True, slots=True)
class HostReport:
    """What exporters tell of one node. ``host``: what the running host measures; ``bmc``: what its BMC says by way of
    an exporter; ``power``: on, off, or not known from there; ``redundancy``: as in ``HardwareState``; ``online``:
    whether the cluster counts the node in."""

    host: tuple[Reading, ...] = ()
    bmc: tuple[Reading, ...] = ()
    power: Power = Power.UNKNOWN
    redundancy: Mapping[str, str] = field(default_factory=dict)
    online: bool | None = None


class Exporters(Protocol):
    """The monitoring of one cluster."""

    async def observe(self) -> Mapping[NodeId, HostReport]:
        """Every node of which something is known now. Raises Retryable or Broken."""
        ...


class Prober(Protocol):
    async def collect(
        self, services: Sequence[Service], since: datetime, until: datetime, every_s: float
    ) -> Sequence[Sample]:
        """Ask each service every ``every_s`` seconds from ``since`` (exclusive) to ``until``; returns at ``until``."""
        ...


class Sittings(Protocol):
    """What is kept of a browser for a while (a session, a sign-in under way), by the digest of a secret it has."""

    async def keep(self, key: str, data: Mapping[str, Json], until: datetime) -> None:
        """In place of what was kept under that key."""
        ...

    async def find(self, key: str, now: datetime) -> Mapping[str, Json] | None:
        """None for what was never kept, or is over."""
        ...

    async def drop(self, key: str) -> bool:
        """Whether there was anything."""
        ...

    async def tidy(self, now: datetime) -> None:
        """Drop what is over."""
        ...


class Papers(Protocol):
    """What customers are written, and to whom: JSON documents under a kind and a key, of one customer each, outside the
    journal, so that they can be erased."""

    async def put(self, kind: str, key: str, customer: str, paper: Mapping[str, Json]) -> None:
        """In place of what is there."""

    async def get(self, kind: str, key: str) -> Mapping[str, Json] | None: ...

    async def all(self, kind: str, customer: str | None = None) -> Sequence[Mapping[str, Json]]:
        """By key; of one customer, or of all."""

    async def drop(self, kind: str, key: str) -> bool:
        """True when there was one."""

    async def forget(self, customer: str) -> int:
        """Every paper of this customer, gone from the files too; how many there were."""


class Photos(Protocol):
    """The technicians' photos, as JPEG, by maintenance and SHA-256 (hex)."""

    async def keep(self, maintenance: str, digest: str, at: datetime, jpeg: bytes) -> None:
        """Harmless when it is there already."""

    async def find(self, maintenance: str, digest: str) -> bytes | None: ...

    async def erase(self, maintenance: str, digest: str) -> bool:
        """Whether there was one. It is gone from the database's files too."""

    async def forget(self, before: datetime) -> None:
        """Those kept before."""


@dataclass(frozen=True, slots=True)
class Head:
    """How far a stream is: the number of its last event, and how many messages were left for it."""

    events: int = 0
    messages: int = 0


class Journal(Protocol):
    """The only truth. One hash chain per stream; only a stream's run appends to it, people post messages."""

    async def append(
        self, stream: str, expected_seq: int, kind: str, data: Mapping[str, Json], actor: str = "noout"
    ) -> Event:
        """Append as ``expected_seq + 1``. Raises Superseded when the stream is not at ``expected_seq``."""
        ...

    async def read(self, stream: str, after: int = 0) -> Sequence[Event]: ...

    async def streams(self) -> Sequence[str]: ...

    async def heads(self, streams: Sequence[str]) -> Mapping[str, Head]:
        """Of those streams that have an event: asked in one go, however many they are."""
        ...

    async def post(self, stream: str, message: Message) -> bool:
        """Leave a message for the stream's run; False when its key was there already."""
        ...

    async def messages(self, stream: str) -> Sequence[Message]:
        """All messages ever posted, oldest first; the fold knows which were seen."""
        ...

    async def erase(
        self, stream: str, expected_seq: int, reads: Sequence[Event], said: Sequence[tuple[str, Message]], actor: str
    ) -> Event:
        """Have events (``reads``) and messages (``said``: each with its old key) read as given from now on, and append
        the event that says so, all or nothing. Every digest stays as it is. Raises Superseded as ``append`` does."""
        ...

    async def writable(self) -> None:
        """Write something. Raises StoreBroken where nothing can be written."""
        ...


class Leases(Protocol):
    """Which of the noout processes on one store does what. A lease has one holder at a time, and falls to another
    process when its holder has not been heard of for a while."""

    def joined(self, *, serves: bool) -> AbstractAsyncContextManager[None]:
        """Take part until the block ends; what is held then is free at once. ``serves``: not just for one command."""
        ...

    async def take(self, names: Sequence[str]) -> frozenset[str]:
        """Those of ``names`` that are held here now: already, or because nobody alive held them."""
        ...

    def holds(self, name: str) -> bool:
        """Whether it is held here for certain at this moment. Asks nobody: False as soon as another may have it."""
        ...

    def fenced(self, journal: Journal, name: str) -> Journal:
        """``journal`` as the holder of ``name`` writes to it: ``append`` raises Superseded for anybody else, checked
        together with the write."""
        ...

    async def served(self) -> bool:
        """Whether another process serves this store."""
        ...


class Measurements(Protocol):
    """Samples and sensor states: bulky, kept beside the journal."""

    async def add_samples(self, maintenance: str, samples: Sequence[Sample]) -> None: ...

    async def samples(
        self, maintenance: str, guest: GuestId | None = None, since: datetime | None = None
    ) -> Sequence[Sample]:
        """In the order of time. ``since``: later ones alone."""
        ...

    async def forget_samples(self, before: datetime) -> None:
        """Those of every maintenance whose last sample is older than ``before``."""
        ...

    async def add_hardware(self, state: HardwareState) -> None:
        """It is kept when this returns. Several at once become one transaction."""
        ...

    async def hardware(self, node: NodeId, since: datetime) -> Sequence[HardwareState]:
        """Each as it was added, oldest first; those that were thinned out are gone."""
        ...

    async def thin_hardware(self, node: NodeId, raw_since: datetime, trends_since: datetime) -> None:
        """Keep of the states older than ``raw_since`` (whole ten minutes only) their trends and what their logs and
        alerts told; forget what is older than ``trends_since``."""
        ...

    async def trends(self, node: NodeId, since: datetime) -> Sequence[Trend]:
        """Of what was thinned out, oldest first."""
        ...

    async def logged(self, node: NodeId, since: datetime) -> Sequence[LogEntry]:
        """The log entries of states of that time and later, thinned out or not, in the order in which they came."""
        ...

    async def keep_memory(self, node: NodeId, at: datetime, memory: Json) -> None:
        """What the watch remembers of a node, so that it can go on after a restart from the states since ``at``."""
        ...

    async def memory(self, node: NodeId) -> tuple[datetime, Json] | None: ...


@dataclass(frozen=True, slots=True)
class Wait:
    """What a run waits for. ``until`` is a Clock time at which it looks again in any case; None = at once."""

    why: str
    until: datetime | None = None


Advance = Callable[[str], Awaitable[Wait | None]]


class Engine(Protocol):
    """What makes a run survive: three verbs for the loop, and ``wake`` for whoever posted a message."""

    async def step(self, advance: Advance, maintenance: str) -> Wait | None:
        """One durable step; None = the run is over."""
        ...

    async def inbox(self, maintenance: str, until: datetime | None) -> None:
        """Return at ``until`` (Clock time) or when woken."""
        ...

    async def start(self, maintenance: str) -> None:
        """Begin, or take up again, the run of this maintenance; harmless when it already runs."""
        ...

    async def wake(self, maintenance: str) -> None: ...
