"""Choose the targets of one evacuation: alone if that can be, else with third parties stepping aside; then improve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from noout.domain.cluster import Guest, NodeId
from noout.domain.maintenance import MoveKind
from noout.plan.improve import Improvement
from noout.plan.layout import NOWHERE, Layout, Unit
from noout.plan.movability import WayOut
from noout.plan.placement import make_room, place
from noout.plan.solve import better
from noout.plan.spare import Forbidden, Spare
from noout.plan.units import Units


@dataclass(frozen=True, slots=True)
class Choice:
    """``order``: who goes where, third parties first, executable as it stands; ``left_over`` found no place.
    ``proved``: there is no placement of all."""

    order: tuple[tuple[Unit, NodeId], ...]
    left_over: tuple[Unit, ...]
    layout: Layout
    spare: Spare
    proved: bool = False

    @property
    def moved(self) -> list[tuple[Guest, NodeId]]:
        return [(guest, node) for unit, node in self.order for guest in unit.guests]

    def survives(self) -> bool:
        """N+1 afterwards. Who found no place counts as shut down."""
        return self.spare.survives(self._free(self.layout.free), self.moved)

    def forbidden(self) -> Forbidden | None:
        """Why N+1 could not be kept by any choice of targets, where that can be proved."""
        bound = sum(guest.ram_bytes for guest, _ in self.moved if guest.local_disks or guest.local_resources)
        return self.spare.forbidden(self._free(self.layout.free), self._free(self.layout.begin), bound)

    def _free(self, sizes: Sequence[int]) -> dict[NodeId, int]:
        return dict(zip(self.layout.nodes, sizes, strict=True))


def choose_targets(
    outs: Sequence[WayOut], units: Units, limits: Mapping[NodeId, int], *, improve: bool = True, balance: bool = True
) -> Choice:
    """``outs``: how the guests of the node leave it; those that are shut down or stay are none of this.
    ``improve``: look for N+1 and (``balance``) for balance too, once everybody has a place."""
    leaving = units.of([out for out in outs if out.kind not in (None, MoveKind.SHUTDOWN)])
    layout = Layout(units.state, limits, leaving, units.movable)
    spare = Spare(units.state, units.filter)

    def keeps_spare(layout: Layout) -> bool:
        moved = [(guest, layout.nodes[p.at]) for p in layout.pieces if p.at != NOWHERE for guest in p.unit.guests]
        return spare.survives(dict(zip(layout.nodes, layout.free, strict=True)), moved)

    place(layout, keeps_spare)
    left = sum(unit.ram_bytes for unit in leaving)
    online = {node.id for node in units.state.nodes if node.online and node.id != units.filter.leaving}
    room = sum(max(0, size) for node, size in zip(layout.nodes, layout.begin, strict=True) if node in online)
    proved = left > room  # then third parties change nothing: the sum does not fit
    if any(piece.at == NOWHERE for piece in layout.pieces) and not proved:
        make_room(layout, units.policy.restarts)
        proved = improve and better(layout)
    if improve:
        Improvement(layout, spare, _cpu_limits(layout, units)).run(balance=balance)
    order = layout.in_order()
    assert order is not None, "only layouts with an order are kept"
    return Choice(
        order=tuple((piece.unit, layout.nodes[piece.at]) for piece in order),
        left_over=tuple(piece.unit for piece in layout.pieces if piece.at == NOWHERE),
        layout=layout,
        spare=spare,
        proved=proved,
    )


def _cpu_limits(layout: Layout, units: Units) -> list[float | None]:
    """Cores in use that each node may have, by place."""
    cores = {node.id: node.cpus for node in units.state.nodes}
    return [units.policy.cpu_ratio * cores[node] or None for node in layout.nodes]
