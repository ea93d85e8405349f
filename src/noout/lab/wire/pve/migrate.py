"""Migration: preconditions, one guest, all guests of a node."""

from __future__ import annotations

from typing import Any

from noout.lab.wire.pve.call import Call, Methods, PveError, bad_parameter
from noout.lab.wire.pve.parameters import flag, node, number, text, whole
from noout.lab.wire.pve.rows import sid
from noout.lab.world.model import Guest

methods = Methods()
_MIGRATE = "/vms/{vmid} VM.Migrate"


def _kind(guest: Guest) -> str:
    return "CT" if guest.type == "lxc" else "VM"


def _check_lock(guest: Guest) -> None:
    if guest.lock:
        raise PveError(f"{_kind(guest)} is locked ({guest.lock})")


@methods.serve("GET", "/nodes/{node}/qemu/{vmid}/migrate", [node("target")], perm=_MIGRATE)
def qemu_precondition(call: Call) -> Any:
    """As PVE does: empty objects for nodes that are allowed, and offline nodes among the allowed ones."""
    guest = call.guest("qemu")
    _check_lock(guest)
    facts = call.laws.migration_precondition(call.cluster, guest.vmid, call.params.get("target"))
    if sid(guest) not in call.cluster.ha.resources:
        facts.pop("dependent-ha-resources", None)
    for disk in facts["local_disks"]:
        if disk.get("cdrom"):
            disk.pop("size", None)
    return facts


@methods.serve("GET", "/nodes/{node}/lxc/{vmid}/migrate", [node("target")], perm=_MIGRATE)
def lxc_precondition(call: Call) -> Any:
    """Containers spell it with hyphens, and list only nodes that are really not allowed."""
    guest = call.guest("lxc")
    _check_lock(guest)
    facts = call.laws.migration_precondition(call.cluster, guest.vmid, call.params.get("target"))
    document: dict[str, Any] = {
        "allowed-nodes": facts["allowed_nodes"],
        "not-allowed-nodes": {
            name: {k.replace("_", "-"): v for k, v in why.items()}
            for name, why in facts["not_allowed_nodes"].items()
            if why
        },
        "running": facts["running"],
    }
    if sid(guest) in call.cluster.ha.resources:
        document["dependent-ha-resources"] = facts.get("dependent-ha-resources", [])
    return document


def _checked_target(call: Call) -> str:
    target: str = call.params["target"]
    if target == call.node.name:
        raise bad_parameter("target", "target is local node.")
    if target not in call.cluster.nodes:
        raise PveError(f"no such cluster node '{target}'")
    return target


def _checked_storage(call: Call, name: str) -> str | None:
    pairs: str | None = call.params.get(name)
    for pair in (pairs or "").replace(";", ",").split(","):
        store = pair.split(":")[-1]
        if store and store != "1" and store not in call.cluster.storages:
            raise PveError(f"storage '{store}' does not exist")
    return pairs


@methods.serve(
    "POST",
    "/nodes/{node}/qemu/{vmid}/migrate",
    [
        node("target", required=True),
        whole("bwlimit", minimum=0),
        flag("force"),
        text("migration_network", format="CIDR"),
        text("migration_type", enum=("secure", "insecure")),
        flag("online"),
        text("targetstorage", format="storage-pair-list"),
        flag("with-conntrack-state"),
        flag("with-local-disks"),
    ],
    perm=_MIGRATE,
)
def migrate_vm(call: Call) -> Any:
    """The UPID of a ``qmigrate``, or of a ``hamigrate`` that only queues the wish."""
    target = _checked_target(call)
    for name in ("force", "migration_type", "migration_network"):
        if name in call.params and call.who.full_id != "root@pam":
            raise bad_parameter(name, "Only root may use this option.")
    guest = call.guest("qemu")
    _check_lock(guest)
    online = bool(call.params.get("online"))
    if guest.has_process and not online:
        raise PveError("can't migrate running VM without --online")
    storage = _checked_storage(call, "targetstorage")
    task = call.laws.start_migration(
        call.cluster,
        guest.vmid,
        target,
        online=online and guest.has_process,
        user=call.who.full_id,
        with_local_disks=bool(call.params.get("with-local-disks")),
        targetstorage=storage,
        bwlimit=call.params.get("bwlimit") or None,
    )
    return task.upid


@methods.serve(
    "POST",
    "/nodes/{node}/lxc/{vmid}/migrate",
    [
        node("target", required=True),
        number("bwlimit", minimum=0),
        flag("online"),
        flag("restart"),
        text("target-storage", format="storage-pair-list"),
        whole("timeout"),
    ],
    perm=_MIGRATE,
)
def migrate_ct(call: Call) -> Any:
    """Shut down, moved, started again: ``online`` fails inside the task."""
    target = _checked_target(call)
    guest = call.guest("lxc")
    _check_lock(guest)
    storage = _checked_storage(call, "target-storage")
    bwlimit = call.params.get("bwlimit")
    task = call.laws.start_migration(
        call.cluster,
        guest.vmid,
        target,
        online=bool(call.params.get("online")),
        user=call.who.full_id,
        targetstorage=storage,
        bwlimit=int(bwlimit) if bwlimit else None,
        restart=bool(call.params.get("restart")),
    )
    return task.upid
