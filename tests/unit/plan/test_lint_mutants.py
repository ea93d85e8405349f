"""A plan that holds, spoilt in one place at a time: the lint refuses each, and says what is wrong with it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from noout.domain.cluster import ClusterState, Disk, GuestKind, NodeId
from noout.domain.maintenance import Move, MoveKind, Plan, Stay
from noout.plan.lint import lint
from noout.plan.plan import make_plan
from noout.plan.policy import Policy
from tests.unit.plan.clusters import (
    GIB,
    NOW,
    a_guest,
    a_node,
    a_state,
    a_store,
    apart,
    gid,
    ha,
    node_id,
    pinned,
    together,
)
from tests.unit.plan.strategies import clusters

PVE1, PVE2, PVE3, PVE4 = (node_id(f"pve{i}") for i in range(1, 5))
PLAIN, MANAGED, CONTAINER, DONGLE, DISK, ISO, OWN, LIKED, AWAY = range(101, 110)
POLICY = Policy(noout_guests=frozenset({gid(OWN)}))


@cache
def whole() -> tuple[ClusterState, Plan]:
    """A guest of each kind on pve3, and room for all of them."""
    local = Disk("scsi0", f"local-lvm:vm-{DISK}-disk-0", "local-lvm", 30 * GIB, False)
    iso = Disk("ide2", "local:iso/a.iso", "local", GIB, False, cdrom=True)
    guests = [
        a_guest(PLAIN, "pve3", 8),
        a_guest(MANAGED, "pve3", ha=ha(MANAGED, "pve3")),
        a_guest(CONTAINER, "pve3", 1, kind=GuestKind.LXC, tags=frozenset({"relocate-ok"})),
        a_guest(DONGLE, "pve3", 2, local_resources=("usb0",), tags=frozenset({"shutdown-ok"})),
        a_guest(DISK, "pve3", 2, disks=(local,)),
        a_guest(ISO, "pve3", 1, disks=(iso,), tags=frozenset({"eject-ok"})),
        a_guest(OWN, "pve3", 1),
        a_guest(LIKED, "pve3", 1, ha=ha(LIKED, "pve3")),
        a_guest(AWAY, "pve1", 4),
    ]
    rules = (pinned([LIKED], {"pve3": 2, "pve2": 1, "pve1": 0}, strict=False),)
    stores = [a_store("local-lvm", f"pve{i}", 100) for i in range(1, 5)]
    state = a_state([a_node(f"pve{i}", 64) for i in range(1, 5)], guests, rules=rules, storages=tuple(stores))
    plan = make_plan(state, None, PVE3, now=NOW, policy=POLICY)
    assert plan.feasible and len(plan.moves) == 8, plan.blockers
    assert lint(plan, state, POLICY) == ()
    return state, plan


@cache
def tight() -> tuple[ClusterState, Plan]:
    """Guest 2 has to step aside before the largest of pve3 fits anywhere."""
    guests = [a_guest(1, "pve1", 8), a_guest(2, "pve2", 6), a_guest(4, "pve3", 12)]
    state = a_state([a_node(name, 24) for name in ("pve1", "pve2", "pve3")], guests)
    plan = make_plan(state, None, PVE3, now=NOW)
    assert plan.feasible and [move.guest for move in plan.moves] == [gid(2), gid(4)]
    return state, plan


def out(vmid: int, **changes: Any) -> Callable[[Plan], Plan]:
    """Change one move out."""

    def change(plan: Plan) -> Plan:
        assert any(move.guest == gid(vmid) for move in plan.moves)
        moves = tuple(replace(move, **changes) if move.guest == gid(vmid) else move for move in plan.moves)
        return replace(plan, moves=moves)

    return change


def back(vmid: int, **changes: Any) -> Callable[[Plan], Plan]:
    def change(plan: Plan) -> Plan:
        moves = tuple(replace(move, **changes) if move.guest == gid(vmid) else move for move in plan.returns)
        assert moves != plan.returns
        return replace(plan, returns=moves)

    return change


def to(vmid: int, node: NodeId) -> Callable[[Plan], Plan]:
    """Another target, with the way home from there."""

    def change(plan: Plan) -> Plan:
        return back(vmid, source=node)(out(vmid, target=node)(plan))

    return change


def of(**changes: Any) -> Callable[[Plan], Plan]:
    return lambda plan: replace(plan, **changes)


def without(vmid: int) -> Callable[[Plan], Plan]:
    return lambda plan: replace(
        plan,
        moves=tuple(m for m in plan.moves if m.guest != gid(vmid)),
        returns=tuple(m for m in plan.returns if m.guest != gid(vmid)),
    )


def the_move(plan: Plan, vmid: int) -> Move:
    return next(move for move in plan.moves if move.guest == gid(vmid))


def load(plan: Plan, **changes: Any) -> Plan:
    return replace(plan, loads=(replace(plan.loads[0], **changes), *plan.loads[1:]))


SPOILT: dict[str, tuple[Callable[[Plan], Plan], str]] = {
    "a guest is left out": (without(PLAIN), "ams1/101 runs on pve3 and is not in the plan"),
    "moved twice": (lambda p: replace(p, moves=(*p.moves, the_move(p, PLAIN))), "ams1/101 is moved twice"),
    "nobody knows it": (out(PLAIN, guest=gid(999)), "ams1/999 is moved but not in the cluster"),
    "from elsewhere": (out(PLAIN, source=PVE2), "ams1/101 is on pve3, not on pve2"),
    "to nowhere": (out(PLAIN, target=node_id("pve9")), "its target ams1/pve9 is not a node of the cluster"),
    "to where it is": (out(PLAIN, target=PVE3), "is moved onto pve3, which is to be emptied"),
    "no target": (out(PLAIN, target=None), "ams1/101: a live move needs a target"),
    "a target for a shutdown": (out(DONGLE, target=PVE1), "ams1/104: a shutdown move has no target"),
    "live with a device": (out(DONGLE, kind=MoveKind.LIVE, target=PVE1), "ams1/104 cannot be moved live"),
    "live container": (out(CONTAINER, kind=MoveKind.LIVE), "ams1/103 cannot be moved live"),
    "offline while it runs": (out(PLAIN, kind=MoveKind.OFFLINE), "ams1/101 cannot be moved offline"),
    "relocated VM": (out(PLAIN, kind=MoveKind.RELOCATE), "ams1/101 cannot be moved relocate"),
    "shut down unasked": (out(PLAIN, kind=MoveKind.SHUTDOWN, target=None), "(shutdown) and nobody agreed"),
    "HA shut down": (out(MANAGED, kind=MoveKind.SHUTDOWN, target=None), "ams1/102 cannot be moved shutdown"),
    "another RAM": (out(PLAIN, ram_bytes=GIB), "ams1/101 has 8.0 GiB, the plan says 1.0 GiB"),
    "another name": (out(PLAIN, name="shop"), "ams1/101 is called guest-101, and the plan calls it shop"),
    "HA overlooked": (out(MANAGED, ha=False), "ams1/102 is managed by HA, and the plan has it otherwise"),
    "HA imagined": (out(PLAIN, ha=True), "ams1/101 is not managed by HA"),
    "failback left on": (out(LIKED, failback_off=False), "ams1/108: HA would fetch it back"),
    "failback off for nothing": (out(PLAIN, failback_off=True), "ams1/101: HA would not fetch it back"),
    "disks forgotten": (out(DISK, with_local_disks=False), "ams1/105: its local disks and the plan's word"),
    "disks imagined": (out(PLAIN, with_local_disks=True), "ams1/101: its local disks and the plan's word"),
    "no such storage": (out(DISK, target_storage="tank"), "ams1/105: tank on"),
    "a storage for nothing": (out(PLAIN, target_storage="local-lvm"), "ams1/101 has no local disks"),
    "mirrors not named": (out(DISK, mirrors=()), "ams1/105 copies disks between the storages"),
    "mirrors imagined": (out(PLAIN, mirrors=("pve3:local-lvm",)), "ams1/101 copies disks between"),
    "ISO forgotten": (out(ISO, ejects=()), "ams1/106 has an ISO in its drive that only pve3 can read"),
    "what is no ISO": (out(PLAIN, ejects=(("ide2", "x"),)), "takes out what is not an ISO of its node"),
    "connections of a container": (out(CONTAINER, with_conntrack=True), "ams1/103: its connections"),
    "waits for itself": (out(PLAIN, after=(gid(PLAIN),)), "ams1/101 waits for ams1/101, which does not move before"),
    "waits for nobody": (out(PLAIN, after=(gid(AWAY),)), "ams1/101 waits for ams1/109, which does not move"),
    "waits in vain": (out(PLAIN, after=(gid(OWN),)), "ams1/101 waits for ams1/107, which does not move before it"),
    "own guest is hasty": (out(OWN, after=()), "ams1/107 is noout's own and does not wait for"),
    "own guest is stopped": (out(OWN, kind=MoveKind.SHUTDOWN, target=None), "noout's own and would be stopped"),
    "own guest unknown": (of(noout_guests=()), "ams1/107 is noout's own, and the plan does not know"),
    "a bystander": (
        lambda p: replace(
            p, moves=(Move(gid(AWAY), "guest-109", MoveKind.LIVE, PVE1, PVE2, 4 * GIB, why="tidier"), *p.moves),
            returns=(*p.returns, Move(gid(AWAY), "guest-109", MoveKind.LIVE, PVE2, PVE1, 4 * GIB)),
        ),
        "ams1/109 is moved off pve1 for no reason",
    ),
    "no streams": (of(streams=0), "0 streams cannot move anything"),
    "too many streams": (of(streams=99), "99 streams are more than the"),
    "bound above the estimate": (of(lower_bound_s=1e6), "the times do not agree"),
    "bound is nothing": (of(lower_bound_s=math.nan), "the times do not agree"),
    "less than no time": (of(lower_bound_s=-1.0), "the times do not agree"),
    "for ever": (of(estimate_s=(1e6, math.inf)), "the times do not agree"),
    "estimate upside down": (lambda p: replace(p, estimate_s=p.estimate_s[::-1]), "the times do not agree"),
    "lead too long": (of(lead_s=60.0), "the lead of 60 s is longer"),
    "lead is nothing": (of(lead_s=math.nan), "the lead of nan s"),
    "no limit to speak of": (of(stream_bytes_s=math.inf), "each stream is limited to inf"),
    "negative bytes": (out(PLAIN, wire_bytes=-1), "ams1/101 puts -1 bytes on the wire"),
    "starts never": (out(PLAIN, starts_s=math.nan), "ams1/101 starts at nan s"),
    "takes less than no time": (out(PLAIN, expected_s=-5.0), "ams1/101 starts at"),
    "pauses backwards": (out(PLAIN, expected_blackout_ms=-1), "ams1/101 is to pause for -1 ms"),
    "starts too early": (out(OWN, starts_s=0.0), "ams1/107 starts before"),
    "consent invented": (of(consents=(gid(AWAY),)), "the owner of ams1/109 agreed, and nobody said so"),
    "made before it was seen": (of(made_at=NOW - timedelta(minutes=1)), "before what it was made from was seen"),
    "table: not its RAM": (lambda p: load(p, capacity_bytes=GIB), "the table of memory is wrong about pve1"),
    "table: before": (lambda p: load(p, before_bytes=0), "the table of memory is wrong about pve1"),
    "table: after": (lambda p: load(p, after_bytes=0), "the table of memory is wrong about pve1"),
    "table: a node less": (lambda p: replace(p, loads=p.loads[1:]), "does not list each node once"),
    "table: reserve": (lambda p: load(p, reserve_bytes=63 * GIB), "pve1 may lack"),
    "does not return": (lambda p: replace(p, returns=p.returns[1:]), "does not return"),
    "returns twice": (lambda p: replace(p, returns=(*p.returns, p.returns[0])), "returns twice"),
    "returns unasked": (
        lambda p: replace(p, returns=(*p.returns, replace(p.returns[0], guest=gid(AWAY), name="guest-109"))),
        "ams1/109 returns without having left",
    ),
    "returns to a stranger": (back(PLAIN, target=PVE4), "ams1/101 ends on pve4, not at home"),
    "returns from elsewhere": (back(PLAIN, source=node_id("pve3")), "ams1/101 returns from pve3, but is on"),
    "returns in another way": (back(PLAIN, kind=MoveKind.OFFLINE), "left by live and returns by offline"),
    "returns smaller": (back(PLAIN, ram_bytes=GIB), "ams1/101 returns with another RAM"),
    "returns without its ISO": (back(ISO, ejects=()), "ams1/106 returns with other disks or drives"),
    "returns without its disks": (back(DISK, with_local_disks=False), "ams1/105 returns with other disks"),
    "returns to another storage": (back(DISK, target_storage="tank"), "its disks do not come from tank"),
    "failback off at home": (back(LIKED, failback_off=True), "its failback is to be switched off at home"),
    "said to stay, and returns": (
        of(stays=(Stay(gid(PLAIN), "guest-101", PVE1, "full"),)),
        "ams1/101 is said to stay, and returns",
    ),
    "said to stay, and never left": (
        of(stays=(Stay(gid(AWAY), "guest-109", PVE1, "full"),)),
        "ams1/109 is said to stay",
    ),
}  # fmt: skip


@pytest.mark.parametrize("how", SPOILT)
def test_what_is_spoilt_is_refused_for_the_right_reason(how: str):
    state, plan = whole()
    spoil, words = SPOILT[how]
    spoilt = spoil(plan)
    assert spoilt != plan
    said = lint(spoilt, state, POLICY)
    assert any(words in each for each in said), said


LATER: dict[str, tuple[Callable[[ClusterState], ClusterState], str]] = {
    "goes offline": (lambda s: with_node(s, online=False), "its target {} is offline"),
    "goes into maintenance": (lambda s: with_node(s, ha_state="maintenance"), "its target {} is itself in maintenance"),
    "loses a storage": (lambda s: with_node(s, storages=frozenset()), "its target {} has no storage rbd"),
    "loses a bridge": (lambda s: with_node(s, bridges=frozenset()), "its target {} has no bridge vmbr0"),
    "shrinks": (lambda s: with_node(s, ram_bytes=12 * GIB), "{} may lack"),
    "is locked": (lambda s: with_guest(s, lock="rollback"), "ams1/101 is locked (rollback)"),
    "has become a container": (lambda s: with_guest(s, kind=GuestKind.LXC), "ams1/101 cannot be moved live"),
    "has grown": (lambda s: with_guest(s, ram_bytes=12 * GIB), "ams1/101 has 12.0 GiB, the plan says 8.0 GiB"),
    "is gone": (lambda s: replace(s, guests=s.guests[1:]), "ams1/101 is moved but not in the cluster"),
    "must be apart": (lambda s: replace(s, rules=(*s.rules, apart(PLAIN, *OTHERS))), "rule apart forbids it"),
    "must be elsewhere": (lambda s: replace(s, rules=(*s.rules, pinned([PLAIN], {"pve3": 1}))), "rule pin allows pve3"),
    "must stay together": (lambda s: replace(s, rules=(*s.rules, together(*OTHERS))), "rule together keeps them"),
}
OTHERS = (PLAIN, MANAGED, DISK, ISO)


def with_node(state: ClusterState, **changes: Any) -> ClusterState:
    """The node to which guest 101 goes."""
    target = the_move(whole()[1], PLAIN).target
    return replace(state, nodes=tuple(replace(n, **changes) if n.id == target else n for n in state.nodes))


def with_guest(state: ClusterState, **changes: Any) -> ClusterState:
    return replace(state, guests=(replace(state.guests[0], **changes), *state.guests[1:]))


@pytest.mark.parametrize("what", LATER)
def test_a_plan_does_not_hold_for_a_cluster_that_is_another_by_now(what: str):
    state, plan = whole()
    change, words = LATER[what]
    target = the_move(plan, PLAIN).target
    assert target is not None
    said = lint(plan, change(state), POLICY)
    assert any(words.format(target.name) in each for each in said), said


HASTY: dict[str, tuple[Callable[[Plan], Plan], str]] = {
    "nobody waits": (out(4, after=()), "when ams1/4 starts, pve2 may lack"),
    "nobody steps aside": (lambda p: out(4, after=())(without(2)(p)), "when ams1/4 starts, pve2 may lack"),
    "to the other full one": (to(4, PVE1), "when ams1/4 starts, pve1 may lack"),
    "the wrong way round": (lambda p: replace(p, moves=p.moves[::-1]), "ams1/4 waits for ams1/2, which does not move"),
    "nobody says why": (out(2, why=""), "ams1/2 is moved off pve2 and the plan does not say why"),
    "home in a hurry": (back(2, after=()), "on the way home, when ams1/2 starts, pve2 may lack"),
    "home the wrong way round": (
        lambda p: replace(p, returns=p.returns[::-1]),
        "on the way home ams1/2 waits for ams1/4",
    ),
}  # fmt: skip


@pytest.mark.parametrize("how", HASTY)
def test_room_that_is_not_made_in_time_is_refused(how: str):
    state, plan = tight()
    spoil, words = HASTY[how]
    said = lint(spoil(plan), state)
    assert any(words in each for each in said), said


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(clusters(), st.data())
def test_whatever_is_changed_of_a_move_is_noticed(state: ClusterState, data: st.DataObject):
    """Any field of any move of any plan that decides what is done."""
    plan = make_plan(state, None, PVE1, now=NOW)
    assume(plan.moves)
    move = data.draw(st.sampled_from(plan.moves))
    changes: list[dict[str, Any]] = [
        {"guest": gid(999)}, {"source": PVE2 if move.source != PVE2 else PVE3}, {"ram_bytes": move.ram_bytes + 1},
        {"ha": not move.ha}, {"failback_off": not move.failback_off}, {"target": PVE1}, {"after": (gid(999),)},
        {"ejects": (*move.ejects, ("ide3", "x"))}, {"name": move.name + "x"}, {"wire_bytes": -1},
        {"expected_s": math.nan}, {"mirrors": (*move.mirrors, "pve9:x")},
    ]  # fmt: skip
    change = data.draw(st.sampled_from(changes))
    assume(not (move.kind is MoveKind.SHUTDOWN and "mirrors" in change))
    spoilt = replace(plan, moves=tuple(replace(m, **change) if m is move else m for m in plan.moves))
    assert lint(plan, state) == ()
    assert lint(spoilt, state) != ()
