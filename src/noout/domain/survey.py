"""What only the doctor asks: facts of a cluster that no step needs, and what of them could not be had."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from noout.domain.cluster import NodeId


@dataclass(frozen=True, slots=True)
class SystemDisk:
    """A disk that the node itself starts from or runs on. ``wear_left_percent`` 100 = new; None = it does not say."""

    path: str
    health: str  # PASSED, OK, FAILED ... as SMART says; UNKNOWN where it says nothing
    wear_left_percent: float | None = None


@dataclass(frozen=True, slots=True)
class NodeSurvey:
    """One node. Empty or None = it did not say. ``clock_ahead_s``: its time less noout's, in whole seconds, with
    ``clock_doubt_s`` of doubt (how long the question took, and the answer's rounding)."""

    node: NodeId
    clock_ahead_s: float | None = None
    clock_doubt_s: float = 0.0
    kernel_running: str = ""  # "6.14.11-4-pve"
    kernel_newest: str = ""  # the newest that is installed, which the next boot takes
    packages: Mapping[str, str] = field(default_factory=dict)  # those that must agree between nodes -> version
    network_changes: str = ""  # what is configured and not applied, as a diff
    disks: tuple[SystemDisk, ...] = ()


@dataclass(frozen=True, slots=True)
class BoundJob:
    """A job that runs on one node only. ``kind`` "backup" | "replication from" | "replication to"."""

    kind: str
    id: str
    node: str
    about: str = ""


@dataclass(frozen=True, slots=True)
class RemoteStorage:
    """A storage that is reached over the network at ``server``."""

    name: str
    kind: str  # nfs, cifs, pbs, iscsi ...
    server: str
    content: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Unread:
    """Something that could not be read, and why, in words."""

    what: str
    why: str


@dataclass(frozen=True, slots=True)
class ClusterSurvey:
    """``entry_points``: address -> why it gave no answer,
    "" for those that did. ``exits``: (SDN zone, node)."""

    cluster: str
    nodes: tuple[NodeSurvey, ...] = ()
    jobs: tuple[BoundJob, ...] = ()
    storages: tuple[RemoteStorage, ...] = ()
    exits: tuple[tuple[str, str], ...] = ()
    entry_points: Mapping[str, str] = field(default_factory=dict)
    unread: tuple[Unread, ...] = ()

    def node(self, node: NodeId) -> NodeSurvey:
        return next((each for each in self.nodes if each.node == node), NodeSurvey(node))


@dataclass(frozen=True, slots=True)
class CephDaemon:
    """A daemon beside mon, mgr and OSD. ``kind`` "mds" | "rgw" | what the service map calls it."""

    kind: str
    name: str
    host: str  # short host name of its machine
    active: bool = True


@dataclass(frozen=True, slots=True)
class CephSurvey:
    """``machines``: OSD -> short host name of its machine. ``spread``: pool -> the CRUSH bucket type that its copies
    are spread over."""

    machines: Mapping[int, str] = field(default_factory=dict)
    spread: Mapping[str, str] = field(default_factory=dict)
    daemons: tuple[CephDaemon, ...] = ()
    unread: tuple[Unread, ...] = ()
