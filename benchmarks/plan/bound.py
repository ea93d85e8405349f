"""Lower bounds that no planner can beat: how long an evacuation takes at least, and how much has to move at least."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.plan.precopy import SETUP_S, Network, Player
from noout.domain.cluster import ClusterState, GuestId, NodeId


def once_s(state: ClusterState, leaving: NodeId, network: Network) -> float:
    """All memory of the node through its link once and one set-up, or its largest guest alone [s].

    Nothing that is rewritten meanwhile is counted, so guests that rewrite fast cannot come near it.
    """
    sizes = [guest.ram_bytes for guest in state.guests_on(leaving)]
    single = min(network.stream_bytes_s, network.nic_bytes_s)
    return SETUP_S + max(sum(sizes) / network.nic_bytes_s, max(sizes) / single) if sizes else 0.0


def best_s(player: Player, leaving: NodeId) -> float:
    """All bytes to copy through the node's link and one set-up, or the longest single migration [s].

    The bytes are those of each guest alone with the fastest stream there is, what it rewrites meanwhile included: a
    slower stream never needs fewer.
    """
    guests = player.state.guests_on(leaving)
    if not guests:
        return 0.0
    alone = [player.alone(guest) for guest in guests]
    return max(
        SETUP_S + sum(each.sent_bytes for each in alone) / player.network.nic_bytes_s, *(a.seconds for a in alone)
    )


def leaving_bytes(state: ClusterState, leaving: NodeId) -> int:
    """What has to move whatever is planned."""
    return sum(guest.ram_bytes for guest in state.guests_on(leaving))


def survives(state: ClusterState, limits: Mapping[NodeId, int], leaving: NodeId, at: Mapping[GuestId, NodeId]) -> bool:
    """N+1 with ``leaving`` empty: whichever further node were lost, its guests find room on the others.

    Best fit, largest first, strict rules that keep guests apart obeyed: a "no" means that this finds no room.
    """
    left = [node.id for node in state.nodes if node.online and node.id != leaving]
    apart: dict[GuestId, set[GuestId]] = {}
    for rule in state.rules:
        if rule.enabled and rule.strict and rule.kind.value == "resource-affinity-negative":
            for each in rule.guests:
                apart.setdefault(each, set()).update(rule.guests - {each})
    on: dict[NodeId, list[tuple[int, GuestId]]] = {node: [] for node in left}
    free = {node: limits[node] for node in left}
    for guest in state.guests:
        if at[guest.id] in on:
            on[at[guest.id]].append((guest.ram_bytes, guest.id))
            free[at[guest.id]] -= guest.ram_bytes
    for lost in left:
        room = {node: size for node, size in free.items() if node != lost}
        if sum(size for size, _ in on[lost]) > sum(size for size in room.values() if size > 0):
            return False
        where = dict(at)
        for size, guest_id in sorted(on[lost], reverse=True):
            barred = {where[other] for other in apart.get(guest_id, ())}
            fitting = [(space, node) for node, space in room.items() if space >= size and node not in barred]
            if not fitting:
                return False
            node = min(fitting)[1]
            room[node] -= size
            where[guest_id] = node
    return True


def sum_forbids_spare(state: ClusterState, limits: Mapping[NodeId, int], leaving: NodeId) -> bool:
    """Whether arithmetic alone says that a second node's loss cannot be absorbed: the largest one's, by its room."""
    rooms = [limit for node, limit in limits.items() if node != leaving]
    return sum(guest.ram_bytes for guest in state.guests) > sum(rooms) - max(rooms)
