"""Whose turn is next when all nodes are to be done: by the room that those done already have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from noout.domain.cluster import NodeId

TRIED = 8  # nodes that are thought through as the first


@dataclass(frozen=True, slots=True)
class Turn:
    """A node and what is on it. ``mates``: nodes that share a part with it, to which its guests go last."""

    node: NodeId
    limit_bytes: int
    taken_bytes: int
    guests: int
    mates: frozenset[NodeId] = frozenset()


def next_turn(nodes: Sequence[Turn], todo: frozenset[NodeId], *, first: bool) -> NodeId:
    """The one of ``todo`` whose guests find most nearly all room on nodes that are done; of several, the one that
    leaves the most room behind for the next. The ``first`` is the one with which the fewest move twice: each of those
    with few guests is thought through to the end, with guests as if they were a liquid."""
    if not first:
        return _best(_liquid(nodes), todo, frozenset(each.node for each in nodes) - todo)
    few = sorted((each for each in nodes if each.node in todo), key=lambda t: (t.guests, -t.limit_bytes, t.node))
    return min(few[:TRIED], key=lambda t: (round(_moves_again(nodes, todo, t.node), 3), t.guests, t.node)).node


@dataclass(slots=True)
class _Tank:
    turn: Turn
    taken: float
    guests: float

    @property
    def free(self) -> float:
        return max(0.0, self.turn.limit_bytes - self.taken)


def _liquid(nodes: Sequence[Turn]) -> dict[NodeId, _Tank]:
    return {each.node: _Tank(each, each.taken_bytes, each.guests) for each in nodes}


def _best(tanks: dict[NodeId, _Tank], todo: frozenset[NodeId], done: frozenset[NodeId]) -> NodeId:
    free = {node: tanks[node].free for node in done}
    room = sum(free.values())

    def key(node: NodeId) -> tuple[float, float, NodeId]:
        mine = tanks[node]
        here = room - sum(free.get(each, 0.0) for each in mine.turn.mates)
        return (max(0.0, mine.taken - here), mine.taken - mine.turn.limit_bytes, node)

    return min(todo, key=key)


def _moves_again(nodes: Sequence[Turn], todo: frozenset[NodeId], first: NodeId) -> float:
    """How many guests move more than once if this node is the first."""
    tanks = _liquid(nodes)
    left, done = set(todo), {each.node for each in nodes} - todo
    node, again = first, 0.0
    while True:
        left.discard(node)
        mine = tanks[node]
        some = mine.guests / mine.taken if mine.taken else 0.0  # guests a byte
        rest = mine.taken - _pour(tanks, mine.taken, [n for n in done if n not in mine.turn.mates], some)
        rest -= _pour(tanks, rest, [n for n in done if n in mine.turn.mates], some)
        again += rest * some
        _pour(tanks, rest, list(left), some)
        mine.taken = mine.guests = 0.0
        done.add(node)
        if not left:
            return again
        node = _best(tanks, frozenset(left), frozenset(done))


def _pour(tanks: dict[NodeId, _Tank], amount: float, into: list[NodeId], guests_a_byte: float) -> float:
    """Spread over these nodes by the room they have; returns what went in."""
    free = {node: tanks[node].free for node in into}
    room = sum(free.values())
    if room <= 0 or amount <= 0:
        return 0.0
    gone = min(amount, room)
    for node, each in free.items():
        tanks[node].taken += gone * each / room
        tanks[node].guests += gone * each / room * guests_a_byte
    return gone
