"""The node that holds noout itself is never switched off."""

from __future__ import annotations

from dataclasses import replace

import pytest

from noout.domain.cluster import GuestId, GuestStatus
from noout.domain.maintenance import Maintenance
from noout.steps.hold_data import HoldData
from noout.steps.repair import Repair
from noout.steps.step import Act, Blocked, Decision
from tests.unit.steps.scene import ceph, cluster, guest, maintenance, move, owning, plan, seen, without

OWN = GuestId("ams1", 110)
HELD = without(ceph(host_flags={"pve3": frozenset({"noout", "noup"})}), 4, 5, mon="pve3")
ALL = owning(("noout", "pve3"), ("mon-stopped", "mon.pve3"), ("osd-stopped", "osd.4"), ("osd-stopped", "osd.5"))


def m(**changes: object) -> Maintenance:
    return maintenance(plan=replace(plan(move(100)), noout_guests=(OWN,)), **changes)


def codes(decision: Decision) -> list[str]:
    return [each.code for each in decision.blockers] if isinstance(decision, Blocked) else []


def test_no_data_is_held_for_a_node_that_holds_noout() -> None:
    stopped = guest(110, status=GuestStatus.STOPPED)
    decision = HoldData().plan(m(), seen(cluster(stopped)))
    assert codes(decision) == ["noout.on-this-node"]
    assert isinstance(HoldData().plan(m(), seen(cluster(replace(stopped, node=guest(1, "pve1").node)))), Act)


@pytest.mark.parametrize("status", [GuestStatus.STOPPED, GuestStatus.RUNNING])
def test_the_power_off_of_a_node_that_holds_noout_is_refused(status: GuestStatus) -> None:
    """Looked at in the very step that acts, whatever the plan had thought; a running one goes back to be moved."""
    decision = Repair().plan(m(owned=ALL), seen(cluster(guest(110, status=status)), HELD))
    assert not isinstance(decision, Act)
    if status is GuestStatus.STOPPED:
        assert codes(decision) == ["noout.on-this-node"]
    elsewhere = Repair().plan(m(owned=ALL), seen(cluster(guest(110, "pve1", status=status)), HELD))
    assert isinstance(elsewhere, Act) and elsewhere.actions[0].verb == "shutdown-node"
