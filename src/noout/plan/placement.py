"""Find a place for every unit: a constructive portfolio, ejection chains, randomised restarts; N+1 among candidates.

Nearly every failure of greedy placement needs a guest of a third node to step aside first: so when nothing fits, the
search makes room (depth 2) in an order that can be executed. Deterministic: what is shaken is shaken by a checksum.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations
from zlib import crc32

from noout.domain.cluster import NodeId
from noout.plan.layout import Layout, Unit

DEPTH = 2
EFFORT = 600  # sets of leavers tried in one construction before it gives up making room
_Liking = Callable[[Layout, Unit, NodeId], float]


def _leftover(layout: Layout, unit: Unit, node: NodeId) -> float:
    return layout.free[node] - unit.ram_bytes


def _best(layout: Layout, unit: Unit, node: NodeId) -> float:
    return _leftover(layout, unit, node)


def _worst(layout: Layout, unit: Unit, node: NodeId) -> float:
    return -_leftover(layout, unit, node)


def _convex(layout: Layout, unit: Unit, node: NodeId) -> float:
    """How much the sum of squared fill grows."""
    limit = max(layout.grounds.limits[node], 1)
    before = limit - layout.free[node]
    return ((before + unit.ram_bytes) ** 2 - before**2) / limit**2


PORTFOLIO: tuple[_Liking, ...] = (_convex, _best, _worst)


@dataclass(frozen=True, slots=True)
class Candidate:
    layout: Layout
    left_over: tuple[Unit, ...]  # for which no place was found

    @property
    def aside_bytes(self) -> int:
        """RAM of third parties that have to move."""
        return sum(unit.ram_bytes for unit, _ in self.layout.order if unit.aside)

    @property
    def disliked(self) -> int:
        """Units that go against a preferred rule."""
        return sum(1 for unit, node in self.layout.order if node not in unit.preferred)

    @property
    def imbalance(self) -> float:
        """Sum of squared fill of the nodes."""
        limits = self.layout.grounds.limits
        return sum((1 - self.layout.free[node] / limit) ** 2 for node, limit in limits.items() if limit)


def place(begin: Layout, units: list[Unit], spare: Callable[[Layout], bool], restarts: int) -> Candidate:
    """The best candidate: all placed, few third parties moved, N+1 kept (``spare``), preferences, balance."""
    chosen: Candidate | None = None
    score: tuple[float, ...] = ()
    for number, candidate in enumerate(_candidates(begin, units, restarts)):
        left = sum(unit.ram_bytes for unit in candidate.left_over)
        survives = not candidate.left_over and spare(candidate.layout)
        mine = (left, candidate.aside_bytes, not survives, candidate.disliked, candidate.imbalance)
        if chosen is None or mine < score:
            chosen, score = candidate, mine
        settled = score[0] == 0 and score[1] == 0 and not score[2]
        if number + 1 >= len(PORTFOLIO) and (settled or (score[0] == 0 and number >= len(PORTFOLIO) + 4)):
            break
    assert chosen is not None
    return chosen


def _candidates(begin: Layout, units: list[Unit], restarts: int) -> Iterator[Candidate]:
    hardest = sorted(units, key=lambda unit: (len(unit.allowed), -unit.ram_bytes, unit.key))
    for liking in PORTFOLIO:
        yield _construct(begin, hardest, liking)
    largest = sorted(units, key=lambda unit: (-unit.ram_bytes, unit.key))
    for attempt in range(restarts):
        base = hardest if attempt % 2 else largest
        shaken = sorted(range(len(base)), key=lambda i: i + _share(attempt, i) * (len(base) / 3 + 1))
        yield _construct(begin, [base[i] for i in shaken], PORTFOLIO[attempt % len(PORTFOLIO)])


def _share(attempt: int, index: int) -> float:
    """A number in 0..1 that looks like chance and is always the same."""
    return crc32(f"{attempt}/{index}".encode()) / 2**32


def _construct(begin: Layout, units: list[Unit], liking: _Liking) -> Candidate:
    layout = begin.copy()
    left: list[Unit] = []
    search = _Search(liking)
    for unit in units:
        node = _choose(layout, unit, liking)
        if node is not None:
            layout.put(unit, node)
        elif (made := search.by_ejection(layout, unit)) is not None:
            layout = made
        else:
            left.append(unit)
    return Candidate(layout, tuple(left))


def _choose(layout: Layout, unit: Unit, liking: _Liking, but: frozenset[NodeId] = frozenset()) -> NodeId | None:
    fitting = [node for node in unit.allowed if node not in but and layout.fits(unit, node)]
    return min(fitting, key=lambda n: (n not in unit.preferred, liking(layout, unit, n), n), default=None)


@dataclass(slots=True)
class _Search:
    """Ejection chains within one construction, with a bound on the effort: counted, so that it is the same on every
    machine."""

    liking: _Liking
    effort: int = EFFORT

    def by_ejection(self, layout: Layout, unit: Unit) -> Layout | None:
        """Make room for the unit somewhere; the way that moves the least of third parties."""
        for depth in range(1, DEPTH + 1):
            found: list[tuple[int, NodeId, Layout]] = []
            for node in sorted(unit.allowed, key=lambda n: (-layout.free[n], n)):
                trial = self._make_room(layout, unit, node, depth, frozenset({unit.key}))
                if trial is not None:
                    moved = sum(each.ram_bytes for each, _ in trial.order if each.aside)
                    found.append((moved, node, trial))
                    if len(found) >= 4:
                        break
            if found:
                return min(found, key=lambda each: each[:2])[2]
        return None

    def _make_room(
        self, layout: Layout, unit: Unit, node: NodeId, depth: int, fixed: frozenset[object]
    ) -> Layout | None:
        """The layout with the unit on the node, after others have left it; None when that cannot be."""
        leavers = [each for each in layout.can_leave(node) if each.key not in fixed]
        known = {guest.id: each for each in leavers for guest in each.guests}
        must: dict[object, Unit] = {}
        for guest in layout.in_the_way(unit, node):
            if guest not in known:
                return None
            must[known[guest].key] = known[guest]
        lacking = unit.ram_bytes - layout.free[node] - sum(each.ram_bytes for each in must.values())
        others = [each for each in leavers if each.key not in must and each.ram_bytes > 0]
        for extra in _enough(others, lacking):
            self.effort -= 1
            if self.effort < 0:
                return None
            trial: Layout | None = layout.copy()
            for leaver in sorted((*must.values(), *extra), key=lambda each: -each.ram_bytes):
                if trial is None:
                    break
                if trial.target_of(leaver) != (None if leaver.aside else node):
                    continue  # making room for another leaver has moved it already
                trial = self._elsewhere(trial, leaver, node, depth, fixed | {leaver.key})
            if trial is not None and trial.fits(unit, node):
                trial.put(unit, node)
                return trial
        return None

    def _elsewhere(self, trial: Layout, unit: Unit, but: NodeId, depth: int, fixed: frozenset[object]) -> Layout | None:
        """The layout (changed in place, or a new one) with the unit on another node than ``but``."""
        if not unit.aside:
            trial.take_back(unit)
        target = _choose(trial, unit, self.liking, frozenset({but}))
        if target is not None:
            trial.put(unit, target)
            return trial
        if depth > 1:
            for node in sorted(unit.allowed, key=lambda n: (-trial.free[n], n))[:6]:
                if node != but and (made := self._make_room(trial, unit, node, depth - 1, fixed)) is not None:
                    return made
        return None


def _enough(units: list[Unit], lacking: int) -> Iterator[tuple[Unit, ...]]:
    """Small sets of units whose leaving frees at least ``lacking`` bytes: those already on their way anyway first,
    then the smallest."""
    if lacking <= 0:
        yield ()
        return
    ranked = sorted(units, key=lambda each: (each.aside, each.ram_bytes, each.key))
    yield from ((each,) for each in ranked if each.ram_bytes >= lacking)
    few = sorted(ranked, key=lambda each: (each.aside, -each.ram_bytes, each.key))[:8]
    for size in (2, 3, 4):
        sets = [some for some in combinations(few, size) if sum(each.ram_bytes for each in some) >= lacking]
        yield from sorted(sets, key=lambda some: sum(each.ram_bytes for each in some if each.aside))[:6]
