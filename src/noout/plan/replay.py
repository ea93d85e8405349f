"""Moves, played as badly timed as they may be: does any instant break a node's RAM, or a rule that keeps apart?

Only what a move names in ``after`` is over for sure when it starts. All else may have happened or not: a guest may be
locked, a move may be tried again, others overtake it. A guest that moves holds its RAM on both sides until it is over,
and is, for every rule, on both. Under these terms the answer is exact: it is yes only if some order of events does it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from noout.domain.cluster import Affinity, ClusterState, GuestId, GuestStatus, NodeId
from noout.domain.maintenance import Move


def afterwards(moves: Sequence[Move], where: Mapping[GuestId, NodeId]) -> dict[GuestId, NodeId]:
    """Where every guest is when all moves are over."""
    return dict(where) | {move.guest: move.target for move in moves if move.target is not None}


def breaches(
    moves: Sequence[Move], state: ClusterState, where: Mapping[GuestId, NodeId], limits: Mapping[NodeId, int]
) -> Iterator[str]:
    """What can go wrong, as sentences. ``where`` each guest is before the first move; ``limits``: bytes of a node."""
    ram = {
        guest.id: guest.ram_bytes
        for guest in state.guests
        if guest.status is not GuestStatus.STOPPED and not guest.template
    }
    going = [move for move in moves if move.target is not None]
    over_before = _over_before(moves)
    yield from _short_of_ram(going, over_before, ram, where, limits)
    yield from _too_close(going, over_before, ram, where, state)


def _over_before(moves: Sequence[Move]) -> dict[GuestId, frozenset[GuestId]]:
    """For each move all that are surely over when it starts: what it waits for, and what those waited for."""
    found: dict[GuestId, frozenset[GuestId]] = {}
    for move in moves:
        found[move.guest] = frozenset(move.after).union(*(found.get(each, frozenset()) for each in move.after))
    return found


@dataclass(frozen=True, slots=True)
class _Arrival:
    guest: GuestId
    ram_bytes: int
    needs: frozenset[GuestId]  # of those that leave its target: who is gone for sure when it starts


def _short_of_ram(
    moves: Sequence[Move],
    over_before: Mapping[GuestId, frozenset[GuestId]],
    ram: Mapping[GuestId, int],
    where: Mapping[GuestId, NodeId],
    limits: Mapping[NodeId, int],
) -> Iterator[str]:
    held = dict.fromkeys(limits, 0)
    for guest, node in where.items():
        held[node] = held.get(node, 0) + ram.get(guest, 0)
    leaving: dict[NodeId, set[GuestId]] = {}
    coming: dict[NodeId, list[_Arrival]] = {}
    for move in moves:
        leaving.setdefault(move.source, set()).add(move.guest)
    for move in moves:
        if move.target is not None and ram.get(move.guest, 0):
            needs = over_before[move.guest] & leaving.get(move.target, set())
            coming.setdefault(move.target, []).append(_Arrival(move.guest, ram[move.guest], needs))
    for node, arrivals in coming.items():
        for index, last in enumerate(arrivals):
            # The worst instant has a last one in the list among those that have started: look at each as that.
            most = held[node] + _gain(last, arrivals[:index], ram, limits[node] - held[node])
            if most > limits[node]:
                yield f"when {last.guest} starts, {node.name} may lack {_gib(most - limits[node])} of RAM"
                break


def _gain(last: _Arrival, others: Sequence[_Arrival], ram: Mapping[GuestId, int], room: int) -> int:
    """By how many bytes a node can be fuller than at the start once ``last`` has started, ``others`` as it may be."""
    sure = last.ram_bytes - sum(ram.get(each, 0) for each in last.needs)
    most = sure + sum(each.ram_bytes for each in others)
    if most <= room:
        return most  # even if nobody else had to leave for the others
    costs = {guest: ram.get(guest, 0) for each in others for guest in each.needs - last.needs}
    return most - _cheapest(others, costs)


def _cheapest(arrivals: Sequence[_Arrival], costs: Mapping[GuestId, int]) -> int:
    """The least loss of choosing which arrivals have started: an arrival's bytes where it has not, or once the bytes
    of each that left for those that have. A minimum cut, found by filling paths until there are none (Edmonds-Karp).
    """
    edges: dict[Hashable, dict[Hashable, int]] = {"from": {}, "to": {}}
    beyond = 1 + sum(each.ram_bytes for each in arrivals)  # never filled: no path carries more

    def edge(one: Hashable, other: Hashable, size: int) -> None:
        edges.setdefault(one, {})[other] = size
        edges.setdefault(other, {}).setdefault(one, 0)

    for each in arrivals:
        edge("from", ("in", each.guest), each.ram_bytes)
        for guest in sorted(each.needs & costs.keys()):
            edge(("in", each.guest), ("out", guest), beyond)
    for guest, size in costs.items():
        edge(("out", guest), "to", size)
    filled = 0
    while path := _path(edges):
        share = min(edges[one][other] for one, other in path)
        for one, other in path:
            edges[one][other] -= share
            edges[other][one] += share
        filled += share
    return filled


def _path(edges: Mapping[Hashable, Mapping[Hashable, int]]) -> list[tuple[Hashable, Hashable]]:
    """A shortest way from "from" to "to" with room on each edge; empty when there is none."""
    came: dict[Hashable, Hashable] = {"from": "from"}
    todo: deque[Hashable] = deque(["from"])
    while todo and "to" not in came:
        here = todo.popleft()
        for other, size in edges[here].items():
            if size > 0 and other not in came:
                came[other] = here
                todo.append(other)
    if "to" not in came:
        return []
    way: list[tuple[Hashable, Hashable]] = []
    at: Hashable = "to"
    while at != "from":
        way.append((came[at], at))
        at = came[at]
    return way


def _too_close(
    moves: Sequence[Move],
    over_before: Mapping[GuestId, frozenset[GuestId]],
    ram: Mapping[GuestId, int],
    where: Mapping[GuestId, NodeId],
    state: ClusterState,
) -> Iterator[str]:
    rivals: dict[GuestId, list[tuple[str, GuestId]]] = {}
    going = {move.guest for move in moves}
    for rule in state.rules:
        if rule.enabled and rule.strict and rule.kind is Affinity.APART:
            for one in rule.guests & ram.keys() & going:  # a guest that does not run is in nobody's way
                others = [(rule.name, other) for other in sorted(rule.guests) if other != one and other in ram]
                rivals.setdefault(one, []).extend(others)
    come: dict[GuestId, NodeId] = {}  # by the moves so far in the list: two that come may always meet
    for move in moves:
        for rule_name, other in rivals.get(move.guest, ()):
            stands = where.get(other) == move.target and other not in over_before[move.guest]
            if move.target is not None and (stands or come.get(other) == move.target):
                yield f"{move.guest} comes to {move.target.name} with {other} there: rule {rule_name} forbids it"
        if move.target is not None:
            come[move.guest] = move.target


def _gib(size: float) -> str:
    return f"{size / 1024**3:.1f} GiB"
