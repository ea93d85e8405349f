"""Make room on a node: which guests leave it, where they go, as few bytes of third parties as can be.

Which guests leave is a subset-sum question: the smallest sum that is enough, by bit sets over a coarse unit of RAM.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from heapq import nsmallest
from itertools import combinations

from noout.plan.layout import Layout, Piece

DEPTH = 2
QUANTUM = 2**28  # bytes: what leaves is rounded down to it, what is lacking up
_NODES = 12  # nodes looked at for one piece, those that lack least
_Liking = Callable[[Layout, Piece, int], float]


def choose(layout: Layout, piece: Piece, liking: _Liking, but: int = -1) -> int | None:
    """The best node of those where it fits; preferred rules first."""
    best: tuple[bool, float, int] | None = None
    free, ram = layout.free, piece.ram
    for node in piece.allowed:
        if free[node] < ram or node == but or not layout.fits(piece, node):
            continue
        rank = (node not in piece.liked, liking(layout, piece, node), node)
        if best is None or rank < best:
            best = rank
    return None if best is None else best[2]


class Ejection:
    """Ejection chains in one layout, with a bound on the effort: counted, so that it is the same everywhere."""

    def __init__(self, layout: Layout, liking: _Liking, effort: int) -> None:
        self.layout = layout
        self.liking = liking
        self.effort = effort

    def insert(self, piece: Piece) -> bool:
        """Place the piece, making room if need be in the way that costs least; False: nothing has changed."""
        node = choose(self.layout, piece, self.liking)
        if node is not None:
            self.layout.shift(piece, node)
            return True
        for attempt in (1, DEPTH, 0):
            best: tuple[tuple[int, int, int], list[tuple[Piece, int]]] | None = None
            for node in self._promising(piece):
                if self.effort < 0:
                    break
                mark, before = self.layout.mark(), self.layout.aside_bytes
                if not (self._make_room(piece, node, attempt, {piece.number}) if attempt else self._swap(piece, node)):
                    continue
                cost = self.layout.aside_bytes - before
                done = self.layout.back_to(mark)
                rank = (cost, len(done), node)
                if best is None or rank < best[0]:
                    best = (rank, done)
                if cost <= 0:
                    break
            if best is not None:
                for each, to in best[1]:
                    self.layout.shift(each, to)
                return True
        return False

    def _promising(self, piece: Piece) -> list[int]:
        free = self.layout.free
        return nsmallest(_NODES, piece.allowed, key=lambda n: (piece.ram - free[n], n))

    def _make_room(self, piece: Piece, node: int, depth: int, fixed: set[int]) -> bool:
        """Let others leave the node and put the piece there; False: nothing has changed."""
        layout = self.layout
        here = [each for each in layout.here(node).values() if each.number not in fixed]
        must = self._in_the_way(piece, node, here)
        if must is None:
            return False
        lacking = piece.ram - layout.free[node] - sum(each.ram for each in must)
        pool = [each for each in here if each.ram > 0 and each not in must]
        for some in enough(pool, lacking):
            self.effort -= 1
            if self.effort < 0:
                return False
            mark = layout.mark()
            for each in sorted((*must, *some), key=lambda e: (-e.ram, e.number)):
                if each.at == node and not self._elsewhere(each, node, depth, fixed):
                    break
            else:
                if layout.fits(piece, node):
                    layout.shift(piece, node)
                    return True
            layout.back_to(mark)
        return False

    def _in_the_way(self, piece: Piece, node: int, here: Iterable[Piece]) -> list[Piece] | None:
        """The movable pieces that a rule keeps this one from; None when one of them cannot move."""
        rivals = self.layout.rivals(piece, node) if piece.apart else frozenset()
        if not rivals:
            return []
        found = [each for each in here if any(guest.id in rivals for guest in each.unit.guests)]
        known = {guest.id for each in found for guest in each.unit.guests}
        return found if rivals <= known else None

    def _elsewhere(self, piece: Piece, but: int, depth: int, fixed: set[int]) -> bool:
        layout = self.layout
        if piece.away and piece.home != but and layout.fits(piece, piece.home):
            layout.shift(piece, piece.home)
            return True
        target = choose(layout, piece, self.liking, but)
        if target is not None:
            layout.shift(piece, target)
            return True
        if depth <= 1:
            return False
        others = [node for node in self._promising(piece)[:6] if node != but]
        return any(self._make_room(piece, node, depth - 1, fixed | {piece.number}) for node in others)

    def _swap(self, piece: Piece, node: int) -> bool:
        """Exchange a guest of the node with a smaller one of another, so that the piece fits."""
        layout = self.layout
        lacking = piece.ram - layout.free[node]
        if layout.rivals(piece, node):
            return False
        best: tuple[int, int, Piece, Piece] | None = None
        for large in [each for each in layout.here(node).values() if each.ram > lacking]:
            self.effort -= 1
            for other in self._promising(large)[:8]:
                if other == node:
                    continue
                for small in layout.here(other).values():
                    gained = large.ram - small.ram
                    if gained < lacking or layout.free[other] < gained or node not in small.allowed | {small.home}:
                        continue
                    cost = _price(large) + _price(small)
                    if best is None or (cost, large.number) < best[:2]:
                        best = (cost, large.number, large, small)
        if best is None:
            return False
        mark = layout.mark()
        large, small = best[2], best[3]
        other = small.at
        layout.shift(small, node)
        layout.shift(large, other)
        # One at a time nobody fits: so both are moved first, and looked at afterwards.
        if self._settled(large) and self._settled(small) and layout.fits(piece, node):
            layout.shift(piece, node)
            return True
        layout.back_to(mark)
        return False

    def _settled(self, piece: Piece) -> bool:
        layout, node = self.layout, piece.at
        return layout.free[node] >= 0 and not layout.rivals(piece, node) and not piece.disks


def _price(piece: Piece) -> int:
    return piece.ram if piece.unit.aside and piece.at == piece.home else 0


def enough(pool: Sequence[Piece], lacking: int) -> Iterator[tuple[Piece, ...]]:
    """Sets of pieces whose leaving frees at least ``lacking`` bytes, the fewest bytes of third parties first."""
    if lacking <= 0:
        yield ()
        return
    ours = [each for each in pool if _price(each) == 0]
    theirs = sorted((each for each in pool if _price(each) > 0), key=lambda e: (-e.ram, e.number))
    ours = sorted(ours, key=lambda e: (e.ram, e.number))[:12]
    found: dict[frozenset[int], tuple[int, int, tuple[Piece, ...]]] = {}
    for some in [(), *((each,) for each in ours), *list(combinations(ours, 2))[:20]]:
        rest = lacking - sum(each.ram for each in some)
        for extra in _least(theirs, rest, 2 if not some else 1):
            both = (*some, *extra)
            cost = sum(_price(each) for each in both)
            found.setdefault(frozenset(each.number for each in both), (cost, len(both), both))
    ranked = sorted(found.values(), key=lambda each: (each[0], each[1], [e.number for e in each[2]]))
    yield from (each[2] for each in ranked[:8])


def _least(pieces: Sequence[Piece], lacking: int, sums: int) -> Iterator[tuple[Piece, ...]]:
    """Sets with the smallest sums that are enough: of each sum one of large pieces and one of small."""
    if lacking <= 0:
        yield ()
        return
    need = -(-lacking // QUANTUM)
    orders = (pieces, pieces[::-1])
    tables = [_reachable([each.ram // QUANTUM for each in order], need) for order in orders]
    left = tables[0][-1] >> need
    total = need
    for _ in range(sums):
        if not left:
            return
        step = (left & -left).bit_length() - 1
        total += step
        for order, table in zip(orders, tables, strict=True):
            yield _with_sum(order, table, total)
        left >>= step + 1
        total += 1


def _reachable(sizes: Sequence[int], need: int) -> list[int]:
    """Bit s of entry i: the first i pieces have a subset with the sum s."""
    mask = (1 << (need + max(sizes, default=0) + 1)) - 1
    table = [1]
    for size in sizes:
        table.append((table[-1] | table[-1] << size) & mask)
    return table


def _with_sum(pieces: Sequence[Piece], table: Sequence[int], total: int) -> tuple[Piece, ...]:
    """One subset with this sum, of pieces as early as possible."""
    taken = []
    for i in range(len(pieces), 0, -1):
        if not table[i - 1] >> total & 1:
            taken.append(pieces[i - 1])
            total -= pieces[i - 1].ram // QUANTUM
    return tuple(taken)
