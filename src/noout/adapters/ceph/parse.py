"""What ``ceph ... --format json`` means (16.2 recorded; 19 and 20 name the same things the same way, or not at all).

Every document may be missing: then what it would have said stays empty, and ``fresh`` tells whether the picture of
the PGs decides anything.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from noout.domain.ceph import CephState, OkToStop, Osd, Pool

Document = Mapping[str, Any]
ERASURE = 3  # a pool's "type"; 1 is replicated
_KIB = 1024
_FLAT = re.compile(r"(?:\[([0-9A-Fa-f:]+)\]|([0-9.]+)):\d+/")  # "10.0.0.1:6789/0"
_ADDRESS = re.compile(r"v\d:(?:\[([0-9A-Fa-f:]+)\]|([0-9.]+)):\d+/")


@dataclass(frozen=True)
class Documents:
    """Answers by command; {} where a command was not asked or did not answer."""

    status: Document
    osd_dump: Document
    osd_tree: Document
    osd_df: Document
    mon_dump: Document
    mgr_dump: Document
    mon_metadata: tuple[Document, ...] = ()


def ceph_state(at: datetime, seen: Documents) -> CephState:
    """Compose one observation from what was answered."""
    status, health = seen.status, _table(seen.status.get("health"))
    pgmap, mgrmap = _table(status.get("pgmap")), _table(status.get("mgrmap"))
    checks = _table(health.get("checks"))
    available = bool(mgrmap.get("available", seen.mgr_dump.get("available", False))) and "MGR_DOWN" not in checks
    active = str(seen.mgr_dump.get("active_name") or mgrmap.get("active_name") or "")
    return CephState(
        at=at,
        fsid=str(status.get("fsid") or seen.osd_dump.get("fsid") or seen.mon_dump.get("fsid") or ""),
        health=str(health.get("status") or ""),
        checks={code: str(_table(_table(check).get("summary")).get("message") or "") for code, check in checks.items()},
        mons=_mons(seen),
        quorum=tuple(str(name) for name in status.get("quorum_names") or ()),
        mgr_active=active if available else "",
        mgr_standbys=tuple(sorted(str(row.get("name")) for row in seen.mgr_dump.get("standbys") or ())),
        osds=osds(seen.osd_tree, seen.osd_dump, seen.osd_df),
        pools=pools(seen.osd_dump),
        pgs_by_state={
            str(row.get("state_name")): int(row.get("count") or 0) for row in pgmap.get("pgs_by_state") or ()
        },
        flags=map_flags(seen.osd_dump),
        host_flags={
            str(host): frozenset(str(flag) for flag in flags)
            for host, flags in _table(seen.osd_dump.get("crush_node_flags")).items()
            if flags
        },
        degraded_objects=int(pgmap.get("degraded_objects") or 0),
        misplaced_objects=int(pgmap.get("misplaced_objects") or 0),
        used_bytes=int(pgmap.get("bytes_used") or 0),
        total_bytes=int(pgmap.get("bytes_total") or 0),
        nearfull_ratio=round(float(seen.osd_dump.get("nearfull_ratio") or 0.85), 4),
        mon_hosts={str(row["name"]): str(row.get("hostname") or "") for row in seen.mon_metadata if row.get("name")},
        fresh=available,
        mds_active=tuple(sorted(name for name, state in mds_states(status) if state == "up:active")),
        mds_standbys=_standbys(status),
        addresses=_used_addresses(seen),
    )


def _used_addresses(seen: Documents) -> frozenset[str]:
    """Where mons and OSDs serve clients and each other, by ``public_addr`` and ``cluster_addr`` of the maps."""
    rows = (*(seen.mon_dump.get("mons") or ()), *(seen.osd_dump.get("osds") or ()))
    found = (_FLAT.match(str(row.get(key) or "")) for row in rows for key in ("public_addr", "cluster_addr"))
    return frozenset(each[1] or each[2] for each in found if each is not None) - {"0.0.0.0", "::"}


def mds_states(status: Document) -> tuple[tuple[str, str], ...]:
    """(name, state) of every MDS that holds or follows a rank."""
    rows = _table(status.get("fsmap")).get("by_rank") or ()
    return tuple((str(row["name"]), str(row.get("status") or "")) for row in rows if row.get("name"))


def _standbys(status: Document) -> int:
    """Both kinds can take over: those that wait for any rank, and those that follow one."""
    following = sum(state == "up:standby-replay" for _, state in mds_states(status))
    return int(_table(status.get("fsmap")).get("up:standby") or 0) + following


def without_quorum(at: datetime, mon_status: Document) -> CephState:
    """What one mon says through its admin socket while there is no quorum: who the mons are, and that none reigns.

    OSDs and PGs are not known then: they are empty and ``fresh`` is False.
    """
    monmap = _table(mon_status.get("monmap"))
    mons = tuple(str(row["name"]) for row in monmap.get("mons") or () if row.get("name"))
    ranks = {int(row.get("rank", -1)): str(row["name"]) for row in monmap.get("mons") or () if row.get("name")}
    quorum = tuple(ranks[rank] for rank in mon_status.get("quorum") or () if rank in ranks)
    return CephState(
        at=at, fsid=str(monmap.get("fsid") or ""), health="HEALTH_ERR",
        checks={"NO_QUORUM": f"mon.{mon_status.get('name')} is {mon_status.get('state')}: no quorum"},
        mons=mons, quorum=quorum, mgr_active="", mgr_standbys=(), osds=(), pools=(), pgs_by_state={},
        flags=frozenset(), host_flags={}, fresh=False,
    )  # fmt: skip


def osds(tree: Document, dump: Document, df: Document) -> tuple[Osd, ...]:
    """The tree says on which CRUSH host an OSD is, the dump whether it is up and in, ``osd df`` how full."""
    nodes = {int(row["id"]): row for row in tree.get("nodes") or () if "id" in row}
    host_of = {
        int(child): str(row.get("name"))
        for row in nodes.values()
        if row.get("type") == "host"
        for child in row.get("children") or ()
    }
    states = {int(row["osd"]): row for row in dump.get("osds") or () if "osd" in row}
    usage = {int(row["id"]): row for row in df.get("nodes") or () if row.get("type") == "osd"}
    in_tree = {number for number, row in nodes.items() if row.get("type") == "osd"}
    stray = {int(row["id"]) for row in tree.get("stray") or () if "id" in row}
    found = []
    for number in sorted((in_tree | set(states)) - stray):
        row, state, used = nodes.get(number, {}), states.get(number), usage.get(number, {})
        found.append(
            Osd(
                id=number,
                host=host_of.get(number, ""),
                up=bool(int(state.get("up", 0))) if state is not None else row.get("status") == "up",
                in_=bool(int(state.get("in", 0))) if state is not None else float(row.get("reweight") or 0) > 0,
                size_bytes=int(used.get("kb") or 0) * _KIB,
                used_bytes=int(used.get("kb_used") or 0) * _KIB,
            )
        )
    return tuple(found)


def pools(dump: Document) -> tuple[Pool, ...]:
    return tuple(
        Pool(
            id=int(row["pool"]),
            name=str(row.get("pool_name") or ""),
            size=int(row.get("size") or 0),
            min_size=int(row.get("min_size") or 0),
            erasure=row.get("type") == ERASURE,
        )
        for row in dump.get("pools") or ()
    )


def map_flags(dump: Document) -> frozenset[str]:
    """Cluster-wide flags; ``flags_set`` where there is one, else the text ``flags``."""
    listed = dump.get("flags_set")
    words = [str(word) for word in listed] if isinstance(listed, list) else str(dump.get("flags") or "").split(",")
    return frozenset(word for word in words if word)


def ok_to_stop(asked: tuple[int, ...], known: frozenset[int], document: Document) -> OkToStop:
    """Ceph's answer, except that an id it does not know is never ok (Ceph says ok of it)."""
    unknown = [number for number in asked if number not in known]
    if unknown:
        return OkToStop(asked, False, f"no such OSD: {', '.join(map(str, unknown))}")
    ok = document.get("ok_to_stop") is True
    bad = int(document.get("num_not_ok_pgs") or 0)
    degraded = len(document.get("ok_become_degraded") or ()) + len(document.get("ok_become_more_degraded") or ())
    if ok:
        return OkToStop(asked, True, f"{degraded} PGs would become degraded, none inactive")
    inactive = ", ".join(str(pg) for pg in (document.get("bad_become_inactive") or ())[:5])
    return OkToStop(
        asked, False, f"{bad} PGs are or would become inactive" + (f" ({inactive} ...)" if inactive else "")
    )


def _mons(seen: Documents) -> tuple[str, ...]:
    for document in (seen.mon_dump, _table(seen.status.get("monmap"))):
        names = tuple(str(row["name"]) for row in document.get("mons") or () if row.get("name"))
        if names:
            return names
    told = tuple(str(row["name"]) for row in seen.mon_metadata if row.get("name"))
    return told or tuple(str(name) for name in seen.status.get("quorum_names") or ())


def _table(value: Any) -> Document:
    return value if isinstance(value, Mapping) else {}


def addresses(text: Any) -> frozenset[str]:
    """The IP addresses of "[v2:10.0.0.1:6800/7,v1:10.0.0.1:6801/7]"; IPv6 ones stand in brackets of their own."""
    found = {six or four for six, four in _ADDRESS.findall(str(text or ""))}
    return frozenset(found - {"0.0.0.0", "::"})  # Ceph's word for "not known"
