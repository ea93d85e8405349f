"""/cluster, /pools: status, resources, options, log, and lists that the lab keeps empty."""

from __future__ import annotations

from typing import Any

from noout.lab.wire.pve.call import Call, Methods, PveError, bad_parameter
from noout.lab.wire.pve.parameters import flag, node, text, vmid, whole
from noout.lab.wire.pve.rows import guest_resource, holds, node_row, pool_row, storage_resource
from noout.lab.wire.pve.words import KEYBOARDS, LANGUAGES, OPTION_TEXTS

methods = Methods()


@methods.serve("GET", "/cluster/status", perm="/ Sys.Audit")
def status(call: Call) -> Any:
    """The cluster first, then its nodes."""
    rows: list[dict[str, Any]] = [
        {
            "id": "cluster",
            "name": call.cluster.name,
            "nodes": len(call.cluster.nodes),
            "quorate": int(call.cluster.quorate),
            "type": "cluster",
            "version": len(call.cluster.nodes),
        }
    ]
    rows += [
        {
            "id": f"node/{member.name}",
            "ip": member.ip,
            "level": "",
            "local": int(member is call.here),
            "name": member.name,
            "nodeid": member.nodeid,
            "online": int(member.online),
            "type": "node",
        }
        for member in call.cluster.nodes.values()
    ]
    return rows


@methods.serve("GET", "/cluster/resources", [text("type", enum=("vm", "storage", "node", "sdn"))])
def resources(call: Call) -> Any:
    """Everything that the caller may see, in one list."""
    wanted = call.params.get("type")
    cluster = call.cluster
    rows: list[dict[str, Any]] = []
    guests = [g for _, g in sorted(cluster.guests.items()) if call.may(f"/vms/{g.vmid}", "VM.Audit")]
    guest_rows = [guest_resource(call.laws, cluster, g) for g in guests] if wanted in (None, "vm") else []
    if wanted is None:
        rows += [
            pool_row(pool, [r for r in guest_rows if r.get("pool") == pool])
            for pool in sorted(cluster.pools)
            if call.may(f"/pool/{pool}", "Pool.Audit")
        ]
    rows += guest_rows
    if wanted in (None, "node"):
        for member in cluster.nodes.values():
            row = node_row(call.laws, cluster, member, call.may(f"/nodes/{member.name}", "Sys.Audit"))
            rows.append({**row, "cgroup-mode": 2, "hastate": cluster.ha.node_status.get(member.name, "online")})
    if wanted in (None, "storage"):
        for store in cluster.storages.values():
            if call.may(f"/storage/{store.storage}", "Datastore.Audit|Datastore.AllocateSpace"):
                rows += [storage_resource(store, n) for n in cluster.nodes if holds(store, n)]
    if wanted in (None, "sdn") and call.may("/sdn/zones/localnetwork", "SDN.Audit|SDN.Use|SDN.Allocate|Sys.Audit"):
        rows += [_zone(n) for n in cluster.nodes]
    for zone, members in sorted(cluster.zone_nodes.items()) if wanted in (None, "sdn") else ():
        if call.may(f"/sdn/zones/{zone}", "SDN.Audit|SDN.Use|SDN.Allocate|Sys.Audit"):
            rows += [_zone(n, zone, "ok" if n in members else "error") for n in cluster.nodes]
    return rows


def _zone(name: str, zone: str = "localnetwork", status: str = "ok") -> dict[str, Any]:
    return {
        "id": f"network/{name}/zone/{zone}",
        "network": zone,
        "network-type": "zone",
        "node": name,
        "status": status,
        "type": "network",
    }


@methods.serve("GET", "/cluster/sdn/vnets")
def vnets(call: Call) -> Any:
    """The networks of the zones; PVE's further keys (tag, alias, digest) are left out."""
    return [
        {"vnet": vnet, "zone": zone, "type": "vnet"}
        for vnet, zone in sorted(call.cluster.vnets.items())
        if call.may(f"/sdn/zones/{zone}/{vnet}", "SDN.Audit|SDN.Allocate|Sys.Audit")
    ]


# --- datacenter.cfg -------------------------------------------------------------------------------------------

_OPTION_PARAMS = [
    *(text(name) for name in OPTION_TEXTS),
    text("consent-text", max_length=65536),
    text("console", enum=("applet", "vv", "html5", "xtermjs")),
    text("delete", format="pve-configid-list"),
    text("description", max_length=65536),
    text("email_from", format="email-opt"),
    text("fencing", enum=("watchdog", "hardware", "both")),
    text("http_proxy", pattern=r"http://.*"),
    text("keyboard", enum=KEYBOARDS),
    text("language", enum=LANGUAGES),
    text("location", format="pve-node-location"),
    text("mac_prefix", format="mac-prefix"),
    whole("max_workers", minimum=1),
    flag("migration_unsecure"),
]


def property_string(value: str, default_key: str = "type") -> dict[str, str]:
    """``secure,network=10.0.0.0/24`` as PVE parses it: a first part without a key belongs to the default key."""
    pairs = (part.partition("=") if "=" in part else (default_key, "=", part) for part in value.split(",") if part)
    return {key: val for key, _, val in pairs}


@methods.serve("GET", "/cluster/options", perm="/ Sys.Audit")
def options(call: Call) -> Any:
    tags = sorted({t for g in call.cluster.guests.values() for t in g.tags})
    document: dict[str, Any] = {"allowed-tags": tags, "description": "", "mac_prefix": "BC:24:11"}
    for name, value in call.cluster.options.items():
        if name in ("migration", "ha", "crs", "tag-style", "replication"):
            document[name] = property_string(value)
        else:
            document[name] = int(value) if name == "max_workers" else value
    return document


@methods.serve("PUT", "/cluster/options", _OPTION_PARAMS, perm="/ Sys.Modify")
def set_options(call: Call) -> Any:
    for name in filter(None, call.params.pop("delete", "").replace(";", ",").split(",")):
        call.cluster.options.pop(name, None)
    for name, value in call.params.items():
        call.cluster.options[name] = str(int(value)) if isinstance(value, bool) else str(value)
        call.laws.note(call.cluster, f"option {name} set to {value} by {call.who.full_id}")
    return None


# --- small ones -----------------------------------------------------------------------------------------------


@methods.serve("GET", "/cluster/log", [whole("max", minimum=1)])
def log(call: Call) -> Any:
    """Starts and ends of tasks, newest first."""
    lines: list[tuple[float, str, Any]] = []
    for task in call.cluster.tasks.values():
        lines.append((task.starttime, f"starting task {task.upid}", task))
        if task.status == "stopped":
            lines.append((task.endtime or task.starttime, f"end task {task.upid} {task.exitstatus}", task))
    lines.sort(key=lambda line: line[0], reverse=True)
    return [
        {
            "id": f"{len(lines) - i}:{task.node}",
            "msg": message,
            "node": task.node,
            "pid": task.pid,
            "pri": 6,
            "tag": "pvedaemon",
            "time": int(at),
            "uid": str(len(lines) - i),
            "user": task.user,
        }
        for i, (at, message, task) in enumerate(lines[: call.params.get("max", 50)])
        if call.may("/", "Sys.Syslog") or task.user == call.who.full_id
    ]


@methods.serve("GET", "/cluster/nextid", [vmid()])
def nextid(call: Call) -> Any:
    wanted = call.params.get("vmid")
    if wanted is not None:
        if wanted in call.cluster.guests:
            raise bad_parameter("vmid", f"VM {wanted} already exists")
        return str(wanted)
    free = 100
    while free in call.cluster.guests:
        free += 1
    return str(free)


@methods.serve("GET", "/cluster/config/nodes", perm="/ Sys.Audit")
def config_nodes(call: Call) -> Any:
    return [
        {"name": n.name, "node": n.name, "nodeid": str(n.nodeid), "quorum_votes": "1", "ring0_addr": n.ip}
        for n in call.cluster.nodes.values()
    ]


@methods.serve("GET", "/cluster/backup", perm="/ Sys.Audit")
def backup_jobs(call: Call) -> Any:
    return call.cluster.backup_jobs


@methods.serve("GET", "/cluster/backup-info/not-backed-up")
def not_backed_up(call: Call) -> Any:
    """Every guest: the lab has no backup jobs."""
    return [
        {"name": g.name, "type": g.type, "vmid": g.vmid}
        for _, g in sorted(call.cluster.guests.items())
        if call.may(f"/vms/{g.vmid}", "VM.Audit")
    ]


@methods.serve("GET", "/cluster/replication")
def replication(call: Call) -> Any:
    return [job for job in call.cluster.replication_jobs if call.may(f"/vms/{job['guest']}", "VM.Audit")]


@methods.serve("GET", "/cluster/mapping")
def mapping(call: Call) -> Any:
    return [{"name": "dir"}, {"name": "pci"}, {"name": "usb"}]


@methods.serve("GET", "/cluster/mapping/pci", [node("check-node")])
@methods.serve("GET", "/cluster/mapping/usb", [node("check-node")])
@methods.serve("GET", "/cluster/mapping/dir", [node("check-node")])
def mappings(call: Call) -> Any:
    return []


# --- pools ----------------------------------------------------------------------------------------------------

_MEMBER = text("type", enum=("qemu", "lxc", "storage"))


def _members(call: Call, pool: str) -> list[dict[str, Any]]:
    wanted = call.params.get("type")
    return [
        guest_resource(call.laws, call.cluster, g, with_ha=False)
        for _, g in sorted(call.cluster.guests.items())
        if g.pool == pool and wanted in (None, g.type) and call.may(f"/vms/{g.vmid}", "VM.Audit")
    ]


def _pool(call: Call, pool: str) -> dict[str, Any]:
    if pool not in call.cluster.pools:
        raise PveError(f"no such pool '{pool}'")
    comment = call.cluster.pools[pool]
    return {**({"comment": comment} if comment else {}), "members": _members(call, pool)}


@methods.serve("GET", "/pools", [text("poolid", format="pve-poolid"), _MEMBER])
def pools(call: Call) -> Any:
    wanted = call.params.get("poolid")
    if wanted is not None:
        call.require(f"/pool/{wanted}", "Pool.Audit")
        return [{**_pool(call, wanted), "poolid": wanted}]
    visible = [p for p in sorted(call.cluster.pools) if call.may(f"/pool/{p}", "Pool.Audit")]
    return [{"poolid": p, **({"comment": c} if (c := call.cluster.pools[p]) else {})} for p in visible]


def _join(call: Call, pool: str, vmids: str, leave: bool) -> None:
    for member in filter(None, vmids.split(",")):
        guest = call.cluster.guests.get(int(member))
        if guest is None:
            raise PveError(f"VM {member} does not exist")
        if leave and guest.pool != pool:
            raise PveError(f"VM {member} is not a pool member")
        if not leave and guest.pool not in (None, pool) and not call.params.get("allow-move"):
            raise PveError(f"VM {member} is already a pool member")
        guest.pool = None if leave else pool


@methods.serve(
    "POST",
    "/pools",
    [text("comment"), text("poolid", format="pve-poolid", required=True)],
    perm="/pool/{poolid} Pool.Allocate",
)
def create_pool(call: Call) -> Any:
    name = call.params["poolid"]
    if name in call.cluster.pools:
        raise PveError(f"create pool failed: pool '{name}' already exists")
    call.cluster.pools[name] = call.params.get("comment", "")
    return None


@methods.serve(
    "PUT",
    "/pools",
    [
        flag("allow-move"),
        text("comment"),
        flag("delete"),
        text("poolid", format="pve-poolid", required=True),
        text("storage", format="pve-storage-id-list"),
        text("vms", format="pve-vmid-list"),
    ],
    perm="/pool/{poolid} Pool.Allocate",
)
def set_pool(call: Call) -> Any:
    name = call.params["poolid"]
    if name not in call.cluster.pools:
        raise PveError(f"update pools failed: pool '{name}' does not exist")
    if "storage" in call.params:
        raise PveError("the lab keeps no storages in pools")
    if "comment" in call.params:
        call.cluster.pools[name] = call.params["comment"]
    _join(call, name, call.params.get("vms", ""), bool(call.params.get("delete")))
    return None


@methods.serve("GET", "/pools/{poolid}", [_MEMBER], perm="/pool/{poolid} Pool.Audit")
def pool(call: Call) -> Any:
    return _pool(call, call.params["poolid"])
