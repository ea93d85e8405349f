"""Tasks: lists, status, log, stop."""

from __future__ import annotations

import re
from typing import Any

from noout.lab.wire.pve.call import Call, Listing, Methods, bad_parameter
from noout.lab.wire.pve.parameters import flag, text, vmid, whole
from noout.lab.world.model import Task

methods = Methods()
_UPID = re.compile(
    r"UPID:(?P<node>[A-Za-z0-9-]+):(?P<pid>[0-9A-F]{8}):(?P<pstart>[0-9A-F]{8,9}):(?P<starttime>[0-9A-F]{8}):"
    r"(?P<type>[^:\s]+):(?P<id>[^:\s]*):(?P<user>[^:\s]+):"
)


def _task(call: Call, privilege: str) -> Task:
    """The task of the path, if the caller owns it or has ``privilege`` on its node."""
    upid = call.params["upid"]
    match = _UPID.fullmatch(upid)
    if match is None:
        raise bad_parameter("upid", "unable to parse worker upid")
    if match["user"] != call.who.full_id:
        call.require(f"/nodes/{call.node.name}", privilege)
    task = call.cluster.tasks.get(upid)
    if task is None or task.node != call.node.name:
        raise bad_parameter("upid", "no such task")
    return task


def _owner(task: Task) -> dict[str, str]:
    user, _, token = task.user.partition("!")
    return {"user": user, **({"tokenid": token} if token else {})}


@methods.serve("GET", "/nodes/{node}/tasks/{upid}/status")
def task_status(call: Call) -> Any:
    task = _task(call, "Sys.Audit")
    document: dict[str, Any] = {
        "id": task.id,
        "node": task.node,
        "pid": task.pid,
        "pstart": task.pstart,
        "starttime": int(task.starttime),
        "status": task.status,
        "type": task.type,
        "upid": task.upid,
        **_owner(task),
    }
    if task.status == "stopped":
        document["exitstatus"] = task.exitstatus
    return document


@methods.serve(
    "GET",
    "/nodes/{node}/tasks/{upid}/log",
    [flag("download"), whole("limit", minimum=0), whole("start", minimum=0)],
)
def task_log(call: Call) -> Any:
    """Fifty lines unless told otherwise; 0 means all."""
    task = _task(call, "Sys.Audit")
    start, limit = call.params.get("start", 0), call.params.get("limit", 50)
    lines = [{"n": i + 1, "t": line} for i, line in enumerate(task.log)]
    page = lines[start : start + limit] if limit else lines[start:]
    if not lines:
        return Listing([{"n": 1, "t": "no content"}], 1)
    return Listing(page, len(lines))


@methods.serve("DELETE", "/nodes/{node}/tasks/{upid}")
def stop_task(call: Call) -> Any:
    task = _task(call, "Sys.Modify")
    call.laws.stop_task(call.cluster, task.upid)
    return None


def _visible(call: Call) -> list[Task]:
    """Newest first; other people's tasks only with Sys.Audit on their node."""
    return sorted(
        (
            t
            for t in call.cluster.tasks.values()
            if t.user == call.who.full_id or call.may(f"/nodes/{t.node}", "Sys.Audit")
        ),
        key=lambda t: t.starttime,
        reverse=True,
    )


@methods.serve(
    "GET",
    "/nodes/{node}/tasks",
    [
        flag("errors"),
        whole("limit", minimum=0),
        whole("since"),
        text("source", enum=("archive", "active", "all")),
        whole("start", minimum=0),
        text("statusfilter", format="pve-task-status-type-list"),
        text("typefilter"),
        whole("until"),
        text("userfilter"),
        vmid(),
    ],
)
def node_tasks(call: Call) -> Any:
    """The archive of finished tasks unless ``source`` says otherwise."""
    p = call.params
    source = p.get("source", "archive")
    found = [
        t
        for t in _visible(call)
        if t.node == call.node.name
        and (source == "all" or (t.status == "running") == (source == "active"))
        and (not p.get("errors") or t.exitstatus not in (None, "OK"))
        and t.starttime >= p.get("since", 0)
        and t.starttime <= p.get("until", float("inf"))
        and p.get("typefilter", t.type) == t.type
        and p.get("userfilter", "") in t.user
        and ("vmid" not in p or t.id == str(p["vmid"]))
        and _status_fits(t, p.get("statusfilter"))
    ]
    start, limit = p.get("start", 0), p.get("limit", 50)
    page = found[start : start + limit] if limit else found[start:]
    return Listing([_node_row(t) for t in page], len(found))


def _status_fits(task: Task, wanted: str | None) -> bool:
    if not wanted:
        return True
    status = task.exitstatus or "unknown"
    kind = "ok" if status == "OK" else "warning" if status.startswith("WARNINGS") else "error"
    return (kind if task.status == "stopped" else "unknown") in re.split(r"[,;\s]+", wanted)


def _node_row(task: Task) -> dict[str, Any]:
    row: dict[str, Any] = {"id": task.id, "node": task.node, "pid": task.pid, "pstart": task.pstart}
    row |= {"starttime": int(task.starttime), "type": task.type, "upid": task.upid}
    if task.status == "running":
        return {**row, "saved": "0", "status": "RUNNING", "user": task.user}
    return {**row, "endtime": int(task.endtime or 0), "status": task.exitstatus, **_owner(task)}


@methods.serve("GET", "/cluster/tasks")
def cluster_tasks(call: Call) -> Any:
    """Running and recent tasks of all nodes that are up (each node tells of its own, 25 at most)."""
    rows = []
    told: dict[str, int] = {}
    for task in _visible(call):
        told[task.node] = told.get(task.node, 0) + 1
        if told[task.node] > 25 and task.status == "stopped":
            continue
        row: dict[str, Any] = {"id": task.id, "node": task.node, "starttime": int(task.starttime), "type": task.type}
        row |= {"upid": task.upid, "saved": "0" if task.status == "running" else "1", **_owner(task)}
        if task.status == "stopped":
            row |= {"endtime": int(task.endtime or 0), "status": task.exitstatus}
        else:
            row["pid"] = task.pid
        rows.append(row)
    return rows
