"""Rows that several answers share: nodes, guests, storages and pools as PVE's lists show them."""

from __future__ import annotations

import hashlib
from typing import Any

from noout.lab.world.laws import Laws
from noout.lab.world.model import Cluster, GiB, Guest, Node, Storage

Row = dict[str, Any]
ROOT_DISK = 94 * GiB
_GUEST_MEMORY = 0.72  # share of its RAM a guest says it uses; the host holds all of what was ever touched


def figure(*what: object) -> int:
    """A stable number below 2**32 for ``what``: counters that the world does not keep."""
    return int.from_bytes(hashlib.sha256("|".join(map(str, what)).encode()).digest()[:4], "big")


def sid(guest: Guest) -> str:
    return f"{'ct' if guest.type == 'lxc' else 'vm'}:{guest.vmid}"


def hastate(cluster: Cluster, guest: Guest) -> str | None:
    """The CRM's state of the guest; None if it is not HA-managed."""
    resource = cluster.ha.resources.get(sid(guest))
    if resource is None:
        return None
    service = cluster.ha.services.get(sid(guest))
    return service.state if service is not None else "queued"


def uptime(guest: Guest, status: str, now: float) -> int:
    return max(int(now - guest.started_at), 1) if status == "running" else 0


def maxdisk(guest: Guest) -> int:
    return next((d.size for d in guest.disks if not d.cdrom), 0)


def network(guest: Guest, status: str, now: float) -> tuple[int, int]:
    """Bytes in and out since the start."""
    seconds = uptime(guest, status, now)
    return seconds * (figure(guest.vmid, "in") % 40_000), seconds * (figure(guest.vmid, "out") % 90_000)


def load(guest: Guest, status: str, now: float) -> Row:
    """cpu, mem and counters of a guest whose status is (or is still said to be) ``status``."""
    running = status == "running"
    netin, netout = network(guest, status, now)
    return {
        "cpu": guest.cpu if running else 0,
        "disk": 0,
        "maxdisk": maxdisk(guest),
        "maxmem": guest.maxmem,
        "mem": int(guest.maxmem * _GUEST_MEMORY) if running else 0,
        "memhost": guest.maxmem if running else 0,
        "netin": netin,
        "netout": netout,
        "uptime": uptime(guest, status, now),
    }


def guest_resource(laws: Laws, cluster: Cluster, guest: Guest, with_ha: bool = True) -> Row:
    """A guest's row of /cluster/resources: its node, lock and HA state are of now, its status is up to 10 s old."""
    status = laws.published_status(cluster, guest.vmid)
    row: Row = {
        **load(guest, status, laws.now),
        "diskread": uptime(guest, status, laws.now) * (figure(guest.vmid, "read") % 20_000),
        "diskwrite": uptime(guest, status, laws.now) * (figure(guest.vmid, "write") % 60_000),
        "id": f"{guest.type}/{guest.vmid}",
        "maxcpu": guest.cores,
        "name": guest.name,
        "node": guest.node,
        "status": status,
        "template": int(guest.template),
        "type": guest.type,
        "vmid": guest.vmid,
    }
    if guest.tags:
        row["tags"] = ";".join(guest.tags)
    if guest.lock:
        row["lock"] = guest.lock
    if with_ha and (state := hastate(cluster, guest)) is not None:
        row["hastate"] = state
    if with_ha and guest.pool:
        row["pool"] = guest.pool
    return row


def node_memory(cluster: Cluster, node: Node) -> int:
    """Bytes in use: the OS with its daemons, and every guest that runs there."""
    guests = (g.maxmem for g in cluster.guests.values() if g.node == node.name and g.status == "running")
    return node.base_mem + sum(guests)


def node_cpu(cluster: Cluster, node: Node) -> float:
    busy = sum(g.cpu * g.cores for g in cluster.guests.values() if g.node == node.name and g.status == "running")
    return round(min(0.02 + busy / node.cores, 1.0), 6)


def root_used(node: Node) -> int:
    return 9 * GiB + figure(node.name, "root") % GiB


def node_row(laws: Laws, cluster: Cluster, node: Node, with_metrics: bool) -> Row:
    """A node as /nodes and /cluster/resources show it; metrics need Sys.Audit and a node that is up."""
    row: Row = {"id": f"node/{node.name}", "level": "", "node": node.name, "type": "node"}
    row["status"] = "online" if node.online else "offline"
    if with_metrics:
        row |= {"maxcpu": node.cores, "maxmem": node.maxmem, "maxdisk": ROOT_DISK}
    if with_metrics and node.online:
        row |= {
            "cpu": node_cpu(cluster, node),
            "disk": root_used(node),
            "mem": node_memory(cluster, node),
            "uptime": int(laws.now - (node.booted_at or laws.now)),
        }
    return row


def holds(storage: Storage, node: str) -> bool:
    return not storage.nodes or node in storage.nodes


def storage_used(storage: Storage, node: str) -> int:
    return storage.used.get("" if storage.shared else node, 0)


def storage_resource(storage: Storage, node: str) -> Row:
    return {
        "content": storage.content,
        "disk": storage_used(storage, node),
        "id": f"storage/{node}/{storage.storage}",
        "maxdisk": storage.total,
        "node": node,
        "plugintype": storage.type,
        "shared": int(storage.shared),
        "status": "available",
        "storage": storage.storage,
        "type": "storage",
    }


def pool_row(pool: str, members: list[Row]) -> Row:
    """A pool with what its running guests use together."""
    running = [m for m in members if m["status"] == "running"]
    cpus = sum(m["maxcpu"] for m in running)
    row: Row = {"id": f"/pool/{pool}", "pool": pool, "type": "pool"}
    if running:
        row |= {
            "cpu": sum(m["cpu"] * m["maxcpu"] for m in running) / cpus,
            "maxcpu": cpus,
            "maxmem": sum(m["maxmem"] for m in running),
            "mem": sum(m["mem"] for m in running),
            "uptime": max(m["uptime"] for m in running),
        }
    return row


def digest(*parts: object) -> str:
    """A configuration digest, 40 hex digits."""
    return hashlib.sha1("|".join(map(str, parts)).encode(), usedforsecurity=False).hexdigest()
