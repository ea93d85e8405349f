"""In which order the moves are to start, and what each waits for.

Which of them start beside each other is the rule in ``release``; one that waits is overtaken. A guest holds RAM on
both sides until its move has finished: so whatever makes room is named in ``after`` of each move that needs the room.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from noout.domain.cluster import Affinity, ClusterState, GuestId, NodeId
from noout.domain.maintenance import Move, MoveKind
from noout.plan.capacity import holds_ram

_LATE = {MoveKind.LIVE: 0, MoveKind.OFFLINE: 1, MoveKind.RELOCATE: 2, MoveKind.SHUTDOWN: 3}


def in_order(
    moves: Sequence[Move], before: Mapping[GuestId, set[GuestId]], late: frozenset[GuestId] = frozenset()
) -> list[Move]:
    """Longest way first (a move counts with what waits for it), those that go alone after the others, kinds that
    interrupt last, ``before`` respected.

    ``late``: guests held by something that passes; they come after all others that need not wait for them.
    """
    followers: dict[GuestId, list[GuestId]] = {}
    for guest, earlier in before.items():
        for each in earlier:
            followers.setdefault(each, []).append(guest)
    length = {move.guest: move.expected_s for move in moves}
    way: dict[GuestId, float] = {}
    for move in reversed(moves):  # the given order is executable: followers come later in it
        way[move.guest] = length[move.guest] + max((way[each] for each in followers.get(move.guest, ())), default=0.0)
    waiting = {move.guest: set(before.get(move.guest, ())) for move in moves}
    todo = {move.guest: move for move in moves}
    ordered: list[Move] = []
    while todo:
        ready = [move for guest, move in todo.items() if not waiting[guest]]
        best = min(
            ready,
            key=lambda m: (m.guest in late, _LATE[m.kind], m.alone, m.alone and m.throttled, -way[m.guest], m.guest),
        )
        ordered.append(todo.pop(best.guest))
        for each in followers.get(best.guest, ()):
            waiting[each].discard(best.guest)
    return ordered


class Ground:
    """Where all are when the first move of a way starts. ``where``: which node holds the RAM of each guest;
    ``limits``: bytes that each node may hold."""

    def __init__(self, state: ClusterState, where: Mapping[GuestId, NodeId], limits: Mapping[NodeId, int]) -> None:
        self.where, self.limits = where, limits
        self.ram = {guest.id: guest.ram_bytes for guest in state.guests if holds_ram(guest)}
        self.used = dict.fromkeys(limits, 0)
        for guest, size in self.ram.items():
            self.used[where[guest]] += size
        rules = [r.guests for r in state.rules if r.enabled and r.strict and r.kind is Affinity.APART]
        self.rivals: dict[GuestId, frozenset[GuestId]] = {}
        for rule in rules:
            there = rule & self.ram.keys()
            for guest in rule:
                self.rivals[guest] = self.rivals.get(guest, frozenset()) | (there - {guest})


def with_dependencies(moves: Sequence[Move], ground: Ground) -> list[Move] | None:
    """The moves with ``after`` filled in so that RAM and rules hold at every instant; None when they cannot.

    Nothing but ``after`` holds a move back for sure: the one before it in the list may wait for a lock, or be tried
    again. So an arrival waits for every departure that the arrivals before it wait for.
    """
    ram, limits, used = ground.ram, ground.limits, dict(ground.used)
    present: dict[GuestId, NodeId] = {}  # who came; whoever leaves is there until somebody waits for its end
    departures: dict[NodeId, list[Move]] = {}
    waited: dict[NodeId, list[GuestId]] = {}  # who left a node by the time the last arrival so far starts
    result: list[Move] = []
    for move in moves:
        after: list[GuestId] = []
        if move.target is not None:
            after = waited.setdefault(move.target, [])
            rivals = ground.rivals.get(move.guest, frozenset())
            leaving = departures.get(move.target, [])
            for gone in [each for each in leaving if each.guest in rivals]:
                _wait_for(gone, after, used, leaving, ram)
            need = used[move.target] + ram.get(move.guest, 0) - limits[move.target]
            for gone in sorted(leaving, key=lambda each: -ram.get(each.guest, 0)) if need > 0 else ():
                if used[move.target] + ram.get(move.guest, 0) <= limits[move.target]:
                    break
                _wait_for(gone, after, used, leaving, ram)
            if used[move.target] + ram.get(move.guest, 0) > limits[move.target]:
                return None
            if any(present.get(each, ground.where[each]) == move.target for each in rivals):
                return None
            used[move.target] += ram.get(move.guest, 0)
            present[move.guest] = move.target
            departures.setdefault(move.source, []).append(move)
        result.append(replace(move, after=tuple(after)))
    return result


def _wait_for(
    gone: Move,
    after: list[GuestId],
    used: dict[NodeId, int],
    leaving: list[Move],
    ram: Mapping[GuestId, int],
) -> None:
    after.append(gone.guest)
    used[gone.source] -= ram.get(gone.guest, 0)
    leaving.remove(gone)
