"""Where everything is while a placement is being built, and the order in which it got there.

Every change is checked at the moment it is made, against what has moved before it; so a finished layout's ``order``
can be executed as it stands.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from noout.domain.cluster import Affinity, ClusterState, Guest, GuestId, NodeId
from noout.plan.capacity import holds_ram, taken_bytes


@dataclass(frozen=True, slots=True, eq=False)
class Unit:
    """Guests that move as one (a rule keeps them together; mostly it is a single guest).

    ``allowed`` maps a target to the storage for local disks; ``ram_bytes`` counts what they hold on a target.
    """

    guests: tuple[Guest, ...]
    home: NodeId
    ram_bytes: int
    allowed: Mapping[NodeId, str | None]
    preferred: frozenset[NodeId]
    refused: Mapping[NodeId, str]
    apart: frozenset[str] = frozenset()  # names of the rules that keep it from others
    aside: bool = False  # a third party, moved only to make room

    @property
    def key(self) -> GuestId:
        return self.guests[0].id


@dataclass(slots=True)
class Grounds:
    """What does not change while placing."""

    limits: Mapping[NodeId, int]
    disk_free: Mapping[tuple[NodeId, str], int]
    movable: Mapping[NodeId, tuple[Unit, ...]]  # third parties that could step aside, by node
    unit_of: Mapping[GuestId, Unit]


@dataclass(slots=True)
class Layout:
    grounds: Grounds
    free: dict[NodeId, int]
    crowd: dict[tuple[str, NodeId], frozenset[GuestId]]  # (rule, node) -> guests there
    disks: dict[tuple[NodeId, str], int] = field(default_factory=dict)  # bytes that this plan adds
    order: list[tuple[Unit, NodeId]] = field(default_factory=list)

    def copy(self) -> Layout:
        return Layout(self.grounds, dict(self.free), dict(self.crowd), dict(self.disks), list(self.order))

    def fits(self, unit: Unit, node: NodeId) -> bool:
        return (
            node in unit.allowed
            and self.free[node] >= unit.ram_bytes
            and not self.in_the_way(unit, node)
            and self._disks_fit(unit, node)
        )

    def in_the_way(self, unit: Unit, node: NodeId) -> frozenset[GuestId]:
        """Guests on the node that a rule keeps this unit from."""
        if not unit.apart:
            return frozenset()
        own = {guest.id for guest in unit.guests}
        crowds = (self.crowd.get((rule, node), frozenset()) for rule in unit.apart)
        return frozenset(guest for crowd in crowds for guest in crowd if guest not in own)

    def put(self, unit: Unit, node: NodeId) -> None:
        self._shift(unit, unit.home, node)
        self.order.append((unit, node))

    def take_back(self, unit: Unit) -> NodeId:
        """Undo the decision about a unit whose departure nobody counted on; returns where it had been put."""
        index, node = next((i, n) for i, (each, n) in enumerate(self.order) if each is unit)
        del self.order[index]
        self._shift(unit, node, unit.home)
        return node

    def placed_on(self, node: NodeId) -> list[Unit]:
        """Units of the node being emptied that were put here; where they go may still be changed."""
        return [unit for unit, target in self.order if target == node and not unit.aside]

    def can_leave(self, node: NodeId) -> list[Unit]:
        gone = {unit.key for unit, _ in self.order if unit.aside}
        return [unit for unit in self.grounds.movable.get(node, ()) if unit.key not in gone] + self.placed_on(node)

    def target_of(self, unit: Unit) -> NodeId | None:
        return next((node for each, node in self.order if each is unit), None)

    def _shift(self, unit: Unit, source: NodeId, target: NodeId) -> None:
        self.free[source] += unit.ram_bytes
        self.free[target] -= unit.ram_bytes
        own = frozenset(guest.id for guest in unit.guests)
        for rule in unit.apart:
            self.crowd[rule, source] = self.crowd.get((rule, source), frozenset()) - own
            self.crowd[rule, target] = self.crowd.get((rule, target), frozenset()) | own
        for place, size in disk_needs(unit, target).items():
            self.disks[place] = self.disks.get(place, 0) + size
        for place, size in disk_needs(unit, source).items():
            self.disks[place] = self.disks.get(place, 0) - size

    def _disks_fit(self, unit: Unit, node: NodeId) -> bool:
        needs = disk_needs(unit, node)
        return all(self.disks.get(at, 0) + size <= self.grounds.disk_free.get(at, 0) for at, size in needs.items())


def disk_needs(unit: Unit, node: NodeId) -> dict[tuple[NodeId, str], int]:
    """Bytes that the unit's local disks take on the node's storages; what is replicated there is there already."""
    needs: dict[tuple[NodeId, str], int] = {}
    for guest in unit.guests:
        for disk in guest.carried if node in unit.allowed else ():
            if not (disk.replicate and guest.replicated_to(node.name)):
                place = (node, unit.allowed[node] or disk.storage)
                needs[place] = needs.get(place, 0) + disk.size_bytes
    return needs


def start(state: ClusterState, limits: Mapping[NodeId, int], units: Iterable[Unit], movable: Iterable[Unit]) -> Layout:
    """The layout before anything moves."""
    by_node: dict[NodeId, list[Unit]] = {}
    unit_of: dict[GuestId, Unit] = {}
    for unit in movable:
        by_node.setdefault(unit.home, []).append(unit)
    for unit in (*units, *(each for some in by_node.values() for each in some)):
        unit_of |= {guest.id: unit for guest in unit.guests}
    taken = taken_bytes(state)
    grounds = Grounds(
        limits=limits,
        disk_free={(s.node, s.name): s.total_bytes - s.used_bytes for s in state.storages if s.available},
        movable={node: tuple(some) for node, some in by_node.items()},
        unit_of=unit_of,
    )
    crowd: dict[tuple[str, NodeId], frozenset[GuestId]] = {}
    where = {guest.id: guest.node for guest in state.guests if holds_ram(guest)}
    for rule in state.rules:
        if rule.enabled and rule.strict and rule.kind is Affinity.APART:
            for guest in rule.guests & where.keys():
                place = (rule.name, where[guest])
                crowd[place] = crowd.get(place, frozenset()) | {guest}
    return Layout(grounds, {node: limit - taken[node] for node, limit in limits.items()}, crowd)
