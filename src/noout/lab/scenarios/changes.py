"""What a scenario's world has that the default one has not: tables of the TOML, applied to its first cluster.

=================== ================================================================================
``[[storage]]``     fields of a storage; ``used``: GiB in use on each node
``[[rule]]``        fields of an HA rule
``[[mapping]]``     name, nodes, live: a device under a cluster-wide name
``[[network]]``     vnet, zone, nodes: an SDN network and where its zone works
``[[replication]]`` guest, target: a storage replication job
``[[managed]]``     vmid: a guest that HA manages as well; state: what is asked of it
=================== ================================================================================
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from noout.lab.world.model import Cluster, GiB, Guest, HaResource, HaRule, HaService, Mapping, Snapshot, Storage

Change = dict[str, Any]


def change_cluster(cluster: Cluster, document: dict[str, Any]) -> None:
    """Apply the document's tables; TypeError or KeyError for one that cannot be understood."""
    for table, apply in TABLES.items():
        for change in document.get(table, []):
            apply(cluster, **change)


def change_guest(cluster: Cluster, guest: Guest, key: str, value: Any) -> bool:
    """One field of a guest that is more than a value; False for one that is none of these.

    ``status``: as it is from the beginning. ``snapshots``: their names; with ``=STORAGE`` its RAM is saved there.
    ``storage``: where its disks lie. ``linked``: the vmid of the template that it is a linked clone of.
    """
    disks = [disk for disk in guest.disks if not disk.cdrom]
    if key == "status":
        guest.status = value
    elif key == "snapshots":
        guest.snapshots = [_snapshot(guest, text) for text in value]
    elif key == "storage":
        for disk in disks:
            disk.volid = f"{value}:{disk.volid.split(':', 1)[1]}"
    elif key == "linked":
        for disk in disks:
            storage, _, volume = disk.volid.partition(":")
            disk.volid = f"{storage}:base-{value}-disk-0/{volume}"
    else:
        return False
    return True


def _snapshot(guest: Guest, text: str) -> Snapshot:
    name, _, storage = text.partition("=")
    saved = f"{storage}:vm-{guest.vmid}-state-{name}" if storage else ""
    return Snapshot(name, guest.started_at + 3600, saved, guest.maxmem + GiB if saved else 0)


def _storage(cluster: Cluster, storage: str, type: str, total: int, used: int = 0, nodes: tuple[str, ...] = ()) -> None:
    filled = {name: used * GiB for name in cluster.nodes}
    cluster.storages[storage] = Storage(storage, type, False, "images,rootdir", total * GiB, filled, list(nodes))


def _rule(cluster: Cluster, rule: str, **fields: Any) -> None:
    cluster.ha.rules[rule] = HaRule(rule, **fields)


def _mapping(cluster: Cluster, name: str, nodes: list[str], live: bool = False) -> None:
    cluster.mappings[name] = Mapping(name, nodes, live)


def _network(cluster: Cluster, vnet: str, zone: str, nodes: list[str]) -> None:
    cluster.vnets[vnet] = zone
    cluster.zone_nodes[zone] = nodes


def _replication(cluster: Cluster, guest: int, target: str) -> None:
    number = sum(job["guest"] == guest for job in cluster.replication_jobs)
    job = {"id": f"{guest}-{number}", "guest": guest, "jobnum": number, "target": target, "type": "local"}
    cluster.replication_jobs.append({**job, "schedule": "*/15"})


def _managed(cluster: Cluster, vmid: int, state: str = "started") -> None:
    guest = cluster.guests[vmid]
    sid = f"{'ct' if guest.type == 'lxc' else 'vm'}:{vmid}"
    cluster.ha.resources[sid] = HaResource(sid, state)
    running = guest.status == "running"
    cluster.ha.services[sid] = HaService(sid, guest.node, "started" if running else "stopped", running=running, uid=sid)


TABLES: dict[str, Callable[..., None]] = {
    "storage": _storage,
    "rule": _rule,
    "mapping": _mapping,
    "network": _network,
    "replication": _replication,
    "managed": _managed,
}
