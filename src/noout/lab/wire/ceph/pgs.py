"""Placement groups as the commands show them: state by PG, object counts, stuck ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from noout.lab.wire.ceph.daemons import mgr_available
from noout.lab.wire.ceph.maps import OBJECT_BYTES, Document, stamp
from noout.lab.world import ceph_pgs
from noout.lab.world.ceph_map import pool_of
from noout.lab.world.laws import Laws
from noout.lab.world.model import Ceph, Cluster, Pg, Pool


@dataclass(frozen=True)
class PgView:
    pg: Pg
    pool: Pool
    acting: list[int]  # of those that should hold it, the ones that are up
    state: str
    objects: int
    degraded: int  # object copies that lack
    misplaced: int

    @property
    def active(self) -> bool:
        return "active" in self.state.split("+")

    @property
    def undersized(self) -> bool:
        return len(self.acting) < self.pool.size


def views(laws: Laws, cluster: Cluster, ceph: Ceph) -> list[PgView]:
    """Every PG, in the order of the map."""
    return [_view(laws, cluster, ceph, pg) for pg in ceph.pgs.values()]


def _view(laws: Laws, cluster: Cluster, ceph: Ceph, pg: Pg) -> PgView:
    pool = pool_of(ceph, pg.pgid)
    acting = ceph_pgs.live(ceph, pg)
    objects = pool.used // max(pool.pg_num, 1) // OBJECT_BYTES
    lacking = max(pool.size - len(acting), 0)
    behind = {osd: min(-(-missing // OBJECT_BYTES), objects) for osd, missing in pg.behind.items()}
    return PgView(
        pg=pg,
        pool=pool,
        acting=acting,
        state=laws.pg_state(cluster, pg),
        objects=objects,
        degraded=objects * lacking + sum(count for osd, count in behind.items() if osd in acting),
        misplaced=sum(count for osd, count in behind.items() if osd not in pg.acting),
    )


def pgmap(laws: Laws, cluster: Cluster, ceph: Ceph) -> Document:
    """The pgmap of ``ceph -s``. Bytes; the degraded and misplaced figures count object copies.

    Without an active mgr it is the last picture that one drew, and nothing in it is fresh.
    """
    seen = views(laws, cluster, ceph)
    size = sum(o.size for o in ceph.osds.values() if o.in_)
    used = sum(o.used for o in ceph.osds.values() if o.in_)
    copies = sum(v.objects * v.pool.size for v in seen)
    states = laws.pg_states(cluster)
    inactive = sum(count for state, count in states.items() if "active" not in state.split("+"))
    document: Document = {
        "pgs_by_state": [
            {"state_name": state, "count": count}
            for state, count in sorted(states.items(), key=lambda item: item[1], reverse=True)
        ],
        "num_pgs": len(seen),
        "num_pools": len(ceph.pools),
        "num_objects": sum(v.objects for v in seen),
        "data_bytes": sum(pool.used for pool in ceph.pools.values()),
        "bytes_used": used,
        "bytes_avail": size - used,
        "bytes_total": size,
    }
    if not mgr_available(ceph):
        return document
    if inactive:
        document["inactive_pgs_ratio"] = inactive / len(seen)
    for word, count in (("degraded", sum(v.degraded for v in seen)), ("misplaced", sum(v.misplaced for v in seen))):
        if count and copies:
            document |= {f"{word}_objects": count, f"{word}_total": copies, f"{word}_ratio": count / copies}
    if any("recover" in state or "backfilling" in state for state in states):
        rate = ceph.recovery_rate
        document |= {"recovering_objects_per_sec": rate // OBJECT_BYTES, "recovering_bytes_per_sec": rate}
        document["recovering_keys_per_sec"] = 0
    if not inactive:
        document |= {"write_bytes_sec": ceph.write_rate, "read_op_per_sec": 0}
        document["write_op_per_sec"] = ceph.write_rate // OBJECT_BYTES
    return document


def pg_stat(laws: Laws, cluster: Cluster, ceph: Ceph) -> Document:
    brief = pgmap(laws, cluster, ceph)
    summary: Document = {
        "num_pg_by_state": [{"name": s["state_name"], "num": s["count"]} for s in brief["pgs_by_state"]],
        "num_pgs": brief["num_pgs"],
        "num_bytes": brief["data_bytes"],
        "total_bytes": brief["bytes_total"],
        "total_avail_bytes": brief["bytes_avail"],
        "total_used_bytes": brief["bytes_used"],
        "total_used_raw_bytes": brief["bytes_used"],
    }
    summary |= {
        key: value
        for key, value in brief.items()
        if key.startswith(("degraded", "misplaced", "recovering", "write_bytes"))
    }
    return {"pg_ready": True, "pg_summary": summary}


STUCK: dict[str, Callable[[PgView], bool]] = {
    "inactive": lambda view: not view.active,
    "unclean": lambda view: "clean" not in view.state,
    "undersized": lambda view: view.undersized,
    "degraded": lambda view: view.degraded > 0,
    "stale": lambda view: "stale" in view.state,
}


def dump_stuck(laws: Laws, cluster: Cluster, ceph: Ceph, kinds: list[str]) -> Document:
    """``pg dump_stuck [kind ...]``; without a kind: unclean ones. KeyError on an unknown kind."""
    tests = [STUCK[kind] for kind in kinds or ["unclean"]]
    found = [view for view in views(laws, cluster, ceph) if any(test(view) for test in tests)]
    return {
        "pg_ready": True,
        "stuck_pg_stats": [
            {
                "pgid": view.pg.pgid,
                "state": view.state,
                "last_fresh": stamp(laws.now),
                "last_unstale": stamp(laws.now),
                "stat_sum": {
                    "num_objects": view.objects,
                    "num_objects_degraded": view.degraded,
                    "num_objects_misplaced": view.misplaced,
                    "num_objects_unfound": 0,
                },
                "up": [osd for osd in view.pg.up if ceph.osds[osd].up],
                "acting": view.acting,
                "up_primary": view.acting[0] if view.acting else -1,
                "acting_primary": view.acting[0] if view.acting else -1,
            }
            for view in found
        ],
    }
