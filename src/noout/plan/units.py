"""Who moves as one: guests on the same node that a strict rule keeps together, else each by itself."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

from noout.domain.cluster import Affinity, ClusterState, Guest, GuestId, NodeId, Rule
from noout.domain.maintenance import MoveKind
from noout.plan.capacity import holds_ram
from noout.plan.layout import Unit
from noout.plan.movability import WayOut, may_step_aside
from noout.plan.policy import Policy
from noout.plan.sanity import contradicted
from noout.plan.targets import Filter, Targets


class Units:
    """Makes units of guests, with everything looked up by id; made once for a planning.

    ``prefer``: nodes to take before any other, as far as rules and room allow (empty: none in particular).
    """

    def __init__(
        self, state: ClusterState, filter: Filter, policy: Policy, prefer: frozenset[NodeId] = frozenset()
    ) -> None:
        self.state, self.filter, self.policy, self.prefer = state, filter, policy, prefer
        self.rules: dict[GuestId, list[Rule]] = {}  # those between guests
        for rule in state.rules:
            if rule.enabled and rule.kind is not Affinity.NODE:
                for each in rule.guests:
                    self.rules.setdefault(each, []).append(rule)
        self.on: dict[NodeId, list[Guest]] = {node.id: [] for node in state.nodes}
        self.where: dict[GuestId, NodeId] = {}  # of the guests that rules between guests name
        for guest in state.guests:
            self.on[guest.node].append(guest)
            if self.rules and guest.id in self.rules:
                self.where[guest.id] = guest.node
        self._tied: frozenset[GuestId] | None = None
        self._wished: dict[int, tuple[frozenset[NodeId], frozenset[NodeId]]] = {}

    def of(self, outs: Sequence[WayOut]) -> list[Unit]:
        """The guests of the node being emptied that leave it, as units."""
        kinds = {out.guest.id: out.kind for out in outs if out.kind is not None}
        return [self._unit(some, kinds) for some in self._bundles([out.guest for out in outs])]

    def movable(self, node: NodeId) -> list[Unit]:
        """Units of another node that could step aside: live, nothing local, all of a bundle or none."""
        there = self._bundles([guest for guest in self.on[node] if holds_ram(guest)])
        able = [some for some in there if all(self._may_step_aside(guest) for guest in some)]
        return [self._unit(some, dict.fromkeys((g.id for g in some), MoveKind.LIVE), aside=True) for some in able]

    def _may_step_aside(self, guest: Guest) -> bool:
        return guest.id not in self._bound() and may_step_aside(guest, self.state, self.policy)

    def _bound(self) -> frozenset[GuestId]:
        """Guests of rules that keep them together with one that leaves the node, or that contradict each other."""
        if self._tied is None:
            together = {rule.name: rule for rules in self.rules.values() for rule in rules if _together(rule)}
            tied = {
                guest
                for rule in together.values()
                if any(self.where.get(each) == self.filter.leaving for each in rule.guests)
                for guest in rule.guests
            }
            self._tied = frozenset(tied) | contradicted(self.state)
        return self._tied

    def _bundles(self, guests: Iterable[Guest]) -> list[list[Guest]]:
        by_id = {guest.id: guest for guest in guests}
        head = {each: each for each in by_id}

        def find(each: GuestId) -> GuestId:
            while head[each] != each:
                each = head[each]
            return each

        for rule in {
            rule.name: rule for each in by_id for rule in self.rules.get(each, ()) if _together(rule)
        }.values():
            members = sorted(rule.guests & by_id.keys())
            for first, second in itertools.pairwise(members):
                if by_id[first].node == by_id[second].node:
                    head[find(second)] = find(first)
        bundles: dict[GuestId, list[Guest]] = {}
        for each in sorted(by_id):
            bundles.setdefault(find(each), []).append(by_id[each])
        return list(bundles.values())

    def _unit(self, guests: Sequence[Guest], kinds: dict[GuestId, MoveKind], *, aside: bool = False) -> Unit:
        targets = _common([self.filter.of(guest, kinds[guest.id]) for guest in guests])
        own = {guest.id for guest in guests}
        rules = [rule for each in own for rule in self.rules.get(each, ())]
        others = [(rule, self.where[each]) for rule in rules for each in rule.guests - own if each in self.where]
        near = {node for rule, node in others if rule.kind is Affinity.TOGETHER and node in targets.allowed}
        shy = {node for rule, node in others if rule.kind is Affinity.APART and not rule.strict}
        preferred = targets.preferred
        if near or shy:
            preferred = ((preferred & near) or preferred) - shy
        return Unit(
            guests=tuple(guests),
            home=guests[0].node,
            ram_bytes=sum(guest.ram_bytes for guest in guests if holds_ram(guest)),
            allowed=targets.allowed,
            preferred=self._wish(preferred),
            refused=targets.refused,
            apart=frozenset(rule.name for rule in rules if rule.strict and rule.kind is Affinity.APART),
            aside=aside,
        )

    def _wish(self, preferred: frozenset[NodeId]) -> frozenset[NodeId]:
        if not self.prefer:
            return preferred
        found = self._wished.get(id(preferred))  # the set is kept with it, so that its id stays its own
        if found is None:
            found = self._wished[id(preferred)] = (preferred, (preferred & self.prefer) or preferred)
        return found[1]


def _together(rule: Rule) -> bool:
    return rule.strict and rule.kind is Affinity.TOGETHER


def _common(targets: Sequence[Targets]) -> Targets:
    """What is allowed for all."""
    if len(targets) == 1:
        return targets[0]
    allowed = {node: store for node, store in targets[0].allowed.items() if all(node in t.allowed for t in targets)}
    for each in targets[1:]:
        allowed = {node: store if store is not None else each.allowed[node] for node, store in allowed.items()}
    refused = {node: reason for each in reversed(targets) for node, reason in each.refused.items()}
    return Targets(allowed, frozenset(node for node in allowed if all(node in t.preferred for t in targets)), refused)
