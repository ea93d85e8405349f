"""What a person sees who types the commands without ``--format json``."""

from __future__ import annotations

from noout.lab.wire.ceph.maps import Document

UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def human(count: float) -> str:
    """Bytes as Ceph prints them: two digits and a unit."""
    for unit in UNITS:
        if count < 1024 or unit == UNITS[-1]:
            return f"{count:.1f} {unit}" if count < 10 and unit != "B" else f"{count:.0f} {unit}"
        count /= 1024
    raise AssertionError("the last unit always fits")


def health_line(health: Document) -> str:
    summaries = [str(check["summary"]["message"]) for check in health["checks"].values()]
    return " ".join([str(health["status"]), "; ".join(summaries)]).strip()


def health_detail(health: Document) -> str:
    lines = [health_line(health)]
    for name, check in health["checks"].items():
        lines.append(f"[WRN] {name}: {check['summary']['message']}")
        lines += [f"    {detail['message']}" for detail in check["detail"]]
    return "\n".join(lines)


def status(document: Document, mgr_active: str) -> str:
    checks = [f"            {c['summary']['message']}" for c in document["health"]["checks"].values()]
    osd, pgs, mons = document["osdmap"], document["pgmap"], document["monmap"]
    mgr = f"{mgr_active}(active)" if document["mgrmap"]["available"] else "no daemons active"
    quorum = f"quorum {','.join(document['quorum_names'])} (age {document['quorum_age']}s)"
    out_of = sorted(pgs["pgs_by_state"], key=lambda state: -state["count"])
    room = f"{human(pgs['bytes_avail'])} / {human(pgs['bytes_total'])}"
    lines = [
        "  cluster:",
        f"    id:     {document['fsid']}",
        f"    health: {document['health']['status']}",
        *checks,
        " ",
        "  services:",
        f"    mon: {mons['num_mons']} daemons, {quorum}",
        f"    mgr: {mgr}",
        f"    osd: {osd['num_osds']} osds: {osd['num_up_osds']} up, {osd['num_in_osds']} in",
        " ",
        "  data:",
        f"    pools:   {pgs['num_pools']} pools, {pgs['num_pgs']} pgs",
        f"    objects: {pgs['num_objects']} objects, {human(pgs['data_bytes'])}",
        f"    usage:   {human(pgs['bytes_used'])} used, {room} avail",
    ]
    first = "    pgs:     "
    if "degraded_objects" in pgs:
        share = 100 * pgs["degraded_ratio"]
        lines.append(f"{first}{pgs['degraded_objects']}/{pgs['degraded_total']} objects degraded ({share:.3f}%)")
        first = " " * len(first)
    for state in out_of:
        lines.append(f"{first}{state['count']} {state['state_name']}")
        first = " " * len(first)
    return "\n".join([*lines, " "])


def osd_tree(document: Document) -> str:
    lines = [f"{'ID':<4} {'CLASS':<6} {'WEIGHT':<9} {'TYPE NAME':<18} {'STATUS':<7} {'REWEIGHT':>9} {'PRI-AFF':>8}"]
    for node in document["nodes"]:
        if node["type"] == "osd":
            name, weight = f"        {node['name']}", node["crush_weight"]
            tail = f"{node['status']:<7} {node['reweight']:>9.5f} {node['primary_affinity']:>8.5f}"
        else:
            indent = "" if node["type"] == "root" else "    "
            name, weight, tail = f"{indent}{node['type']} {node['name']}", 0.0, ""
        shown = f"{weight:<9.5f}" if weight else " " * 9
        lines.append(f"{node['id']:<4} {node.get('device_class', ''):<6} {shown} {name:<18} {tail}".rstrip())
    return "\n".join(lines)


def osd_stat(document: Document) -> str:
    d = document
    return f"{d['num_osds']} osds: {d['num_up_osds']} up, {d['num_in_osds']} in; epoch: e{d['epoch']}"


def pg_stat(document: Document) -> str:
    summary = document["pg_summary"]
    states = ", ".join(f"{s['num']} {s['name']}" for s in summary["num_pg_by_state"])
    usage = f"{human(summary['total_used_bytes'])} used, {human(summary['total_avail_bytes'])}"
    return f"{summary['num_pgs']} pgs: {states}; {human(summary['num_bytes'])} data, {usage} avail"
