"""A Ceph cluster as observed. Field names follow Ceph's own where it has a word."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Osd:
    id: int
    host: str  # the CRUSH host bucket
    up: bool
    in_: bool
    size_bytes: int = 0
    used_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Pool:
    id: int
    name: str
    size: int
    min_size: int
    erasure: bool = False


@dataclass(frozen=True, slots=True)
class OkToStop:
    """Ceph's own answer about stopping these OSDs at once."""

    osds: tuple[int, ...]
    ok: bool
    detail: str = ""


@dataclass(frozen=True, slots=True)
class CephState:
    """One observation. ``fresh`` is False when the mgr is gone: then the PG picture is frozen and decides nothing."""

    at: datetime
    fsid: str
    health: str  # HEALTH_OK, HEALTH_WARN, HEALTH_ERR
    checks: Mapping[str, str]  # code -> summary
    mons: tuple[str, ...]
    quorum: tuple[str, ...]
    mgr_active: str
    mgr_standbys: tuple[str, ...]
    osds: tuple[Osd, ...]
    pools: tuple[Pool, ...]
    pgs_by_state: Mapping[str, int]
    flags: frozenset[str]  # cluster-wide
    host_flags: Mapping[str, frozenset[str]]  # crush_node_flags: host -> {"noout", "noup"}
    degraded_objects: int = 0
    misplaced_objects: int = 0
    used_bytes: int = 0
    total_bytes: int = 0
    nearfull_ratio: float = 0.85
    mon_hosts: Mapping[str, str] = field(default_factory=dict)  # mon name -> host name
    fresh: bool = True
    mds_active: tuple[str, ...] = ()  # those that serve a file system; PVE names each after its node
    mds_standbys: int = 0
    addresses: frozenset[str] = frozenset()  # of mons and OSDs, towards clients and among themselves; empty: not seen

    def osds_of(self, host: str) -> tuple[Osd, ...]:
        return tuple(osd for osd in self.osds if osd.host == host)

    @property
    def hosts(self) -> tuple[str, ...]:
        return tuple(sorted({osd.host for osd in self.osds}))

    @property
    def all_clean(self) -> bool:
        """Every PG active+clean (scrubbing counts as clean, stale does not); by PG states, never by HEALTH_OK."""
        also = {"scrubbing", "deep", "snaptrim", "snaptrim_wait"}
        clean = sum(n for state, n in self.pgs_by_state.items() if set(state.split("+")) - also == {"active", "clean"})
        return self.fresh and clean == sum(self.pgs_by_state.values()) > 0

    @property
    def inactive_pgs(self) -> int:
        return sum(n for state, n in self.pgs_by_state.items() if "active" not in state.split("+"))

    @property
    def mon_quorum_ok(self) -> bool:
        return len(self.quorum) * 2 > len(self.mons)
