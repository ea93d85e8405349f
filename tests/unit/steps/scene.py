"""Small worlds for steps: a maintenance of pve3 and what is seen, each with one thing changed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from noout.domain.ceph import CephState, OkToStop, Osd
from noout.domain.cluster import (
    ClusterState,
    Guest,
    GuestId,
    GuestKind,
    GuestStatus,
    HaService,
    MigrationProgress,
    Node,
    NodeId,
    Task,
)  # fmt: skip
from noout.domain.hardware import HardwareState, Power
from noout.domain.maintenance import (
    Action,
    Maintenance,
    Mode,
    Move,
    MoveKind,
    NodeLoad,
    Observation,
    Owned,
    Pending,
    Plan,
)  # fmt: skip
from noout.domain.reasons import Caution

T0 = datetime(2026, 11, 30, 10, 0, tzinfo=UTC)
GIB = 1024**3
NODE = NodeId("ams1", "pve3")
UNWATCHED = Caution("canary.nobody", str(NODE), "nobody watches the guests: none of them has a probe")
NAMES = ("pve1", "pve2", "pve3", "pve4", "pve5")


def node(name: str) -> NodeId:
    return NodeId("ams1", name)


def guest(vmid: int, on: str = "pve3", *, ha: bool = False, ram_gib: int = 4, **changes: Any) -> Guest:
    service = HaService(f"vm:{vmid}", "started", on) if ha else None
    made = Guest(
        GuestId("ams1", vmid), f"g{vmid}", GuestKind.QEMU, node(on), GuestStatus.RUNNING, ram_gib * GIB, 2, ha=service
    )
    return replace(made, **changes)


def move(vmid: int, target: str = "pve1", source: str = "pve3", **changes: Any) -> Move:
    made = Move(GuestId("ams1", vmid), f"g{vmid}", MoveKind.LIVE, node(source), node(target), 4 * GIB)
    return replace(made, **changes)


def plan(*moves: Move, streams: int = 2, returns: tuple[Move, ...] = ()) -> Plan:
    loads = tuple(NodeLoad(node(name), 64 * GIB, 16 * GIB, 0, 0) for name in NAMES)
    return Plan("p1", NODE, T0, T0, streams, moves, returns, (), (), loads, 0.0, (0.0, 0.0))


def maintenance(**changes: Any) -> Maintenance:
    """Of guests that nobody probes, which has been said."""
    made = Maintenance("ams1-pve3-1", NODE, "a fan", Mode.AUTO, T0, "operator:anna", 5, facts={"crush_host": "pve3"})
    return replace(made, cautions=(UNWATCHED,), **changes) if "cautions" not in changes else replace(made, **changes)


def owning(*owned: tuple[str, str], since: datetime = T0) -> tuple[Owned, ...]:
    return tuple(Owned(kind, subject, since) for kind, subject in owned)


def cluster(*guests: Guest, offline: tuple[str, ...] = (), **changes: Any) -> ClusterState:
    nodes = tuple(Node(node(name), name not in offline, 64 * GIB, 0, 32, ha_state="online") for name in NAMES)
    return replace(ClusterState("ams1", T0, True, "9.2.11", nodes, guests), **changes)


def ceph(**changes: Any) -> CephState:
    """Three mons (one on pve3), two OSDs a host, all well."""
    osds = tuple(Osd(2 * i + k, name, True, True) for i, name in enumerate(NAMES) for k in (0, 1))
    made = CephState(
        T0, "fsid", "HEALTH_OK", {}, ("pve1", "pve2", "pve3"), ("pve1", "pve2", "pve3"), "pve1", ("pve2",), osds, (),
        {"active+clean": 128}, frozenset(), {},
    )  # fmt: skip
    return replace(made, **changes)


def without(state: CephState, *down: int, mon: str = "") -> CephState:
    """These OSDs down, this mon out of quorum; PGs degraded but serving."""
    osds = tuple(replace(osd, up=osd.id not in down) for osd in state.osds)
    pgs = {"active+clean": 100, "active+undersized+degraded": 28} if down else state.pgs_by_state
    return replace(state, osds=osds, quorum=tuple(each for each in state.quorum if each != mon), pgs_by_state=pgs)


def bmc(power: Power = Power.ON, **changes: Any) -> HardwareState:
    return replace(HardwareState(NODE, T0, True, power, False), **changes)


def seen(state: ClusterState, data: CephState | None = None, after_s: float = 0.0, **changes: Any) -> Observation:
    at = T0 + timedelta(seconds=after_s)
    made = Observation(at, state, data or ceph(), bmc(), ok_to_stop=OkToStop((4, 5), True))
    return replace(made, **changes)


def pending(action: Action, since_s: float = 0.0, **changes: Any) -> Pending:
    return replace(Pending(action, T0 + timedelta(seconds=since_s), 1, started=True), **changes)


def task(vmid: int, status: str | None = None) -> Task:
    return Task(f"UPID:{vmid}", "pve3", "qmigrate", str(vmid), status is None, status)


def progress(blackout_ms: int | None = None) -> MigrationProgress:
    return MigrationProgress(100, 100, None, blackout_ms)
