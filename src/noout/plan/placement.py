"""Find a place for every unit: a constructive portfolio, ejection chains, then ruin and recreate.

Nearly every failure of greedy placement needs a guest of a third node to step aside first: so when nothing fits, the
search makes room (by chains of up to two, by exchanges), and goes on until no cheaper way shows. Deterministic: its
chance is seeded and its effort is counted, never timed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from noout.plan.chance import Chance
from noout.plan.ejection import Ejection, choose
from noout.plan.layout import NOWHERE, Layout, Piece

_Liking = Callable[[Layout, Piece, int], float]
_Places = dict[Piece, int]
CONSTRUCTION_EFFORT = 600  # sets of leavers tried in one construction
ROUND_EFFORT = 120  # the same in one round of ruining and recreating
STALE_ROUNDS = 40  # rounds without a better way after which a complete placement is taken as it is
PER_RESTART = 250  # the same, for each of the policy's restarts, in ruining and recreating


def _best(layout: Layout, piece: Piece, node: int) -> float:
    return layout.free[node] - piece.ram


def _worst(layout: Layout, piece: Piece, node: int) -> float:
    return piece.ram - layout.free[node]


def _convex(layout: Layout, piece: Piece, node: int) -> float:
    """How much the sum of squared fill grows."""
    limit = max(layout.limits[node], 1)
    before = limit - layout.free[node]
    return ((before + piece.ram) ** 2 - before**2) / limit**2


PORTFOLIO: tuple[_Liking, ...] = (_convex, _best, _worst)


@dataclass(frozen=True, slots=True)
class Score:
    """What counts, the first difference deciding: bytes without a place, bytes of third parties, N+1, the preferred
    rules, balance."""

    left_bytes: int
    aside_bytes: int
    short: bool
    disliked: int
    imbalance: float

    def key(self) -> tuple[float, ...]:
        return (self.left_bytes, self.aside_bytes, self.short, self.disliked, self.imbalance)


def place(layout: Layout, survives: Callable[[Layout], bool]) -> None:
    """Place all pieces without touching third parties: the best of the portfolio stands in the layout afterwards."""
    best: tuple[tuple[float, ...], _Places] | None = None
    begin = layout.mark()
    for liking in PORTFOLIO:
        layout.back_to(begin)
        for piece in _hardest(layout.pieces):
            node = choose(layout, piece, liking)
            if node is not None:
                layout.shift(piece, node)
        mine = _score(layout, survives).key()
        if best is None or mine < best[0]:
            best = (mine, places(layout))
    assert best is not None
    layout.back_to(begin)
    restore(layout, best[1])


def make_room(layout: Layout, restarts: int) -> None:
    """Place all pieces, third parties stepping aside where nothing else helps: as few bytes of them as is found."""
    layout.back_to(0)
    best: tuple[tuple[int, int], _Places] | None = None
    for liking in PORTFOLIO:
        layout.back_to(0)
        search = Ejection(layout, liking, CONSTRUCTION_EFFORT)
        for piece in _hardest(layout.pieces):
            search.insert(piece)
        best = _better(layout, best)
    if best is not None:
        layout.back_to(0)
        restore(layout, best[1])
    _polish(layout, best, PER_RESTART * restarts)


def _better(layout: Layout, best: tuple[tuple[int, int], _Places] | None) -> tuple[tuple[int, int], _Places] | None:
    cost = _cost(layout)
    if (best is None or cost < best[0]) and layout.in_order() is not None:
        return cost, places(layout)
    return best


def _polish(layout: Layout, best: tuple[tuple[int, int], _Places] | None, effort: int) -> None:
    """Take some of it apart, build it again in another order, keep what is no worse."""
    chance = Chance(len(layout.pieces))
    cost = _cost(layout)
    bound = least_aside(layout)
    stale = 0
    while effort > 0 and (best is None or best[0] > (0, bound)):
        if best is not None and best[0][0] == 0 and stale >= STALE_ROUNDS:
            break
        stale += 1
        mark = layout.mark()
        search = Ejection(layout, PORTFOLIO[chance.choice((0, 1, 1))], ROUND_EFFORT)
        todo = _ruin(layout, chance)
        shake = chance.choice((0.2, 0.6, 1.5))
        todo.sort(key=lambda p: (-p.ram * (1 + shake * chance.share()), p.number))
        for piece in todo:
            search.insert(piece)
        _go_home(layout)
        effort -= 5 + ROUND_EFFORT - max(0, search.effort)  # even a round that makes no room takes time
        now = _cost(layout)
        if now > cost:
            layout.back_to(mark)
            continue
        cost = now
        before, best = best, _better(layout, best)
        stale = stale if best is before else 0
    layout.back_to(0)
    if best is not None:
        restore(layout, best[1])


def _ruin(layout: Layout, chance: Chance) -> list[Piece]:
    """Empty a few nodes of what was put there, send third parties home; who has no place now."""
    away = [piece for piece in layout.others if piece.away]
    missing = [piece for piece in layout.pieces if piece.at == NOWHERE]
    whole = chance.share() < 0.1
    used = sorted({p.at for p in layout.pieces if p.at != NOWHERE} | {n for p in away for n in (p.at, p.home)})
    several = min(len(used), chance.choice((1, 2, 3, 4)))
    nodes = set(used if whole else chance.sample(used, several))
    if not whole and missing and chance.share() < 0.5:
        hardest = max(missing, key=lambda p: (p.ram, -p.number))
        nodes |= set(sorted(hardest.allowed, key=lambda n: (-layout.free[n], n))[:3])
    out = [piece for piece in layout.pieces if piece.at in nodes]
    for piece in out:
        layout.shift(piece, NOWHERE)
    for piece in away:
        if (piece.at in nodes or piece.home in nodes) and layout.fits(piece, piece.home):
            layout.shift(piece, piece.home)
    return missing + out


def _go_home(layout: Layout) -> None:
    for piece in sorted((p for p in layout.others if p.away), key=lambda p: (-p.ram, p.number)):
        if layout.fits(piece, piece.home):
            layout.shift(piece, piece.home)


def least_aside(layout: Layout) -> int:
    """No way has fewer bytes of third parties: the piece that lacks most even on the emptiest node."""
    least = 0
    for piece in layout.pieces:
        lacking = (piece.ram - layout.begin[node] for node in piece.allowed)
        least = max(least, min(lacking, default=0))
    return least


def _hardest(pieces: Sequence[Piece]) -> list[Piece]:
    return sorted(pieces, key=lambda p: (len(p.allowed), -p.ram, p.number))


def _cost(layout: Layout) -> tuple[int, int]:
    return sum(max(p.ram, 1) for p in layout.pieces if p.at == NOWHERE), layout.aside_bytes


def _score(layout: Layout, survives: Callable[[Layout], bool]) -> Score:
    left, aside = _cost(layout)
    return Score(
        left_bytes=left,
        aside_bytes=aside,
        short=bool(left) or not survives(layout),
        disliked=sum(1 for p in layout.pieces if p.at not in p.liked),
        imbalance=imbalance(layout),
    )


def imbalance(layout: Layout) -> float:
    """Sum of squared fill of the nodes."""
    pairs = zip(layout.free, layout.limits, strict=True)
    return sum((1 - free / limit) ** 2 for free, limit in pairs if limit)


def places(layout: Layout) -> _Places:
    found = {piece: piece.at for piece in layout.pieces if piece.at != NOWHERE}
    return found | {piece: piece.at for piece in layout.others if piece.away}


def restore(layout: Layout, where: Mapping[Piece, int]) -> None:
    for piece, node in where.items():
        layout.shift(piece, node)
