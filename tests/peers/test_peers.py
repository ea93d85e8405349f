"""What users of other tools have suffered must not be possible here: one short test for each.

docs/reference/peers.md says what happened to whom, and names these tests. Each is about the decision that would have to
go wrong; the stories that play it out are in tests/sim and tests/scenarios.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from noout.codec import encode
from noout.domain.ceph import OkToStop
from noout.domain.cluster import Disk, GuestId, GuestKind, GuestStatus, HaService
from noout.domain.hardware import Condition
from noout.domain.journal import Event, Kind
from noout.domain.maintenance import Maintenance, Moved, MoveKind, Observation
from noout.plan.plan import make_plan
from noout.plan.policy import Policy
from noout.run.advance import story
from noout.run.fold import fold
from noout.steps import actions
from noout.steps.bring_back import release_data
from noout.steps.evacuate import Evacuate
from noout.steps.guest_effects import has_moved, has_moved_by_ha
from noout.steps.hold_data import HoldData
from noout.steps.homecoming import Homecoming
from noout.steps.repair import Repair
from noout.steps.step import Act, Back, Blocked, Note, NotYet, Verified
from noout.tell.report import make_report
from noout.watch.policy import propose
from noout.watch.verdict import judge
from tests.unit.plan.clusters import GIB, NOW, a_guest, a_node, a_state, gid, ha, node_id, pinned
from tests.unit.steps import scene
from tests.unit.steps.scene import (
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
from tests.unit.tell.cast import CUSTOMERS, EXPERIENCES, GUESTS, at, journal, make_maintenance
from tests.unit.tell.test_report import prose
from tests.unit.watch.traces import PVE3, after, poll, stop_entries

NODE = node_id("pve3")
FLAGS = {"pve3": frozenset({"noout", "noup"})}
HELD = owning(("noout", "pve3"), ("mon-stopped", "mon.pve3"), ("osd-stopped", "osd.4"), ("osd-stopped", "osd.5"))
EVACUATE, HOLD, REPAIR, RETURN = Evacuate(), HoldData(), Repair(), Homecoming()


def nodes(ram_gib: float = 40, count: int = 6) -> list[Any]:
    return [a_node(f"pve{i}", ram_gib) for i in range(1, count + 1)]


def planned(*guests: Any, ram_gib: float = 40, **state: Any) -> Any:
    return make_plan(a_state(nodes(ram_gib), guests, **state), None, NODE, now=NOW, policy=Policy())


def asks(decision: object) -> set[str]:
    """The verbs of the effects that a decision asks for."""
    return {action.verb for action in decision.actions} if isinstance(decision, Act) else set()


def held(*guests: Any, **changes: Any) -> Observation:
    """Data held, OSDs and mon of the node stopped."""
    return seen(cluster(*guests), without(ceph(host_flags=FLAGS), 4, 5, mon="pve3"), **changes)


def ready(**changes: Any) -> Maintenance:
    return maintenance(plan=plan(move(100)), owned=(*HELD, *owning(("noup", "pve3"))), **changes)


# 1
def test_not_everything_goes_to_one_target() -> None:
    """No target is filled beyond its limit, in the plan and, if it filled up meanwhile, in the moment of the move."""
    made = planned(*(a_guest(100 + i, "pve3", 4) for i in range(9)), ram_gib=24)
    assert made.feasible and len({each.target for each in made.moves}) > 1
    assert all(load.after_bytes <= load.capacity_bytes - load.reserve_bytes for load in made.loads)
    m = maintenance(plan=plan(move(100)))
    assert not asks(EVACUATE.plan(m, seen(cluster(guest(100), guest(200, "pve1", ram_gib=46)))))


# 2
def test_ha_guests_neither_bounce_nor_stay_away() -> None:
    """A guest goes only where HA leaves it, or HA's failback is switched off first; and every one is brought home."""
    rule = pinned([1], {"pve3": 2, "pve4": 2, "pve1": 1}, strict=False)
    made = planned(a_guest(1, "pve3", ha=ha(1, "pve3")), rules=(rule,))
    [there] = made.moves
    assert there.target == node_id("pve4") or there.failback_off
    assert [(each.guest, each.target) for each in made.returns] == [(gid(1), NODE)]
    fetched_back = replace(move(100, ha=True), failback_off=True)
    decision = EVACUATE.plan(maintenance(plan=plan(fetched_back)), seen(cluster(guest(100, ha=True))))
    assert asks(decision) == {"failback-off"}, "before it moves"


# 3
def test_maintenance_mode_is_not_taken_for_an_empty_node() -> None:
    state = cluster(guest(100, ha=True))
    told = replace(state, nodes=tuple(replace(n, ha_state="maintenance") for n in state.nodes))
    assert isinstance(HOLD.plan(maintenance(plan=plan(move(100, ha=True))), seen(told)), Back)
    assert isinstance(REPAIR.plan(ready(), held(guest(100, ha=True), cluster=told)), Back)


# 4
@pytest.mark.parametrize("status", [s for s in GuestStatus if s is not GuestStatus.STOPPED])
def test_a_node_with_a_guest_on_it_is_not_switched_off(status: GuestStatus) -> None:
    assert not asks(REPAIR.plan(ready(), held(guest(100, status=status))))
    assert asks(REPAIR.plan(ready(), held(guest(100, "pve1")))) == {"shutdown-node"}


def test_the_next_node_waits_for_the_first() -> None:
    """As Proxmox VE sees it; that noout's own journal forbids a second one too is in tests/unit/app/test_opening.py."""
    made = planned(a_guest(1, "pve3"), ha_requests=(("pve5", "maintenance"),))
    assert "cluster.other-maintenance" in {blocker.code for blocker in made.blockers}


# 5
def test_the_end_of_a_task_is_not_the_end_of_a_move() -> None:
    """Neither the quick OK of ``hamigrate`` nor an error of a task that has moved the guest counts: its place does."""
    asked = pending(actions.move("evacuate", move(100, ha=True), guest(100, ha=True)))
    queued = cluster(replace(guest(100), ha=HaService("vm:100", "migrate", "pve3", "pve1")))
    assert isinstance(has_moved_by_ha(asked, maintenance(), seen(queued, after_s=20)), NotYet)
    plain = pending(actions.move("evacuate", move(100), guest(100)), upid="UPID:100")
    tasks = {"UPID:100": scene.task(100, "unexpected status")}
    there = seen(cluster(guest(100, "pve1")), after_s=20, tasks=tasks)
    assert isinstance(has_moved(plain, maintenance(), there), Verified)


# 6
def test_ceph_is_judged_by_its_data_not_by_its_colour() -> None:
    """A warning about something else does not stop it; healthy colours with degraded data do."""
    m, empty = maintenance(plan=plan(move(100))), cluster(guest(100, "pve1"))
    warned = ceph(health="HEALTH_WARN", checks={"RECENT_CRASH": "1 daemons have recently crashed"})
    assert asks(HOLD.plan(m, seen(empty, warned))) == {"set-noout"}
    degraded = ceph(health="HEALTH_OK", pgs_by_state={"active+clean": 120, "active+undersized+degraded": 8})
    assert isinstance(HOLD.plan(m, seen(empty, degraded)), Blocked)
    refused = OkToStop((4, 5), False, "8 PGs would become inactive")
    assert isinstance(HOLD.plan(m, seen(empty, ok_to_stop=refused)), Blocked)


# 7
def test_the_chain_is_complete() -> None:
    names = [step.name for step in story(600.0)]
    assert names == ["evacuate", "dispatch", "hold-data", "repair", "reintegrate", "return"]


# 8
def test_flags_of_others_are_left_alone() -> None:
    """A noout that stood before us serves, is said to be foreign, and is never taken off by us."""
    m = maintenance(plan=plan(move(100)))
    foreign = ceph(host_flags={"pve3": frozenset({"noout"})})
    decision = HOLD.plan(m, seen(cluster(guest(100, "pve1")), foreign))
    assert not asks(decision) & {"set-noout", "unset-noout"}
    left = release_data("reintegrate", m, seen(cluster(), foreign))
    assert isinstance(left, Note) and left.value["code"] == "ceph.foreign-noout"
    ours = maintenance(plan=plan(), owned=owning(("noout", "pve3")))
    both = ceph(host_flags={"pve3": frozenset({"noout"}), "pve4": frozenset({"noout"})})
    released = release_data("reintegrate", ours, seen(cluster(), both))
    assert isinstance(released, Act) and [each.subject for each in released.actions] == ["pve3"]


# 9
def test_a_crash_of_our_own_is_not_taken_for_success() -> None:
    """Of an effect that was begun and never heard of again nothing is believed, and what we hold stays ours."""
    unset = actions.unset_flag("reintegrate", "noout", "pve3")
    told: tuple[tuple[str, dict[str, Any]], ...] = (
        (Kind.OPENED, {"node": "ams1/pve3", "reason": "a fan", "mode": "auto"}),
        (Kind.OWNED, {"kind": "noout", "subject": "pve3"}),
        (Kind.INTENT, {"key": unset.key, "action": encode(unset), "attempt": 1}),
    )
    m = fold([Event("m1", i, T0, kind, data, "noout", "") for i, (kind, data) in enumerate(told, 1)])
    assert [(own.kind, own.subject) for own in m.owned] == [("noout", "pve3")]
    assert [each.action.key for each in m.pending] == [unset.key], "looked at first, then decided"
    # The node is still down: the flag that keeps its data in place is not let go of.
    down = seen(cluster(), without(ceph(host_flags=FLAGS), 4, 5))
    still = maintenance(
        plan=plan(), owned=owning(("noout", "pve3"), ("osd-stopped", "osd.4"), ("osd-stopped", "osd.5"))
    )
    assert "unset-noout" not in asks(release_data("reintegrate", still, down))


# 10
def test_no_balancer_works_against_it() -> None:
    """HA's own is switched off (and owned) before the first move; what another one puts back is noticed."""
    m = maintenance(plan=plan(move(100)))
    balanced = cluster(guest(100), crs="ha=dynamic,ha-auto-rebalance=1")
    decision = EVACUATE.plan(m, seen(balanced))
    assert isinstance(decision, Act) and [each.verb for each in decision.actions] == ["rebalancer-off"]
    assert isinstance(HOLD.plan(m, seen(cluster(guest(100)))), Back), "it was moved here again"
    assert isinstance(REPAIR.plan(ready(), held(guest(555))), Back | Blocked), "so was one that nobody planned for"


# 11
def test_what_binds_a_guest_is_said_by_name() -> None:
    made = planned(a_guest(1, "pve3", ha=ha(1, "pve3")), rules=(pinned([1], {"pve3": 0}, name="licence"),))
    [blocker] = made.blockers
    assert "licence" in blocker.message and blocker.subject == "ams1/1"
    assert blocker.remedy


# 12
def test_nobody_is_brought_home_to_a_full_node() -> None:
    home = move(100, "pve3", "pve1")
    m = maintenance(plan=plan(move(100), returns=(home,)), moved=(went(100),))
    room, full = cluster(guest(100, "pve1")), cluster(guest(100, "pve1"), guest(200, "pve3", ram_gib=60))
    assert asks(RETURN.plan(m, seen(room))) == {"migrate"}
    assert not asks(RETURN.plan(m, seen(full)))


def went(vmid: int) -> Moved:
    source, target, until = scene.node("pve3"), scene.node("pve1"), T0 + timedelta(seconds=20)
    return Moved(GuestId("ams1", vmid), f"g{vmid}", MoveKind.LIVE, source, target, T0, until, 50, False)


# 13
def test_permission_is_looked_at_in_the_step_that_acts() -> None:
    """Everything was well a moment ago; one thing has changed, and the power stays on."""
    assert asks(REPAIR.plan(ready(), held(guest(100, "pve1")))) == {"shutdown-node"}
    cleared = seen(cluster(guest(100, "pve1")), without(ceph(), 4, 5, mon="pve3"))
    another = seen(cluster(guest(100, "pve1")), without(ceph(host_flags=FLAGS), 4, 5, 0, mon="pve3"))
    for changed in (cleared, another, held(guest(100, "pve1"), hardware=bmc(reachable=False))):
        assert not asks(REPAIR.plan(ready(), changed))


def test_noout_does_not_switch_itself_off() -> None:
    itself = replace(plan(move(100)), noout_guests=(GuestId("ams1", 700),))
    decision = REPAIR.plan(replace(ready(), plan=itself), held(guest(700, status=GuestStatus.STOPPED)))
    assert isinstance(decision, Blocked)
    assert "noout.on-this-node" in {blocker.code for blocker in decision.blockers}


# 14
@pytest.mark.parametrize(
    ("disk", "word"),
    [
        (Disk("ide2", "local:iso/debian.iso", "local", GIB, False, cdrom=True), "debian.iso"),
        (Disk("scsi0", "local-lvm:vm-1-disk-0", "local-lvm", GIB, False), "storage with room for its local disks"),
    ],
)
def test_a_local_disk_or_iso_is_named_with_what_to_do(disk: Disk, word: str) -> None:
    made = planned(a_guest(1, "pve3", disks=(disk,)))
    [blocker] = made.blockers
    assert word in blocker.message + blocker.remedy
    assert blocker.remedy


# 15
def test_each_customer_is_told_of_their_own_guests_only() -> None:
    m = make_maintenance()
    for customer in CUSTOMERS:
        made = make_report(
            customer=customer, language="en", m=m, experiences=EXPERIENCES, guests=GUESTS, generated_at=at(10, 0),
            events=journal(m),
        )  # fmt: skip
        others = [each for each in CUSTOMERS if each != customer]
        said = prose(made)
        assert customer.name in said
        assert not [each.name for each in others if each.name in said]
        theirs = {each.name for each in GUESTS if each.pool in customer.pools or each.tags & customer.tags}
        assert not [each.name for each in GUESTS if each.name not in theirs and each.name in said]


# --- and three more ------------------------------------------------------------------------------------------


def test_a_fan_that_stops_for_seconds_is_not_waited_away() -> None:
    """Every poll finds it turning; the BMC's log does not, and what lasted four seconds is an episode."""
    states = [poll(60 * minute) for minute in range(120)]
    states[-1] = replace(states[-1], log=stop_entries([1000, 2500, 4000]))
    verdicts = judge(states, after(7200))
    assert [v.condition for v in verdicts if v.sensor == "FAN3B"] == [Condition.FLAPPING]
    assert propose(PVE3, verdicts) is not None


def test_two_guests_of_one_name_are_two_guests() -> None:
    twins = [replace(a_guest(vmid, "pve3"), name="web") for vmid in (101, 102)]
    assert {each.guest for each in planned(*twins).moves} == {gid(101), gid(102)}


def test_no_container_is_restarted_without_consent() -> None:
    container = a_guest(1, "pve3", kind=GuestKind.LXC)
    assert [blocker.code for blocker in planned(container).blockers] == ["guest.lxc-relocation"]
    agreed = planned(replace(container, tags=frozenset({"relocate-ok"})))
    assert agreed.feasible and "guest.restarts" in {caution.code for caution in agreed.cautions}


def test_only_flags_of_one_host_are_ever_set() -> None:
    """No cluster-wide norebalance is left behind, for none is set; and a host that CRUSH does not know is refused."""
    m = maintenance(plan=plan(move(100)))
    decision = HOLD.plan(m, seen(cluster(guest(100, "pve1"))))
    assert isinstance(decision, Act)
    assert [(each.verb, each.subject) for each in decision.actions] == [("set-noout", "pve3")]
    assert "set-group" in decision.actions[0].command
