"""3 · Hands are on: everything is checked once more, then the node's data is held and its Ceph daemons are stopped.

The order was measured: noout first and read back; the mon before the OSDs (a write waits 1 s; the other way round,
16 s); noup last, so that OSDs which start at power-on stay down until the repair is accepted.
"""

from __future__ import annotations

from noout.codec import encode
from noout.domain.maintenance import Maintenance, Observation
from noout.domain.reasons import Blocker, Caution
from noout.steps import actions, checks
from noout.steps.bring_back import release_data
from noout.steps.effects import Reconciler, has_flag
from noout.steps.step import (
    Back,
    Blocked,
    Decision,
    Finished,
    Note,
    Sight,
    attempt,
    blocked,
    is_pending,
    owns,
)  # fmt: skip


class HoldData(Reconciler):
    name = "hold-data"
    sees: frozenset[Sight] = frozenset({"hardware", "ok-to-stop"})

    def plan(self, m: Maintenance, seen: Observation) -> Decision:
        if strays := checks.running_on_node(m, seen):
            return Back("evacuate", f"{strays[0].name} ({strays[0].id}) runs on the node again")
        return (
            self._leave_mgr(m, seen)
            or self._unsafe(m, seen)
            or self._hold(m, seen)
            or Finished(self._evidence(m, seen))
        )

    def _leave_mgr(self, m: Maintenance, seen: Observation) -> Decision | None:
        """First of all: with a dead active mgr the picture of the PGs freezes and Ceph's safety answers hang."""
        ceph = seen.ceph
        if ceph is None or ceph.mgr_active not in {m.node.name, checks.crush_host(m)}:
            return None
        action = actions.fail_mgr(self.name, ceph.mgr_active)
        if not ceph.mgr_standbys and not is_pending(m, action.key):
            return blocked("ceph.no-standby-mgr", str(m.node), "the only mgr runs on this node", "add a mgr elsewhere")
        return attempt(m, seen, action, code="ceph.mgr-stays", remedy="`ceph mgr fail` by hand, then resume")

    def _unsafe(self, m: Maintenance, seen: Observation) -> Decision | None:
        blockers: tuple[Blocker, ...] = (
            *checks.cluster_survives(m, seen), *checks.mons_survive(m, seen), *checks.bmc_answers(m, seen),
            *checks.only_we_are_down(m, seen),
        )  # fmt: skip
        if not (owns(m, "osd-stopped") or owns(m, "mon-stopped")):
            blockers += checks.data_is_whole(m, seen) + checks.silent_guests(m, seen)
        if any(osd.up for osd in checks.osds_of_node(m, seen)):
            blockers += checks.osds_may_stop(m, seen)
        return Blocked(blockers) if blockers else None

    def _hold(self, m: Maintenance, seen: Observation) -> Decision | None:
        """The next thing to take; None when all is taken and seen to be so."""
        osds, host = checks.osds_of_node(m, seen), checks.crush_host(m) or ""
        if osds and not has_flag(seen, host, "noout"):
            return attempt(
                m, seen, actions.set_flag(self.name, "noout", host), code="ceph.flag", remedy="see `ceph health detail`"
            )
        if osds and (note := _foreign_flag(m, seen, host)) is not None:
            return note
        mon = checks.mon_of_node(m, seen)
        if mon is not None and seen.ceph is not None and mon in seen.ceph.quorum:
            return attempt(
                m, seen, actions.service(self.name, m.node, "stop", f"mon.{mon}"),
                code="ceph.mon-stays", remedy="stop it by hand; the run goes on by itself",
            )  # fmt: skip
        if up := [osd for osd in osds if osd.up]:
            return attempt(
                m, seen, actions.service(self.name, m.node, "stop", f"osd.{up[0].id}"),
                code="ceph.osd-stays", remedy="stop it by hand; the run goes on by itself",
            )  # fmt: skip
        if osds and not has_flag(seen, host, "noup"):
            return attempt(
                m, seen, actions.set_flag(self.name, "noup", host), code="ceph.flag", remedy="see `ceph health detail`"
            )
        return None

    def _evidence(self, m: Maintenance, seen: Observation) -> dict[str, object]:
        ceph = seen.ceph
        return {
            "osds_stopped": [osd.id for osd in checks.osds_of_node(m, seen)],
            "quorum": list(ceph.quorum) if ceph else [],
            "pgs": dict(ceph.pgs_by_state) if ceph else {},
            "held": checks.is_held(m, seen),
        }

    def undo(self, m: Maintenance, seen: Observation) -> Decision:
        return release_data(self.name, m, seen) or Finished()


def _foreign_flag(m: Maintenance, seen: Observation, host: str) -> Decision | None:
    """noout was there before us: it holds the data as well, but it is not ours, and will not be cleared by us."""
    if owns(m, "noout", host) or any(caution.code == "ceph.foreign-noout" for caution in m.cautions):
        return None
    caution = Caution(
        "ceph.foreign-noout", host, f"noout was already set for host {host}, not by this maintenance: it will stay set",
        "find out who set it; afterwards `ceph osd unset-group noout " + host + "` by hand",
    )  # fmt: skip
    return Note("caution", encode(caution))
