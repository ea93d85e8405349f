"""Holding data and switching off: the order, and every permission looked at in the step that acts on it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from noout.domain.ceph import CephState, OkToStop
from noout.domain.cluster import GuestStatus
from noout.domain.hardware import Power
from noout.domain.maintenance import Maintenance, Observation
from noout.run.invariants import violations
from noout.steps import actions
from noout.steps.hold_data import HoldData
from noout.steps.repair import Repair
from noout.steps.step import Act, Back, Blocked, Finished, Hold, Note
from tests.unit.steps.scene import (
    NODE,
    bmc,
    ceph,
    cluster,
    guest,
    maintenance,
    move,
    owning,
    pending,
    plan,
    seen,
    without,
)  # fmt: skip

HOLD, REPAIR = HoldData(), Repair()
FLAGGED = {"pve3": frozenset({"noout"})}
HELD = {"pve3": frozenset({"noout", "noup"})}
ALL = (("noout", "pve3"), ("mon-stopped", "mon.pve3"), ("osd-stopped", "osd.4"), ("osd-stopped", "osd.5"))


def first(decision: object) -> str:
    assert isinstance(decision, Act), decision
    return decision.actions[0].key


def ready(**changes: object) -> Maintenance:
    return maintenance(plan=plan(move(100)), **changes)


def test_the_order_is_noout_mon_osds_noup() -> None:
    empty, m = cluster(guest(100, "pve1")), ready()
    assert first(HOLD.plan(m, seen(empty))) == "hold-data/set-noout/pve3"
    m = ready(owned=owning(("noout", "pve3")))
    assert first(HOLD.plan(m, seen(empty, ceph(host_flags=FLAGGED)))) == "hold-data/stop-mon/mon.pve3"
    m = ready(owned=owning(*ALL[:2]))
    stopped = without(ceph(host_flags=FLAGGED), mon="pve3")
    assert isinstance(HOLD.plan(m, seen(empty, stopped, after_s=5)), Hold), "the mons settle first"
    assert first(HOLD.plan(m, seen(empty, stopped, after_s=30))) == "hold-data/stop-osd/osd.4"
    m = ready(owned=owning(*ALL))
    down = without(ceph(host_flags=FLAGGED), 4, 5, mon="pve3")
    assert first(HOLD.plan(m, seen(empty, down, after_s=40))) == "hold-data/set-noup/pve3"
    m = ready(owned=owning(*ALL, ("noup", "pve3")))
    held = without(ceph(host_flags=HELD), 4, 5, mon="pve3")
    assert isinstance(HOLD.plan(m, seen(empty, held, after_s=50)), Finished)


def test_an_active_mgr_leaves_first() -> None:
    assert first(HOLD.plan(ready(), seen(cluster(), ceph(mgr_active="pve3", mgr_standbys=("pve1",))))) == (
        "hold-data/fail-mgr/pve3"
    )
    alone = HOLD.plan(ready(), seen(cluster(), ceph(mgr_active="pve3", mgr_standbys=())))
    assert isinstance(alone, Blocked) and alone.blockers[0].code == "ceph.no-standby-mgr"


@pytest.mark.parametrize(
    ("data", "changes", "code"),
    [
        (ceph(pgs_by_state={"active+clean": 120, "active+undersized": 8}), {}, "ceph.not-clean"),
        (ceph(fresh=False), {}, "ceph.stale"),
        (without(ceph(), 0), {}, "ceph.osd-down"),
        (replace(ceph(), quorum=("pve1", "pve3")), {}, "ceph.mon-quorum-would-be-lost"),
        (ceph(), {"ok_to_stop": OkToStop((4, 5), False, "8 PGs would become inactive")}, "ceph.not-ok-to-stop"),
        (ceph(), {"ok_to_stop": None}, "ceph.no-answer"),
        (ceph(), {"hardware": bmc(reachable=False)}, "bmc.unreachable"),
    ],
)
def test_nothing_is_taken_while_anything_is_amiss(data: CephState, changes: dict[str, object], code: str) -> None:
    decision = HOLD.plan(ready(), seen(cluster(), data, **changes))
    assert isinstance(decision, Blocked), decision
    assert code in {blocker.code for blocker in decision.blockers}


def test_a_cluster_without_a_vote_to_lose_is_left_alone() -> None:
    decision = HOLD.plan(ready(), seen(cluster(offline=("pve1", "pve2"))))
    assert isinstance(decision, Blocked) and decision.blockers[0].code == "pve.quorum-would-be-lost"


def test_a_node_without_data_is_held_by_doing_nothing() -> None:
    m = ready(facts={"crush_host": ""})
    data = replace(ceph(), mons=("pve1", "pve2", "pve4"), quorum=("pve1", "pve2", "pve4"))
    assert isinstance(HOLD.plan(m, seen(cluster(), data, ok_to_stop=None)), Finished)


def test_a_guest_that_came_back_takes_the_run_back() -> None:
    assert isinstance(HOLD.plan(ready(), seen(cluster(guest(100)))), Back)


def held_and_empty(**changes: object) -> Observation:
    data = without(ceph(host_flags=HELD), 4, 5, mon="pve3")
    return seen(cluster(guest(100, "pve1")), data, **changes)


OWNED = owning(*ALL, ("noup", "pve3"))


def test_the_node_goes_off_only_when_empty_and_held() -> None:
    m = ready(owned=OWNED)
    assert first(REPAIR.plan(m, held_and_empty())) == "repair/shutdown-node/ams1/pve3"


@pytest.mark.parametrize(
    "spoilt",
    [
        held_and_empty(cluster=cluster(guest(100))),
        held_and_empty(cluster=cluster(guest(100, status=GuestStatus.PAUSED))),
        held_and_empty(ceph=without(ceph(), 4, 5, mon="pve3")),  # a stranger cleared the flags
        held_and_empty(ceph=without(ceph(host_flags=HELD), 4, mon="pve3")),  # an OSD came back
        held_and_empty(ceph=without(ceph(host_flags=HELD), 4, 5, 0, mon="pve3")),  # another host fails
        held_and_empty(hardware=bmc(reachable=False)),
        held_and_empty(cluster=cluster(offline=("pve1", "pve2"))),
    ],
)
def test_one_thing_amiss_and_it_stays_on(spoilt: Observation) -> None:
    decision = REPAIR.plan(ready(owned=OWNED), spoilt)
    assert isinstance(decision, Back | Blocked), decision


@pytest.mark.parametrize("status", [GuestStatus.RUNNING, GuestStatus.PAUSED, GuestStatus.UNKNOWN])
def test_a_guest_that_appears_at_the_last_look_keeps_the_node_on(status: GuestStatus) -> None:
    """What decides is the very observation that is acted on: a guest that nobody planned for is seen there too."""
    newcomer = held_and_empty(cluster=cluster(guest(100, "pve1"), guest(999, status=status)))
    decision = REPAIR.plan(ready(owned=OWNED), newcomer)
    assert isinstance(decision, Back) and decision.to == "evacuate" and "g999" in decision.why
    off = pending(actions.shutdown_node("repair", NODE))
    assert violations(ready(owned=OWNED, pending=(off,)), newcomer), "and one that comes later stops everything"


def test_off_is_what_the_bmc_says() -> None:
    off = held_and_empty(hardware=bmc(Power.OFF), cluster=cluster(offline=("pve3",)))
    assert REPAIR.plan(ready(owned=OWNED), off) == Note("node-off", {"proved_by": "BMC"})


def test_power_before_the_sign_off_is_a_blocker() -> None:
    m = ready(owned=OWNED, node_off_at=seen(cluster()).at)
    decision = REPAIR.plan(m, held_and_empty(hardware=bmc(Power.ON)))
    assert isinstance(decision, Blocked) and decision.blockers[0].code == "power.on-early"


def test_an_abort_waits_for_the_technician_to_step_back() -> None:
    m = ready(owned=OWNED, node_off_at=seen(cluster()).at, hands_on_by="technician:ruben")
    off = held_and_empty(hardware=bmc(Power.OFF), cluster=cluster(offline=("pve3",)))
    assert isinstance(REPAIR.undo(m, off), Hold)
    assert first(REPAIR.undo(replace(m, signed_off_by="technician:ruben"), off)) == "repair/power-on/ams1/pve3"
