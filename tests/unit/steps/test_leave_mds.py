"""A file system's MDS on the node gives way before the node does, and only where somebody can take over."""

from __future__ import annotations

from dataclasses import replace

from noout.domain.ceph import OkToStop
from noout.domain.maintenance import Maintenance
from noout.steps import actions
from noout.steps.hold_data import HoldData
from noout.steps.step import Act, Blocked, Failed, NotYet, Verified
from tests.unit.steps.scene import ceph, cluster, maintenance, pending, seen

STEP = HoldData()


def held_here() -> Maintenance:
    return maintenance(facts={"crush_host": "pve3", "hands-on": True})


def test_an_active_mds_gives_way_once_the_checks_have_passed() -> None:
    serving = ceph(mds_active=("pve3",), mds_standbys=1)
    decision = STEP.plan(held_here(), seen(cluster(), serving))
    assert isinstance(decision, Act)
    assert decision.actions[0].command == "ceph mds fail pve3"

    unsafe = seen(cluster(), serving, ok_to_stop=OkToStop((4, 5), False, "12 PGs would become inactive"))
    assert isinstance(STEP.plan(held_here(), unsafe), Blocked)


def test_the_only_mds_is_not_taken_away() -> None:
    decision = STEP.plan(held_here(), seen(cluster(), ceph(mds_active=("pve3",))))
    assert isinstance(decision, Blocked)
    assert decision.blockers[0].code == "ceph.no-standby-mds"
    assert "pveceph mds create" in decision.blockers[0].remedy


def test_an_mds_of_another_node_is_left_alone() -> None:
    decision = STEP.plan(held_here(), seen(cluster(), ceph(mds_active=("pve1",), mds_standbys=1)))
    assert isinstance(decision, Act)
    assert decision.actions[0].verb != "fail-mds"


def test_it_has_given_way_when_another_one_serves() -> None:
    asked, m = pending(actions.fail_mds("hold-data", "pve3")), held_here()
    now = seen(cluster(), ceph(mds_active=("pve3",), mds_standbys=1), after_s=5)
    assert isinstance(STEP.verify(asked, m, now), NotYet)
    nobody = seen(cluster(), ceph(mds_active=(), mds_standbys=1), after_s=5)
    assert isinstance(STEP.verify(asked, m, nobody), NotYet)
    assert isinstance(STEP.verify(asked, m, replace(now, at=seen(cluster(), after_s=200).at)), Failed)
    assert isinstance(STEP.verify(asked, m, seen(cluster(), ceph(mds_active=("pve1",)), after_s=9)), Verified)
