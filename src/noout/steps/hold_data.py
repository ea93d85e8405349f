"""3 · Hands are on: everything is checked once more, guests that may be down go down, the node's data is held.

The order was measured: noout first and read back; the mon before the OSDs (a write waits 1 s; the other way round,
16 s); noup last, so that OSDs which start at power-on stay down until the repair is accepted.
"""

from __future__ import annotations

from noout.domain.maintenance import Maintenance, MoveKind, Observation
from noout.domain.reasons import Blocker, Caution
from noout.steps import actions, checks, cordon
from noout.steps.bring_back import keep_held, note_foreign, release_data, start_again
from noout.steps.effects import Reconciler, has_flag
from noout.steps.rules import RULES, Rules
from noout.steps.step import (
    Back,
    Blocked,
    Decision,
    Finished,
    Hold,
    Sight,
    attempt,
    blocked,
    exhausted,
    is_pending,
    owns,
    warn_once,
)  # fmt: skip

MONS_SETTLE_S = 20.0  # a new quorum was measured to take 15 s; the list of its members may change before


class HoldData(Reconciler):
    name = "hold-data"
    sees: frozenset[Sight] = frozenset({"ceph", "anew", "hardware", "ok-to-stop"})

    def __init__(self, rules: Rules = RULES) -> None:
        self.rules = rules

    def plan(self, m: Maintenance, seen: Observation) -> Decision:
        if strays := checks.strays(m, seen):
            return Back("evacuate", f"{strays[0].name} ({strays[0].id}) runs on the node again")
        if m.closing_up:
            return self._step_back(m, seen)
        return (
            keep_held(self.name, m, seen, self.rules)
            or self._leave_mgr(m, seen)
            or self._unsafe(m, seen)
            or self._leave_mds(m, seen)
            or self._shut_down(m, seen)
            or cordon.sleep_on(self.name, m, seen)
            or self._hold(m, seen)
            or Finished(self._evidence(m, seen))
        )

    def _step_back(self, m: Maintenance, seen: Observation) -> Decision:
        """Something else failed while daemons were down and the node still on: they come back at once."""
        return release_data(self.name, m, seen) or blocked(
            "second-fault", str(m.node), f"the node's data is back in place, because {m.closing_up}",
            "mend that first; resume looks at everything again and goes on, abort ends the maintenance",
        )  # fmt: skip

    def _leave_mgr(self, m: Maintenance, seen: Observation) -> Decision | None:
        """First of all: with a dead active mgr the picture of the PGs freezes and Ceph's safety answers hang."""
        ceph = seen.ceph
        if ceph is None or ceph.mgr_active not in {m.node.name, checks.crush_host(m)}:
            return None
        action = actions.fail_mgr(self.name, ceph.mgr_active)
        if not ceph.mgr_standbys and not is_pending(m, action.key):
            return blocked("ceph.no-standby-mgr", str(m.node), "the only mgr runs on this node", "add a mgr elsewhere")
        return attempt(m, seen, action, code="ceph.mgr-stays", remedy="`ceph mgr fail` by hand, then resume")

    def _leave_mds(self, m: Maintenance, seen: Observation) -> Decision | None:
        """A clean change of MDS costs the clients of its file system a moment, a lost one the mons' whole grace."""
        here = {m.node.name, checks.crush_host(m)}
        mds = next((name for name in (seen.ceph.mds_active if seen.ceph else ()) if name in here), None)
        if mds is None or seen.ceph is None:
            return None
        action = actions.fail_mds(self.name, mds)
        if not seen.ceph.mds_standbys and not is_pending(m, action.key):
            return blocked(
                "ceph.no-standby-mds", str(m.node), "the only MDS runs on this node: CephFS would stop with it",
                "`pveceph mds create` on another node",
            )  # fmt: skip
        return attempt(m, seen, action, code="ceph.mds-stays", remedy=f"`ceph mds fail {mds}` by hand, then resume")

    def _unsafe(self, m: Maintenance, seen: Observation) -> Decision | None:
        blockers: tuple[Blocker, ...] = (
            *checks.cluster_survives(m, seen), *checks.mons_survive(m, seen), *checks.bmc_answers(m, seen),
            *checks.only_we_are_down(m, seen), *checks.noout_is_elsewhere(m, seen),
        )  # fmt: skip
        if not (owns(m, "osd-stopped") or owns(m, "mon-stopped")):
            blockers += checks.data_is_whole(m, seen) + checks.silent_guests(m, seen)
        if any(osd.up for osd in checks.osds_of_node(m, seen)):
            blockers += checks.osds_may_stop(m, seen)
        return Blocked(blockers) if blockers else None

    def _shut_down(self, m: Maintenance, seen: Observation) -> Decision | None:
        """The guests that cannot leave and may be down: now, that is as late as can be."""
        for move in m.plan.moves if m.plan else ():
            guest = seen.cluster.guest(move.guest)
            if move.kind is not MoveKind.SHUTDOWN or guest is None or guest.node != m.node:
                continue
            action = actions.shutdown_guest(self.name, move, guest)
            if guest.running:
                remedy = "shut it down from within; the run goes on when it is down"
                return attempt(m, seen, action, code="guest.stays-up", remedy=remedy)
        return None

    def _hold(self, m: Maintenance, seen: Observation) -> Decision | None:
        """The next thing to take; None when all is taken and seen to be so."""
        osds, host = checks.osds_of_node(m, seen), checks.crush_host(m) or ""
        if osds and (decision := self._noout(m, seen, host)) is not None:
            return decision
        mon = checks.mon_of_node(m, seen)
        if mon is not None and seen.ceph is not None:
            running = mon in seen.ceph.quorum
            if (decision := self._stop(m, seen, f"mon.{mon}", running)) is not None:
                return decision
        if any(osd.up for osd in osds) and (unsettled_s := self._unsettled_s(m, seen)) > 0:
            why = "the mons to settle: peering would wait for them, and clients' writes with it"
            return Hold("mons-settle", why, unsettled_s)
        for osd in osds:
            if (decision := self._stop(m, seen, f"osd.{osd.id}", osd.up)) is not None:
                return decision
        return self._noup(m, seen, host) if osds else None

    def _noout(self, m: Maintenance, seen: Observation, host: str) -> Decision | None:
        """For the host; only where that is refused and policy says so, for the whole cluster, with what that costs."""
        refused = exhausted(m, actions.set_flag(self.name, "noout", host).key) and not has_flag(seen, host, "noout")
        if not (refused and self.rules.cluster_noout) or seen.ceph is None:
            return self._flag(m, seen, "noout", host)
        if "noout" in seen.ceph.flags and not owns(m, "cluster-noout"):
            return note_foreign(m, "noout", "the whole cluster")
        if "noout" not in seen.ceph.flags:
            action = actions.cluster_noout(self.name, m.node.cluster, True)
            return attempt(m, seen, action, code="ceph.flag", remedy="see `ceph health detail`, then resume")
        said = (
            "noout is set for the whole cluster, as host flags are refused: an OSD that fails anywhere stays in too, "
        )
        remedy = "let noout set flags for one host (docs/how-to/give-access-to-ceph.md)"
        return warn_once(m, Caution("ceph.cluster-noout", m.node.cluster, said + "and nothing heals meanwhile", remedy))

    def _noup(self, m: Maintenance, seen: Observation, host: str) -> Decision | None:
        """For the host alone: for the whole cluster it would keep every OSD down that restarts anywhere."""
        refused = exhausted(m, actions.set_flag(self.name, "noup", host).key) and not has_flag(seen, host, "noup")
        if not (refused and owns(m, "cluster-noout")):
            return self._flag(m, seen, "noup", host)
        said = f"noup could not be set for host {host}: its OSDs start at power-on, before the repair is accepted"
        return warn_once(m, Caution("ceph.no-noup", host, said, "look at the node's links before it is switched on"))

    def _unsettled_s(self, m: Maintenance, seen: Observation) -> float:
        """How long it still takes until the mons have surely agreed to go on without the one we stopped."""
        since = max((own.since for own in m.owned if own.kind == "mon-stopped"), default=None)
        return 0.0 if since is None else MONS_SETTLE_S - (seen.at - since).total_seconds()

    def _flag(self, m: Maintenance, seen: Observation, flag: str, host: str) -> Decision | None:
        """Set it, unless others had set it before us: then it serves, but it is theirs."""
        action = actions.set_flag(self.name, flag, host)
        if not has_flag(seen, host, flag):
            return attempt(m, seen, action, code="ceph.flag", remedy="see `ceph health detail`, then resume")
        if not owns(m, flag, host):
            return note_foreign(m, flag, host)
        return note_foreign(m, flag, "the whole cluster") if seen.ceph and flag in seen.ceph.flags else None

    def _stop(self, m: Maintenance, seen: Observation, name: str, running: bool) -> Decision | None:
        action = actions.service(self.name, m.node, "stop", name)
        if not running:
            return None
        remedy = "stop it by hand; the run goes on by itself"
        return attempt(m, seen, action, code="ceph.daemon-stays", remedy=remedy)

    def _evidence(self, m: Maintenance, seen: Observation) -> dict[str, object]:
        ceph = seen.ceph
        return {
            "osds_stopped": [osd.id for osd in checks.osds_of_node(m, seen)],
            "quorum": list(ceph.quorum) if ceph else [],
            "pgs": dict(ceph.pgs_by_state) if ceph else {},
            "held": checks.is_held(m, seen),
        }

    def undo(self, m: Maintenance, seen: Observation) -> Decision:
        return (
            start_again(self.name, m, seen)
            or release_data(self.name, m, seen)
            or cordon.wake_again(self.name, m, seen)
            or Finished()
        )
