"""N+1 after the evacuation: if any further node were lost, would its guests find room on the rest?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from noout.domain.cluster import Affinity, ClusterState, Guest, GuestId, NodeId
from noout.plan.capacity import holds_ram
from noout.plan.targets import Filter

NODES_MAX = 200  # beyond this the question costs more than the plan itself: answered "not computed"


class Spare:
    """Best-fit decreasing for each node lost. Guests bound to their node (local disks, devices) are lost with it in
    any case and are not counted. A "no" means that no room was found by this method, or that the sum forbids it."""

    def __init__(self, state: ClusterState, filter: Filter, limits: Mapping[NodeId, int]) -> None:
        self.limits = limits
        self.left = {node.id for node in state.nodes if node.online and node.id != filter.leaving}
        self.guests: list[Guest] = sorted(
            (g for g in state.guests if holds_ram(g) and not g.local_disks and not g.local_resources),
            key=lambda g: (-g.ram_bytes, g.id),
        )
        self.filter = filter
        self.allowed: dict[GuestId, frozenset[NodeId]] = {}
        self.apart: dict[GuestId, set[GuestId]] = {}
        for rule in state.rules:
            if rule.enabled and rule.strict and rule.kind is Affinity.APART:
                for guest in rule.guests:
                    self.apart.setdefault(guest, set()).update(rule.guests - {guest})

    def survives(self, free: Mapping[NodeId, int], where: Mapping[GuestId, NodeId]) -> bool | None:
        """``free``: bytes left on each node after the evacuation; ``where``: each guest's node then."""
        if len(self.left) > NODES_MAX:
            return None
        by_node: dict[NodeId, list[Guest]] = {node: [] for node in self.left}
        for guest in self.guests:
            if where.get(guest.id) in self.left:
                by_node[where[guest.id]].append(guest)
        return all(self._absorbed(node, some, free, where) for node, some in sorted(by_node.items()))

    def _absorbed(
        self, lost: NodeId, guests: Iterable[Guest], free: Mapping[NodeId, int], where: Mapping[GuestId, NodeId]
    ) -> bool:
        room = {node: free[node] for node in self.left if node != lost}
        if sum(guest.ram_bytes for guest in guests) > sum(max(0, each) for each in room.values()):
            return False
        placed: dict[GuestId, NodeId] = {}
        for guest in guests:
            rivals = {placed.get(each, where.get(each)) for each in self.apart.get(guest.id, ())}
            fitting = [
                (left, node)
                for node, left in room.items()
                if left >= guest.ram_bytes and node not in rivals and node in self._allowed(guest)
            ]
            if not fitting:
                return False
            node = min(fitting)[1]
            room[node] -= guest.ram_bytes
            placed[guest.id] = node
        return True

    def _allowed(self, guest: Guest) -> frozenset[NodeId]:
        found = self.allowed.get(guest.id)
        if found is None:
            found = self.allowed[guest.id] = self.filter.could_start(guest)
        return found
