"""/storage and /nodes/{node}/storage."""

from __future__ import annotations

from typing import Any

from noout.lab.wire.pve.call import Call, Methods, PveError
from noout.lab.wire.pve.parameters import flag, node, text, vmid
from noout.lab.wire.pve.rows import digest, holds, storage_used
from noout.lab.wire.pve.words import STORAGE_TYPES
from noout.lab.world.model import Storage

methods = Methods()
_EITHER = "Datastore.Audit|Datastore.AllocateSpace"
_OWN_SETTINGS: dict[str, dict[str, Any]] = {
    "dir": {"path": "/var/lib/vz", "prune-backups": "keep-all=1"},
    "lvmthin": {"thinpool": "data", "vgname": "pve"},
    "rbd": {"pool": "rbd", "krbd": 0},
    "cephfs": {"path": "/mnt/pve/cephfs"},
}


@methods.serve("GET", "/storage", [text("type", enum=STORAGE_TYPES)])
def storages(call: Call) -> Any:
    """The configuration of the storages."""
    stores = [s for s in call.cluster.storages.values() if call.may(f"/storage/{s.storage}", _EITHER)]
    whole = digest(*(f"{s.storage}{s.content}" for s in call.cluster.storages.values()))
    return [_config(s, whole) for s in stores if call.params.get("type") in (None, s.type)]


def _config(store: Storage, whole: str) -> dict[str, Any]:
    row: dict[str, Any] = {"content": store.content, "digest": whole, "storage": store.storage, "type": store.type}
    if store.shared:
        row["shared"] = 1
    if store.nodes:
        row["nodes"] = ",".join(store.nodes)
    if store.server:
        row["server"] = store.server
    return {**row, **_OWN_SETTINGS.get(store.type, {})}


def _row(store: Storage, name: str) -> dict[str, Any]:
    used = storage_used(store, name)
    return {
        "active": 1,
        "avail": store.total - used,
        "content": store.content,
        "enabled": 1,
        "shared": int(store.shared),
        "storage": store.storage,
        "total": store.total,
        "type": store.type,
        "used": used,
        "used_fraction": used / store.total if store.total else 0,
    }


@methods.serve(
    "GET",
    "/nodes/{node}/storage",
    [
        text("content", format="pve-storage-content-list"),
        flag("enabled"),
        flag("format"),
        text("storage", format="pve-storage-id"),
        node("target"),
    ],
)
def node_storages(call: Call) -> Any:
    wanted = set(filter(None, call.params.get("content", "").split(",")))
    only, target = call.params.get("storage"), call.params.get("target")
    return [
        _row(s, call.node.name)
        for s in call.cluster.storages.values()
        if holds(s, call.node.name)
        and (target is None or holds(s, target))
        and only in (None, s.storage)
        and (not wanted or wanted & set(s.content.split(",")))
        and call.may(f"/storage/{s.storage}", _EITHER)
    ]


def _store(call: Call) -> Storage:
    name = call.params["storage"]
    store = call.cluster.storages.get(name)
    if store is None:
        raise PveError(f"storage '{name}' does not exist")
    if not holds(store, call.node.name):
        raise PveError(f"storage '{name}' is not available on node '{call.node.name}'")
    return store


@methods.serve("GET", "/nodes/{node}/storage/{storage}/status", perm="/storage/{storage} " + _EITHER)
def storage_status(call: Call) -> Any:
    row = _row(_store(call), call.node.name)
    return {k: v for k, v in row.items() if k not in ("storage", "used_fraction")}


@methods.serve(
    "GET",
    "/nodes/{node}/storage/{storage}/content",
    [text("content", format="pve-storage-content"), vmid()],
    perm="/storage/{storage} " + _EITHER,
)
def storage_content(call: Call) -> Any:
    """Volumes of guests whose disks lie there, and the images that drives hold."""
    store = _store(call)
    rows = []
    for _, guest in sorted(call.cluster.guests.items()):
        if not store.shared and guest.node != call.node.name:
            continue
        for disk in guest.disks:
            kind = "iso" if disk.cdrom else ("rootdir" if guest.type == "lxc" else "images")
            if disk.storage != store.storage or call.params.get("content") not in (None, kind):
                continue
            row = {"content": kind, "ctime": int(guest.started_at), "format": "iso" if disk.cdrom else "raw"}
            row |= {"size": disk.size, "volid": disk.volid}
            if not disk.cdrom:
                row |= {"parent": None, "used": disk.size // 2, "vmid": guest.vmid}
            if call.params.get("vmid") in (None, row.get("vmid")):
                rows.append(row)
    return rows
