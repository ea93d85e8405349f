"""N+1 after the evacuation: if any further node were lost, would its guests find room on the rest?"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from noout.domain.cluster import Affinity, ClusterState, Guest, GuestId, NodeId
from noout.plan.capacity import holds_ram
from noout.plan.targets import Filter


@dataclass(frozen=True, slots=True)
class Forbidden:
    """Why no choice of targets can keep N+1: with ``lost`` away as well there is room for ``bytes_there``, and its
    guests need ``bytes_needed``; with ``guest``: it alone needs them, and no node had so much even before."""

    lost: NodeId
    bytes_needed: int
    bytes_there: int
    guest: Guest | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _Guest:
    guest: Guest
    size: int
    rivals: frozenset[GuestId]
    usable: frozenset[int] | None  # None: every node


class _Places:
    """A quick yes: where the free RAM has as many places of the largest guest's size as there are guests, best-fit
    decreasing finds room for all, since none of them takes more than one. Of the nodes that rivals may be on, no place
    is counted."""

    def __init__(self, rest: Sequence[int]) -> None:
        self.rest = rest
        self.known: dict[int, tuple[int, int]] = {}  # size -> places in all, most on one node

    def enough(self, guests: Sequence[_Guest], lost: int) -> bool:
        if not guests:
            return True
        size = guests[0].size
        known = self.known.get(size)
        if known is None:
            places = [max(0, free) // size for free in self.rest]
            known = self.known[size] = (sum(places), max(places))
        total, most = known
        there = total - max(0, self.rest[lost]) // size
        if there < len(guests) or any(each.usable is not None for each in guests):
            return False
        return there - most * max(len(each.rivals) for each in guests) >= len(guests)


class Spare:
    """Best-fit decreasing for each node lost. Guests bound to their node (local disks, devices) are lost with it in
    any case and are not counted. A "no" means that no room was found by this method, or that the sum forbids it.

    ``free`` is always by node, ``moved`` names the nodes of those that are elsewhere than when observed.
    """

    def __init__(self, state: ClusterState, filter: Filter) -> None:
        self.nodes = sorted(node.id for node in state.nodes if node.online and node.id != filter.leaving)
        self.index = {node: i for i, node in enumerate(self.nodes)}
        self.filter = filter
        self._usable: dict[int, tuple[frozenset[NodeId], frozenset[int] | None]] = {}
        self._known: dict[GuestId, _Guest] = {}
        self.apart: dict[GuestId, frozenset[GuestId]] = {}
        for rule in state.rules:
            if rule.enabled and rule.strict and rule.kind is Affinity.APART:
                for guest in rule.guests:
                    self.apart[guest] = self.apart.get(guest, frozenset()) | rule.guests - {guest}
        self.where: dict[GuestId, int] = {}
        self.on: list[list[_Guest]] = [[] for _ in self.nodes]
        for each in state.guests:
            place = self.index.get(each.node)
            if place is None:
                continue
            if self.apart and each.id in self.apart:
                self.where[each.id] = place
            if _counts(each):
                self.on[place].append(self._guest(each))
        for some in self.on:
            some.sort(key=_largest)
        self.first = 0  # the node that failed last: asked first the next time

    def _guest(self, guest: Guest) -> _Guest:
        found = self._known.get(guest.id)
        if found is None:
            found = self._known[guest.id] = self._asked(guest)
        return found

    def _asked(self, guest: Guest) -> _Guest:
        usable = self.filter.could_start(guest)
        known = self._usable.get(id(usable))  # the set is kept with it, so that its id stays its own
        if known is None:
            places = frozenset(self.index[node] for node in usable if node in self.index)
            known = self._usable[id(usable)] = (usable, None if len(places) == len(self.nodes) else places)
        return _Guest(guest, guest.ram_bytes, self.apart.get(guest.id, frozenset()) if self.apart else frozenset(),
                      known[1])  # fmt: skip

    def survives(self, free: Mapping[NodeId, int], moved: Sequence[tuple[Guest, NodeId]]) -> bool:
        on, where = self._after(moved)
        rest = [free[node] for node in self.nodes]
        holes = sorted((size, i) for i, size in enumerate(rest))
        places = _Places(rest)
        for lost in (self.first, *range(len(self.nodes))) if self.nodes else ():
            if places.enough(on[lost], lost):
                continue
            if self._short(lost, on[lost], holes, rest[lost], where, first_only=True):
                self.first = lost
                return False
        return True

    def shortfall(
        self, free: Mapping[NodeId, int], moved: Sequence[tuple[Guest, NodeId]], only: Collection[NodeId] | None = None
    ) -> dict[NodeId, int]:
        """Bytes of guests without room, for each further node (``only`` these) whose loss would leave some."""
        on, where = self._after(moved)
        rest = [free[node] for node in self.nodes]
        holes = sorted((size, i) for i, size in enumerate(rest))
        places = _Places(rest)
        asked = [(i, node) for i, node in enumerate(self.nodes) if only is None or node in only]
        asked = [(i, node) for i, node in asked if not places.enough(on[i], i)]
        short = {node: self._short(i, on[i], holes, rest[i], where) for i, node in asked}
        return {node: size for node, size in short.items() if size}

    def forbidden(self, after: Mapping[NodeId, int], before: Mapping[NodeId, int], bound: int) -> Forbidden | None:
        """What arithmetic says against N+1 whatever the targets are. ``after`` and ``before``: what is free;
        ``bound``: bytes of those that move and would be lost with their new node."""
        room = sum(max(0, after[node]) for node in self.nodes) + bound
        most = sorted(((before[node], node) for node in self.nodes), reverse=True)[:2]
        for lost, some in zip(self.nodes, self.on, strict=True):
            # Those that move there need elsewhere what they leave free elsewhere: it counts what is there already.
            needed = sum(each.size for each in some)
            there = room - max(0, before[lost])
            if needed > there:
                return Forbidden(lost, needed, max(0, there))
            largest = max(0, next((size for size, node in most if node != lost), 0))
            if some and some[0].size > largest:
                return Forbidden(lost, some[0].size, largest, some[0].guest)
        return None

    def _after(self, moved: Sequence[tuple[Guest, NodeId]]) -> tuple[list[list[_Guest]], dict[GuestId, int]]:
        on, where = list(self.on), dict(self.where)
        changed: set[int] = set()
        for guest, node in moved:
            source, target = self.index.get(guest.node), self.index[node]
            if self.apart and guest.id in self.apart:
                where[guest.id] = target
            if not _counts(guest):
                continue
            for each in (source, target):
                if each is not None and each not in changed:
                    on[each] = list(on[each])
                    changed.add(each)
            if source is not None:
                on[source] = [each for each in on[source] if each.guest is not guest]
            on[target].append(self._guest(guest))
        for each in changed:
            on[each].sort(key=_largest)
        return on, where

    def _short(
        self,
        lost: int,
        guests: Iterable[_Guest],
        holes: Sequence[tuple[int, int]],
        free: int,
        where: Mapping[GuestId, int],
        *,
        first_only: bool = False,
    ) -> int:
        """Bytes of the node's guests that find no room on the rest; ``first_only``: of the first such guest."""
        left = list(holes)
        del left[bisect_left(left, (free, lost))]
        placed: dict[GuestId, int] = {}
        short = 0
        for each in guests:
            at = bisect_left(left, (each.size,))
            if each.rivals or each.usable is not None:
                rivals = {placed.get(one, where.get(one)) for one in each.rivals}
                usable = each.usable
                while at < len(left) and (left[at][1] in rivals or (usable is not None and left[at][1] not in usable)):
                    at += 1
            if at == len(left):
                short += each.size
                if first_only:
                    return short
                continue
            room, node = left.pop(at)
            insort(left, (room - each.size, node))
            if each.rivals:
                placed[each.guest.id] = node
        return short


def _counts(guest: Guest) -> bool:
    return holds_ram(guest) and guest.ram_bytes > 0 and not guest.local_disks and not guest.local_resources


def _largest(each: _Guest) -> tuple[int, int]:
    return (-each.size, each.guest.id.vmid)
