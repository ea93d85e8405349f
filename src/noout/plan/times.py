"""How long a plan takes: when each move is expected to start, the lower bound, and the range of the estimate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from noout.domain.cluster import Guest, GuestId, NodeId
from noout.domain.maintenance import Move, MoveKind
from noout.plan.forecast import disk_bytes, rate_bytes_s
from noout.plan.policy import Policy
from noout.plan.release import makespan_s, timeline_s

HA_ROUND_S = 10.0  # the CRM and LRM work in rounds: one missed is one more


def timed(moves: Sequence[Move], policy: Policy) -> tuple[Move, ...]:
    """The moves with ``starts_s``, played as they are expected. What is shut down at the rack starts with nobody."""
    times = timeline_s(moves, policy.parallel, policy.setup_s)
    return tuple(
        replace(move, starts_s=round(times[move.guest][0], 1)) if move.guest in times else replace(move, starts_s=0.0)
        for move in moves
    )


def bound_and_estimate(
    moves: Sequence[Move], node: NodeId, guests: Mapping[GuestId, Guest], policy: Policy
) -> tuple[float, tuple[float, float]]:
    """The lower bound, and (low, high) of the estimate, all in seconds; 0 for a plan that moves nobody.

    Bound: all bytes that leave the node over what its migrations may use together, and one set-up; or the longest
    move by itself. Both count every guest's whole memory once: one that has never touched some of it goes sooner.
    Low: all as forecast. High: half the rate, and HA a round late each time.
    """
    sent = [move for move in moves if move.kind is not MoveKind.SHUTDOWN]
    if not sent:
        return 0.0, (0.0, 0.0)
    alone_s = {move.guest: _least_s(guests[move.guest], move, policy, 1.0) for move in sent}
    filled = policy.parallel * policy.stream_bytes_s  # more than that the streams do not carry
    share = min(1.0, policy.single_bytes_s / filled)
    copying = sum(_least_s(guests[move.guest], move, policy, share) for move in sent if move.source == node)
    bound = policy.setup_s + max(copying, *alone_s.values())
    streams, lead_s = policy.parallel, policy.setup_s
    low = makespan_s(moves, streams, lead_s)
    high = makespan_s(moves, streams, lead_s, lambda move: _slow_s(move, policy))
    return round(bound, 1), (round(max(low, bound), 1), round(max(high, bound), 1))


def _least_s(guest: Guest, move: Move, policy: Policy, share: float) -> float:
    """What it takes at least to copy the guest once; ``share``: the part of a single stream's time when all are full.

    HA's own keep to no limit and share with nobody where the network is shared.
    """
    size = disk_bytes(guest) + (guest.ram_bytes if move.kind is MoveKind.LIVE else 0)
    if guest.ha is not None and policy.shared is not False:
        return size / rate_bytes_s(guest, policy)
    return size / policy.single_bytes_s * share


def _slow_s(move: Move, policy: Policy) -> float:
    """The same move with half the rate: what is not copying takes as long as ever."""
    waits_s = HA_ROUND_S if move.ha else 0.0
    fixed_s = policy.relocate_s if move.kind is MoveKind.RELOCATE else policy.setup_s
    fixed_s += policy.cleanup_s if move.kind is MoveKind.LIVE else 0.0
    fixed_s += policy.ha_latency_s if move.ha else 0.0
    return move.expected_s + max(0.0, move.expected_s - fixed_s) + waits_s
