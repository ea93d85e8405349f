"""Why a guest finds no room: node by node, what is missing, and the cheapest remedies, each of them tried out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from noout.domain.cluster import ClusterState, Guest, GuestId, GuestStatus, NodeId
from noout.domain.reasons import Blocker
from noout.plan.capacity import gib
from noout.plan.choice import Choice, choose_targets
from noout.plan.layout import Layout, Unit
from noout.plan.movability import WayOut, may_be_shut_down
from noout.plan.policy import Policy
from noout.plan.targets import Filter
from noout.plan.units import Units
from noout.plan.volumes import title

TRIALS = 8  # remedies tried out for one plan
_RESTARTS = 4
_NAMED = 3  # guests named as an example for one shortage


class Shortage:
    """Explains what ``choice`` left over. ``outs``, ``units`` and ``limits``: what it was made from."""

    def __init__(
        self, choice: Choice, outs: Sequence[WayOut], units: Units, limits: Mapping[NodeId, int], policy: Policy
    ) -> None:
        self.choice, self.outs, self.units, self.limits, self.policy = choice, outs, units, limits, policy
        self.left_bytes = sum(unit.ram_bytes for unit in choice.left_over)
        self.trials = TRIALS

    def blocker(self, unit: Unit) -> Blocker:
        """The blocker for a unit that could not be placed, as the layout stands."""
        who = " and ".join(title(guest) for guest in unit.guests)
        evidence: dict[str, str] = {node.name: f"{node.name} {reason}" for node, reason in unit.refused.items()}
        lacks: list[tuple[int, NodeId]] = []
        layout = self.choice.layout
        piece = next(each for each in layout.pieces if each.unit is unit)
        for node in unit.allowed:
            place = layout.index[node]
            missing = unit.ram_bytes - layout.free[place]
            rivals = layout.rivals(piece, place)
            if rivals:
                names = ", ".join(str(each) for each in sorted(rivals))
                rules = ", ".join(sorted(unit.apart))
                evidence[node.name] = f"{node.name} holds {names}, from which rule {rules} keeps it apart"
            elif missing > 0:
                said = f"{node.name} lacks {gib(missing)} (free after the reserve: {_free(layout, place)})"
                evidence[node.name] = said
                lacks.append((missing, node))
            else:
                evidence[node.name] = f"{node.name} has no storage with room for its local disks"
        why = "; ".join(evidence[name] for name in sorted(evidence)) or "there is no other node"
        verdict = "proved: no placement exists" if self.choice.proved else "no placement was found"
        return Blocker(
            "plan.no-room",
            str(unit.guests[0].id),
            f"no room for {who} ({gib(unit.ram_bytes)}): {why} ({verdict})",
            "; or ".join(self._remedies(unit, sorted(lacks), evidence)),
            evidence | {"guests": ", ".join(str(guest.id) for guest in unit.guests)},
        )

    def _remedies(self, unit: Unit, lacks: Sequence[tuple[int, NodeId]], evidence: Mapping[str, str]) -> list[str]:
        found = []
        for missing, node in lacks[:2]:
            raised = dict(self.limits) | {node: self.limits[node] + missing}
            if not self._helps(unit, limits=raised):
                continue
            found.append(f"free {gib(missing)} on {node.name}{self._by_whom(unit, missing, node)}")
            break
        kept_apart = any("keeps it apart" in text for text in evidence.values())
        for rule in sorted(unit.apart) if kept_apart else ():
            without = tuple(replace(r, enabled=False) if r.name == rule else r for r in self.units.state.rules)
            if self._helps(unit, state=replace(self.units.state, rules=without)):
                found.append(f"relax rule {rule}: then there is room")
        if not found:
            found += self._lifted(unit)
        return [*found, *self._consent(unit)] or ["nothing that was tried makes room: free RAM on the other nodes"]

    def _lifted(self, unit: Unit) -> Iterator[str]:
        """The first node that would have room if what excludes it were lifted; the roomiest are tried first."""
        layout = self.choice.layout
        for node in sorted(unit.refused, key=lambda node: (-layout.free[layout.index[node]], node))[:_NAMED]:
            if self._helps(unit, lift=node):
                yield f"lift what excludes {node.name} ({unit.refused[node]}): then there is room"
                return
        if unit.refused and self.trials < 0:
            yield "lift what excludes the nodes named above (not tried out)"

    def _by_whom(self, unit: Unit, missing: int, node: NodeId) -> str:
        """The smallest guest of the node whose shutdown is enough, tried out."""
        able = [
            guest
            for guest in self.units.on[node]
            if guest.running and guest.ram_bytes >= missing and guest.id not in self.policy.noout_guests
        ]
        for guest in sorted(able, key=lambda g: (g.ram_bytes, g.id))[:_NAMED]:
            if self._helps(unit, state=_without(self.units.state, guest)):
                return (
                    f", for instance by shutting down {title(guest)} ({gib(guest.ram_bytes)}) there: then there is room"
                )
        return ": then there is room"

    def _helps(
        self,
        unit: Unit,
        state: ClusterState | None = None,
        limits: Mapping[NodeId, int] | None = None,
        lift: NodeId | None = None,
    ) -> bool:
        """Whether the unit finds room in a cluster changed like this, without another losing its own."""
        self.trials -= 1
        if self.trials < 0:
            return False
        state = state or self.units.state
        policy = replace(self.policy, restarts=min(self.policy.restarts, _RESTARTS))
        old = self.units.filter
        units = Units(state, Filter(state, old.leaving, old.avoid, policy), policy, self.units.prefer)
        if lift is not None:
            units = _Lifted(units, unit.key, lift)
        again = choose_targets(self.outs, units, limits or self.limits, improve=False)
        left = sum(each.ram_bytes for each in again.left_over)
        return left < self.left_bytes and unit.key not in {each.key for each in again.left_over}

    def _consent(self, unit: Unit) -> Iterator[str]:
        """Who is shut down needs no place, so nothing is to be tried; but it must be one that can be shut down."""
        agreed = replace(self.policy, consents=self.policy.consents | {guest.id for guest in unit.guests})
        if not all(may_be_shut_down(replace(guest, ha=None), agreed) for guest in unit.guests):
            return
        tag = f"tag it {self.policy.shutdown_tag} if its owner agrees to a shutdown"
        if managed := [guest.ha.sid for guest in unit.guests if guest.ha is not None]:
            tag += f" (and take it out of HA's hands first: ha-manager set {managed[0]} --state ignored)"
        yield tag


class _Lifted(Units):
    """The same, one node being allowed to one unit after all."""

    def __init__(self, units: Units, key: GuestId, node: NodeId) -> None:
        super().__init__(units.state, units.filter, units.policy, units.prefer)
        self.key, self.node = key, node

    def of(self, outs: Sequence[WayOut]) -> list[Unit]:
        return [self._allowed(unit) if unit.key == self.key else unit for unit in super().of(outs)]

    def _allowed(self, unit: Unit) -> Unit:
        allowed = dict(unit.allowed) | {self.node: None}
        return replace(unit, allowed=allowed, preferred=unit.preferred or frozenset({self.node}))


def _without(state: ClusterState, gone: Guest) -> ClusterState:
    """The cluster with this guest shut down."""
    stopped = replace(gone, status=GuestStatus.STOPPED, onboot=False, ha=None)
    return replace(state, guests=tuple(stopped if each is gone else each for each in state.guests))


def _free(layout: Layout, place: int) -> str:
    free = layout.free[place]
    return gib(free) if free > 0 else "none"
