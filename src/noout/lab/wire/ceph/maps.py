"""The maps as ``ceph --format json`` prints them: OSDs, CRUSH tree, pools, mons, mgrs, versions.

Field names and types are those of a real cluster; figures that the world does not have (nonces, epochs of
single OSDs, feature bits) are plausible constants.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from noout.lab.world.laws import Laws
from noout.lab.world.model import Ceph, Cluster, Osd, Pool

Document = dict[str, Any]
DEFAULT_FLAGS = ("sortbitwise", "recovery_deletes", "purged_snapdirs", "pglog_hardlimit")
RELEASES = {"16": "pacific", "17": "quincy", "18": "reef", "19": "squid", "20": "tentacle"}
FEATURES = 4540138322906710015
OBJECT_BYTES = 4 * 1024**2  # RBD's default object size
KIB = 1024


def stamp(at: float, zone: str = "+0000") -> str:
    """Ceph's date-time, microseconds; the monmap ends in Z."""
    return dt.datetime.fromtimestamp(at, dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + zone


def last_change(laws: Laws, cluster: Cluster, *words: str) -> float:
    """When the world's log last told of one of ``words``; else an hour before the world began."""
    for at, name, text in reversed(laws.world.happened):
        if name == cluster.name and any(word in text for word in words):
            return at
    return laws.world.epoch - 3600


def version_line(ceph: Ceph) -> str:
    release = RELEASES.get(ceph.version.split(".", 1)[0], "squid")
    return f"ceph version {ceph.version} ({ceph.fsid.replace('-', '')}) {release} (stable)"


def release(ceph: Ceph) -> str:
    return RELEASES.get(ceph.version.split(".", 1)[0], "squid")


def hosts(ceph: Ceph) -> dict[str, list[Osd]]:
    """CRUSH hosts and their OSDs, in the order of their first OSD."""
    found: dict[str, list[Osd]] = {}
    for osd in sorted(ceph.osds.values(), key=lambda o: o.id):
        found.setdefault(osd.host, []).append(osd)
    return found


# --- OSD map ------------------------------------------------------------------------------------------------


def _addresses(cluster: Cluster, osd: Osd, offset: int) -> tuple[Document, str]:
    ip = cluster.nodes[osd.host].ip if osd.host in cluster.nodes else "0.0.0.0"
    port, nonce = 6800 + 16 * (osd.id % 16) + offset, 4000 + osd.id
    vector = [{"type": t, "addr": f"{ip}:{port + i}", "nonce": nonce} for i, t in enumerate(("v2", "v1"))]
    return {"addrvec": vector}, f"{ip}:{port + 1}/{nonce}"


def _osd(cluster: Cluster, ceph: Ceph, osd: Osd) -> Document:
    document: Document = {
        "osd": osd.id,
        "uuid": osd.uuid,
        "up": int(osd.up),
        "in": int(osd.in_),
        "weight": int(osd.in_),
        "primary_affinity": 1,
        "last_clean_begin": 0,
        "last_clean_end": 0,
        "up_from": 5 + osd.id,
        "up_thru": ceph.epoch,
        "down_at": 0 if osd.down_since is None else ceph.epoch,
        "lost_at": 0,
    }
    flat: Document = {}
    for i, name in enumerate(("public", "cluster", "heartbeat_back", "heartbeat_front")):
        document[f"{name}_addrs"], flat[f"{name}_addr"] = _addresses(cluster, osd, 2 * i)
    document |= flat
    document["state"] = (["autoout"] if not osd.in_ else []) + ["exists"] + (["up"] if osd.up else [])
    return document


def pool_document(ceph: Ceph, pool: Pool, born: float) -> Document:
    """A pool of ``osd dump``; ``osd pool ls detail`` says ``pool_id`` where this says ``pool``."""
    zeros = (
        "auid snap_seq snap_epoch quota_max_bytes quota_max_objects target_max_bytes target_max_objects "
        "cache_min_flush_age cache_min_evict_age hit_set_period hit_set_count min_read_recency_for_promote "
        "min_write_recency_for_promote hit_set_grade_decay_rate hit_set_search_last_n stripe_width "
        "expected_num_objects peering_crush_bucket_count peering_crush_bucket_target peering_crush_bucket_barrier"
    )
    document: Document = dict.fromkeys(zeros.split(), 0)
    pgs = ("pg_num", "pg_placement_num", "pg_placement_num_target", "pg_num_target", "pg_num_pending")
    document |= dict.fromkeys(pgs, pool.pg_num)
    document |= {
        "pool": pool.id,
        "pool_name": pool.name,
        "create_time": stamp(born),
        "flags": 1,
        "flags_names": "hashpspool",
        "type": 1 if pool.kind == "replicated" else 3,
        "size": pool.size,
        "min_size": pool.min_size,
        "crush_rule": pool.crush_rule,
        "peering_crush_bucket_mandatory_member": 2147483647,
        "object_hash": 2,
        "pg_autoscale_mode": "on",
        "last_pg_merge_meta": {
            "source_pgid": "0.0",
            "ready_epoch": 0,
            "last_epoch_started": 0,
            "last_epoch_clean": 0,
            "source_version": "0'0",
            "target_version": "0'0",
        },
        "last_change": "30",
        "last_force_op_resend": "0",
        "last_force_op_resend_prenautilus": "0",
        "last_force_op_resend_preluminous": "0",
        "snap_mode": "selfmanaged",
        "pool_snaps": [],
        "removed_snaps": "[]",
        "tiers": [],
        "tier_of": -1,
        "read_tier": -1,
        "write_tier": -1,
        "cache_mode": "none",
        "cache_target_dirty_ratio_micro": 400000,
        "cache_target_dirty_high_ratio_micro": 600000,
        "cache_target_full_ratio_micro": 800000,
        "erasure_code_profile": "" if pool.kind == "replicated" else "k2m1",
        "hit_set_params": {"type": "none"},
        "use_gmt_hitset": True,
        "grade_table": [],
        "fast_read": False,
        "options": {},
        "application_metadata": {"mgr": {}} if pool.name == ".mgr" else {"rbd": {}},
    }
    return document


def osd_dump(laws: Laws, cluster: Cluster, ceph: Ceph) -> Document:
    born = laws.world.epoch - 86400 * 90
    flags = [*sorted(ceph.flags), *DEFAULT_FLAGS]
    osds = sorted(ceph.osds.values(), key=lambda o: o.id)
    return {
        "epoch": ceph.epoch,
        "fsid": ceph.fsid,
        "created": stamp(born),
        "modified": stamp(last_change(laws, cluster, "osd.", "flag", "noout", "noup")),
        "last_up_change": stamp(last_change(laws, cluster, "osd.")),
        "last_in_change": stamp(last_change(laws, cluster, "osd.")),
        "flags": ",".join(flags),
        "flags_num": 5799936 + (128 if "noout" in ceph.flags else 0),
        "flags_set": sorted(flags),
        "crush_version": 19,
        "full_ratio": 0.949999988079071,
        "backfillfull_ratio": 0.8999999761581421,
        "nearfull_ratio": 0.8500000238418579,
        "cluster_snapshot": "",
        "pool_max": max(ceph.pools, default=0),
        "max_osd": max(ceph.osds, default=-1) + 1,
        "require_min_compat_client": "luminous",
        "min_compat_client": "luminous",
        "require_osd_release": release(ceph),
        "pools": [pool_document(ceph, pool, born) for pool in ceph.pools.values()],
        "osds": [_osd(cluster, ceph, osd) for osd in osds],
        "osd_xinfo": [
            {
                "osd": osd.id,
                "down_stamp": stamp(osd.down_since) if osd.down_since is not None else "0.000000",
                "laggy_probability": 0,
                "laggy_interval": 0,
                "features": FEATURES,
                "old_weight": 0,
                "last_purged_snaps_scrub": stamp(born),
                "dead_epoch": 0,
            }
            for osd in osds
        ],
        "pg_upmap": [],
        "pg_upmap_items": [],
        "pg_temp": [],
        "primary_temp": [],
        "blocklist": {},
        "range_blocklist": {},
        "erasure_code_profiles": {
            "default": {"k": "2", "m": "2", "plugin": "jerasure", "technique": "reed_sol_van"},
        },
        "removed_snaps_queue": [],
        "new_removed_snaps": [],
        "new_purged_snaps": [],
        "crush_node_flags": {host: sorted(held) for host, held in sorted(ceph.crush_node_flags.items()) if held},
        "device_class_flags": {},
        "stretch_mode": {
            "stretch_mode_enabled": False,
            "stretch_bucket_count": 0,
            "degraded_stretch_mode": 0,
            "recovering_stretch_mode": 0,
            "stretch_mode_bucket": 0,
        },
    }


def osd_stat(laws: Laws, cluster: Cluster, ceph: Ceph) -> Document:
    changed = int(last_change(laws, cluster, "osd."))
    return {
        "epoch": ceph.epoch,
        "num_osds": len(ceph.osds),
        "num_up_osds": sum(o.up for o in ceph.osds.values()),
        "osd_up_since": changed,
        "num_in_osds": sum(o.in_ for o in ceph.osds.values()),
        "osd_in_since": changed,
        "num_remapped_pgs": sum(1 for pg in ceph.pgs.values() if set(pg.up) != set(pg.acting)),
    }


# --- CRUSH tree, usage --------------------------------------------------------------------------------------


def _tree(ceph: Ceph) -> tuple[Document, dict[str, Document], dict[int, Document]]:
    """The root, the hosts and the OSDs as both ``osd tree`` and ``osd df`` begin them."""
    by_host = hosts(ceph)
    ids = {host: -3 - 2 * i for i, host in enumerate(by_host)}
    root = {"id": -1, "name": "default", "type": "root", "type_id": 11}
    root["children"] = sorted(ids.values())
    branches, leaves = {}, {}
    for host, osds in by_host.items():
        children = sorted((o.id for o in osds), reverse=True)
        branches[host] = {
            "id": ids[host],
            "name": host,
            "type": "host",
            "type_id": 1,
            "pool_weights": {},
            "children": children,
        }
        for osd in osds:
            leaves[osd.id] = {
                "id": osd.id,
                "device_class": "ssd",
                "name": f"osd.{osd.id}",
                "type": "osd",
                "type_id": 0,
                "crush_weight": osd.size / 1024**4,
                "depth": 2,
                "pool_weights": {},
            }
    return root, branches, leaves


def osd_tree(ceph: Ceph) -> Document:
    root, branches, leaves = _tree(ceph)
    nodes = [root]
    for host, osds in hosts(ceph).items():
        nodes.append(branches[host])
        nodes += [
            leaves[osd.id]
            | {
                "exists": 1,
                "status": "up" if osd.up else "down",
                "reweight": int(osd.in_),
                "primary_affinity": 1,
            }
            for osd in osds
        ]
    return {"nodes": nodes, "stray": []}


def _usage(osds: list[Osd], average: float) -> Document:
    size, used = sum(o.size for o in osds), sum(o.used for o in osds)
    share = 100 * used / size if size else 0.0
    return {
        "kb": size // KIB,
        "kb_used": used // KIB,
        "kb_used_data": used // KIB,
        "kb_used_omap": 0,
        "kb_used_meta": 0,
        "kb_avail": (size - used) // KIB,
        "utilization": share,
        "var": share / average if average else 0.0,
    }


def osd_df(ceph: Ceph, tree: bool) -> Document:
    """``osd df`` lists OSDs alone, ``osd df tree`` their hosts and root too."""
    osds = sorted(ceph.osds.values(), key=lambda o: o.id)
    size, used = sum(o.size for o in osds), sum(o.used for o in osds)
    average = 100 * used / size if size else 0.0
    count = dict.fromkeys(ceph.osds, 0)
    for pg in ceph.pgs.values():
        for number in pg.acting:
            if ceph.osds[number].up:
                count[number] += 1
    root, branches, leaves = _tree(ceph)
    nodes: list[Document] = []
    if tree:
        nodes.append(root | {"reweight": -1, **_usage(osds, average), "pgs": 0})
    for host, members in hosts(ceph).items():
        if tree:
            nodes.append(branches[host] | {"reweight": -1, **_usage(members, average), "pgs": 0})
        for osd in members:
            tail = {"pgs": count[osd.id], "status": "up" if osd.up else "down"}
            nodes.append(leaves[osd.id] | {"reweight": int(osd.in_), **_usage([osd], average), **tail})
    shares = [100 * o.used / o.size for o in osds]
    mean = sum(shares) / len(shares) if shares else 0.0
    summary = {
        "total_kb": size // KIB,
        "total_kb_used": used // KIB,
        "total_kb_used_data": used // KIB,
        "total_kb_used_omap": 0,
        "total_kb_used_meta": 0,
        "total_kb_avail": (size - used) // KIB,
        "average_utilization": average,
        "min_var": min(shares) / average if average else 0.0,
        "max_var": max(shares) / average if average else 0.0,
        "dev": (sum((s - mean) ** 2 for s in shares) / len(shares)) ** 0.5 if shares else 0.0,
    }
    return {"nodes": nodes, "stray": [], "summary": summary}


def osd_metadata(laws: Laws, cluster: Cluster, ceph: Ceph, osd: Osd) -> Document:
    node = cluster.nodes.get(osd.host)
    addresses = {}
    for i, name in enumerate(("front", "back", "hb_front", "hb_back")):
        vector, _ = _addresses(cluster, osd, 2 * i)
        parts = ",".join(f"{a['type']}:{a['addr']}/{a['nonce']}" for a in vector["addrvec"])
        addresses[f"{name}_addr"] = f"[{parts}]"
    return {
        "id": osd.id,
        "arch": "x86_64",
        **addresses,
        "bluestore_bdev_devices": f"nvme{osd.id % 4}n1",
        "bluestore_bdev_rotational": "0",
        "bluestore_bdev_size": str(osd.size),
        "bluestore_bdev_type": "ssd",
        "ceph_release": release(ceph),
        "ceph_version": version_line(ceph),
        "ceph_version_short": ceph.version,
        "cpu": node.cpu_model if node else "",
        "created_at": stamp(laws.world.epoch - 86400 * 90, "Z"),
        "default_device_class": "ssd",
        "devices": f"nvme{osd.id % 4}n1",
        "distro": "debian",
        "distro_description": "Debian GNU/Linux 13 (trixie)",
        "distro_version": "13",
        "hostname": osd.machine or osd.host,
        "journal_rotational": "0",
        "kernel_version": node.kernel if node else "",
        "mem_total_kb": str(node.maxmem // KIB) if node else "0",
        "os": "Linux",
        "osd_data": f"/var/lib/ceph/osd/ceph-{osd.id}",
        "osd_objectstore": "bluestore",
        "rotational": "0",
    }


def crush_rules(ceph: Ceph) -> list[Document]:
    """``osd crush rule dump``: the rules as Ceph makes them for replicated pools."""
    return [
        {
            "rule_id": number,
            "rule_name": "replicated_rule" if number == 0 else f"by_{domain}",
            "type": 1,
            "steps": [
                {"op": "take", "item": -1, "item_name": "default"},
                {"op": "choose_firstn", "num": 0, "type": "osd"}
                if domain == "osd"
                else {"op": "chooseleaf_firstn", "num": 0, "type": domain},
                {"op": "emit"},
            ],
        }
        for number, domain in sorted(ceph.domains.items())
    ]


def by_rank(ceph: Ceph) -> list[Document]:
    """MDS daemons of ``fsmap``: PVE names each after its node; the first holds the rank."""
    nodes = [node for kind, node in ceph.services if kind == "mds"]
    return [
        {
            "filesystem_id": 1,
            "rank": i,
            "name": node,
            "status": "up:active" if i == 0 else "up:standby-replay",
            "gid": i,
        }
        for i, node in enumerate(nodes)
    ]


def service_map(ceph: Ceph) -> Document:
    """RADOS gateways, as they register themselves."""
    nodes = [node for kind, node in ceph.services if kind == "rgw"]
    rows = {str(4100 + i): {"metadata": {"id": f"radosgw.{n}", "hostname": n}} for i, n in enumerate(nodes)}
    return {"rgw": {"daemons": {"summary": "", **rows}}} if rows else {}
