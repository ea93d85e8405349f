"""The replay against plain force: every order in which anything may begin and end, tried one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from noout.domain.cluster import Affinity, ClusterState, GuestStatus, NodeId
from noout.domain.maintenance import Move, MoveKind
from noout.plan.plan import make_plan
from noout.plan.replay import breaches
from noout.plan.schedule import Ground, with_dependencies
from tests.unit.plan.clusters import GIB, NOW, a_guest, a_node, a_state, apart, gid, node_id

NODES = [node_id(name) for name in ("pve1", "pve2", "pve3")]


def goes_wrong(moves: Sequence[Move], state: ClusterState, limits: dict[NodeId, int]) -> bool:
    """Whether any order of starts and ends fills a node above its limit, or brings two together that a rule parts.

    A state is who has started and who is over: three to the power of the moves, all visited.
    """
    ram = {guest.id: guest.ram_bytes for guest in state.guests if guest.status is not GuestStatus.STOPPED}
    home = {guest.id: guest.node for guest in state.guests}
    by_guest = {move.guest: move for move in moves}
    foes = [rule.guests for rule in state.rules if rule.kind is Affinity.APART]
    seen: set[tuple[frozenset[int], frozenset[int]]] = set()
    todo = [(frozenset[int](), frozenset[int]())]
    while todo:
        begun, over = todo.pop()
        if (begun, over) in seen:
            continue
        seen.add((begun, over))
        ended = {moves[i].guest for i in over}
        on = {guest: {node} for guest, node in home.items()}
        for i in begun:
            on[moves[i].guest].add(moves[i].target)
        for guest in ended:
            on[guest] = {by_guest[guest].target}
        todo += [(begun, over | {i}) for i in begun - over]
        for i in set(range(len(moves))) - begun:
            if not set(moves[i].after) <= ended:
                continue
            who, target = moves[i].guest, moves[i].target
            there = sum(size for guest, size in ram.items() if target in on[guest])
            if who in ram and there + ram[who] > limits[target]:
                return True
            if any(
                who in foe & ram.keys() and any(target in on[x] for x in (foe - {who}) & ram.keys()) for foe in foes
            ):
                return True
            todo.append((begun | {i}, over))
    return False


@st.composite
def situations(draw: st.DrawFn) -> tuple[list[Move], ClusterState, dict[NodeId, int]]:
    """Up to six moves between three nodes with little room, each waiting for whichever came before it."""
    count = draw(st.integers(2, 6))
    guests, moves = [], []
    for vmid in range(1, count + 1):
        home = draw(st.sampled_from(NODES))
        size = draw(st.integers(1, 6))
        asleep = draw(st.integers(0, 7)) == 0
        guest = a_guest(vmid, home.name, size, status=GuestStatus.STOPPED if asleep else GuestStatus.RUNNING)
        guests.append(guest)
        target = draw(st.sampled_from([node for node in NODES if node != home]))
        earlier = [move.guest for move in moves]
        after = tuple(draw(st.lists(st.sampled_from(earlier), max_size=2, unique=True))) if earlier else ()
        if draw(st.integers(0, 5)):
            moves.append(Move(guest.id, guest.name, MoveKind.LIVE, home, target, guest.ram_bytes, after=after))
    rules = (apart(*draw(st.sets(st.integers(1, count), min_size=2))),) if draw(st.booleans()) else ()
    held = {node: sum(g.ram_bytes for g in guests if g.node == node and g.running) for node in NODES}
    limits = {node: held[node] + GIB * draw(st.integers(-1, 7)) for node in NODES}
    return moves, a_state([a_node(node.name) for node in NODES], guests, rules=rules), limits


@settings(max_examples=200, deadline=None)
@given(situations())
def test_it_finds_a_breach_exactly_where_there_is_one(found: tuple[list[Move], ClusterState, dict[NodeId, int]]):
    moves, state, limits = found
    where = {guest.id: guest.node for guest in state.guests}
    said = list(breaches(moves, state, where, limits))
    assert bool(said) == goes_wrong(moves, state, limits), said


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 6), min_size=1, max_size=3), st.lists(st.integers(1, 8), min_size=1, max_size=3))
def test_what_is_planned_survives_every_order(there: list[int], leaving: list[int]):
    """Two neighbours so full that somebody has to step aside; whatever is planned for them holds."""
    guests = [a_guest(10 + i, ("pve1", "pve2")[i % 2], size) for i, size in enumerate(there)]
    guests += [a_guest(20 + i, "pve3", size) for i, size in enumerate(leaving)]
    state = a_state([a_node(node.name, 18) for node in NODES], guests)
    plan = make_plan(state, None, NODES[2], now=NOW)
    limits = {load.node: load.capacity_bytes - load.reserve_bytes for load in plan.loads}
    assert not goes_wrong(plan.moves, state, limits)


LINE = [("pve1", 2), ("pve1", 6), ("pve2", 3), ("pve2", 5)]  # where each is, and its GiB


@pytest.mark.parametrize(
    ("waits", "said"),
    [
        ({3: (2,), 4: (2,)}, []),
        ({3: (2,)}, ["when ams1/4 starts, pve1 may lack 3.0 GiB of RAM"]),
        ({3: (2,), 4: (3,)}, []),  # those that waited for it have seen it gone
        ({}, ["when ams1/3 starts, pve1 may lack 1.0 GiB of RAM"]),
    ],
)
def test_nobody_overtakes_into_room_that_is_not_there_yet(waits: dict[int, tuple[int, ...]], said: list[str]):
    """Guest 3 waits for 2 to leave; 4 comes later in the list, but nothing holds it back unless it waits too."""
    state = a_state([a_node(node.name) for node in NODES], [a_guest(i + 1, *each) for i, each in enumerate(LINE)])
    ways = [(2, NODES[0], NODES[2]), (3, NODES[1], NODES[0]), (4, NODES[1], NODES[0])]
    size = {guest.id.vmid: guest.ram_bytes for guest in state.guests}
    moves = [Move(gid(v), "", MoveKind.LIVE, one, other, size[v]) for v, one, other in ways]
    moves = [replace(m, after=tuple(gid(v) for v in waits.get(m.guest.vmid, ()))) for m in moves]
    where = {guest.id: guest.node for guest in state.guests}
    found = list(breaches(moves, state, where, dict.fromkeys(NODES, 10 * GIB)))
    assert found == said
    assert bool(said) == goes_wrong(moves, state, dict.fromkeys(NODES, 10 * GIB))


def test_whoever_comes_later_waits_for_the_same_room():
    """The small one fits only because the large one has left, though it was for another that it left."""
    guests = [a_guest(i + 1, *each) for i, each in enumerate(LINE)]
    state = a_state([a_node(node.name) for node in NODES], guests)
    ways = [(2, NODES[0], NODES[2]), (3, NODES[1], NODES[0]), (4, NODES[1], NODES[0])]
    moves = [Move(gid(v), "", MoveKind.LIVE, one, other, guests[v - 1].ram_bytes) for v, one, other in ways]
    where = {guest.id: guest.node for guest in guests}
    found = with_dependencies(moves, Ground(state, where, dict.fromkeys(NODES, 10 * GIB)))
    assert found is not None and [move.after for move in found] == [(), (gid(2),), (gid(2),)]


@pytest.mark.parametrize(
    ("waits", "said"), [((2,), []), ((), ["ams1/3 comes to pve1 with ams1/2 there: rule apart forbids it"])]
)
def test_a_rival_that_is_leaving_is_there_until_it_is_waited_for(waits: tuple[int, ...], said: list[str]):
    guests = [a_guest(i + 1, *each) for i, each in enumerate(LINE)]
    state = a_state([a_node(node.name) for node in NODES], guests, rules=(apart(2, 3),))
    moves = [
        Move(gid(2), "", MoveKind.LIVE, NODES[0], NODES[2], 6 * GIB),
        Move(gid(3), "", MoveKind.LIVE, NODES[1], NODES[0], 3 * GIB, after=tuple(gid(v) for v in waits)),
    ]
    where = {guest.id: guest.node for guest in guests}
    assert list(breaches(moves, state, where, dict.fromkeys(NODES, 99 * GIB))) == said
