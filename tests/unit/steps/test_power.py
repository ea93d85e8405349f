"""The locator LED that must stay lit, machines that start by themselves, and the power that only a person cuts."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from noout.codec import decode
from noout.domain.hardware import HardwareState, Power
from noout.domain.maintenance import Maintenance, Observation
from noout.domain.reasons import Caution
from noout.domain.workorder import Location, WorkOrder
from noout.steps import actions
from noout.steps.dispatch import Dispatch
from noout.steps.repair import Repair
from noout.steps.step import Act, Back, Blocked, Decision, Hold, Note
from tests.unit.steps.scene import (
    NODE,
    T0,
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
)

DISPATCH, REPAIR = Dispatch(), Repair()
ORDER = WorkOrder("WO-1", "ams1-pve3-1", NODE, Location("", "", "", "S3"), "a fan", ())
RACK = "the technician to stand at the rack and say hands-on"
HELD = {"pve3": frozenset({"noout", "noup"})}
TAKEN = owning(
    ("noout", "pve3"), ("mon-stopped", "mon.pve3"), ("osd-stopped", "osd.4"), ("osd-stopped", "osd.5"), ("noup", "pve3")
)
SHUTDOWN = actions.shutdown_node("repair", NODE)
CUT = actions.force_off("repair", NODE)


def first(decision: Decision) -> str:
    assert isinstance(decision, Act), decision
    return decision.actions[0].key


# --- the LED ---------------------------------------------------------------------------------------------


def waiting(**changes: Any) -> Maintenance:
    """The technician is on the way; the LED was lit by us."""
    made = maintenance(work_order=ORDER, owned=owning(("led", "ams1/pve3")), plan=plan(move(100)))
    return replace(made, waiting_for=RACK, waiting_since=T0, **changes)


def dispatched(after_s: float, hardware: HardwareState) -> Observation:
    return seen(cluster(guest(100, "pve1")), after_s=after_s, hardware=hardware)


def test_an_led_that_went_out_is_lit_again_but_not_at_once() -> None:
    dark = bmc(serial="S3")
    assert isinstance(DISPATCH.plan(waiting(), dispatched(119, dark)), Hold)
    assert first(DISPATCH.plan(waiting(), dispatched(120, dark))) == "dispatch/led-on/ams1/pve3"
    assert isinstance(DISPATCH.plan(waiting(), dispatched(120, replace(dark, led_on=True))), Hold)
    mute = DISPATCH.plan(waiting(), dispatched(120, replace(dark, reachable=False)))
    assert isinstance(mute, Hold), "a mute BMC is asked for nothing"


@pytest.mark.parametrize(("after_s", "look_s"), [(0, 30), (600, 30), (3600, 180), (30 * 86400, 900)])
def test_the_longer_nobody_comes_the_more_seldom_it_looks(after_s: float, look_s: float) -> None:
    decision = DISPATCH.plan(waiting(), dispatched(after_s, bmc(serial="S3", led_on=True)))
    assert isinstance(decision, Hold) and decision.for_s == look_s


def test_an_led_that_cannot_be_lit_stops_nobody() -> None:
    m = waiting(failed={"dispatch/led-on/ams1/pve3": 3})
    decision = DISPATCH.plan(m, dispatched(120, bmc(serial="S3")))
    assert isinstance(decision, Hold) and decision.needs == "technician"


def test_the_led_is_kept_lit_while_the_lid_is_open() -> None:
    m = maintenance(
        plan=plan(move(100)), work_order=ORDER, owned=(*TAKEN, *owning(("led", "ams1/pve3"))), node_off_at=T0,
        waiting_for="the technician to answer the checklist and sign off", waiting_since=T0,
    )  # fmt: skip
    data = without(ceph(host_flags=HELD), 4, 5, mon="pve3")
    off = seen(cluster(offline=("pve3",)), data, after_s=120, hardware=bmc(Power.OFF, serial="S3"))
    assert first(REPAIR.plan(m, off)) == "repair/led-on/ams1/pve3"
    assert isinstance(REPAIR.plan(replace(m, owned=TAKEN), off), Hold), "an LED that is not ours is left alone"


# --- what the machine does when power comes back ----------------------------------------------------------


def test_a_machine_that_starts_by_itself_is_told_before_anybody_is_sent() -> None:
    m = maintenance(plan=plan(move(100)))
    decision = DISPATCH.plan(m, dispatched(0, bmc(power_restore="AlwaysOn")))
    assert isinstance(decision, Note) and decision.name == "caution", decision
    caution = decode(Caution, decision.value)
    assert caution.code == "power.starts-by-itself"
    told = replace(m, cautions=(caution,))
    assert not isinstance(DISPATCH.plan(told, dispatched(0, bmc(power_restore="AlwaysOn"))), Note), "once"


@pytest.mark.parametrize("policy", ["AlwaysOff", "LastState", ""])
def test_a_machine_that_stays_off_needs_no_caution(policy: str) -> None:
    decision = DISPATCH.plan(maintenance(plan=plan(move(100))), dispatched(0, bmc(power_restore=policy)))
    assert not isinstance(decision, Note)


# --- cutting the power ------------------------------------------------------------------------------------


def hung(after_s: float = 1000.0, **changes: Any) -> Observation:
    """The system is down, its data held, and the BMC still says On."""
    data = without(ceph(host_flags=HELD), 4, 5, mon="pve3")
    made = seen(cluster(guest(100, "pve1"), offline=("pve3",)), data, after_s=after_s, hardware=bmc(serial="S3"))
    return replace(made, **changes)


def stuck(**changes: Any) -> Maintenance:
    made = maintenance(plan=plan(move(100)), work_order=ORDER, owned=TAKEN, step="repair")
    return replace(made, **{"failed": {SHUTDOWN.key: 3}, **changes})


def decided(**changes: Any) -> Maintenance:
    return stuck(force_off_at=T0 + timedelta(seconds=990), **changes)


def test_power_is_never_cut_by_itself() -> None:
    decision = REPAIR.plan(stuck(), hung())
    assert isinstance(decision, Blocked)
    assert "noout force-off ams1-pve3-1" in decision.blockers[0].remedy


def test_power_is_cut_when_an_operator_decides_it() -> None:
    assert first(REPAIR.plan(decided(), hung())) == CUT.key
    assert isinstance(REPAIR.plan(decided(pending=(pending(CUT, 995),)), hung()), Hold)
    assert REPAIR.plan(decided(), hung(hardware=bmc(Power.OFF))) == Note("node-off", {"proved_by": "BMC"})


def test_a_decision_is_for_now() -> None:
    late = hung(after_s=990 + 600)
    decision = REPAIR.plan(decided(), late)
    assert isinstance(decision, Blocked) and decision.blockers[0].code == "power.still-on"


@pytest.mark.parametrize(
    "alive",
    [
        hung(cluster=cluster(guest(100, "pve1"))),  # corosync sees it
        hung(cluster=cluster(guest(100), offline=("pve3",))),  # a guest runs there
        hung(ceph=without(ceph(), 4, 5, mon="pve3")),  # its data is not held
        hung(ceph=without(ceph(host_flags=HELD), 4, mon="pve3")),  # an OSD of its is up
        hung(ceph=without(ceph(host_flags=HELD), 4, 5, 0, mon="pve3")),  # another host fails
        hung(hardware=bmc(reachable=False)),
        hung(hardware=bmc(serial="S9")),  # another machine's BMC
    ],
)
def test_the_decision_cuts_nothing_that_lives(alive: Observation) -> None:
    decision = REPAIR.plan(decided(), alive)
    assert isinstance(decision, Back | Blocked), decision
