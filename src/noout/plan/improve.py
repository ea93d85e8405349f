"""Improve a placement by moving and exchanging the evacuated guests among their targets; third parties stay.

First N+1, as far as arithmetic permits it; then the CPU of nodes that would have too little; then balance of RAM. What
was won is never given up for what comes later. Steps are counted, so that the same state gives the same plan.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from noout.domain.cluster import Guest, NodeId
from noout.plan.layout import NOWHERE, Layout, Piece
from noout.plan.spare import Spare

GUESTS_ASKED = 60_000  # guests for which a place is looked for in asking about N+1 again and again
_LOOKS_MIN = 4
_CHOICES = 6  # other nodes tried for one piece
_GAIN = 0.01  # balance is worth another target only from this share on
_Step = list[tuple[Piece, int]]


class Improvement:
    """``cpu_limits``: cores that may be in use on each node, by place; None: nobody knows."""

    def __init__(self, layout: Layout, spare: Spare, cpu_limits: list[float | None]) -> None:
        self.layout = layout
        self.spare = spare
        self.cpu_limits = cpu_limits
        guests = sum(len(some) for some in spare.on)
        self.looks = max(_LOOKS_MIN, GUESTS_ASKED // max(1, guests))

    def run(self, *, balance: bool = True) -> None:
        survives = self.spare.survives(*self._seen())
        if not survives and self.looks > 0 and not self._hopeless():
            survives = self._keep_spare()
        if not balance:
            return
        self._descend(self._cpu_over, survives, 0.0)
        self._descend(self._fill, survives, _GAIN)

    def _seen(self) -> tuple[dict[NodeId, int], list[tuple[Guest, NodeId]]]:
        layout = self.layout
        moving = [p for p in (*layout.others, *layout.pieces) if p.at not in (NOWHERE, p.home) or p.away]
        moved = [(guest, layout.nodes[p.at]) for p in moving for guest in p.unit.guests]
        return dict(zip(layout.nodes, layout.free, strict=True)), moved

    def _hopeless(self) -> bool:
        """Arithmetic forbids N+1 whatever the targets are."""
        layout, (free, moved) = self.layout, self._seen()
        bound = sum(guest.ram_bytes for guest, _ in moved if guest.local_disks or guest.local_resources)
        return self.spare.forbidden(free, dict(zip(layout.nodes, layout.begin, strict=True)), bound) is not None

    def _keep_spare(self) -> bool:
        """Gather free RAM in few large pieces until every further node's guests would find room."""
        layout = self.layout
        short = self.spare.shortfall(*self._seen())
        tried: set[tuple[tuple[int, int], ...]] = set()
        while short and self.looks > 0:
            for step in self._gathering():
                name = tuple((piece.number, to) for piece, to in step) + tuple((p.number, p.at) for p, _ in step)
                if name in tried:
                    continue
                tried.add(name)
                mark = layout.mark()
                if not self._done(step):
                    continue
                now = self._shorter(short)
                if now is not None:
                    short = now
                    break
                layout.back_to(mark)
                if self.looks <= 0:
                    break
            else:
                break
        return not short

    def _shorter(self, short: dict[NodeId, int]) -> dict[NodeId, int] | None:
        """What is short now, if it is less; the nodes that were short are asked first, being most of the answer."""
        self.looks -= 1
        seen = self._seen()
        before = sum(short.values())
        if sum(self.spare.shortfall(*seen, only=short).values()) >= before:
            return None
        now = self.spare.shortfall(*seen)
        return now if sum(now.values()) < before else None

    def _gathering(self) -> list[_Step]:
        """Steps after which the free RAM lies in fewer, larger pieces; the most promising first."""
        free = self.layout.free
        ranked: list[tuple[float, int, _Step]] = []
        for number, step in enumerate(self._steps(tightest=True)):
            change: dict[int, int] = {}
            for piece, to in step:
                change[piece.at] = change.get(piece.at, 0) + piece.ram
                change[to] = change.get(to, 0) - piece.ram
            gain = sum((free[node] + each) ** 2 - free[node] ** 2 for node, each in change.items())
            if gain > 0:
                ranked.append((-gain, number, step))
        return [step for _, _, step in sorted(ranked, key=lambda each: each[:2])]

    def _descend(self, cost: Callable[[Iterable[int]], float], survives: bool, gain: float) -> None:
        """Take steps that lower the cost, as long as N+1 stays what it was and no preferred rule is broken."""
        layout = self.layout
        everywhere = range(len(layout.nodes))
        for _ in range(3):
            better, total = False, cost(everywhere)
            if total <= 0:
                return
            for step in self._steps(tightest=False):
                touched = {node for piece, to in step for node in (piece.at, to)}
                was, over, mark = cost(touched), self._cpu_over(touched), layout.mark()
                if was <= 0 or not self._done(step):
                    continue
                won = was - cost(touched) > total * gain and self._cpu_over(touched) <= over
                if won and survives:
                    self.looks -= 1
                    won = self.looks > 0 and self.spare.survives(*self._seen())
                if won:
                    better = True
                else:
                    layout.back_to(mark)
            if not better:
                return

    def _cpu_over(self, nodes: Iterable[int]) -> float:
        """Cores beyond the limit, as a share of it, over these nodes."""
        cpu, limits = self.layout.cpu, self.cpu_limits
        return sum(max(0.0, cpu[node] - limit) / limit for node in nodes if (limit := limits[node]))

    def _fill(self, nodes: Iterable[int]) -> float:
        """Sum of squared fill of these nodes."""
        free, limits = self.layout.free, self.layout.limits
        return sum((1 - free[node] / limits[node]) ** 2 for node in nodes if limits[node])

    def _steps(self, *, tightest: bool) -> Iterator[_Step]:
        """Moves of one piece to where it fits (the tightest holes first, or the widest), and exchanges of two."""
        layout = self.layout
        pieces = sorted((p for p in layout.pieces if p.at != NOWHERE), key=lambda p: (-p.ram, p.number))
        for piece in pieces:
            fitting = [n for n in piece.allowed if n != piece.at and layout.free[n] >= piece.ram]
            sign = 1 if tightest else -1
            fitting.sort(key=lambda n: (sign * layout.free[n], n))
            yield from ([(piece, node)] for node in fitting[:_CHOICES])
        for i, large in enumerate(pieces):
            for small in pieces[i + 1 :]:
                if large.at != small.at and large.ram != small.ram:
                    yield [(large, small.at), (small, large.at)]

    def _done(self, step: _Step) -> bool:
        """Carry the step out; False: it cannot be, and nothing has changed."""
        layout = self.layout
        mark = layout.mark()
        where = [piece.at for piece, _ in step]
        for piece, to in step:
            if to not in piece.allowed or (to not in piece.liked and piece.at in piece.liked):
                layout.back_to(mark)
                return False
            layout.shift(piece, NOWHERE)
        for (piece, to), before in zip(step, where, strict=True):
            if to == before or not layout.fits(piece, to):
                layout.back_to(mark)
                return False
            layout.shift(piece, to)
        return True
