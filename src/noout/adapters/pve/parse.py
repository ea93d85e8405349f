"""What Proxmox VE's JSON means, tolerantly: booleans come as 0/1/"1", numbers sometimes as text, keys may be absent.

Pure functions: ``data`` of an answer in, domain nouns out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from noout.domain.cluster import (
    Affinity,
    GuestId,
    GuestKind,
    GuestStatus,
    HaService,
    Node,
    NodeId,
    Replica,
    Rule,
    Storage,
    Task,
)

Row = Mapping[str, Any]

_UPID = re.compile(
    r"^UPID:(?P<node>[^:\s]+):(?P<pid>[0-9A-Fa-f]{8}):(?P<pstart>[0-9A-Fa-f]{8,9}):(?P<start>[0-9A-Fa-f]{8}):"
    r"(?P<kind>[^:\s]+):(?P<subject>[^:\s]*):(?P<user>[^:\s]+):$"
)
_LAST_MAN = re.compile(r"lms|last man", re.I)
_SID_KIND = {"vm": GuestKind.QEMU, "ct": GuestKind.LXC}
SID_PREFIX = {GuestKind.QEMU: "vm", GuestKind.LXC: "ct"}


def boolean(value: Any) -> bool:
    """0/1, "0"/"1", true/false, "yes"/"on"; absent is False."""
    if isinstance(value, str):
        return value.strip().lower() in ("1", "yes", "true", "on")
    return bool(value)


def number(value: Any, default: float = 0.0) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return default


def whole(value: Any, default: int = 0) -> int:
    return int(number(value, default))


def rows(data: Any) -> list[Row]:
    """A list answer; anything else is an empty list."""
    return [row for row in data if isinstance(row, Mapping)] if isinstance(data, list) else []


def table(data: Any) -> Row:
    """An object answer; anything else is an empty one."""
    return data if isinstance(data, Mapping) else {}


def words(text: Any) -> frozenset[str]:
    """Tags ("prod;web") and content lists ("images,iso")."""
    return frozenset(word for word in re.split(r"[;,\s]+", str(text or "")) if word)


# --- tasks -----------------------------------------------------------------------------------------------


def upid_node(upid: str) -> str:
    """The node a task runs on; ValueError when it is not a UPID."""
    found = _UPID.match(upid)
    if found is None:
        raise ValueError(f"not a UPID: {upid!r}")
    return found["node"]


def task_from_upid(upid: str) -> Task:
    """A task just started; ValueError when it is not a UPID."""
    found = _UPID.match(upid)
    if found is None:
        raise ValueError(f"not a UPID: {upid!r}")
    return Task(upid, found["node"], found["kind"], found["subject"], running=True)


def task_status(data: Any) -> Task:
    """``/nodes/N/tasks/UPID/status``. A task that stopped without a word has no exit status: not a success."""
    row = table(data)
    running = row.get("status") == "running"
    exit_status = None if running else str(row.get("exitstatus") or "unexpected status")
    return Task(
        str(row["upid"]), str(row["node"]), str(row["type"]), str(row.get("id") or ""), running, exit_status
    )  # fmt: skip


def running_tasks(data: Any) -> tuple[Task, ...]:
    """Rows of a task list that have not ended (``/cluster/tasks``, ``/nodes/N/tasks?source=active``)."""
    return tuple(
        Task(str(row["upid"]), str(row["node"]), str(row["type"]), str(row.get("id") or ""), running=True)
        for row in rows(data)
        if not row.get("endtime") and str(row.get("status") or "RUNNING").upper() == "RUNNING"
    )


def finished_tasks(data: Any) -> tuple[Task, ...]:
    """Rows of ``/nodes/N/tasks`` that have ended, the last one begun first."""
    ended = [row for row in rows(data) if row.get("endtime")]
    return tuple(
        Task(
            str(row["upid"]), str(row["node"]), str(row["type"]), str(row.get("id") or ""), False,
            str(row.get("status") or "unexpected status"),
        )
        for row in sorted(ended, key=lambda row: whole(row.get("starttime")), reverse=True)
    )  # fmt: skip


# --- nodes and storages ----------------------------------------------------------------------------------


def membership(data: Any) -> tuple[bool, dict[str, Row]]:
    """``/cluster/status``: (quorate, member rows by node name). A single node without a cluster is quorate."""
    members = {str(row["name"]): row for row in rows(data) if row.get("type") == "node"}
    cluster = next((row for row in rows(data) if row.get("type") == "cluster"), None)
    return (boolean(cluster.get("quorate")) if cluster else True), members


def votes(members: Any) -> dict[str, int]:
    """Node -> its votes, from corosync's configuration."""
    return {str(row.get("name") or row.get("node")): whole(row.get("quorum_votes"), 1) for row in rows(members)}


def qdevice_votes(status: Any, nodes: int) -> int:
    """A connected QDevice has one vote (fifty-fifty), or all but one of the nodes' (last man standing)."""
    told = {str(key).lower(): str(value) for key, value in table(status).items()}
    if "connected" not in told.get("state", "").lower() or "disconnected" in told.get("state", "").lower():
        return 0
    return max(nodes - 1, 1) if _LAST_MAN.search(told.get("algorithm", "")) else 1


def node(
    cluster: str, name: str, member: Row, listed: Row, status: Row, network: Iterable[Row], storages: Iterable[Storage]
) -> Node:
    """``member``: row of /cluster/status; ``listed``: of /nodes; ``status``: /nodes/N/status ({} when unread)."""
    cpus = whole(listed.get("maxcpu")) or whole(table(status.get("cpuinfo")).get("cpus"))
    memory = table(status.get("memory"))
    me = NodeId(cluster, name)
    rows_there = list(network)
    told = any("active" in row for row in rows_there)  # PVE leaves it out for what is configured and not up
    bridges = [
        row
        for row in rows_there
        if row.get("type") in ("bridge", "OVSBridge", "vnet") and row.get("iface")
        if boolean(row.get("active")) or not told
    ]
    cpu = table(status.get("cpuinfo"))
    return Node(
        id=me,
        online=boolean(member.get("online")),
        ram_bytes=whole(listed.get("maxmem")) or whole(memory.get("total")),
        ram_used_bytes=whole(listed.get("mem")) or whole(memory.get("used")),
        cpus=cpus,
        cpu_used=round(number(listed.get("cpu")) * cpus, 3),
        uptime_s=whole(listed.get("uptime")),
        ip=str(member.get("ip") or ""),
        pve_version=_pve_version(status),
        kernel=_kernel(status),
        cpu_model=str(cpu.get("model") or ""),
        bridges=frozenset(str(row["iface"]) for row in bridges),
        storages=frozenset(each.name for each in storages if each.available),
        description="",
        vlan_aware=frozenset(str(row["iface"]) for row in bridges if _vlan_aware(row)),
        cpu_flags=frozenset(str(cpu.get("flags") or "").split()),
        cpu_vendor=str(cpu.get("vendor") or ""),
    )


def _vlan_aware(row: Row) -> bool:
    """Open vSwitch passes tags on; a Linux bridge does when it is told to."""
    return row.get("type") == "OVSBridge" or boolean(row.get("bridge_vlan_aware"))


# --- software defined networks ------------------------------------------------------------------------------


def zones(resources: Any) -> dict[str, frozenset[str]]:
    """SDN zone -> names of the nodes where it works, by ``/cluster/resources``.

    PVE 9.2 has rows of type "network"; those of type "sdn", from before, were not recorded.
    """
    found: dict[str, set[str]] = {}
    for row in rows(resources):
        zone = row.get("network") if row.get("network-type") == "zone" else row.get("sdn")
        if zone and row.get("type") in ("network", "sdn") and row.get("status") in ("ok", "available"):
            found.setdefault(str(zone), set()).add(str(row.get("node")))
    return {zone: frozenset(nodes) for zone, nodes in found.items()}


def vnets(data: Any) -> tuple[tuple[str, str], ...]:
    """``/cluster/sdn/vnets``: (network, zone). Not recorded: read by the two keys that PVE's own code gives."""
    named = ((str(row.get("vnet") or ""), str(row.get("zone") or "")) for row in rows(data))
    return tuple(sorted((vnet, zone) for vnet, zone in named if vnet and zone))


def _pve_version(status: Row) -> str:
    parts = str(status.get("pveversion") or "").split("/")
    return parts[1] if len(parts) > 1 else ""


def _kernel(status: Row) -> str:
    release = table(status.get("current-kernel")).get("release")
    if release:
        return str(release)
    fields = str(status.get("kversion") or "").split()
    return fields[1] if len(fields) > 1 else ""


def storages(node_id: NodeId, data: Any) -> tuple[Storage, ...]:
    """``/nodes/N/storage``."""
    return tuple(
        Storage(
            name=str(row["storage"]),
            node=node_id,
            kind=str(row.get("type") or ""),
            shared=boolean(row.get("shared")),
            total_bytes=whole(row.get("total")),
            used_bytes=whole(row.get("used")),
            content=words(row.get("content")),
            available=boolean(row.get("active", 1)) and boolean(row.get("enabled", 1)),
        )
        for row in rows(data)
        if row.get("storage")
    )


def storages_from_resources(cluster: str, data: Any) -> tuple[Storage, ...]:
    """The storage rows of ``/cluster/resources``: what is known of a node that does not answer."""
    return tuple(
        Storage(
            name=str(row["storage"]),
            node=NodeId(cluster, str(row["node"])),
            kind=str(row.get("plugintype") or ""),
            shared=boolean(row.get("shared")),
            total_bytes=whole(row.get("maxdisk")),
            used_bytes=whole(row.get("disk")),
            content=words(row.get("content")),
            available=row.get("status") == "available",
        )
        for row in rows(data)
        if row.get("type") == "storage" and row.get("storage") and row.get("node")
    )


def migration_network(options: Any) -> str:
    """datacenter.cfg's ``migration: secure,network=10.0.0.0/24`` (text or already split); "" when unset."""
    value = table(options).get("migration")
    if isinstance(value, Mapping):
        return str(value.get("network") or "")
    found = re.search(r"(?:^|,)\s*network=([^,\s]+)", str(value or ""))
    return found[1] if found else ""


def migration_type(options: Any) -> str:
    """The same line's type: "secure" or "insecure"; "" when unset, which PVE takes as secure."""
    value = table(options).get("migration")
    if isinstance(value, Mapping):
        return str(value.get("type") or "")
    found = re.search(r"(?:^|,)\s*(?:type=)?(secure|insecure)\s*(?:,|$)", str(value or ""))
    return found[1] if found else ""


def corosync_addresses(members: Any) -> frozenset[str]:
    """Of every link of every node, by ``/cluster/config/nodes``: addresses alone, names say nothing of a network."""
    found = {str(value) for row in rows(members) for key, value in row.items() if re.fullmatch(r"ring\d_addr", key)}
    return frozenset(each for each in found if re.fullmatch(r"[\d.]+|[0-9a-fA-F:]*:[0-9a-fA-F:.]*", each))


def crs(options: Any) -> str:
    """datacenter.cfg's ``crs`` as one line with its keys sorted: "ha=static,ha-rebalance-on-start=1"; "" when unset."""
    value = table(options).get("crs")
    if isinstance(value, Mapping):
        pairs = {str(key): str(each) for key, each in value.items()}
    else:
        parts = [part.strip().partition("=") for part in str(value or "").split(",") if part.strip()]
        pairs = {key if equals else "ha": each if equals else key for key, equals, each in parts}
    return ",".join(f"{key}={pairs[key]}" for key in sorted(pairs))


# --- high availability -----------------------------------------------------------------------------------


def ha_services(manager: Any, current: Any, resources: Any) -> dict[str, HaService]:
    """By sid: the CRM's record (``manager_status``), else what ``status/current`` says; wishes from ``resources``."""
    crm = table(table(table(manager).get("manager_status")).get("service_status"))
    shown = {str(row["sid"]): row for row in rows(current) if row.get("type") == "service" and row.get("sid")}
    wanted = {str(row["sid"]): row for row in rows(resources) if row.get("sid")}
    found = {}
    for sid in sorted({*shown, *wanted}):
        service, row, wish = table(crm.get(sid)), shown.get(sid, {}), wanted.get(sid, {})
        found[sid] = HaService(
            sid=sid,
            state=str(service.get("state") or row.get("crm_state") or row.get("state") or "queued"),
            node=str(service.get("node") or row.get("node") or ""),
            target=str(service["target"]) if service.get("target") else None,
            requested_state=str(wish.get("state") or row.get("request_state") or "started"),
            failback=boolean(wish.get("failback", row.get("failback", 1))),
        )
    return found


def ha_armed(manager: Any, current: Any) -> bool:
    """False while HA is disarmed or on its way there (PVE 9.2 on; before, there was no such thing)."""
    disarm = table(table(manager).get("manager_status")).get("disarm")
    if disarm:
        return False
    fencing = next((row for row in rows(current) if row.get("type") == "fencing"), {})
    return str(fencing.get("armed-state") or "armed") not in ("disarmed", "disarming")


def ha_node_states(manager: Any) -> dict[str, str]:
    """CRM's state of each node: online, maintenance, unknown, fence, gone."""
    status = table(table(table(manager).get("manager_status")).get("node_status"))
    return {str(name): str(state) for name, state in status.items()}


def ha_requests(manager: Any) -> tuple[tuple[str, str], ...]:
    """What was asked of nodes by ``crm-command``: (node, "maintenance")."""
    requests = table(table(table(manager).get("manager_status")).get("node_request"))
    return tuple(
        (str(name), str(what))
        for name, wishes in sorted(requests.items())
        for what, on in sorted(table(wishes).items())
        if boolean(on)
    )


def sid_guest(cluster: str, sid: str) -> GuestId | None:
    """ "vm:100" -> GuestId; None for a sid that is not a guest's."""
    prefix, _, vmid = sid.partition(":")
    return GuestId(cluster, int(vmid)) if prefix in _SID_KIND and vmid.isdigit() else None


def rules(cluster: str, data: Any) -> tuple[Rule, ...]:
    """``/cluster/ha/rules``; a rule of a kind we do not know is left out (there are only these two)."""
    found = []
    for row in rows(data):
        guests = (sid_guest(cluster, sid) for sid in words(row.get("resources")))
        kind = _rule_kind(row)
        if kind is None:
            continue
        found.append(
            Rule(
                name=str(row.get("rule") or ""),
                kind=kind,
                guests=frozenset(guest for guest in guests if guest is not None),
                nodes=_priorities(row.get("nodes")) if kind is Affinity.NODE else (),
                strict=boolean(row.get("strict")) if kind is Affinity.NODE else True,
                enabled=not boolean(row.get("disable")),
            )
        )
    return tuple(sorted(found, key=lambda rule: rule.name))


def _rule_kind(row: Row) -> Affinity | None:
    if row.get("type") == "node-affinity":
        return Affinity.NODE
    if row.get("type") == "resource-affinity":
        return Affinity.TOGETHER if row.get("affinity") == "positive" else Affinity.APART
    return None


def _priorities(nodes: Any) -> tuple[tuple[str, int], ...]:
    """ "pve1:2,pve2" -> (("pve1", 2), ("pve2", 0))"""
    parts = (part.partition(":") for part in sorted(words(nodes)))
    return tuple((name, whole(priority)) for name, _, priority in parts)


# --- replication and snapshots -------------------------------------------------------------------------------


def replicas(data: Any) -> dict[int, tuple[Replica, ...]]:
    """``/cluster/replication``: vmid -> its jobs. A job that is switched off still binds the guest to its target."""
    found: dict[int, list[Replica]] = {}
    for row in rows(data):
        if row.get("guest") and row.get("target"):
            job = Replica(str(row["target"]), bool(row.get("remove_job")))
            found.setdefault(whole(row["guest"]), []).append(job)
    return {vmid: tuple(sorted(jobs, key=lambda job: job.target)) for vmid, jobs in found.items()}


def snapshots(data: Any) -> tuple[str, ...]:
    """``.../snapshot``: the names, without the present state ("current")."""
    return tuple(sorted(str(row["name"]) for row in rows(data) if row.get("name") not in (None, "", "current")))


# --- guests in lists -------------------------------------------------------------------------------------


# QEMU's words for a guest that has a process and does not run.
_STANDS_STILL = frozenset(
    {"paused", "suspended", "prelaunch", "io-error", "internal-error", "guest-panicked", "shutdown", "watchdog"}
)


def status(row: Row) -> GuestStatus:
    """QEMU's own word (``qmpstatus``) where it says more than "running"."""
    told = str(row.get("qmpstatus") or row.get("status") or "")
    if row.get("status") == "stopped":
        return GuestStatus.STOPPED
    if told in _STANDS_STILL:
        return GuestStatus.PAUSED
    try:
        return GuestStatus(told)
    except ValueError:
        return GuestStatus.RUNNING if row.get("status") == "running" else GuestStatus.UNKNOWN


def pools(resources: Any) -> dict[int, str]:
    """vmid -> pool, from ``/cluster/resources`` (membership is configuration: it does not lag)."""
    return {
        whole(row["vmid"]): str(row["pool"])
        for row in rows(resources)
        if row.get("type") in ("qemu", "lxc") and row.get("pool") and row.get("vmid")
    }


def resource_guests(resources: Any) -> dict[int, Row]:
    """vmid -> row of ``/cluster/resources``."""
    return {whole(row["vmid"]): row for row in rows(resources) if row.get("type") in ("qemu", "lxc")}
