"""/nodes/{node}/ceph: OSD tree, daemons, pools, safety of commands, starting and stopping."""

from __future__ import annotations

from typing import Any

from noout.lab.wire.ceph.daemons import mgr_available
from noout.lab.wire.ceph.maps import DEFAULT_FLAGS, hosts, version_line
from noout.lab.wire.pve.call import Call, Methods, PveError
from noout.lab.wire.pve.ceph_cluster import ceph_of, status_document
from noout.lab.wire.pve.parameters import flag, text
from noout.lab.wire.pve.words import CEPH_INDEX, QUIET_POOL_FLAGS
from noout.lab.world.model import Ceph, Osd, Pool, TiB

methods = Methods()
_EITHER = "/ Sys.Audit|Datastore.Audit"


@methods.serve("GET", "/nodes/{node}/ceph", perm=_EITHER)
def index(call: Call) -> Any:
    return [{"name": name} for name in CEPH_INDEX]


@methods.serve("GET", "/nodes/{node}/ceph/status", perm=_EITHER)
def status(call: Call) -> Any:
    return status_document(call)


# --- OSDs -----------------------------------------------------------------------------------------------------


def _leaf(ceph: Ceph, osd: Osd) -> dict[str, Any]:
    total = osd.size if osd.in_ else 1024
    used = osd.used if osd.in_ else 0
    pgs = sum(osd.id in pg.acting for pg in ceph.pgs.values()) if osd.up else 0
    return {
        "apply_latency_ms": 0,
        "blfsdev": None,
        "bytes_used": used,
        "ceph_version": version_line(ceph),
        "ceph_version_short": ceph.version,
        "commit_latency_ms": 0,
        "crush_weight": osd.size / TiB,
        "dbdev": None,
        "device_class": "ssd",
        "host": osd.host,
        "id": str(osd.id),
        "in": int(osd.in_),
        "leaf": 1,
        "name": f"osd.{osd.id}",
        "osdtype": "bluestore",
        "percent_used": 100 * used / total,
        "pgs": pgs,
        "reweight": osd.weight if osd.in_ else 0,
        "status": "up" if osd.up else "down",
        "total_space": total,
        "type": "osd",
        "waldev": None,
    }


@methods.serve("GET", "/nodes/{node}/ceph/osd", perm=_EITHER)
def osd_tree(call: Call) -> Any:
    """Root, hosts, OSDs, nested; ids are strings."""
    ceph = ceph_of(call)
    bucket = {"leaf": 0, "pgs": 0, "reweight": -1}
    branches = [
        {
            **bucket,
            "children": [_leaf(ceph, o) for o in reversed(osds)],
            "id": str(-3 - 2 * i),
            "name": host,
            "type": "host",
            "version": ceph.version,
        }
        for i, (host, osds) in enumerate(hosts(ceph).items())
    ]
    root = {**bucket, "children": branches, "id": "-1", "name": "default", "type": "root"}
    return {"flags": ",".join([*sorted(ceph.flags), *DEFAULT_FLAGS]), "root": {"children": [root], "leaf": 0}}


def _osd(call: Call) -> Osd:
    ceph, number = ceph_of(call), call.params["osdid"]
    if number not in ceph.osds:
        raise PveError(f"no such OSD '{number}'")
    return ceph.osds[number]


@methods.serve("GET", "/nodes/{node}/ceph/osd/{osdid}")
def osd_index(call: Call) -> Any:
    return [{"name": "metadata"}, {"name": "lv-info"}]


@methods.serve("GET", "/nodes/{node}/ceph/osd/{osdid}/metadata", perm="/ Sys.Audit")
def osd_metadata(call: Call) -> Any:
    osd = _osd(call)
    ip = call.cluster.nodes[osd.host].ip
    port = 6800 + 16 * (osd.id % 16)

    def address(offset: int) -> str:
        return f"[v2:{ip}:{port + offset}/{4000 + osd.id},v1:{ip}:{port + offset + 1}/{4000 + osd.id}]"

    device = {
        "dev_node": None,
        "device": "block",
        "physical_device": None,
        "size": osd.size,
        "support_discard": True,
        "type": "ssd",
    }
    document = {
        "back_addr": address(2),
        "encrypted": 0,
        "front_addr": address(0),
        "hb_back_addr": address(6),
        "hb_front_addr": address(4),
        "hostname": osd.host,
        "id": osd.id,
        "mem_usage": 0,
        "osd_data": f"/var/lib/ceph/osd/ceph-{osd.id}",
        "osd_objectstore": "bluestore",
        "version": call.cluster.ceph.version if call.cluster.ceph else "",
    }
    return {"devices": [device], "osd": document}


@methods.serve("POST", "/nodes/{node}/ceph/osd/{osdid}/in", perm="/ Sys.Modify")
def osd_in(call: Call) -> Any:
    call.laws.osd_in_out(call.cluster, _osd(call).id, True, call.who.full_id)
    return None


@methods.serve("POST", "/nodes/{node}/ceph/osd/{osdid}/out", perm="/ Sys.Modify")
def osd_out(call: Call) -> Any:
    call.laws.osd_in_out(call.cluster, _osd(call).id, False, call.who.full_id)
    return None


# --- mons, mgrs, MDS ------------------------------------------------------------------------------------------


def _daemon(ceph: Ceph, name: str, address: str) -> dict[str, Any]:
    return {
        "addr": address,
        "ceph_version": version_line(ceph),
        "ceph_version_short": ceph.version,
        "direxists": True,
        "host": name,
        "name": name,
        "service": True,
    }


@methods.serve("GET", "/nodes/{node}/ceph/mon", perm=_EITHER)
def mons(call: Call) -> Any:
    ceph = ceph_of(call)
    inside = call.laws.ceph_quorum(call.cluster)
    rows = []
    for mon in ceph.mons.values():
        row = {**_daemon(ceph, mon.name, f"{mon.addr}:6789/0"), "rank": mon.rank}
        row["state"] = "running" if mon.name in inside else "stopped" if not mon.running else "unknown"
        rows.append({**row, "quorum": 1} if mon.name in inside else row)
    return rows


@methods.serve("GET", "/nodes/{node}/ceph/mgr", perm=_EITHER)
def mgrs(call: Call) -> Any:
    ceph = ceph_of(call)
    rows = []
    for mgr in ceph.mgrs.values():
        active = mgr.name == ceph.mgr_active and mgr_available(ceph)
        state = "active" if active else "standby" if mgr.running else "stopped"
        rows.append({**_daemon(ceph, mgr.name, call.cluster.nodes[mgr.name].ip), "state": state})
    return rows


@methods.serve("GET", "/nodes/{node}/ceph/mds", perm=_EITHER)
def mdss(call: Call) -> Any:
    ceph = ceph_of(call)
    if not ceph.mds_active:
        return []
    node = call.cluster.nodes[ceph.mds_active]
    return [{"addr": f"{node.ip}:6800/1", "host": node.name, "name": node.name, "state": "up:active"}]


# --- pools ----------------------------------------------------------------------------------------------------


def _pool_row(ceph: Ceph, pool: Pool) -> dict[str, Any]:
    capacity = sum(o.size for o in ceph.osds.values() if o.in_)
    raw = pool.used * pool.size
    scale = {
        "actual_capacity_ratio": raw / capacity if capacity else 0,
        "actual_raw_used": raw,
        "bias": 1,
        "bulk": False,
        "capacity_ratio": raw / capacity if capacity else 0,
        "crush_root_id": -1,
        "effective_target_ratio": 0,
        "logical_used": pool.used,
        "pg_autoscale_mode": "on",
        "pg_num_final": pool.pg_num,
        "pg_num_ideal": pool.pg_num,
        "pg_num_target": pool.pg_num,
        "pool_id": pool.id,
        "pool_name": pool.name,
        "raw_used": raw,
        "raw_used_rate": pool.size,
        "subtree_capacity": capacity,
        "target_bytes": 0,
        "target_ratio": 0,
        "would_adjust": False,
    }
    return {
        "application_metadata": {"mgr" if pool.name == ".mgr" else "rbd": {}},
        "autoscale_status": scale,
        "bytes_used": raw,
        "crush_rule": pool.crush_rule,
        "crush_rule_name": "replicated_rule",
        "min_size": pool.min_size,
        "percent_used": raw / capacity if capacity else 0,
        "pg_autoscale_mode": "on",
        "pg_num": pool.pg_num,
        "pg_num_final": pool.pg_num,
        "pg_num_min": 1 if pool.pg_num == 1 else None,
        "pool": pool.id,
        "pool_name": pool.name,
        "size": pool.size,
        "target_size": None,
        "target_size_ratio": None,
        "type": pool.kind,
    }


@methods.serve("GET", "/nodes/{node}/ceph/pool", perm=_EITHER)
def pools(call: Call) -> Any:
    ceph = ceph_of(call)
    return [_pool_row(ceph, p) for p in ceph.pools.values()]


@methods.serve("GET", "/nodes/{node}/ceph/pool/{name}/status", [flag("verbose")], perm=_EITHER)
def pool_status(call: Call) -> Any:
    ceph = ceph_of(call)
    pool = next((p for p in ceph.pools.values() if p.name == call.params["name"]), None)
    if pool is None:
        raise PveError(f"mon_cmd failed - unrecognized pool '{call.params['name']}'")
    row = _pool_row(ceph, pool)
    document: dict[str, Any] = {**dict.fromkeys(QUIET_POOL_FLAGS, False), "hashpspool": True, "use_gmt_hitset": True}
    document |= {"crush_rule": "replicated_rule", "id": pool.id, "name": pool.name, "pgp_num": pool.pg_num}
    kept = ["min_size", "pg_autoscale_mode", "pg_num", "pg_num_min", "size", "target_size", "target_size_ratio"]
    document |= {k: row[k] for k in kept}
    if call.params.get("verbose"):
        document |= {"application_list": list(row["application_metadata"]), "autoscale_status": row["autoscale_status"]}
    return document


@methods.serve("GET", "/nodes/{node}/ceph/rules", perm=_EITHER)
def rules(call: Call) -> Any:
    ceph_of(call)
    return [{"name": "replicated_rule"}]


# --- commands -------------------------------------------------------------------------------------------------


@methods.serve(
    "GET",
    "/nodes/{node}/ceph/cmd-safety",
    [
        text("action", enum=("stop", "destroy"), required=True),
        text("id", required=True),
        text("service", enum=("osd", "mon", "mds"), required=True),
    ],
    perm="/ Sys.Audit",
)
def cmd_safety(call: Call) -> Any:
    """About one daemon at a time: it cannot answer for a whole host."""
    ceph = ceph_of(call)
    service, name, action = call.params["service"], call.params["id"], call.params["action"]
    if service == "osd":
        return _osd_safety(call, ceph, name, action)
    if service == "mon":
        return _mon_safety(call, ceph, name)
    others = ceph.mds_active is not None and ceph.mds_active != name
    return {"safe": others, "status": "" if others else "insufficient standby MDS daemons"}


def _osd_safety(call: Call, ceph: Ceph, name: str, action: str) -> dict[str, Any]:
    if not name.isdigit() or int(name) not in ceph.osds:
        raise PveError(f"no such OSD '{name}'")
    if action == "destroy":
        mapped = sum(int(name) in pg.acting for pg in ceph.pgs.values())
        if mapped:
            return {"safe": False, "status": f"OSD(s) {name} have {mapped} pgs currently mapped to them. "}
        return {"safe": True}
    found = call.laws.ok_to_stop(call.cluster, [int(name)])
    if found["ok_to_stop"]:
        return {"safe": True}
    offline = f"{found['num_not_ok_pgs']} PGs are or would become offline"
    return {"safe": False, "status": f"unsafe to stop osd(s) at this time ({offline})"}


def _mon_safety(call: Call, ceph: Ceph, name: str) -> dict[str, Any]:
    if name not in ceph.mons:
        raise PveError(f"mon.{name} does not exist")
    left = [m for m in call.laws.ceph_quorum(call.cluster) if m != name]
    names = ",".join(left)
    if len(left) > len(ceph.mons) // 2:
        return {"safe": True, "status": f"quorum should be preserved ({names}) after stopping [{name}]"}
    return {"safe": False, "status": f"not enough monitors would be available ({names}) after stopping mons [{name}]"}


_SERVICE = [text("service", pattern=r"(ceph|mon|mds|osd|mgr)(\.[a-zA-Z0-9]([a-zA-Z0-9\-]*[a-zA-Z0-9])?)?")]


def _act(call: Call, action: str) -> str:
    ceph_of_config(call)
    service = call.params.get("service", "ceph.target" if action != "stop" else "ceph")
    task = call.laws.ceph_service(
        call.cluster, call.node.name, action, service.removesuffix(".target"), call.who.full_id
    )
    return task.upid


def ceph_of_config(call: Call) -> None:
    """Services are systemd's: they can be started while the mons do not answer."""
    if call.cluster.ceph is None:
        ceph_of(call)


@methods.serve("POST", "/nodes/{node}/ceph/start", _SERVICE, perm="/ Sys.Modify")
def start(call: Call) -> Any:
    return _act(call, "start")


@methods.serve("POST", "/nodes/{node}/ceph/stop", _SERVICE, perm="/ Sys.Modify")
def stop(call: Call) -> Any:
    return _act(call, "stop")


@methods.serve("POST", "/nodes/{node}/ceph/restart", _SERVICE, perm="/ Sys.Modify")
def restart(call: Call) -> Any:
    return _act(call, "restart")


# --- configuration --------------------------------------------------------------------------------------------


@methods.serve("GET", "/nodes/{node}/ceph/cfg/raw", perm=_EITHER)
def config_raw(call: Call) -> Any:
    """ceph.conf."""
    ceph_of_config(call)
    ceph = call.cluster.ceph
    assert ceph is not None
    network = f"{call.node.ip.rsplit('.', 1)[0]}.0/24"
    pool = next(iter(ceph.pools.values()), Pool(0, ""))
    keys = {
        "auth_client_required": "cephx",
        "auth_cluster_required": "cephx",
        "auth_service_required": "cephx",
        "cluster_network": network,
        "fsid": ceph.fsid,
        "mon_allow_pool_delete": "true",
        "mon_host": " ".join(m.addr for m in ceph.mons.values()),
        "ms_bind_ipv4": "true",
        "ms_bind_ipv6": "false",
        "osd_pool_default_min_size": str(pool.min_size),
        "osd_pool_default_size": str(pool.size),
        "public_network": network,
    }
    lines = ["[global]", *(f"\t{k} = {v}" for k, v in keys.items()), ""]
    lines += ["[client]", "\tkeyring = /etc/pve/priv/$cluster.$name.keyring", ""]
    for mon in ceph.mons.values():
        lines += [f"[mon.{mon.name}]", f"\tpublic_addr = {mon.addr}"]
    return "\n".join(lines) + "\n"


@methods.serve("GET", "/nodes/{node}/ceph/cfg/db", perm=_EITHER)
def config_db(call: Call) -> Any:
    ceph = ceph_of(call)
    found = {
        ("global", "osd_pool_default_pg_autoscale_mode", "advanced", 1): "on",
        ("mon", "mon_osd_down_out_interval", "advanced", 1): str(int(ceph.down_out_interval)),
        ("mon", "mon_osd_min_in_ratio", "advanced", 1): str(ceph.min_in_ratio),
    }
    return [
        {"can_update_at_runtime": live, "level": level, "mask": "", "name": name, "section": section, "value": value}
        for (section, name, level, live), value in found.items()
    ]
