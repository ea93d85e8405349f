"""Everything that was asked, once, for the doctor to judge: observations, surveys, boards, and the configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from noout.domain.ceph import CephState, OkToStop
from noout.domain.cluster import ClusterState, GuestId, NodeId
from noout.domain.customers import Customer
from noout.domain.hardware import Fault, HardwareState
from noout.domain.maintenance import Maintenance, Plan
from noout.domain.ownership import Oddity
from noout.domain.survey import CephSurvey, ClusterSurvey
from noout.settings import ClusterSettings
from noout.settings_probes import ProbeSettings

KEY_FILE = "clusters.{}.shell.key_file"


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why something could not be asked. ``untrusted``: it is not who the configuration says it is."""

    message: str
    remedy: str = ""
    untrusted: bool = False
    refused: bool = False


@dataclass(frozen=True, slots=True)
class ClusterPicture:
    """One cluster. ``state`` None: it could not be read, ``trouble`` says why. ``shells``: node -> what keeps noout's
    commands from running there (None: nothing). ``plans``: node -> its plan, or why none could be made."""

    name: str
    settings: ClusterSettings
    state: ClusterState | None = None
    trouble: Trouble | None = None
    granted: Mapping[str, frozenset[str]] = field(default_factory=dict)
    survey: ClusterSurvey | None = None
    ceph: CephState | None = None
    ceph_trouble: Trouble | None = None
    ceph_survey: CephSurvey | None = None
    ok_to_stop: Mapping[NodeId, OkToStop] = field(default_factory=dict)
    shells: Mapping[NodeId, Trouble | None] = field(default_factory=dict)
    boards: Mapping[NodeId, HardwareState] = field(default_factory=dict)
    faults: Mapping[NodeId, Fault] = field(default_factory=dict)
    plans: Mapping[NodeId, Plan | Trouble] = field(default_factory=dict)
    open_ones: tuple[Maintenance, ...] = ()
    oddities: tuple[Oddity, ...] = ()  # what noout has left there, or others took from it
    unmeasured: Mapping[GuestId, str] = field(default_factory=dict)  # probed, with no address to ask, and why

    def crush_host(self, node: NodeId) -> str:
        return self.settings.ceph.hosts.get(node.name, node.name)


@dataclass(frozen=True, slots=True)
class Private:
    """A file that others must not read. ``mode`` None: it is not there."""

    key: str
    path: str
    mode: int | None


@dataclass(frozen=True, slots=True)
class Picture:
    """``only``: the nodes asked about; empty = all."""

    at: datetime
    clusters: tuple[ClusterPicture, ...]
    customers: tuple[Customer, ...] = ()
    probes: ProbeSettings = field(default_factory=ProbeSettings)
    private: tuple[Private, ...] = ()
    only: frozenset[NodeId] = frozenset()
