"""Placement groups as questions about the present: which OSDs serve one, its state, what stopping OSDs would do.

``acting`` are the OSDs that hold a PG (whether up or not), ``up`` where CRUSH maps it now, ``behind`` what each of
them still has to copy. Nothing here changes anything.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from noout.lab.world.ceph_map import pool_of
from noout.lab.world.model import Ceph, Pg


def live(ceph: Ceph, pg: Pg) -> list[int]:
    """The OSDs of the PG that the map calls up."""
    return [o for o in pg.acting if ceph.osds[o].up]


def is_active(ceph: Ceph, pg: Pg) -> bool:
    return len(live(ceph, pg)) >= pool_of(ceph, pg.pgid).min_size


def serves(ceph: Ceph, pg: Pg) -> bool:
    """Does a write to it end? Not while an OSD that the map calls up is dead, nor below min_size."""
    up = live(ceph, pg)
    alive = [o for o in up if ceph.osds[o].running]
    return len(alive) == len(up) and len(alive) >= pool_of(ceph, pg.pgid).min_size


def state(ceph: Ceph, pg: Pg, moving: bool) -> str:
    """The state's name, with its words in Ceph's order; ``moving``: data is being copied for it at this moment."""
    pool = pool_of(ceph, pg.pgid)
    up = live(ceph, pg)
    if not up:
        return "stale+undersized+degraded+peered"
    undersized = len(up) < pool.size
    remapped = set(pg.up) != set(pg.acting)
    degraded = undersized or any(missing and o in up for o, missing in pg.behind.items())
    words = ["active"] if len(up) >= pool.min_size else []
    if words and any(pg.behind.values()):
        kind = "backfill" if remapped else "recovery"
        words.append({"backfill": "backfilling", "recovery": "recovering"}[kind] if moving else f"{kind}_wait")
    words += ["undersized"] * undersized + ["degraded"] * degraded + ["remapped"] * remapped
    if len(up) < pool.min_size:
        words.append("peered")
    elif words == ["active"]:
        words.append("clean")
    return "+".join(words)


def ok_to_stop(ceph: Ceph, ids: Iterable[int]) -> dict[str, Any]:
    """What ``ceph osd ok-to-stop --format json`` prints. Unknown and down OSDs concern no PG and count as ok."""
    stopping = set(ids)
    sets: dict[str, list[str]] = {
        "bad_already_inactive": [],
        "bad_become_inactive": [],
        "ok_become_degraded": [],
        "ok_become_more_degraded": [],
    }
    good = bad = 0
    for pg in ceph.pgs.values():
        up = live(ceph, pg)
        left = [o for o in up if o not in stopping]
        if len(left) == len(up):
            continue
        pool = pool_of(ceph, pg.pgid)
        whole = [o for o in left if not pg.behind.get(o)]
        if len(up) < pool.min_size:
            sets["bad_already_inactive"].append(pg.pgid)
            bad += 1
        elif len(left) < pool.min_size or not whole:
            sets["bad_become_inactive"].append(pg.pgid)
            bad += 1
        else:
            degraded = len(up) < pool.size or bool(pg.missing)
            sets["ok_become_more_degraded" if degraded else "ok_become_degraded"].append(pg.pgid)
            good += 1
    answer = {"ok_to_stop": bad == 0, "osds": sorted(stopping), "num_ok_pgs": good, "num_not_ok_pgs": bad}
    return answer | {name: pgids for name, pgids in sets.items() if pgids}
