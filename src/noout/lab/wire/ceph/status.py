"""``ceph -s`` and ``ceph health detail``: the checks, with the messages a real cluster prints."""

from __future__ import annotations

from noout.lab.wire.ceph.daemons import mgr_available, mgr_believed, mgrmap_brief, quorum
from noout.lab.wire.ceph.maps import Document, by_rank, hosts, osd_stat, release, service_map, stamp
from noout.lab.wire.ceph.pgs import pgmap, views
from noout.lab.world.laws import Laws
from noout.lab.world.model import Ceph, Cluster


def _check(summary: str, count: int, detail: list[str], severity: str = "HEALTH_WARN") -> Document:
    return {
        "severity": severity,
        "summary": {"message": summary, "count": count},
        "detail": [{"message": line} for line in detail],
        "muted": False,
    }


def _osd_checks(ceph: Ceph) -> dict[str, Document]:
    """Down OSDs count while they are in: a host whose OSDs were marked out leaves no trace here."""
    checks: dict[str, Document] = {}
    down = [o for o in ceph.osds.values() if not o.up and o.in_]
    if down:
        lines = [f"osd.{o.id} (root=default,host={o.host}) is down" for o in down]
        checks["OSD_DOWN"] = _check(f"{len(down)} osds down", len(down), lines)
    dark = {host: osds for host, osds in hosts(ceph).items() if all(not o.up and o.in_ for o in osds)}
    if dark:
        total = sum(len(osds) for osds in dark.values())
        word = "host" if len(dark) == 1 else "hosts"
        lines = [f"host {host} (root=default) ({len(osds)} osds) is down" for host, osds in dark.items()]
        checks["OSD_HOST_DOWN"] = _check(f"{len(dark)} {word} ({total} osds) down", len(dark), lines)
    if ceph.flags:
        names = ",".join(sorted(ceph.flags))
        checks["OSDMAP_FLAGS"] = _check(f"{names} flag(s) set", len(names), [])
    held = {host: flags for host, flags in sorted(ceph.crush_node_flags.items()) if flags}
    if held:
        lines = [f"host {host} has flags {','.join(sorted(flags))}" for host, flags in held.items()]
        summary = f"{len(held)} OSDs or CRUSH {{nodes, device-classes}} have {{NOUP,NODOWN,NOIN,NOOUT}} flags set"
        checks["OSD_FLAGS"] = _check(summary, len(held), lines)
    return checks


def _pg_checks(laws: Laws, cluster: Cluster, ceph: Ceph) -> dict[str, Document]:
    checks: dict[str, Document] = {}
    seen = views(laws, cluster, ceph)
    inactive = [v for v in seen if not v.active]
    if inactive:
        lines = [f"pg {v.pg.pgid} is stuck inactive, current state {v.state}, last acting {v.acting}" for v in inactive]
        checks["PG_AVAILABILITY"] = _check(
            f"Reduced data availability: {len(inactive)} pgs inactive", len(inactive), lines
        )
    degraded = [v for v in seen if v.degraded]
    undersized = [v for v in seen if v.undersized]
    if degraded or undersized:
        copies = sum(v.objects * v.pool.size for v in seen)
        lacking = sum(v.degraded for v in seen)
        summary = (
            f"Degraded data redundancy: {lacking}/{copies} objects degraded ({100 * lacking / (copies or 1):.3f}%)"
        )
        if degraded:
            summary += f", {len(degraded)} pgs degraded"
        if undersized:
            summary += f", {len(undersized)} pgs undersized"
        either = [v for v in seen if v.degraded or v.undersized]
        lines = [f"pg {v.pg.pgid} is {v.state}, acting {str(v.acting).replace(' ', '')}" for v in either]
        checks["PG_DEGRADED"] = _check(summary, len(degraded) + len(undersized), lines)
    return checks


def health(laws: Laws, cluster: Cluster, ceph: Ceph, detail: bool) -> Document:
    """``{"status", "checks", "mutes"}``; ``ceph -s`` shows the checks without their detail."""
    checks: dict[str, Document] = {}
    names = laws.ceph_quorum(cluster)
    lost = [mon for mon in ceph.mons.values() if mon.name not in names]
    if not mgr_believed(ceph):
        checks["MGR_DOWN"] = _check("no active mgr", 0, [])
    if lost:
        lines = [
            f"mon.{m.name} (rank {m.rank}) addr [v2:{m.addr}:3300/0,v1:{m.addr}:6789/0] is down (out of quorum)"
            for m in lost
        ]
        summary = f"{len(lost)}/{len(ceph.mons)} mons down, quorum {','.join(names)}"
        checks["MON_DOWN"] = _check(summary, len(lost), lines)
    skewed = [ceph.mons[name] for name in names if abs(ceph.mons[name].clock_skew) > 0.05]
    if skewed:
        lines = [f"mon.{m.name} clock skew {abs(m.clock_skew):.6g}s > max 0.05s (latency 0.001s)" for m in skewed]
        summary = f"clock skew detected on {', '.join(f'mon.{m.name}' for m in skewed)}"
        checks["MON_CLOCK_SKEW"] = _check(summary, len(skewed), lines)
    checks |= _osd_checks(ceph)
    if mgr_available(ceph):
        checks |= _pg_checks(laws, cluster, ceph)
    checks = dict(sorted(checks.items()))
    if not detail:
        checks = {name: {k: v for k, v in check.items() if k != "detail"} for name, check in checks.items()}
    return {"status": "HEALTH_WARN" if checks else "HEALTH_OK", "checks": checks, "mutes": []}


def status(laws: Laws, cluster: Cluster, ceph: Ceph) -> Document:
    osdmap = osd_stat(laws, cluster, ceph)
    return {
        "fsid": ceph.fsid,
        "health": health(laws, cluster, ceph, detail=False),
        **quorum(laws, cluster, ceph),
        "monmap": {"epoch": 1, "min_mon_release_name": release(ceph), "num_mons": len(ceph.mons)},
        "osdmap": osdmap,
        "pgmap": pgmap(laws, cluster, ceph),
        "fsmap": {"epoch": 1, "by_rank": by_rank(ceph), "up:standby": 0},
        "mgrmap": mgrmap_brief(cluster, ceph),
        "servicemap": {"epoch": 3, "modified": stamp(laws.world.epoch - 3600), "services": service_map(ceph)},
        "progress_events": {},
    }
