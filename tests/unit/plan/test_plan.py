"""A plan empties the node within every limit and brings everybody home."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from noout.domain.cluster import Disk, GuestKind
from noout.domain.maintenance import MoveKind
from noout.plan.plan import make_plan
from noout.plan.policy import Policy
from tests.unit.plan.clusters import (
    GIB,
    NOW,
    a_ceph,
    a_guest,
    a_node,
    a_state,
    a_store,
    apart,
    gid,
    ha,
    node_id,
    pinned,
)


def six_nodes(ram_gib: float = 40):
    return [a_node(f"pve{i}", ram_gib) for i in range(1, 7)]


def test_every_guest_of_the_node_leaves_live_and_returns():
    state = a_state(six_nodes(), [a_guest(100 + i, "pve3", 4) for i in range(5)])
    plan = make_plan(state, None, node_id("pve3"), now=NOW)
    assert plan.feasible
    assert sorted(m.guest.vmid for m in plan.moves) == [100, 101, 102, 103, 104]
    assert all(m.kind is MoveKind.LIVE and m.source == node_id("pve3") != m.target for m in plan.moves)
    assert [(m.guest, m.target, m.source) for m in plan.returns] == [
        (m.guest, m.source, m.target) for m in reversed(plan.moves)
    ]
    assert 0 < plan.lower_bound_s <= plan.estimate_s[0] <= plan.estimate_s[1]
    assert plan.survives_another_node is True


def test_a_third_party_steps_aside_when_nothing_else_makes_room():
    nodes = [a_node(name, 24) for name in ("pve1", "pve2", "pve3")]  # 16 GiB each after the reserve
    guests = [a_guest(1, "pve1", 8), a_guest(2, "pve2", 4), a_guest(3, "pve2", 4), a_guest(4, "pve3", 12)]
    plan = make_plan(a_state(nodes, guests), None, node_id("pve3"), now=NOW)
    assert plan.feasible
    aside = [m for m in plan.moves if m.source != node_id("pve3")]
    assert (len(aside) == 1 and aside[0].guest == gid(2)) or aside[0].guest == gid(3)
    big = next(m for m in plan.moves if m.guest == gid(4))
    assert big.after == (aside[0].guest,)
    assert "room for guest-4" in aside[0].why


def test_rules_keep_guests_apart_at_the_end():
    nodes = six_nodes()
    guests = [a_guest(102, "pve3"), a_guest(103, "pve4"), a_guest(104, "pve1", 20), a_guest(105, "pve2", 20)]
    plan = make_plan(a_state(nodes, guests, rules=(apart(102, 103),)), None, node_id("pve3"), now=NOW)
    assert plan.feasible and plan.moves[0].target != node_id("pve4")


def test_a_plan_is_the_same_for_the_same_state_and_names_its_parent():
    state = a_state(six_nodes(), [a_guest(100 + i, "pve3", 4) for i in range(5)])
    plan = make_plan(state, None, node_id("pve3"), now=NOW)
    assert make_plan(state, None, node_id("pve3"), now=NOW) == plan
    assert make_plan(state, None, node_id("pve3"), now=NOW, parent=plan).parent == plan.id


def test_the_longest_moves_first_and_interruptions_last():
    guests = [
        a_guest(100, "pve3", 2),
        a_guest(101, "pve3", 16),
        a_guest(102, "pve3", 8),
        a_guest(103, "pve3", 2, kind=GuestKind.LXC, tags=frozenset({"relocate-ok"})),
        a_guest(104, "pve3", 2, local_resources=("usb0",), tags=frozenset({"shutdown-ok"})),
    ]
    plan = make_plan(a_state(six_nodes(), guests), None, node_id("pve3"), now=NOW)
    assert [(m.guest.vmid, m.kind) for m in plan.moves] == [
        (101, MoveKind.LIVE),
        (102, MoveKind.LIVE),
        (100, MoveKind.LIVE),
        (103, MoveKind.RELOCATE),
        (104, MoveKind.SHUTDOWN),
    ]
    assert plan.moves[-1].target is None and plan.returns[0].guest == gid(104)
    assert {c.code for c in plan.cautions} >= {"guest.restarts", "guest.down"}
    home = next(load for load in plan.loads if load.node == node_id("pve3"))
    assert home.before_bytes == 30 * GIB and home.after_bytes == 0


def test_local_disks_go_where_there_is_room_and_come_back():
    disk = Disk("scsi0", "local-lvm:vm-1-disk-0", "local-lvm", 30 * GIB, False)
    stores = (
        a_store("local-lvm", "pve3", 100),
        a_store("local-lvm", "pve1", 10),
        a_store("local-lvm", "pve2", 50),
    )
    state = a_state(six_nodes()[:4], [a_guest(1, "pve3", disks=(disk,))], storages=stores)
    plan = make_plan(state, None, node_id("pve3"), now=NOW)
    move = plan.moves[0]
    assert plan.feasible and move.with_local_disks and move.target == node_id("pve2") and move.target_storage is None
    assert any(c.code == "guest.local-disks" for c in plan.cautions)


def test_ha_would_pull_a_guest_back_from_a_node_of_less_priority():
    rule = pinned([1], {"pve3": 2, "pve4": 2, "pve1": 1}, strict=False)
    nodes = six_nodes()
    state = a_state(nodes, [a_guest(1, "pve3", ha=ha(1, "pve3"))], rules=(rule,))
    assert make_plan(state, None, node_id("pve3"), now=NOW).moves[0].target == node_id("pve4")
    alone = a_state(nodes, state.guests, rules=(pinned([1], {"pve3": 2, "pve1": 1}, strict=False),))
    plan = make_plan(alone, None, node_id("pve3"), now=NOW)
    assert plan.feasible and plan.moves[0].target == node_id("pve1") and plan.moves[0].failback_off
    assert [c.code for c in plan.cautions if c.code == "guest.failback"] == ["guest.failback"]
    assert not plan.returns[0].failback_off, "at home HA likes it best"


def test_failback_is_left_alone_where_nothing_would_be_fetched_back():
    rule = pinned([1], {"pve3": 2, "pve4": 2, "pve1": 1}, strict=False)
    for service in (ha(1, "pve3"), ha(1, "pve3", failback=False)):
        state = a_state(six_nodes(), [a_guest(1, "pve3", ha=service)], rules=(rule,))
        assert not make_plan(state, None, node_id("pve3"), now=NOW).moves[0].failback_off
    off = a_state(
        six_nodes(), [a_guest(1, "pve3", ha=ha(1, "pve3", failback=False))],
        rules=(pinned([1], {"pve3": 2, "pve1": 1}),),
    )  # fmt: skip
    assert not make_plan(off, None, node_id("pve3"), now=NOW).moves[0].failback_off


def test_n_plus_one_is_kept_where_it_can_be_and_denied_where_arithmetic_forbids_it():
    roomy = a_state(six_nodes(), [a_guest(100 + i, f"pve{i + 1}", 8) for i in range(6)])
    assert make_plan(roomy, None, node_id("pve3"), now=NOW).survives_another_node is True
    full = a_state(six_nodes()[:3], [a_guest(100 + i, f"pve{i + 1}", 15) for i in range(3)])
    plan = make_plan(full, None, node_id("pve3"), now=NOW)
    assert plan.feasible and plan.survives_another_node is False
    assert any(c.code == "plan.no-spare-node" for c in plan.cautions)


def test_osds_have_their_share_of_ram():
    state = a_state(six_nodes(), [a_guest(1, "pve3", 4)])
    loads = make_plan(state, a_ceph(osds_each=3), node_id("pve3"), now=NOW).loads
    assert {load.reserve_bytes for load in loads} == {(8 + 3 * 4) * GIB}


@given(st.lists(st.sampled_from([1, 2, 4, 8, 16]), min_size=1, max_size=12), st.integers(1, 4))
@settings(max_examples=50, deadline=None)
def test_the_bound_is_a_bound(sizes: list[int], streams: int):
    guests = [a_guest(100 + i, "pve3", size) for i, size in enumerate(sizes)]
    state = a_state([a_node(f"pve{i}", 512) for i in range(1, 6)], guests)
    plan = make_plan(state, None, node_id("pve3"), now=NOW, policy=Policy(streams=streams))
    assert plan.feasible
    assert 0 < plan.lower_bound_s <= plan.estimate_s[0] <= plan.estimate_s[1]
