"""/cluster/ceph: status, flags, metadata."""

from __future__ import annotations

from typing import Any

from noout.lab.wire.ceph.daemons import mgr_dump, mon_metadata, monmap
from noout.lab.wire.ceph.maps import osd_metadata, version_line
from noout.lab.wire.ceph.status import health, status
from noout.lab.wire.pve.call import FLAGS, Call, Methods, PveError
from noout.lab.wire.pve.parameters import flag, text
from noout.lab.world.model import Ceph

methods = Methods()
# What an mgr's metadata shares with that of an OSD on the same host.
_MGR_FIELDS = (
    "arch",
    "ceph_release",
    "ceph_version",
    "ceph_version_short",
    "cpu",
    "distro",
    "distro_description",
    "distro_version",
    "hostname",
    "kernel_description",
    "kernel_version",
    "mem_swap_kb",
    "mem_total_kb",
    "os",
)
_EITHER = "/ Sys.Audit|Datastore.Audit"


def ceph_of(call: Call) -> Ceph:
    """The cluster's Ceph; PVE's words where there is none, or where its mons do not answer."""
    ceph = call.cluster.ceph
    if ceph is None:
        missing = "missing '/etc/pve/ceph.conf', missing '/etc/pve/ceph'"
        raise PveError(f"pveceph configuration not initialized - {missing}")
    if not call.laws.ceph_quorum(call.cluster):
        raise PveError("got timeout")
    return ceph


def status_document(call: Call) -> dict[str, Any]:
    """``ceph status`` with the checks' detail, the whole monmap and the whole mgrmap."""
    ceph = ceph_of(call)
    document = status(call.laws, call.cluster, ceph)
    document["health"] = health(call.laws, call.cluster, ceph, detail=True)
    document["monmap"] = {**monmap(call.laws, ceph), "quorum": document["quorum"]}
    document["mgrmap"] = mgr_dump(call.laws, call.cluster, ceph)
    return document


@methods.serve("GET", "/cluster/ceph/status", perm=_EITHER)
def cluster_status(call: Call) -> Any:
    return status_document(call)


@methods.serve("GET", "/cluster/ceph/flags", perm="/ Sys.Audit")
def flags(call: Call) -> Any:
    """The cluster-wide flags only: flags of one host show nowhere but in the health checks."""
    held = ceph_of(call).flags
    return [{"description": text, "name": name, "value": int(_is_set(held, name))} for name, text in FLAGS.items()]


def _is_set(held: set[str], name: str) -> bool:
    return {"pauserd", "pausewr"} <= held or name in held if name == "pause" else name in held


@methods.serve("GET", "/cluster/ceph/flags/{flag}", perm="/ Sys.Audit")
def get_flag(call: Call) -> Any:
    return int(_is_set(ceph_of(call).flags, call.params["flag"]))


@methods.serve("PUT", "/cluster/ceph/flags/{flag}", [flag("value", required=True)], perm="/ Sys.Modify")
def set_flag(call: Call) -> Any:
    """At once, without a task."""
    ceph_of(call)
    call.laws.ceph_flag(call.cluster, call.params["flag"], call.params["value"], call.who.full_id)
    return None


@methods.serve("PUT", "/cluster/ceph/flags", [flag(name) for name in FLAGS], perm="/ Sys.Modify")
def set_flags(call: Call) -> Any:
    """By a task, which touches only what differs."""
    held = ceph_of(call).flags
    lines = []
    for name, wanted in sorted(call.params.items()):
        if wanted != _is_set(held, name):
            lines.append(f"{'set' if wanted else 'unset'} {name}")
            call.laws.ceph_flag(call.cluster, name, wanted, call.who.full_id)
    task = call.laws.quick_task(call.cluster, call.here.name, "cephsetflags", "", call.who.full_id, 1.0, lines)
    return task.upid


@methods.serve("GET", "/cluster/ceph/metadata", [text("scope", enum=("all", "versions"))], perm=_EITHER)
def metadata(call: Call) -> Any:
    """Daemons with their versions; of those that are not running only that they exist."""
    ceph = ceph_of(call)
    nodes = {
        n.name: {
            "buildcommit": version_line(ceph).split("(")[1].split(")")[0],
            "version": {"parts": ceph.version.split("."), "str": ceph.version},
        }
        for n in call.cluster.nodes.values()
    }
    if call.params.get("scope") == "versions":
        return {"node": nodes}
    exists = {"direxists": True, "service": True}
    mons = {
        f"{m.name}@{m.name}": {**(mon_metadata(call.cluster, ceph, m) if m.running else {}), **exists}
        for m in ceph.mons.values()
    }
    mgrs = {}
    for mgr in ceph.mgrs.values():
        like = next((o for o in ceph.osds.values() if o.host == mgr.name), None)
        known: dict[str, Any] = {}
        if mgr.running and like is not None:
            found = {"mem_swap_kb": "0", **osd_metadata(call.laws, call.cluster, ceph, like)}
            ip = call.cluster.nodes[mgr.name].ip
            known = {k: found[k] for k in _MGR_FIELDS if k in found} | {
                "addr": ip,
                "addrs": f"{ip}:0/2186",
                "name": mgr.name,
            }
        mgrs[f"{mgr.name}@{mgr.name}"] = {**known, **exists}
    osds = [{"mem_swap_kb": "0", **osd_metadata(call.laws, call.cluster, ceph, o)} for o in ceph.osds.values()]
    return {"mds": {}, "mgr": mgrs, "mon": mons, "node": nodes, "osd": osds}
