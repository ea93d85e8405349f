"""A solver's answer for small clusters (extra ``solve``): which guests find no room at all, or how few bytes of third
parties have to move. Everything works without it.

Asked on clusters of few nodes where the search leaves somebody without a place, or has third parties moved. It decides
about the end of an evacuation, not about the order in which it is reached; so what it proves is a bound, and what it
finds is used only where an order exists. One worker and a deterministic limit: the same answer everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from noout.plan.layout import NOWHERE, Layout, Piece
from noout.plan.placement import least_aside, places, restore

NODES_MAX = 16
EFFORT = 5.0  # the solver's own deterministic time, about seconds
ROOM_EFFORT = 2.0  # the same, where somebody has no place
POLISH_EFFORT = 0.25  # where all have one, and others have to move for it
MIB = 2**20  # what sizes are counted in


@dataclass(frozen=True, slots=True)
class Answer:
    """``places``: piece -> place in the layout's nodes, of all that move. ``left_over`` finds no room whatever moves
    (of several possibilities the one with the fewest bytes); ``left_proved``: no placement has fewer.
    ``aside_at_least`` is what was proved of the bytes of third parties, given that; ``proved``: both are the least."""

    places: Mapping[Piece, int]
    left_over: tuple[Piece, ...]
    aside_bytes: int
    aside_at_least: int
    left_proved: bool
    proved: bool


def available() -> bool:
    return find_spec("ortools") is not None


def solve(layout: Layout, effort: float = EFFORT) -> Answer | None:
    """The fewest bytes without room, then the fewest bytes of third parties; None without the extra, for a large
    cluster, or when nothing was found within ``effort``. Local disks must be none of the question."""
    if not available() or len(layout.nodes) > NODES_MAX or any(piece.disks for piece in layout.pieces):
        return None
    layout.back_to(0)
    leaving = {piece.home for piece in layout.pieces}
    for node in range(len(layout.nodes)):
        if node not in leaving:
            layout.here(node)
    return _Question(layout).answer(effort)


def better(layout: Layout) -> bool:
    """Put what the solver finds into the layout where fewer bytes find no place, or fewer of third parties move, and
    an order leads there; else the layout stays. True: it is proved that not all can be placed."""
    left = sum(piece.ram for piece in layout.pieces if piece.at == NOWHERE)
    if not left and layout.aside_bytes <= least_aside(layout):
        return False
    mine, cost = places(layout), (left, layout.aside_bytes)
    answer = solve(layout, ROOM_EFFORT if left else POLISH_EFFORT)
    if answer is None:
        layout.back_to(0)
        restore(layout, mine)
        return False
    found = sum(piece.ram for piece in answer.left_over), answer.aside_bytes
    if found < cost:
        restore(layout, answer.places)
    if found >= cost or layout.in_order() is None:
        layout.back_to(0)
        restore(layout, mine)
    return bool(answer.left_over) and answer.left_proved


class _Question:
    def __init__(self, layout: Layout) -> None:
        self.cp: Any = import_module("ortools.sat.python.cp_model")  # not before it is known to be there
        self.layout = layout
        self.model: Any = self.cp.CpModel()
        self.ours = list(layout.pieces)
        self.exact = all(piece.ram % MIB == 0 for piece in (*layout.pieces, *layout.others))  # nothing is rounded
        self.theirs = [piece for piece in layout.others if piece.ram > 0]
        self.at: dict[tuple[Piece, int], Any] = {}
        self.left = {piece: self.model.NewBoolVar("") for piece in self.ours}
        self.away = {piece: self.model.NewBoolVar("") for piece in self.theirs}
        for piece in self.ours:
            self._somewhere(piece, piece.allowed, self.left[piece])
        for piece in self.theirs:
            self._somewhere(piece, piece.allowed, self.away[piece].Not())
        self._capacity()
        self._apart()

    def _somewhere(self, piece: Piece, nodes: frozenset[int], otherwise: Any) -> None:
        for node in sorted(nodes):
            self.at[piece, node] = self.model.NewBoolVar("")
        self.model.AddExactlyOne([*(self.at[piece, node] for node in sorted(nodes)), otherwise])

    def _capacity(self) -> None:
        for node in range(len(self.layout.nodes)):
            arriving = [(piece.ram, var) for (piece, place), var in self.at.items() if place == node]
            leaving = [(-piece.ram, var) for piece, var in self.away.items() if piece.home == node]
            terms = [(size // MIB, var) if size < 0 else (-(-size // MIB), var) for size, var in arriving]
            terms += [(-(-size // MIB), var) for size, var in leaving]
            if arriving:
                self.model.Add(sum(size * var for size, var in terms) <= max(0, self.layout.free[node]) // MIB)

    def _apart(self) -> None:
        rules = sorted({rule for piece in (*self.ours, *self.theirs) for rule in piece.apart})
        for rule in rules:
            for node in range(len(self.layout.nodes)):
                arriving = [var for (piece, place), var in self.at.items() if place == node and rule in piece.apart]
                staying = [p for p in self.theirs if p.home == node and rule in p.apart]
                fixed = len(self.layout.crowd.get((rule, node), ())) - len(staying)
                if arriving:
                    there = sum(self.away[piece].Not() for piece in staying)
                    limit = 1 if fixed <= 0 else 0
                    if len(staying) <= 1 and fixed <= 0:
                        self.model.Add(sum(arriving) + there <= limit)
                    else:  # against the rule already: nobody else comes, though all who are there might leave
                        self.model.Add(sum(arriving) == 0)
                        self.exact = self.exact and fixed > 0

    def answer(self, effort: float) -> Answer | None:
        lost = sum(max(1, -(-piece.ram // MIB)) * var for piece, var in self.left.items())
        self.model.Minimize(lost)
        first = self._solved(effort)
        if first is None:
            return None
        solver, proved = first
        least = round(solver.ObjectiveValue())
        self.model.Add(lost <= least)
        self.model.Minimize(sum((piece.ram // MIB) * var for piece, var in self.away.items()))
        second = self._solved(effort)
        solver, also = second or (solver, False)
        found = {piece: node for (piece, node), var in self.at.items() if solver.BooleanValue(var)}
        return Answer(
            places=found,
            left_over=tuple(piece for piece, var in self.left.items() if solver.BooleanValue(var)),
            aside_bytes=sum(piece.ram for piece in found if piece.unit.aside),
            aside_at_least=round(solver.BestObjectiveBound()) * MIB if second else 0,
            left_proved=proved and self.exact,
            proved=proved and also and self.exact,
        )

    def _solved(self, effort: float) -> tuple[Any, bool] | None:
        solver = self.cp.CpSolver()
        solver.parameters.num_workers = 1
        solver.parameters.random_seed = 1
        solver.parameters.max_deterministic_time = effort
        status = solver.Solve(self.model)
        return (solver, status == self.cp.OPTIMAL) if status in (self.cp.OPTIMAL, self.cp.FEASIBLE) else None
