"""Where guests go: it fits when it can, few others move, one more node may be lost, CPU is spared."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings

from noout.domain.cluster import ClusterState, Disk, GuestStatus, Rule
from noout.plan.lint import lint
from noout.plan.plan import make_plan
from noout.plan.policy import Policy
from noout.plan.solve import available
from tests.unit.plan.clusters import GIB, NOW, a_guest, a_node, a_state, apart, gid, node_id, pinned
from tests.unit.plan.strategies import clusters

PVE1, PVE2, PVE3 = (node_id(f"pve{i}") for i in (1, 2, 3))
LOCAL = Disk("scsi0", "local-lvm:vm-1-disk-0", "local-lvm", 30 * GIB, False)


def plan_for(limits: list[int], sizes: list[list[float]], **more):
    """Nodes pve1 ... with these GiB for guests; pve1 is emptied. Its guests are 100, 101 ..., those of pve2 200 ..."""
    nodes = [a_node(f"pve{i + 1}", limit + 8) for i, limit in enumerate(limits)]
    guests = [
        a_guest(100 * (i + 1) + k, f"pve{i + 1}", size) for i, some in enumerate(sizes) for k, size in enumerate(some)
    ]
    return make_plan(a_state(nodes, guests, **more), None, PVE1, now=NOW)


def aside(plan) -> list[int]:
    return sorted(move.ram_bytes // GIB for move in plan.moves if move.source != plan.node)


def test_third_parties_move_as_few_bytes_as_can_be():
    plan = plan_for([64, 64, 32], [[40], [16, 8, 7, 5, 4], [4]])  # pve2 lacks 16 of 40, pve3 can take 28
    assert plan.feasible and sum(aside(plan)) == 16


def test_two_nodes_exchange_guests_when_nothing_else_makes_room():
    plan = plan_for([32, 32, 32], [[13], [12, 14], [20, 4]])  # 6 and 8 are free: only 12 and 4 can change places
    assert plan.feasible, plan.blockers
    assert aside(plan) == [4, 12]
    assert [move.guest for move in plan.moves] == [gid(301), gid(200), gid(100)]


def test_targets_are_exchanged_until_one_more_node_may_be_lost():
    sizes = [[6, 2, 4, 2], [16], [10, 4, 8], [2, 2, 8]]
    plan = plan_for([32, 32, 32, 32], sizes)
    assert plan.feasible and plan.survives_another_node is _can_survive(sizes) is True


def _can_survive(sizes: list[list[int]], limit: int = 32) -> bool:
    """By trying every choice of targets, and every way to restart the lost node's guests."""
    rest = sizes[1:]
    for targets in itertools.product(range(len(rest)), repeat=len(sizes[0])):
        on = [list(some) for some in rest]
        for size, node in zip(sizes[0], targets, strict=True):
            on[node].append(size)
        if all(sum(some) <= limit for some in on) and all(_absorbed(on, lost, limit) for lost in range(len(on))):
            return True
    return False


def _absorbed(on: list[list[int]], lost: int, limit: int) -> bool:
    left = [limit - sum(some) for i, some in enumerate(on) if i != lost]
    for places in itertools.product(range(len(left)), repeat=len(on[lost])):
        room = list(left)
        for size, place in zip(on[lost], places, strict=True):
            room[place] -= size
        if min(room) >= 0:
            return True
    return False


def test_arithmetic_that_forbids_a_spare_node_is_said():
    plan = plan_for([32, 32, 32], [[10], [16], [20]])
    said = next(c for c in plan.cautions if c.code == "plan.no-spare-node")
    assert plan.survives_another_node is False and "together lack" in said.message and "free" in said.remedy
    large = plan_for([32, 32, 32, 32], [[2], [30], [8], [8]])
    said = next(c for c in large.cautions if c.code == "plan.no-spare-node")
    assert "VM 200 guest-200" in said.message and "30 GiB" in said.message and "24 GiB" in said.message


@pytest.mark.parametrize("rule", [apart(2, 3, 4), pinned([2], {"pve1": 1, "pve2": 1})], ids=["apart", "pinned"])
def test_free_memory_that_a_rule_forbids_is_no_spare(rule: Rule):
    nodes = [a_node(f"pve{i}", 40) for i in (1, 2, 3, 4)]
    guests = [a_guest(i, f"pve{i}", 4) for i in (1, 2, 3, 4)]
    assert make_plan(a_state(nodes, guests), None, PVE1, now=NOW).survives_another_node is True
    assert make_plan(a_state(nodes, guests, rules=(rule,)), None, PVE1, now=NOW).survives_another_node is False


def test_a_node_short_of_cpu_is_spared():
    nodes = [a_node(f"pve{i}", 72, cpus=16) for i in (1, 2, 3)]
    guests = [
        a_guest(1, "pve1", 8, cpu_used=4.0),
        a_guest(2, "pve2", 8, cpu_used=12.0),  # 12.8 cores are for guests
        a_guest(3, "pve3", 16, cpu_used=1.0),
    ]
    plan = make_plan(a_state(nodes, guests), None, PVE1, now=NOW)
    assert plan.moves[0].target == PVE3 and not [c for c in plan.cautions if c.code == "plan.cpu-tight"]
    after = {load.node: (load.cpus, load.cpu_before, load.cpu_after) for load in plan.loads}
    assert after[PVE3] == (16, 1.0, 5.0) and after[PVE1] == (16, 4.0, 0.0)
    tight = make_plan(a_state(nodes, guests), None, PVE1, now=NOW, policy=Policy(cpu_ratio=0.2))
    assert tight.feasible, "CPU is never a limit"
    assert "pve3 5.0 of 16 cores" in next(c for c in tight.cautions if c.code == "plan.cpu-tight").message


def test_preferred_nodes_are_taken_first_as_far_as_they_have_room():
    nodes = [a_node(f"pve{i}", 40) for i in (1, 2, 3)]
    state = a_state(nodes, [a_guest(1, "pve1", 20), a_guest(2, "pve1", 20)])
    plan = make_plan(state, None, PVE1, now=NOW, prefer=frozenset({PVE2}))
    assert plan.feasible and sorted(m.target for m in plan.moves if m.target) == [PVE2, PVE3]


def test_only_remedies_that_help_are_named():
    guests = [
        a_guest(1, "pve1", 20),
        a_guest(2, "pve2", 16, disks=(LOCAL,)),
        a_guest(3, "pve3", 16, disks=(LOCAL,)),
        a_guest(4, "pve2", 1, disks=(LOCAL,)),
    ]
    nodes = [a_node(f"pve{i}", 40) for i in (1, 2, 3)]
    rules = (apart(1, 2, 3),)
    both = make_plan(a_state(nodes, guests, rules=rules), None, PVE1, now=NOW).blockers[0]
    assert "relax rule" not in both.remedy, "there would be no room without the rule either"
    without = make_plan(a_state(nodes, guests), None, PVE1, now=NOW).blockers[0]
    assert without.remedy.startswith(
        "free 4 GiB on pve3, for instance by shutting down VM 3 guest-3 (16 GiB) there: then there is room"
    )


def test_what_excludes_a_node_is_to_be_lifted_only_where_that_helps():
    guest = a_guest(1, "pve1", 20, bridges=("vmbr9",))
    nodes = [replace(a_node("pve1", 40), bridges=frozenset({"vmbr9"})), a_node("pve2", 40), a_node("pve3", 60)]
    lifted = make_plan(a_state(nodes, [guest, a_guest(3, "pve3", 40)]), None, PVE1, now=NOW).blockers[0]
    assert lifted.remedy.startswith("lift what excludes pve2 (has no bridge vmbr9): then there is room; or tag it")
    full = [a_guest(2, "pve2", 20, disks=(LOCAL,)), a_guest(3, "pve3", 40, disks=(LOCAL,))]
    useless = make_plan(a_state(nodes, [guest, *full]), None, PVE1, now=NOW).blockers[0]
    assert "lift" not in useless.remedy and useless.remedy.startswith("tag it shutdown-ok")


def test_nobody_is_told_to_tag_what_cannot_be_shut_down():
    guest = a_guest(1, "pve1", 20, status=GuestStatus.PAUSED, qmp_status="paused")
    nodes = [a_node(f"pve{i}", 40) for i in (1, 2, 3)]
    full = [a_guest(i, f"pve{i}", 30, disks=(LOCAL,)) for i in (2, 3)]
    remedy = make_plan(a_state(nodes, [guest, *full]), None, PVE1, now=NOW).blockers[0].remedy
    assert remedy and "tag it" not in remedy


@given(clusters())
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_is_planned_holds_and_moves_no_third_party_without_need(state: ClusterState):
    plan = make_plan(state, None, PVE1, now=NOW)
    assert lint(plan, state) == ()
    loads = {load.node: load for load in plan.loads}
    moved = {move.guest: move.target or move.source for move in plan.moves}
    for node in state.nodes:
        there = [g for g in state.guests if moved.get(g.id, g.node) == node.id and g.status.value != "stopped"]
        held = sum(g.ram_bytes for g in there if not any(m.guest == g.id and m.target is None for m in plan.moves))
        assert loads[node.id].after_bytes == held
        if node.id != PVE1:
            assert held <= max(loads[node.id].before_bytes, node.ram_bytes - loads[node.id].reserve_bytes)


@pytest.mark.skipif(not available(), reason="the extra [solve] is not installed: no bound to compare with")
def test_the_solver_proves_that_nothing_less_would_do():
    from noout.plan.capacity import limits_bytes
    from noout.plan.choice import choose_targets
    from noout.plan.movability import way_out
    from noout.plan.solve import solve
    from noout.plan.targets import Filter
    from noout.plan.units import Units

    nodes = [a_node(f"pve{i + 1}", limit + 8) for i, limit in enumerate([64, 64, 32])]
    sizes = {
        100: ("pve1", 40),
        200: ("pve2", 16),
        201: ("pve2", 8),
        202: ("pve2", 7),
        203: ("pve2", 5),
        204: ("pve3", 4),
    }
    state = a_state(nodes, [a_guest(vmid, node, size) for vmid, (node, size) in sizes.items()])
    policy = Policy()
    outs = [way_out(guest, state, policy) for guest in state.guests_on(PVE1)]
    choice = choose_targets(outs, Units(state, Filter(state, PVE1), policy), limits_bytes(state, None, policy))
    found = choice.layout.aside_bytes
    answer = solve(choice.layout)
    assert answer is not None and answer.proved and not answer.left_over
    assert answer.aside_bytes == answer.aside_at_least == found > 0
