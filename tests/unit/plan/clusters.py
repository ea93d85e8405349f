"""Small clusters for planning, in a few words."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from noout.domain.ceph import CephState, Osd, Pool
from noout.domain.cluster import (
    Affinity,
    ClusterState,
    Disk,
    Guest,
    GuestId,
    GuestKind,
    GuestStatus,
    HaService,
    Node,
    NodeId,
    Rule,
    Storage,
)

NOW = datetime(2026, 11, 30, 10, 0, tzinfo=UTC)
GIB = 1024**3
NAME = "ams1"


def node_id(name: str) -> NodeId:
    return NodeId(NAME, name)


def gid(vmid: int) -> GuestId:
    return GuestId(NAME, vmid)


def a_node(name: str, ram_gib: float = 40, **more: Any) -> Node:
    values: dict[str, Any] = {
        "id": node_id(name),
        "online": True,
        "ram_bytes": int(ram_gib * GIB),
        "ram_used_bytes": 0,
        "cpus": 32,
        "bridges": frozenset({"vmbr0"}),
        "storages": frozenset({"rbd", "local"}),
    }
    return Node(**(values | more))


def a_guest(vmid: int, node: str, ram_gib: float = 4, **more: Any) -> Guest:
    values: dict[str, Any] = {
        "id": gid(vmid),
        "name": f"guest-{vmid}",
        "kind": GuestKind.QEMU,
        "node": node_id(node),
        "status": GuestStatus.RUNNING,
        "ram_bytes": int(ram_gib * GIB),
        "cpus": 2,
        "dirty_bytes_s": 10 * 1024**2,
        "bridges": ("vmbr0",),
        "disks": (Disk("scsi0", f"rbd:vm-{vmid}-disk-0", "rbd", 32 * GIB, True),),
    }
    return Guest(**(values | more))


def ha(vmid: int, node: str, **more: Any) -> HaService:
    return HaService(f"vm:{vmid}", "started", node, **more)


def a_state(nodes: Iterable[Node], guests: Iterable[Guest], **more: Any) -> ClusterState:
    values: dict[str, Any] = {
        "name": NAME,
        "at": NOW,
        "quorate": True,
        "version": "9.2.11",
        "nodes": tuple(nodes),
        "guests": tuple(guests),
    }
    return ClusterState(**(values | more))


def a_store(name: str, node: str, free_gib: float, **more: Any) -> Storage:
    values: dict[str, Any] = {
        "kind": "lvmthin",
        "shared": False,
        "total_bytes": int(free_gib * GIB),
        "used_bytes": 0,
        "content": frozenset({"images", "rootdir"}),
    }
    return Storage(name=name, node=node_id(node), **(values | more))


def apart(*vmids: int, name: str = "apart", strict: bool = True) -> Rule:
    return Rule(name, Affinity.APART, frozenset(gid(v) for v in vmids), strict=strict)


def together(*vmids: int, name: str = "together") -> Rule:
    return Rule(name, Affinity.TOGETHER, frozenset(gid(v) for v in vmids))


def pinned(vmids: Iterable[int], nodes: dict[str, int], name: str = "pin", strict: bool = True) -> Rule:
    return Rule(name, Affinity.NODE, frozenset(gid(v) for v in vmids), tuple(nodes.items()), strict)


def a_ceph(hosts: int = 6, osds_each: int = 2, **more: Any) -> CephState:
    names = [f"pve{i + 1}" for i in range(hosts)]
    values: dict[str, Any] = {
        "at": NOW,
        "fsid": "f0",
        "health": "HEALTH_OK",
        "checks": {},
        "mons": tuple(names[:3]),
        "quorum": tuple(names[:3]),
        "mgr_active": names[0],
        "mgr_standbys": (names[1],),
        "osds": tuple(
            Osd(i * osds_each + k, name, True, True) for i, name in enumerate(names) for k in range(osds_each)
        ),
        "pools": (Pool(1, "rbd", 3, 2),),
        "pgs_by_state": {"active+clean": 128},
        "flags": frozenset(),
        "host_flags": {},
    }
    return CephState(**(values | more))


def moved(guest: Guest, **more: Any) -> Guest:
    return replace(guest, **more)
