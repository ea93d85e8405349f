"""In which order the moves start, what each waits for, and how long all of it takes.

Moves start in their order, at most ``streams`` at once, none overtaking another. A guest holds RAM on both sides
until its move has finished: so whatever makes room is named in ``after`` of the move that needs the room.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from noout.domain.cluster import Affinity, ClusterState, Guest, GuestId, NodeId
from noout.domain.maintenance import Move, MoveKind
from noout.plan.capacity import holds_ram
from noout.plan.policy import Policy

_LATE = {MoveKind.LIVE: 0, MoveKind.OFFLINE: 1, MoveKind.RELOCATE: 2, MoveKind.SHUTDOWN: 3}
_DOWNTIME_LIMIT_S = 0.1  # PVE's default; doubled while a migration makes no progress
_SWITCHOVER_MS = 40  # stop, last device state, resume: measured median 64 ms with little left to copy


def wire_bytes(guest: Guest, kind: MoveKind, policy: Policy, *, dirty: bool = True) -> float:
    """Bytes that cross the network: RAM times the effect of what is rewritten meanwhile, and local disks.

    Pre-copy repeats what was dirtied: RAM * (1 + r + r^2 + ...) with r = dirty rate / stream rate. Near or above 1
    it does not converge by itself: PVE throttles the guest, which comes to about three times its RAM.
    """
    disks = float(sum(disk.size_bytes for disk in guest.carried if not (guest.replicas and disk.replicate)))
    if kind is not MoveKind.LIVE:
        return disks if kind is not MoveKind.SHUTDOWN else 0.0
    r = policy.dirty_bytes_s(guest) / policy.stream_bytes_s if dirty else 0.0
    return disks + guest.ram_bytes * min(3.0, 1 / (1 - r) if r < 0.95 else 3.0)


def duration_s(guest: Guest, kind: MoveKind, policy: Policy) -> float:
    """Expected time of one move, set-up and clean-up included."""
    if kind is MoveKind.SHUTDOWN:
        return 30.0
    copy = wire_bytes(guest, kind, policy) / policy.stream_bytes_s
    latency = policy.ha_latency_s if guest.ha is not None else 0.0
    if kind is MoveKind.LIVE:
        return policy.setup_s + copy + policy.cleanup_s + latency
    return (policy.relocate_s if kind is MoveKind.RELOCATE else policy.setup_s) + copy + latency


def blackout_ms(guest: Guest, kind: MoveKind, policy: Policy) -> int:
    """How long the guest itself stands still: QEMU's pause; for the other kinds the whole time it is away."""
    if kind is MoveKind.OFFLINE:
        return 0  # it does not run
    if kind is MoveKind.SHUTDOWN:
        return round(policy.repair_s * 1000)
    if kind is MoveKind.RELOCATE:
        return round(1000 * (policy.relocate_s + wire_bytes(guest, kind, policy) / policy.stream_bytes_s))
    r = policy.dirty_bytes_s(guest) / policy.stream_bytes_s
    if r >= 0.95:
        return 800  # PVE doubles the limit until it converges: measured 648 ms at most, rounded up
    left_s = guest.ram_bytes / policy.stream_bytes_s
    while left_s > _DOWNTIME_LIMIT_S:
        left_s *= r
    return _SWITCHOVER_MS + round(left_s * 1000)


def in_order(
    moves: Sequence[Move], before: Mapping[GuestId, set[GuestId]], late: frozenset[GuestId] = frozenset()
) -> list[Move]:
    """Longest way first (a move counts with what waits for it), kinds that interrupt last, ``before`` respected.

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
        best = min(ready, key=lambda m: (m.guest in late, _LATE[m.kind], -way[m.guest], m.guest))
        ordered.append(todo.pop(best.guest))
        for each in followers.get(best.guest, ()):
            waiting[each].discard(best.guest)
    return ordered


def with_dependencies(
    moves: Sequence[Move],
    state: ClusterState,
    where: Mapping[GuestId, NodeId],
    limits: Mapping[NodeId, int],
) -> list[Move] | None:
    """The moves with ``after`` filled in so that RAM and rules hold at every instant; None when they cannot.

    ``where``: which node holds the RAM of each guest when the first move starts.
    """
    ram = {guest.id: guest.ram_bytes for guest in state.guests if holds_ram(guest)}
    used = dict.fromkeys(limits, 0)
    for guest, node in where.items():
        used[node] += ram.get(guest, 0)
    keep_apart = [r.guests for r in state.rules if r.enabled and r.strict and r.kind is Affinity.APART]
    present = dict(where)  # a guest that is leaving stays present until somebody waits for its end
    departures: dict[NodeId, list[Move]] = {}
    waited: dict[NodeId, list[GuestId]] = {}
    result: list[Move] = []
    for move in moves:
        after: list[GuestId] = []
        if move.target is not None:
            after = waited.setdefault(move.target, [])
            rivals = {each for rule in keep_apart if move.guest in rule for each in rule & ram.keys()} - {move.guest}
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
            if any(present.get(each) == move.target for each in rivals):
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


def timeline_s(
    moves: Sequence[Move], streams: int, length: Callable[[Move], float] = lambda move: move.expected_s
) -> dict[GuestId, tuple[float, float]]:
    """Start and end (s) of each move when played: in order, ``streams`` at once, each after those it waits for.

    Guests that are shut down are left out: that happens at the rack, not during the evacuation.
    """
    times: dict[GuestId, tuple[float, float]] = {}
    lanes = [0.0] * streams
    last_start = 0.0
    for move in moves:
        if move.kind is MoveKind.SHUTDOWN:
            continue
        lane = min(range(streams), key=lanes.__getitem__)
        waits = [times[each][1] for each in move.after if each in times]
        last_start = max(lanes[lane], last_start, *waits, 0.0)
        lanes[lane] = last_start + length(move)
        times[move.guest] = (last_start, lanes[lane])
    return times


def makespan_s(moves: Sequence[Move], streams: int, length: Callable[[Move], float]) -> float:
    """When the last move ends."""
    return max((end for _, end in timeline_s(moves, streams, length).values()), default=0.0)
