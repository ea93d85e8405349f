"""Mons, mgrs, MDS and versions as ``ceph --format json`` prints them."""

from __future__ import annotations

from noout.lab.wire.ceph.maps import FEATURES, Document, last_change, release, stamp, version_line
from noout.lab.world.laws import Laws
from noout.lab.world.model import Ceph, Cluster, Mon

MON_FEATURES = [
    "kraken",
    "luminous",
    "mimic",
    "osdmap-prune",
    "nautilus",
    "octopus",
    "pacific",
    "elector-pinging",
    "quincy",
    "reef",
    "squid",
]


def _mon(mon: Mon) -> Document:
    vector = [{"type": kind, "addr": f"{mon.addr}:{port}", "nonce": 0} for kind, port in (("v2", 3300), ("v1", 6789))]
    return {
        "rank": mon.rank,
        "name": mon.name,
        "public_addrs": {"addrvec": vector},
        "addr": f"{mon.addr}:6789/0",
        "public_addr": f"{mon.addr}:6789/0",
        "priority": 0,
        "weight": 0,
        "crush_location": "{}",
    }


def monmap(laws: Laws, ceph: Ceph) -> Document:
    born = stamp(laws.world.epoch - 86400 * 90, "Z")
    return {
        "epoch": 1,
        "fsid": ceph.fsid,
        "modified": born,
        "created": born,
        "min_mon_release": int(ceph.version.split(".", 1)[0]),
        "min_mon_release_name": release(ceph),
        "election_strategy": 1,
        "disallowed_leaders: ": "",
        "stretch_mode": False,
        "tiebreaker_mon": "",
        "removed_ranks: ": "",
        "features": {"persistent": MON_FEATURES, "optional": []},
        "mons": [_mon(mon) for mon in sorted(ceph.mons.values(), key=lambda m: m.rank)],
    }


def quorum(laws: Laws, cluster: Cluster, ceph: Ceph) -> Document:
    """The heads of ``ceph -s`` and ``quorum_status``: election_epoch, quorum, quorum_names, quorum_age."""
    names = sorted(laws.ceph_quorum(cluster), key=lambda name: ceph.mons[name].rank)
    changed = last_change(laws, cluster, "mon.", "quorum")
    elections = sum(1 for _, name, text in laws.world.happened if name == cluster.name and "mon." in text)
    return {
        "election_epoch": 8 + 2 * elections,
        "quorum": [ceph.mons[name].rank for name in names],
        "quorum_names": names,
        "quorum_age": max(int(laws.now - changed), 0),
    }


def mon_dump(laws: Laws, cluster: Cluster, ceph: Ceph) -> Document:
    return monmap(laws, ceph) | {"quorum": quorum(laws, cluster, ceph)["quorum"]}


def quorum_status(laws: Laws, cluster: Cluster, ceph: Ceph) -> Document:
    head = quorum(laws, cluster, ceph)
    return {
        "election_epoch": head["election_epoch"],
        "quorum": head["quorum"],
        "quorum_names": head["quorum_names"],
        "quorum_leader_name": head["quorum_names"][0],
        "quorum_age": head["quorum_age"],
        "features": {"quorum_con": str(FEATURES), "quorum_mon": MON_FEATURES},
        "monmap": monmap(laws, ceph),
    }


SKEW_LIMIT = 0.05  # mon_clock_drift_allowed, seconds


def time_sync_status(laws: Laws, cluster: Cluster, ceph: Ceph) -> Document:
    skews = {}
    for name in laws.ceph_quorum(cluster):
        skew = ceph.mons[name].clock_skew
        health = "HEALTH_WARN" if abs(skew) > SKEW_LIMIT else "HEALTH_OK"
        skews[name] = {"skew": skew, "latency": 0.001 * ceph.mons[name].rank, "health": health}
    return {"time_skew_status": skews, "timechecks": {"epoch": 8, "round": 2, "round_status": "finished"}}


def _standbys(cluster: Cluster, ceph: Ceph) -> list[str]:
    return [
        mgr.name
        for mgr in ceph.mgrs.values()
        if mgr.running and mgr.name != ceph.mgr_active and cluster.nodes[mgr.name].online
    ]


def mgr_believed(ceph: Ceph) -> bool:
    """What the maps call available: a mgr that ended is believed in until the mons have missed its beacons."""
    return bool(ceph.mgr_active)


def mgr_available(ceph: Ceph) -> bool:
    """Is there a mgr that answers?"""
    return bool(ceph.mgr_active) and ceph.mgrs[ceph.mgr_active].running


def mgr_dump(laws: Laws, cluster: Cluster, ceph: Ceph) -> Document:
    ip = cluster.nodes[ceph.mgr_active].ip if ceph.mgr_active in cluster.nodes else "-"
    available = mgr_believed(ceph)
    return {
        "epoch": 20,
        "flags": 0,
        "active_gid": 14100 + sorted(ceph.mgrs).index(ceph.mgr_active) if ceph.mgr_active else 0,
        "active_name": ceph.mgr_active,
        "active_addrs": {
            "addrvec": [{"type": "v2", "addr": f"{ip}:6800", "nonce": 1}] if ceph.mgr_active else [],
        },
        "active_addr": f"{ip}:6801/1",
        "active_change": stamp(last_change(laws, cluster, "mgr.")),
        "active_mgr_features": FEATURES,
        "available": available,
        "standbys": [
            {"gid": 24100 + i, "name": name, "mgr_features": FEATURES, "available_modules": []}
            for i, name in enumerate(_standbys(cluster, ceph))
        ],
        "modules": ["iostat", "nfs"],
        "available_modules": [],
        "services": {},
        "always_on_modules": {release(ceph): ["balancer", "crash", "devicehealth", "pg_autoscaler", "status"]},
        "last_failure_osd_epoch": ceph.epoch,
        "active_clients": [],
    }


def mgr_stat(cluster: Cluster, ceph: Ceph) -> Document:
    return {
        "epoch": 20,
        "available": mgr_believed(ceph),
        "active_name": ceph.mgr_active,
        "num_standby": len(_standbys(cluster, ceph)),
    }


def mgrmap_brief(cluster: Cluster, ceph: Ceph) -> Document:
    """The mgrmap of ``ceph -s``."""
    standbys = len(_standbys(cluster, ceph))
    return {"available": mgr_believed(ceph), "num_standbys": standbys, "modules": [], "services": {}}


def mds_stat(ceph: Ceph) -> Document:
    filesystems: list[Document] = []
    if ceph.mds_active:
        info = {"gid_5100": {"gid": 5100, "name": ceph.mds_active, "rank": 0, "state": "up:active"}}
        mdsmap = {"fs_name": "cephfs", "max_mds": 1, "in": [0], "up": {"mds_0": 5100}, "failed": [], "info": info}
        filesystems.append({"mdsmap": mdsmap, "id": 1})
    fsmap = {"epoch": 1, "default_fscid": 1 if filesystems else -1, "standbys": [], "filesystems": filesystems}
    return {"fsmap": fsmap, "mdsmap_first_committed": 1, "mdsmap_last_committed": 1}


def versions(laws: Laws, cluster: Cluster, ceph: Ceph) -> Document:
    """Counts by version of the daemons that run."""
    line = version_line(ceph)
    counts = {
        "mon": len(laws.ceph_quorum(cluster)),
        "mgr": int(mgr_believed(ceph)) + len(_standbys(cluster, ceph)),
        "osd": sum(o.up for o in ceph.osds.values()),
        "mds": int(ceph.mds_active is not None),
    }
    document: Document = {kind: {line: count} if count else {} for kind, count in counts.items()}
    return document | {"overall": {line: sum(counts.values())}}


def node_ls(ceph: Ceph) -> Document:
    osds: dict[str, list[int]] = {}
    for osd in ceph.osds.values():
        osds.setdefault(osd.host, []).append(osd.id)
    return {
        "mon": {mon.name: [mon.name] for mon in ceph.mons.values()},
        "osd": osds,
        "mgr": {mgr.name: [mgr.name] for mgr in ceph.mgrs.values() if mgr.running},
    }


def mon_metadata(cluster: Cluster, ceph: Ceph, mon: Mon) -> Document:
    node = cluster.nodes.get(mon.name)
    return {
        "name": mon.name,
        "addrs": f"[v2:{mon.addr}:3300/0,v1:{mon.addr}:6789/0]",
        "arch": "x86_64",
        "ceph_release": release(ceph),
        "ceph_version": version_line(ceph),
        "ceph_version_short": ceph.version,
        "cpu": node.cpu_model if node else "",
        "distro": "debian",
        "distro_version": "13",
        "hostname": mon.name,
        "kernel_version": node.kernel if node else "",
        "os": "Linux",
    }
