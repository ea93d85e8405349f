"""/cluster/ceph: status, flags, metadata."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from noout.lab.wire.ceph.daemons import mgr_dump, mon_metadata, monmap
from noout.lab.wire.ceph.maps import osd_metadata, release, version_line
from noout.lab.wire.ceph.status import health, status
from noout.lab.wire.pve.call import FLAGS, Call, Methods, PveError
from noout.lab.wire.pve.parameters import flag, text
from noout.lab.world.model import Ceph, Osd

methods = Methods()
_EITHER = "/ Sys.Audit|Datastore.Audit"


def ceph_of(call: Call) -> Ceph:
    """The cluster's Ceph; PVE's words where there is none, or where its mons do not answer."""
    ceph = call.cluster.ceph
    if ceph is None:
        missing = "missing '/etc/pve/ceph.conf', missing '/etc/pve/ceph'"
        raise PveError(f"pveceph configuration not initialized - {missing}")
    if not call.laws.tells_of_ceph:
        raise PveError("this lab's Ceph is real and knows better: ask it by its own commands", 501)
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
    """Daemons with their versions; of an mgr that is not running only that it exists."""
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

    def daemons(names: list[str], make: Callable[[str], dict[str, Any]], running: set[str]) -> dict[str, Any]:
        return {f"{n}@{n}": {**(make(n) if n in running else {}), **exists} for n in names}

    def mgr(name: str) -> dict[str, Any]:
        ip = call.cluster.nodes[name].ip
        return {**_host(call, ceph, name), "addr": ip, "addrs": f"{ip}:0/2186", "name": name}

    def mon(name: str) -> dict[str, Any]:
        known = {**_host(call, ceph, name), "device_ids": "", "device_paths": "", "devices": ""}
        known["compression_algorithms"] = "none, snappy, zlib, zstd, lz4"
        return {**known, **mon_metadata(call.cluster, ceph, ceph.mons[name])}

    return {
        "mds": {},
        "mgr": daemons(list(ceph.mgrs), mgr, {m.name for m in ceph.mgrs.values() if m.running}),
        "mon": daemons(list(ceph.mons), mon, set(ceph.mons)),
        "node": nodes,
        "osd": [_osd(call, ceph, o) for o in ceph.osds.values()],
    }


def _host(call: Call, ceph: Ceph, name: str) -> dict[str, Any]:
    """What every daemon says of its host."""
    node = call.cluster.nodes[name]
    return {
        "arch": "x86_64",
        "ceph_release": release(ceph),
        "ceph_version": version_line(ceph),
        "ceph_version_short": ceph.version,
        "cpu": node.cpu_model,
        "distro": "debian",
        "distro_description": "Debian GNU/Linux 13 (trixie)",
        "distro_version": "13",
        "hostname": name,
        "kernel_description": "#1 SMP PREEMPT_DYNAMIC PMX",
        "kernel_version": node.kernel,
        "mem_swap_kb": "0",
        "mem_total_kb": str(node.maxmem // 1024),
        "os": "Linux",
    }


def _osd(call: Call, ceph: Ceph, osd: Osd) -> dict[str, Any]:
    store = {
        "back_iface": "",
        "bluefs": "1",
        "bluefs_dedicated_db": "0",
        "bluefs_dedicated_wal": "0",
        "bluefs_single_shared_device": "1",
        "bluestore_bdev_access_mode": "blk",
        "bluestore_bdev_block_size": "4096",
        "bluestore_bdev_driver": "KernelDevice",
        "bluestore_bdev_path": f"/var/lib/ceph/osd/ceph-{osd.id}/block",
        "bluestore_bdev_support_discard": "1",
        "bluestore_min_alloc_size": "4096",
        "ceph_version_when_created": version_line(ceph),
        "device_ids": "",
        "device_paths": "",
        "front_iface": "",
        "network_numa_unknown_ifaces": "back_iface,front_iface",
        "osdspec_affinity": "",
    }
    return {**_host(call, ceph, osd.host), **store, **osd_metadata(call.laws, call.cluster, ceph, osd)}
