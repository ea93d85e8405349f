"""Ceph's data on the move: down becomes out, out remaps, remapped and returned PGs are copied until clean."""

from __future__ import annotations

from noout.lab.world import ceph_pgs
from noout.lab.world.ceph_map import crush, pool_of
from noout.lab.world.ha import HaLaws
from noout.lab.world.kernel import HasNow
from noout.lab.world.model import Ceph, Cluster, Osd, Pg, World

COPY_S = 2.0  # how often moving data is reckoned up
AT_ONCE = 4  # PGs that copy at the same time
GRACE_S = 22.0  # heartbeats: until a daemon that died silently is called down
ELECTION_S = 12.0  # mons: no map changes while they elect
OUT_CHECK_S = 5.0


class CephDataLaws(HaLaws):
    """What the maps and the data do by themselves; the commands are in ``ceph``."""

    def __init__(self, world: World, clock: HasNow) -> None:
        super().__init__(world, clock)
        self._copying: set[str] = set()  # clusters whose data is on the move
        self._moving: dict[str, set[str]] = {}  # PGs copying at this moment
        self._outed: set[tuple[str, int]] = set()  # OSDs marked out by the mons, not by a person
        self._election_until: dict[str, float] = {}
        self._frozen: dict[str, dict[str, int]] = {}  # the PG picture that the last mgr left behind
        self._stale: dict[tuple[str, str, int], float] = {}  # copies left behind on OSDs that were down, and since when
        self._blocked: set[str] = set()  # clusters in which a write does not end

    # --- states ---

    def ceph_quorum(self, cluster: Cluster) -> list[str]:
        """Names of the mons in quorum, by rank; empty without a majority."""
        if cluster.ceph is None:
            return []
        mons = sorted(cluster.ceph.mons.values(), key=lambda m: m.rank)
        up = [m.name for m in mons if m.running]
        return up if len(up) > len(mons) // 2 else []

    def pg_states(self, cluster: Cluster) -> dict[str, int]:
        """``{"active+clean": 129}``; without an active mgr the last picture, however old."""
        if cluster.name in self._frozen:
            return dict(self._frozen[cluster.name])
        return self._count_states(cluster)

    def pg_state(self, cluster: Cluster, pg: Pg) -> str:
        """One PG's state at this moment, with or without a mgr to tell it."""
        assert cluster.ceph is not None
        return ceph_pgs.state(cluster.ceph, pg, pg.pgid in self._moving.get(cluster.name, set()))

    def _count_states(self, cluster: Cluster) -> dict[str, int]:
        counts: dict[str, int] = {}
        if cluster.ceph is not None:
            moving = self._moving.get(cluster.name, set())
            for pg in cluster.ceph.pgs.values():
                name = ceph_pgs.state(cluster.ceph, pg, pg.pgid in moving)
                counts[name] = counts.get(name, 0) + 1
        return counts

    def _io_check(self, cluster: Cluster) -> None:
        """Every guest with a disk in RBD stands still while any PG does not serve: its disk lies over all of them."""
        if cluster.ceph is None:
            return
        blocked = not all(ceph_pgs.serves(cluster.ceph, pg) for pg in cluster.ceph.pgs.values())
        for guest in cluster.guests.values():
            on_rbd = any(d.storage == "rbd" for d in guest.disks)
            if blocked and on_rbd and guest.status == "running":
                self.darken(guest, "io-blocked")
            else:
                self.lighten(guest, "io-blocked")
        was = cluster.name in self._blocked
        if blocked != was:
            (self._blocked.add if blocked else self._blocked.discard)(cluster.name)
            self.note(cluster, "ceph I/O blocked" if blocked else "ceph I/O goes on")

    # --- flags ---

    @staticmethod
    def has_flag(ceph: Ceph, osd: Osd, flag: str) -> bool:
        return flag in ceph.flags or flag in ceph.crush_node_flags.get(osd.host, set())

    # --- down and up ---

    def _osd_down(self, cluster: Cluster, osd: Osd) -> None:
        """The mons learn of it: marked down now, or when they have elected."""
        ceph = cluster.ceph
        assert ceph is not None
        until = self._election_until.get(cluster.name, 0.0)
        if self.now < until:
            self.at(until, lambda: self._osd_down(cluster, osd))
        elif not self.ceph_quorum(cluster):
            self.after(OUT_CHECK_S, lambda: self._osd_down(cluster, osd))
        elif osd.up and not osd.running and "nodown" not in ceph.flags:
            osd.up, osd.down_since = False, self.now
            ceph.epoch += 1
            self.note(cluster, f"osd.{osd.id} down")
            self.after(ceph.down_out_interval, lambda: self._out_check(cluster, osd.id))
            self._io_check(cluster)

    def _osd_boot(self, cluster: Cluster, osd: Osd) -> None:
        """Its process is ready: into the map, unless ``noup`` holds it in ``preboot``."""
        ceph = cluster.ceph
        assert ceph is not None
        if not osd.running or osd.up:
            return
        if self.has_flag(ceph, osd, "noup"):
            if not osd.preboot:
                self.note(cluster, f"osd.{osd.id} waits in preboot (noup)")
            osd.preboot = True
            return
        until = self._election_until.get(cluster.name, 0.0)
        if self.now < until or not self.ceph_quorum(cluster):
            self.at(max(until, self.now + 2.0), lambda: self._osd_boot(cluster, osd))
            return
        missed_s = self.now - osd.down_since if osd.down_since is not None else 0.0
        osd.preboot, osd.up, osd.down_since = False, True, None
        ceph.epoch += 1
        self.note(cluster, f"osd.{osd.id} up")
        self._catch_up(ceph, osd, missed_s)
        if (cluster.name, osd.id) in self._outed and "noin" not in ceph.flags:
            self._mark_in(cluster, osd)
        self._start_copying(cluster)
        self._io_check(cluster)

    def _catch_up(self, ceph: Ceph, osd: Osd, missed_s: float) -> None:
        """What clients wrote to its PGs meanwhile (where they could write at all)."""
        for pg in ceph.pgs.values():
            if osd.id not in pg.acting or len(ceph_pgs.live(ceph, pg)) <= 1:
                continue
            pool = pool_of(ceph, pg.pgid)
            if pool.used > 1024**3:
                share = int(missed_s * ceph.write_rate / pool.pg_num)
                pg.behind[osd.id] = min(pg.behind.get(osd.id, 0) + share, pool.used // pool.pg_num)

    # --- out and in ---

    def _out_check(self, cluster: Cluster, number: int) -> None:
        """Down for ``down_out_interval``: out, unless a flag or the least share of in OSDs forbids."""
        ceph = cluster.ceph
        assert ceph is not None
        osd = ceph.osds[number]
        if osd.up or not osd.in_ or osd.down_since is None or self.has_flag(ceph, osd, "noout"):
            return
        due = osd.down_since + ceph.down_out_interval
        if self.now + 1e-6 < due:
            self.at(due, lambda: self._out_check(cluster, number))
        elif not self.ceph_quorum(cluster):
            self.after(OUT_CHECK_S, lambda: self._out_check(cluster, number))
        elif sum(o.in_ for o in ceph.osds.values()) >= ceph.min_in_ratio * len(ceph.osds):
            self._outed.add((cluster.name, osd.id))
            self._mark_out(cluster, osd, "by the mons")

    def _mark_out(self, cluster: Cluster, osd: Osd, by: str) -> None:
        osd.in_ = False
        self.note(cluster, f"osd.{osd.id} out {by}".rstrip())
        self._remap(cluster)

    def _mark_in(self, cluster: Cluster, osd: Osd, by: str = "") -> None:
        osd.in_ = True
        self._outed.discard((cluster.name, osd.id))
        self.note(cluster, f"osd.{osd.id} in {by}".rstrip())
        self._remap(cluster)

    def _remap(self, cluster: Cluster) -> None:
        """CRUSH anew: a PG mapped elsewhere has its whole content to copy there."""
        ceph = cluster.ceph
        assert ceph is not None
        ceph.epoch += 1
        for pg in ceph.pgs.values():
            pool = pool_of(ceph, pg.pgid)
            up = crush(ceph, pg.pgid, pool.size)
            if len(up) < pool.size:  # no host to spare: it stays where it is, degraded
                up = tuple(list(up) + [o for o in pg.acting if o not in up][: pool.size - len(up)])
            pg.up = list(up)
            for osd in pg.up:
                if osd not in pg.acting and osd not in pg.behind:
                    pg.behind[osd] = self._to_copy(cluster, ceph, pg, osd)
            for osd in list(pg.behind):
                if osd not in pg.up and osd not in pg.acting:
                    del pg.behind[osd]
            self._rescue(cluster, ceph, pg)
        self._start_copying(cluster)
        self._io_check(cluster)

    def _rescue(self, cluster: Cluster, ceph: Ceph, pg: Pg) -> None:
        """Below min_size the newcomers take part at once, however empty: the PG serves again and fills them."""
        leaving = [o for o in pg.acting if o not in pg.up]
        short = 0 < len(ceph_pgs.live(ceph, pg)) < pool_of(ceph, pg.pgid).min_size
        if not short or not leaving or any(ceph.osds[o].up for o in leaving):
            return
        for osd in leaving:
            self._stale[cluster.name, pg.pgid, osd] = ceph.osds[osd].down_since or self.now
            pg.behind.pop(osd, None)
        pg.acting = list(pg.up)

    def _to_copy(self, cluster: Cluster, ceph: Ceph, pg: Pg, osd: int) -> int:
        """All of the PG; from a copy that a down OSD kept, only what was written since."""
        pool = pool_of(ceph, pg.pgid)
        whole = max(pool.used // pool.pg_num, 1)
        since = self._stale.pop((cluster.name, pg.pgid, osd), None)
        return whole if since is None else max(min(int((self.now - since) * ceph.write_rate / pool.pg_num), whole), 1)

    # --- copying ---

    def _start_copying(self, cluster: Cluster) -> None:
        if cluster.name not in self._copying:
            self._copying.add(cluster.name)
            self.after(COPY_S, lambda: self._copy(cluster))

    def _copy(self, cluster: Cluster) -> None:
        """Two seconds of recovery and backfill, the first few PGs in order."""
        ceph = cluster.ceph
        assert ceph is not None
        budget = int(ceph.recovery_rate * COPY_S)
        moving: set[str] = set()
        waiting = False
        for pg in sorted(ceph.pgs.values(), key=lambda p: set(p.up) != set(p.acting)):  # recovery before backfill
            self._settle_pg(cluster, ceph, pg)
            if not pg.behind or not ceph_pgs.is_active(ceph, pg):
                continue
            backfill = set(pg.up) != set(pg.acting)
            if ({"nobackfill", "norebalance"} if backfill else {"norecover"}) & ceph.flags:
                continue
            waiting = True
            if budget > 0 and len(moving) < AT_ONCE:
                budget -= self._copy_pg(ceph, pg, budget)
                moving.add(pg.pgid)
                self._settle_pg(cluster, ceph, pg)
        self._moving[cluster.name] = moving
        if waiting:
            self.after(COPY_S, lambda: self._copy(cluster))
        else:
            self._copying.discard(cluster.name)
            if set(self._count_states(cluster)) == {"active+clean"}:
                self.note(cluster, "ceph all PGs active+clean")
        self._io_check(cluster)

    def _copy_pg(self, ceph: Ceph, pg: Pg, budget: int) -> int:
        done = 0
        for osd in sorted(pg.behind):
            if ceph.osds[osd].up and done < budget:
                part = min(pg.behind[osd], budget - done)
                pg.behind[osd] -= part
                done += part
                ceph.bytes_moved += part
                if osd not in pg.acting:
                    ceph.osds[osd].used += part
        return done

    def _settle_pg(self, cluster: Cluster, ceph: Ceph, pg: Pg) -> None:
        """Copies that are whole take their places; the old places are given up when all have."""
        for osd in [o for o, missing in pg.behind.items() if missing <= 0]:
            del pg.behind[osd]
            if osd not in pg.acting:
                pg.acting.append(osd)
        if set(pg.up) <= set(pg.acting) and not any(o in pg.behind for o in pg.up) and set(pg.up) != set(pg.acting):
            pool = pool_of(ceph, pg.pgid)
            for osd in set(pg.acting) - set(pg.up):
                if not ceph.osds[osd].up:  # it keeps its copy, as of when it went down
                    self._stale[cluster.name, pg.pgid, osd] = ceph.osds[osd].down_since or self.now
                    continue
                ceph.osds[osd].used = max(ceph.osds[osd].used - pool.used // pool.pg_num, 0)
            for osd in set(pg.behind) - set(pg.up):
                del pg.behind[osd]
            pg.acting = list(pg.up)
