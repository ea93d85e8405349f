"""A plan empties the node within every limit and brings everybody home."""

from __future__ import annotations

from noout.domain.maintenance import MoveKind
from noout.plan.plan import make_plan
from tests.unit.plan.clusters import NOW, a_guest, a_node, a_state, apart, gid, node_id


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
