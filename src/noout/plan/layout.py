"""Where everything is while a placement is being built: whole numbers for nodes, every change can be taken back.

The layout holds the *end* of the evacuation. ``in_order`` says in which order it can be reached, a migrating guest
holding its RAM on both sides; a layout for which it says None is never used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from noout.domain.cluster import Affinity, ClusterState, Guest, GuestId, NodeId
from noout.plan.capacity import holds_ram, taken_bytes

NOWHERE = -1  # an evacuated unit that has no place yet


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


@dataclass(slots=True, eq=False)
class Piece:
    """A unit within one layout. ``home`` and ``at`` are places in ``Layout.nodes``."""

    unit: Unit
    number: int
    ram: int
    cpu: float  # cores in use
    allowed: frozenset[int]
    liked: frozenset[int]  # those of ``allowed`` that follow the preferred rules
    home: int
    at: int
    apart: tuple[str, ...]
    disks: bool

    @property
    def away(self) -> bool:
        """A third party that is not where it was."""
        return self.unit.aside and self.at != self.home


class Layout:
    """``units`` leave their node; ``movable`` gives the third parties of a node that could step aside."""

    def __init__(
        self,
        state: ClusterState,
        limits: Mapping[NodeId, int],
        units: Iterable[Unit],
        movable: Callable[[NodeId], Sequence[Unit]] = lambda _: (),
    ) -> None:
        self.nodes = sorted(limits, key=lambda node: (node.cluster, node.name))
        self.index = {node: i for i, node in enumerate(self.nodes)}
        taken = taken_bytes(state)
        self.limits = [limits[node] for node in self.nodes]
        self.free = [limits[node] - taken[node] for node in self.nodes]
        self.begin = list(self.free)
        used = dict.fromkeys(self.nodes, 0.0)
        for guest in state.guests:
            used[guest.node] += guest.cpu_used
        self.cpu = [used[node] for node in self.nodes]  # cores in use
        self.crowd = _crowd(state, self.index)
        self.disk_free = {(s.node, s.name): s.total_bytes - s.used_bytes for s in state.storages if s.available}
        self.aside_bytes = 0
        self.trail: list[tuple[Piece, int]] = []
        self._movable = movable
        self._known: dict[int, tuple[frozenset[int], object]] = {}
        self._here: list[dict[int, Piece] | None] = [None] * len(self.nodes)
        self._waiting: list[list[Piece]] = [[] for _ in self.nodes]  # arrivals on nodes nobody has looked at
        self._count = 0
        self.pieces = [self._piece(unit) for unit in units]
        self.others: list[Piece] = []

    def _piece(self, unit: Unit) -> Piece:
        self._count += 1
        home = self.index[unit.home]
        return Piece(
            unit=unit,
            number=self._count,
            ram=unit.ram_bytes,
            cpu=sum(guest.cpu_used for guest in unit.guests),
            allowed=self._places(unit.allowed),
            liked=self._places(unit.preferred),
            home=home,
            at=home if unit.aside else NOWHERE,
            apart=tuple(sorted(unit.apart)),
            disks=any(guest.carried for guest in unit.guests),
        )

    def _places(self, nodes: Mapping[NodeId, str | None] | frozenset[NodeId]) -> frozenset[int]:
        """Units of the same sort share one mapping, and so one set of places."""
        found = self._known.get(id(nodes))
        if found is None:
            found = self._known[id(nodes)] = (frozenset(self.index[node] for node in nodes), nodes)
        return found[0]

    def here(self, node: int) -> dict[int, Piece]:
        """The pieces on the node that may be moved, by number."""
        found = self._here[node]
        if found is None:
            found = self._here[node] = {}
            for unit in self._movable(self.nodes[node]):
                piece = self._piece(unit)
                found[piece.number] = piece
                self.others.append(piece)
            found.update((piece.number, piece) for piece in self._waiting[node])
        return found

    def fits(self, piece: Piece, node: int) -> bool:
        if self.free[node] < piece.ram or (node not in piece.allowed and node != piece.home):
            return False
        if piece.apart and any(self.crowd.get((rule, node)) for rule in piece.apart):
            return False
        return not piece.disks or self._disks_fit(piece.unit, node)

    def rivals(self, piece: Piece, node: int) -> frozenset[GuestId]:
        """Guests on the node that a rule keeps this piece from."""
        crowds = (self.crowd.get((rule, node), frozenset()) for rule in piece.apart)
        return frozenset(guest for crowd in crowds for guest in crowd) - {guest.id for guest in piece.unit.guests}

    def shift(self, piece: Piece, to: int) -> None:
        self.trail.append((piece, piece.at))
        self._shift(piece, to)

    def mark(self) -> int:
        return len(self.trail)

    def back_to(self, mark: int) -> list[tuple[Piece, int]]:
        """Take back what was done since; returns it, so that it can be done once more."""
        done = []
        while len(self.trail) > mark:
            piece, before = self.trail.pop()
            done.append((piece, piece.at))
            self._shift(piece, before)
        return done[::-1]

    def _shift(self, piece: Piece, to: int) -> None:
        source, ram = piece.at, piece.ram
        if source >= 0:
            self.free[source] += ram
            self.cpu[source] -= piece.cpu
            self._enter(piece, source, leave=True)
        if to >= 0:
            self.free[to] -= ram
            self.cpu[to] += piece.cpu
            self._enter(piece, to, leave=False)
        if piece.unit.aside:
            self.aside_bytes += ram * ((to != piece.home) - (source != piece.home))
        piece.at = to

    def _enter(self, piece: Piece, node: int, *, leave: bool) -> None:
        here = self._here[node]
        if here is None:
            (self._waiting[node].remove if leave else self._waiting[node].append)(piece)
        elif leave:
            del here[piece.number]
        else:
            here[piece.number] = piece
        own = frozenset(guest.id for guest in piece.unit.guests) if piece.apart else frozenset()
        for rule in piece.apart:
            crowd = self.crowd.get((rule, node), frozenset())
            self.crowd[rule, node] = crowd - own if leave else crowd | own
        if piece.disks:
            for place, size in disk_needs(piece.unit, self.nodes[node]).items():
                self.disk_free[place] = self.disk_free.get(place, 0) + (size if leave else -size)

    def _disks_fit(self, unit: Unit, node: int) -> bool:
        needs = disk_needs(unit, self.nodes[node])
        return all(size <= self.disk_free.get(place, 0) for place, size in needs.items())

    def in_order(self) -> list[Piece] | None:
        """Everything that moves, third parties first, in an order that keeps RAM and rules at every instant; None
        where none was found. (Those that leave the emptied node need only what the end has anyway.)"""
        away = [piece for piece in self.others if piece.away]
        for largest in (True, False):
            found = self._sorted(sorted(away, key=lambda p: (-p.ram if largest else p.ram, p.number)))
            if found is not None:
                return found + [piece for piece in self.pieces if piece.at != NOWHERE]
        return None

    def _sorted(self, todo: list[Piece]) -> list[Piece] | None:
        free = list(self.begin)
        where = {piece.number: piece.home for piece in todo}
        done: list[Piece] = []
        while todo:
            ready = next((p for p in todo if free[p.at] >= p.ram and not self._meets(p, todo, where)), None)
            if ready is None:
                return None
            free[ready.at] -= ready.ram
            free[ready.home] += ready.ram
            todo = [piece for piece in todo if piece is not ready]
            done.append(ready)
        return done

    @staticmethod
    def _meets(piece: Piece, todo: Iterable[Piece], where: Mapping[int, int]) -> bool:
        """Whether one that is still to leave is at the target, against a rule."""
        return bool(piece.apart) and any(
            other is not piece and where[other.number] == piece.at and set(other.apart) & set(piece.apart)
            for other in todo
        )


def disk_needs(unit: Unit, node: NodeId) -> dict[tuple[NodeId, str], int]:
    """Bytes that the unit's local disks take on the node's storages; what is replicated there is there already."""
    needs: dict[tuple[NodeId, str], int] = {}
    for guest in unit.guests:
        for disk in guest.carried if node in unit.allowed else ():
            if not (disk.replicate and guest.replicated_to(node.name)):
                place = (node, unit.allowed[node] or disk.storage)
                needs[place] = needs.get(place, 0) + disk.size_bytes
    return needs


def _crowd(state: ClusterState, index: Mapping[NodeId, int]) -> dict[tuple[str, int], frozenset[GuestId]]:
    """Who is where of those that a strict rule keeps apart: (rule, node) -> guests."""
    rules = [rule for rule in state.rules if rule.enabled and rule.strict and rule.kind is Affinity.APART]
    named = {guest for rule in rules for guest in rule.guests}
    where = {guest.id: index[guest.node] for guest in state.guests if guest.id in named and holds_ram(guest)}
    crowd: dict[tuple[str, int], frozenset[GuestId]] = {}
    for rule in rules:
        for guest in rule.guests & where.keys():
            place = (rule.name, where[guest])
            crowd[place] = crowd.get(place, frozenset()) | {guest}
    return crowd
