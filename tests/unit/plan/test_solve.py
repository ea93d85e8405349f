"""The solver on small clusters: it proves that there is no room, or finds what the search did not; never more."""

from __future__ import annotations

import pytest

from noout.domain.cluster import NodeId
from noout.domain.maintenance import Plan
from noout.plan import solve
from noout.plan.capacity import limits_bytes
from noout.plan.layout import Layout
from noout.plan.movability import way_out
from noout.plan.plan import make_plan
from noout.plan.policy import Policy
from noout.plan.targets import Filter
from noout.plan.units import Units
from tests.unit.plan.clusters import GIB, NOW, a_guest, a_node, a_state, node_id

PVE1 = node_id("pve1")
PROVED, FOUND_NONE = "(proved: no placement exists)", "(no placement was found)"


pytestmark = pytest.mark.skipif(not solve.available(), reason="the extra [solve] is not installed")


def _state(limits: list[int], sizes: list[list[float]]):
    """Nodes pve1 ... with these GiB for guests; pve1 is emptied. Its guests are 100, 101 ..., those of pve2 200 ..."""
    nodes = [a_node(f"pve{i + 1}", limit + 8) for i, limit in enumerate(limits)]
    guests = [
        a_guest(100 * (i + 1) + k, f"pve{i + 1}", size) for i, some in enumerate(sizes) for k, size in enumerate(some)
    ]
    return a_state(nodes, guests)


def _plan(limits: list[int], sizes: list[list[float]]) -> Plan:
    return make_plan(_state(limits, sizes), None, PVE1, now=NOW)


def _layout(limits: list[int], sizes: list[list[float]]) -> Layout:
    state, policy = _state(limits, sizes), Policy()
    units = Units(state, Filter(state, PVE1), policy)
    outs = [way_out(guest, state, policy) for guest in state.guests_on(PVE1)]
    return Layout(state, limits_bytes(state, None, policy), units.of(outs), units.movable)


def _where(layout: Layout) -> dict[int, NodeId]:
    return {p.unit.key.vmid: layout.nodes[p.at] for p in (*layout.pieces, *layout.others) if p.at >= 0}


def test_no_room_is_proved_where_the_sum_would_fit(monkeypatch: pytest.MonkeyPatch):
    cluster = [32, 32, 32], [[20], [18], [18]]  # 28 are free, but no two of the three go together
    assert PROVED in _plan(*cluster).blockers[0].message
    monkeypatch.setattr(solve, "available", lambda: False)
    assert FOUND_NONE in _plan(*cluster).blockers[0].message


def test_a_sum_that_does_not_fit_needs_no_solver(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(solve, "available", lambda: False)
    assert PROVED in _plan([32, 32, 32], [[20], [24], [24]]).blockers[0].message


def test_what_no_order_leads_to_is_neither_used_nor_called_impossible():
    plan = _plan([32, 28, 24], [[12], [20], [16]])  # 20 and 16 would have to change places, and none can go first
    assert not plan.moves and FOUND_NONE in plan.blockers[0].message


def test_nothing_is_proved_of_sizes_that_were_rounded():
    plan = _plan([32, 32, 32], [[20 + 1 / GIB], [18], [18]])
    assert FOUND_NONE in plan.blockers[0].message


def test_it_places_whom_the_search_left_over():
    layout = _layout([64, 64, 32], [[40], [16, 8, 7, 5, 4], [4]])  # nobody has been placed yet
    assert solve.better(layout) is False
    assert layout.in_order() is not None and _where(layout)[100] == node_id("pve2")
    assert layout.aside_bytes == 16 * GIB and min(layout.free) >= 0


def test_fewer_bytes_of_third_parties_move_if_that_can_be():
    layout = _layout([64, 64, 32], [[40], [16, 8, 7, 5, 4], [4]])
    pve2, pve3 = layout.index[node_id("pve2")], layout.index[node_id("pve3")]
    for piece in [each for each in layout.here(pve2).values() if each.ram in (8 * GIB, 7 * GIB, 5 * GIB)]:
        layout.shift(piece, pve3)
    layout.shift(layout.pieces[0], pve2)
    before = layout.aside_bytes
    assert before == 20 * GIB and layout.in_order() is not None
    solve.better(layout)
    assert layout.aside_bytes == 16 * GIB and layout.in_order() is not None


def test_a_placement_that_is_as_good_stays_as_it_is():
    layout = _layout([64, 64, 32], [[40], [16, 8, 7, 5, 4], [4]])
    pve2, pve3 = layout.index[node_id("pve2")], layout.index[node_id("pve3")]
    largest = max(layout.here(pve2).values(), key=lambda piece: piece.ram)
    layout.shift(largest, pve3)
    layout.shift(layout.pieces[0], pve2)
    before = _where(layout)
    solve.better(layout)
    assert _where(layout) == before | {p.unit.key.vmid: layout.nodes[p.home] for p in layout.others if not p.away}
