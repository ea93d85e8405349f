"""/cluster/ha: resources and the manager's status; maintenance mode is not here, only on a shell."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from noout.lab.wire.pve.call import Call, Methods, PveError
from noout.lab.wire.pve.parameters import flag, node, text, whole
from noout.lab.wire.pve.rows import digest
from noout.lab.world.model import Cluster, HaResource, HaService, Lrm

methods = Methods()
_AUDIT, _CONSOLE = "/ Sys.Audit", "/ Sys.Console"


# --- status ---------------------------------------------------------------------------------------------------


def _stamp(at: float) -> str:
    when = datetime.fromtimestamp(at, UTC)
    return f"{when:%a %b} {when.day:>2} {when:%H:%M:%S %Y}"


def _lrm_status(cluster: Cluster, name: str, lrm: Lrm, now: float) -> str:
    at = _stamp(lrm.timestamp)
    if not cluster.ha.armed:
        return f"{name} (disarm mode, watchdog released, {at})"
    if lrm.mode == "active":
        if now - lrm.timestamp > 30:
            return f"{name} (old timestamp - dead?, watchdog expired, {at})"
        idle = lrm.state == "wait_for_agent_lock"
        state = "idle" if idle else "active" if lrm.state == "active" else lrm.state.replace("_", " ")
        return f"{name} ({state}, watchdog {'standby' if idle else 'active'}, {at})"
    alive = lrm.state in ("active", "maintenance") and now - lrm.timestamp <= 30
    return f"{name} ({lrm.mode} mode, watchdog {'active' if alive else 'standby'}, {at})"


def _service_row(cluster: Cluster, resource: HaResource) -> dict[str, Any]:
    service = cluster.ha.services.get(resource.sid)
    state = "queued" if service is None else service.state
    if not cluster.ha.armed and cluster.ha.disarm_mode == "ignore":
        state = "ignore"
    where = service.node if service is not None else _home(cluster, resource.sid)
    row: dict[str, Any] = {
        "crm_state": "queued" if service is None else service.state,
        "failback": int(resource.failback),
        "id": f"service:{resource.sid}",
        "max_relocate": resource.max_relocate,
        "max_restart": resource.max_restart,
        "node": where,
        "request_state": resource.state,
        "sid": resource.sid,
        "state": state,
        "status": f"{resource.sid} ({where}, {state})",
        "type": "service",
    }
    return {**row, "comment": resource.comment} if resource.comment else row


def _home(cluster: Cluster, sid: str) -> str:
    guest = cluster.guests.get(int(sid.split(":")[1]))
    return guest.node if guest is not None else ""


@methods.serve("GET", "/cluster/ha/status/current", perm=_AUDIT)
def current(call: Call) -> Any:
    cluster, ha = call.cluster, call.cluster.ha
    off = "" if ha.armed else f"disarmed, resource mode: {ha.disarm_mode}"
    fencing: dict[str, Any] = {"armed-state": "armed" if ha.armed else "disarmed", "id": "fencing", "node": ha.master}
    fencing |= {"type": "fencing", "status": f"{off} (CRM watchdog released)" if off else "armed (CRM watchdog active)"}
    if off:
        fencing["resource_mode"] = ha.disarm_mode
    master_alive = call.now - ha.timestamp <= 30
    master = f"{ha.master} ({'active' if master_alive else 'old timestamp - dead?'}, {_stamp(ha.timestamp)})"
    return [
        {
            "id": "quorum",
            "node": call.here.name,
            "quorate": int(cluster.quorate),
            "status": "OK" if cluster.quorate else "No quorum on node",
            "type": "quorum",
        },
        {
            "id": "master",
            "node": ha.master,
            "status": master + (f" - {off}" if off else ""),
            "timestamp": int(ha.timestamp),
            "type": "master",
        },
        fencing,
        *(
            {
                "id": f"lrm:{name}",
                "node": name,
                "status": _lrm_status(cluster, name, lrm, call.now),
                "timestamp": int(lrm.timestamp),
                "type": "lrm",
            }
            for name, lrm in sorted(ha.lrm.items())
        ),
        *(_service_row(cluster, resource) for _, resource in sorted(ha.resources.items())),
    ]


def _service_status(service: HaService) -> dict[str, Any]:
    document: dict[str, Any] = {"node": service.node, "state": service.state, "uid": service.uid}
    if service.running:
        document["running"] = 1
    if service.target:
        document["target"] = service.target
    if service.maintenance_node:
        document["maintenance_node"] = service.maintenance_node
    return document


@methods.serve("GET", "/cluster/ha/status/manager_status", perm=_AUDIT)
def manager_status(call: Call) -> Any:
    ha = call.cluster.ha
    manager: dict[str, Any] = {
        "master_node": ha.master,
        "node_status": dict(ha.node_status),
        "service_status": {sid: _service_status(s) for sid, s in ha.services.items()},
        "timestamp": int(ha.timestamp),
    }
    if ha.node_request:
        manager["node_request"] = {name: dict(wish) for name, wish in ha.node_request.items()}
    if not ha.armed:
        manager["disarm"] = {"mode": ha.disarm_mode, "state": "disarmed"}
    lrm_status = {
        name: {
            "mode": lrm.mode if ha.armed else "disarm",
            "results": lrm.results,
            "state": lrm.state if ha.armed else "wait_for_agent_lock",
            "timestamp": int(lrm.timestamp),
        }
        for name, lrm in ha.lrm.items()
    }
    quorum = {"node": call.here.name, "quorate": str(int(call.cluster.quorate))}
    return {"lrm_status": lrm_status, "manager_status": manager, "quorum": quorum}


@methods.serve("POST", "/cluster/ha/status/arm-ha", perm=_CONSOLE)
def arm(call: Call) -> Any:
    call.laws.ha_arm(call.cluster, True)
    return None


@methods.serve(
    "POST",
    "/cluster/ha/status/disarm-ha",
    [text("resource-mode", enum=("freeze", "ignore"), required=True)],
    perm=_CONSOLE,
)
def disarm(call: Call) -> Any:
    call.cluster.ha.disarm_mode = call.params["resource-mode"]
    call.laws.ha_arm(call.cluster, False)
    return None


# --- resources ------------------------------------------------------------------------------------------------

_TYPE = text("type", enum=("ct", "vm"))
_RESOURCE = [
    text("comment", max_length=4096),
    flag("failback"),
    text("group", format="pve-configid"),
    whole("max_relocate", minimum=0),
    whole("max_restart", minimum=0),
    text("state", enum=("started", "stopped", "enabled", "disabled", "ignored")),
]
_FIELDS = ("comment", "failback", "max_relocate", "max_restart", "state")


def _sid(call: Call) -> str:
    """``vm:100``, also from a plain ``100``."""
    given: str = call.params["sid"]
    if ":" in given:
        return given
    guest = call.cluster.guests.get(int(given))
    return f"{'ct' if guest is not None and guest.type == 'lxc' else 'vm'}:{given}"


def _managed(call: Call) -> HaResource:
    sid = _sid(call)
    resource = call.cluster.ha.resources.get(sid)
    if resource is None:
        raise PveError(f"resource '{sid}' is not HA managed")
    return resource


def _resource_row(cluster: Cluster, resource: HaResource) -> dict[str, Any]:
    row: dict[str, Any] = {
        "digest": digest(*(f"{r.sid}{r.state}{r.failback}{r.comment}" for r in cluster.ha.resources.values())),
        "max_relocate": resource.max_relocate,
        "max_restart": resource.max_restart,
        "sid": resource.sid,
        "state": resource.state,
        "type": resource.sid.split(":")[0],
    }
    if not resource.failback:
        row["failback"] = 0
    return {**row, "comment": resource.comment} if resource.comment else row


def _changed(resource: HaResource, params: dict[str, Any]) -> HaResource:
    if params.get("group"):
        raise PveError("invalid parameter 'group': ha groups have been migrated to rules")
    values = {k: v for k, v in params.items() if k in _FIELDS}
    if values.get("state") == "enabled":
        values["state"] = "started"
    return replace(resource, **values)


@methods.serve("GET", "/cluster/ha/resources", [_TYPE], perm=_AUDIT)
def resources(call: Call) -> Any:
    rows = [_resource_row(call.cluster, r) for r in call.cluster.ha.resources.values()]
    return [r for r in rows if call.params.get("type") in (None, r["type"])]


@methods.serve(
    "POST",
    "/cluster/ha/resources",
    [text("sid", format="pve-ha-resource-or-vm-id", required=True), _TYPE, *_RESOURCE],
    perm=_CONSOLE,
)
def create_resource(call: Call) -> Any:
    sid = _sid(call)
    if sid in call.cluster.ha.resources:
        raise PveError(f"resource ID '{sid}' already defined")
    if int(sid.split(":")[1]) not in call.cluster.guests:
        raise PveError(f"unable to find configuration file for VM {sid.split(':')[1]} - no such machine")
    call.laws.resource_set(call.cluster, _changed(HaResource(sid), call.params))
    return None


@methods.serve("GET", "/cluster/ha/resources/{sid}", perm=_AUDIT)
def resource(call: Call) -> Any:
    sid = _sid(call)
    if sid not in call.cluster.ha.resources:
        raise PveError(f"no such resource '{sid}'")
    return _resource_row(call.cluster, call.cluster.ha.resources[sid])


@methods.serve(
    "PUT",
    "/cluster/ha/resources/{sid}",
    [*_RESOURCE, text("delete", max_length=4096, format="pve-configid-list"), text("digest", max_length=64)],
    perm=_CONSOLE,
)
def set_resource(call: Call) -> Any:
    sid = _sid(call)
    if sid not in call.cluster.ha.resources:
        raise PveError(f"no such resource '{sid}'")
    before = call.cluster.ha.resources[sid]
    if call.params.get("digest", "") not in ("", _resource_row(call.cluster, before)["digest"]):
        raise PveError("detected modified configuration - file changed by other user? Try again.")
    default = HaResource(sid)
    deleted = [d for d in re.split(r"[,;\s]+", call.params.get("delete", "")) if d in _FIELDS]
    values = {name: getattr(default, name) for name in deleted} | call.params
    call.laws.resource_set(call.cluster, _changed(before, values))
    return None


@methods.serve("DELETE", "/cluster/ha/resources/{sid}", [flag("purge")], perm=_CONSOLE)
def delete_resource(call: Call) -> Any:
    """The guest is no longer managed; it stays as it is. It also leaves the rules that name it, unless purge=0."""
    sid = _sid(call)
    call.laws.resource_delete(call.cluster, sid)
    if call.params.get("purge", True):
        for rule in list(call.cluster.ha.rules.values()):
            if sid in rule.resources:
                rule.resources.remove(sid)
                if not rule.resources:
                    call.laws.rule_delete(call.cluster, rule.rule)
    return None


@methods.serve(
    "POST", "/cluster/ha/resources/{sid}/migrate", [node("node", required=True)], perm=_CONSOLE, proxied=False
)
def migrate(call: Call) -> Any:
    """Only a wish: 200 even when rules block it or the target is offline."""
    return call.laws.ha_request(call.cluster, _managed(call).sid, call.params["node"])


@methods.serve(
    "POST", "/cluster/ha/resources/{sid}/relocate", [node("node", required=True)], perm=_CONSOLE, proxied=False
)
def relocate(call: Call) -> Any:
    """Shut down, moved, started."""
    return call.laws.ha_request(call.cluster, _managed(call).sid, call.params["node"], relocate=True)


@methods.serve("GET", "/cluster/ha/groups", perm=_AUDIT)
def groups(call: Call) -> Any:
    raise PveError("cannot index groups: ha groups have been migrated to rules")
