"""Ceph as people command it: services, flags (cluster-wide and by host), in and out, the mgr's failover."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from noout.lab.world import ceph_pgs
from noout.lab.world.ceph_data import ELECTION_S, GRACE_S, CephDataLaws
from noout.lab.world.chance import between
from noout.lab.world.kernel import LawError
from noout.lab.world.model import Ceph, Cluster, Mgr, Mon, Osd, Task

GROUP_FLAGS = frozenset({"noup", "nodown", "noout", "noin"})
FLAGS = GROUP_FLAGS | {"pause", "nobackfill", "norebalance", "norecover", "noscrub", "nodeep-scrub", "nosnaptrim"}
BEACON_GRACE_S = 30.0  # however a mgr ended, the mons believe in it so long; then a standby takes over, or none


class CephLaws(CephDataLaws):
    """Commands and services; the consequences come about in ``ceph_data``."""

    tells_of_ceph = True  # whether these records say how Ceph is

    @staticmethod
    def _ceph(cluster: Cluster) -> Ceph:
        if cluster.ceph is None:
            raise LawError("pveceph configuration not initialized - missing '/etc/pve/ceph.conf'")
        return cluster.ceph

    # --- questions ---

    def ok_to_stop(self, cluster: Cluster, ids: Iterable[int]) -> dict[str, Any]:
        """What ``ceph osd ok-to-stop --format json`` prints (its exit code is 16 when ``ok_to_stop`` is false)."""
        return ceph_pgs.ok_to_stop(self._ceph(cluster), ids)

    def mgr_available(self, cluster: Cluster) -> bool:
        ceph = self._ceph(cluster)
        mgr = ceph.mgrs.get(ceph.mgr_active)
        return mgr is not None and mgr.running

    # --- flags ---

    def ceph_flag(self, cluster: Cluster, flag: str, on: bool, by: str = "") -> None:
        """``ceph osd set|unset FLAG``; idempotent."""
        ceph = self._ceph(cluster)
        if flag not in FLAGS:
            raise LawError(f"invalid flag '{flag}'", 400)
        if (flag in ceph.flags) == on:
            return
        (ceph.flags.add if on else ceph.flags.discard)(flag)
        ceph.epoch += 1
        self.note(cluster, f"ceph flag {flag} {'set' if on else 'unset'}{_by(by)}")
        if not on:
            self._flags_gone(cluster, list(ceph.osds.values()), {flag}, 0.3)

    def ceph_group_flags(self, cluster: Cluster, host: str, flags: Iterable[str], on: bool, by: str = "") -> None:
        """``ceph osd set-group|unset-group FLAGS HOST`` (a CRUSH host); idempotent; unknown names are EINVAL."""
        ceph = self._ceph(cluster)
        wanted = set(flags)
        osds = [o for o in ceph.osds.values() if o.host == host]
        if not osds:
            raise LawError(f"invalid host name: {host}", 400)
        if not wanted <= GROUP_FLAGS:
            raise LawError(f"invalid flag(s): {','.join(sorted(wanted - GROUP_FLAGS))}", 400)
        before = set(ceph.crush_node_flags.get(host, set()))
        after = before | wanted if on else before - wanted
        if after == before:
            return
        if after:
            ceph.crush_node_flags[host] = after
        else:
            ceph.crush_node_flags.pop(host, None)
        ceph.epoch += 1
        changed = ",".join(sorted(before ^ after))
        self.note(cluster, f"ceph group flag {changed} {'set' if on else 'unset'} on {host}{_by(by)}")
        if not on:
            self._flags_gone(cluster, osds, wanted, 25.0)

    def _flags_gone(self, cluster: Cluster, osds: list[Osd], flags: set[str], delay_s: float) -> None:
        """An unset flag lets happen what it held back: boots at once, outs after a moment, copying."""
        for osd in osds:
            if "noup" in flags and osd.preboot:
                self.after(1.2, lambda osd=osd: self._osd_boot(cluster, osd))  # type: ignore[misc]
            if "noout" in flags and not osd.up:
                self.after(delay_s, lambda osd=osd: self._out_check(cluster, osd.id))  # type: ignore[misc]
            if "nodown" in flags and osd.up and not osd.running:
                self._osd_down(cluster, osd)
        if flags & {"nobackfill", "norebalance", "norecover"}:
            self._start_copying(cluster)

    def osd_in_out(self, cluster: Cluster, osd: int, in_: bool, by: str = "") -> None:
        """``ceph osd in|out ID``; idempotent."""
        ceph = self._ceph(cluster)
        if osd not in ceph.osds:
            raise LawError(f"osd.{osd} does not exist", 500)
        record = ceph.osds[osd]
        if record.in_ == in_:
            return
        if in_:
            self._mark_in(cluster, record, _by(by).strip())
        else:
            self._mark_out(cluster, record, _by(by).strip())

    # --- services ---

    def ceph_service(self, cluster: Cluster, node: str, action: str, service: str, user: str) -> Task:
        """``srvstart|srvstop|srvrestart``. The unit's start may succeed and its daemon still die a moment later."""
        if action not in ("start", "stop", "restart"):
            raise LawError(f"unknown action '{action}'", 400)
        self._ceph(cluster)
        if not self.node(cluster, node).online:
            raise LawError(f"hostname lookup or connection to '{node}' failed", 595)
        names = self._services(cluster, node, service)
        task = self.new_task(cluster, node, f"srv{action}", service, user)
        if not names:
            self.after(0.5, lambda: self.finish_task(cluster, task, f"no such service '{service}'"))
            return task

        def act() -> None:
            for name in names:
                if action in ("stop", "restart"):
                    self.daemon_stop(cluster, name)
                if action in ("start", "restart"):
                    self.daemon_start(cluster, name)
            self.finish_task(cluster, task)

        self.after(1.0, act)
        return task

    def _services(self, cluster: Cluster, node: str, service: str) -> list[str]:
        """Daemons of the node that a service word means: ``osd.3``, ``mon.pve3``, ``mon``, ``osd``, ``ceph``."""
        ceph = self._ceph(cluster)
        here = [f"mon.{m}" for m in ceph.mons if m == node] + [f"mgr.{m}" for m in ceph.mgrs if m == node]
        here += [f"osd.{o.id}" for o in ceph.osds.values() if o.host == node]
        if service in ("ceph", "ceph.target"):
            return here
        return [name for name in here if service in (name, name.split(".", 1)[0])]

    def daemon_stop(self, cluster: Cluster, name: str, silent: bool = False) -> None:
        """End a daemon; ``silent``: it dies without telling anybody (power loss)."""
        ceph = self._ceph(cluster)
        kind, which = name.split(".", 1)
        if kind == "osd":
            osd = ceph.osds[int(which)]
            if not osd.running:
                return
            osd.running, osd.preboot = False, False
            delay = GRACE_S + between(0, 3, self.world.seed, "grace", osd.id, int(self.now)) if silent else 0.0
            if silent:
                self.after(delay, lambda: self._osd_down(cluster, osd))
            else:
                self._osd_down(cluster, osd)
            self._io_check(cluster)
        elif kind == "mon" and ceph.mons[which].running:
            self._mon_changes(cluster, ceph.mons[which], False)
        elif kind == "mgr" and ceph.mgrs[which].running:
            ceph.mgrs[which].running = False
            self.note(cluster, f"mgr.{which} stopped")
            if ceph.mgr_active == which:
                self._frozen[cluster.name] = self._count_states(cluster)
                self.after(BEACON_GRACE_S, lambda: self._mgr_missed(cluster, which))

    def daemon_start(self, cluster: Cluster, name: str) -> None:
        ceph = self._ceph(cluster)
        kind, which = name.split(".", 1)
        if kind == "osd":
            osd = ceph.osds[int(which)]
            if osd.running:
                return
            if osd.will_not_start:
                self.note(cluster, f"osd.{osd.id} started and died again")
                return
            osd.running = True
            if osd.up:  # back before the mons had noticed
                self._catch_up(ceph, osd, 1.0)
                self._start_copying(cluster)
                self._io_check(cluster)
                return
            boot = between(3.0, 7.0, self.world.seed, "osd-boot", osd.id, int(self.now))
            self.after(boot, lambda: self._osd_boot(cluster, osd))
        elif kind == "mon" and not ceph.mons[which].running:
            self._mon_changes(cluster, ceph.mons[which], True)
        elif kind == "mgr" and not ceph.mgrs[which].running:
            ceph.mgrs[which].running = True
            self.note(cluster, f"mgr.{which} started")
            if ceph.mgr_active == which:  # the old one is known to be gone now
                self._mgr_gone(cluster, 2.0)
            elif not ceph.mgr_active:
                self.after(2.0, lambda: self._mgr_takes_over(cluster))

    def _mon_changes(self, cluster: Cluster, mon: Mon, running: bool) -> None:
        """A new election: for its length the maps stand still."""
        mon.running = mon.in_quorum = running
        length = 4.0 if running else ELECTION_S + between(0, 3, self.world.seed, "election", mon.name, int(self.now))
        self._election_until[cluster.name] = self.now + length
        quorum = ",".join(self.ceph_quorum(cluster)) or "lost"
        self.note(cluster, f"mon.{mon.name} {'started' if running else 'stopped'}, quorum {quorum}")

    # --- the mgr ---

    def mgr_fail(self, cluster: Cluster, name: str | None = None) -> None:
        """``ceph mgr fail [NAME]``: the active one gives way to a standby, if there is one."""
        ceph = self._ceph(cluster)
        if name not in (None, "", ceph.mgr_active):
            if name not in ceph.mgrs:
                raise LawError(f"mgr '{name}' does not exist", 400)
            return
        self.note(cluster, f"mgr.{ceph.mgr_active} failed by command")
        self._mgr_gone(cluster, 1.5)

    def mds_fail(self, cluster: Cluster, name: str) -> None:
        """``ceph mds fail NAME``: it starts anew and waits behind the others."""
        services = self._ceph(cluster).services
        services.remove(("mds", name))
        services.append(("mds", name))
        self.note(cluster, f"mds.{name} failed by command")

    def _mgr_missed(self, cluster: Cluster, name: str) -> None:
        """The mons notice that the active mgr has been silent."""
        ceph = self._ceph(cluster)
        if ceph.mgr_active == name and not ceph.mgrs[name].running:
            self._mgr_gone(cluster, 0.0)

    def _mgr_gone(self, cluster: Cluster, seconds: float) -> None:
        ceph = self._ceph(cluster)
        self._frozen[cluster.name] = self._count_states(cluster)
        failed, ceph.mgr_active = ceph.mgr_active, ""
        self.after(seconds, lambda: self._mgr_takes_over(cluster, failed))

    def _mgr_takes_over(self, cluster: Cluster, failed: str = "") -> None:
        ceph = self._ceph(cluster)
        ready: list[Mgr] = [m for m in ceph.mgrs.values() if m.running]
        ready.sort(key=lambda m: (m.name == failed, m.name))  # the one that failed only if it is alone
        if ceph.mgr_active or not ready:
            return
        if not self.ceph_quorum(cluster):
            self.after(5.0, lambda: self._mgr_takes_over(cluster, failed))
            return
        ceph.mgr_active = ready[0].name
        self._frozen.pop(cluster.name, None)
        self.note(cluster, f"mgr.{ceph.mgr_active} active")


def _by(by: str) -> str:
    return f" by {by}" if by else ""
