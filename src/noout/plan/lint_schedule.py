"""Of a plan's schedule, what must be so whoever made it: how much is sent at once, who goes alone, figures that agree.

Part of the lint: it counts for itself and shares no code with what schedules.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from noout.domain.cluster import ClusterState, Guest, GuestId
from noout.domain.maintenance import Move, MoveKind, Plan
from noout.plan.policy import Policy

ROUNDING_S = 0.2
SLACK_BYTES_S = 1024.0  # PVE takes whole KiB


def misscheduled(plan: Plan, state: ClusterState, policy: Policy) -> Iterator[str]:
    """``policy.shared`` None: nothing was decided about the network, so nothing is said of limits."""
    if not 0 <= plan.lead_s <= policy.setup_s:
        yield f"the lead of {plan.lead_s:g} s is longer than the {policy.setup_s:g} s in which a move is set up"
    if not 0 <= plan.stream_bytes_s < float("inf"):
        yield f"each stream is limited to {plan.stream_bytes_s:g} bytes/s, which is no rate"
    if policy.shared:
        carried = policy.nic_bytes_s * policy.network_share
        if not plan.stream_bytes_s:
            yield "the network is shared and the plan sets its migrations no limit"
        elif plan.streams * plan.stream_bytes_s > carried + SLACK_BYTES_S:
            yield f"{plan.streams} streams of {plan.stream_bytes_s:.0f} bytes/s are more than together they may use"
    guests = {guest.id: guest for guest in state.guests}
    for moves in (plan.moves, plan.returns):
        yield from _figures(moves)
        for move in moves:
            if (guest := guests.get(move.guest)) is not None and move.target is not None:
                yield from _beside(move, guest, plan, policy)


def _figures(moves: Sequence[Move]) -> Iterator[str]:
    ends: Mapping[GuestId, float] = {move.guest: move.starts_s + move.expected_s for move in moves}
    for move in moves:
        if move.wire_bytes < 0:
            yield f"{move.guest} puts {move.wire_bytes} bytes on the wire"
        if not (0 <= move.starts_s < float("inf") and 0 <= move.expected_s < float("inf")):
            yield f"{move.guest} starts at {move.starts_s:g} s and takes {move.expected_s:g} s, which are no times"
        elif move.kind is not MoveKind.SHUTDOWN:
            for each in move.after:
                if ends.get(each, 0.0) > move.starts_s + ROUNDING_S:
                    yield f"{move.guest} starts before {each} is over, for which it waits"


def _beside(move: Move, guest: Guest, plan: Plan, policy: Policy) -> Iterator[str]:
    """Limits and storages of one move."""
    if policy.shared and guest.ha is not None and not move.alone:
        yield f"{move.guest} is moved by HA, past the limit of a shared network, and not alone"
    there = {job.target for job in guest.replicas}
    copied = [disk for disk in guest.carried if not (there and disk.replicate)]
    away = move.target if move.source == guest.node else move.source
    elsewhere = {each.target_storage for each in plan.moves if each.guest == move.guest} - {None}
    used = {f"{guest.node.name}:{disk.storage}" for disk in copied}
    used |= {f"{away.name}:{name}" for disk in copied for name in elsewhere or {disk.storage} if away is not None}
    if used != set(move.mirrors):
        yield f"{move.guest} copies disks between the storages {', '.join(sorted(used)) or 'of none'}: the plan differs"
