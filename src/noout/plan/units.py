"""Who moves as one: guests on the same node that a strict rule keeps together, else each by itself."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

from noout.domain.cluster import Affinity, ClusterState, Guest, GuestId, NodeId
from noout.domain.maintenance import MoveKind
from noout.plan.capacity import holds_ram
from noout.plan.layout import Unit
from noout.plan.movability import WayOut, may_step_aside
from noout.plan.policy import Policy
from noout.plan.sanity import contradicted
from noout.plan.targets import Filter


def units_of(outs: Sequence[WayOut], filter: Filter, state: ClusterState) -> list[Unit]:
    """The guests of the node being emptied that leave it, as units."""
    kinds = {out.guest.id: out.kind for out in outs if out.kind is not None}
    return [_unit(some, kinds, filter, state) for some in _bundles([o.guest for o in outs], state)]


def third_parties(state: ClusterState, leaving: NodeId, filter: Filter, policy: Policy) -> list[Unit]:
    """Units of other nodes that could step aside: live, nothing local, all of a bundle or none."""
    others = [guest for guest in state.guests if guest.node != leaving and holds_ram(guest)]
    tied = {
        guest
        for rule in state.rules
        if rule.enabled and rule.strict and rule.kind is Affinity.TOGETHER
        for guest in rule.guests
        if any((other := state.guest(each)) is not None and other.node == leaving for each in rule.guests)
    }
    tied |= contradicted(state)
    able = {guest.id for guest in others if guest.id not in tied and may_step_aside(guest, state, policy)}
    found = []
    for some in _bundles(others, state):
        if all(guest.id in able for guest in some):
            unit = _unit(some, dict.fromkeys(able, MoveKind.LIVE), filter, state, aside=True)
            found.append(unit)
    return found


def _bundles(guests: Iterable[Guest], state: ClusterState) -> list[list[Guest]]:
    by_id = {guest.id: guest for guest in guests}
    head = {each: each for each in by_id}

    def find(each: GuestId) -> GuestId:
        while head[each] != each:
            each = head[each]
        return each

    for rule in state.rules:
        if rule.enabled and rule.strict and rule.kind is Affinity.TOGETHER:
            members = sorted(rule.guests & by_id.keys())
            for first, second in itertools.pairwise(members):
                if by_id[first].node == by_id[second].node:
                    head[find(second)] = find(first)
    bundles: dict[GuestId, list[Guest]] = {}
    for each in sorted(by_id):
        bundles.setdefault(find(each), []).append(by_id[each])
    return list(bundles.values())


def _unit(
    guests: Sequence[Guest],
    kinds: dict[GuestId, MoveKind],
    filter: Filter,
    state: ClusterState,
    *,
    aside: bool = False,
) -> Unit:
    targets = [filter.of(guest, kinds[guest.id]) for guest in guests]
    allowed = {node: store for node, store in targets[0].allowed.items() if all(node in t.allowed for t in targets)}
    for each in targets[1:]:
        allowed = {node: store if store is not None else each.allowed[node] for node, store in allowed.items()}
    refused = {node: reason for each in reversed(targets) for node, reason in each.refused.items()}
    preferred = frozenset(node for node in allowed if all(node in t.preferred for t in targets))
    own = {guest.id for guest in guests}
    near = {
        other.node
        for rule in state.rules
        if rule.enabled and rule.kind is Affinity.TOGETHER and rule.guests & own
        for each in rule.guests - own
        if (other := state.guest(each)) is not None and other.node in allowed
    }
    shy = {
        other.node
        for rule in state.rules
        if rule.enabled and not rule.strict and rule.kind is Affinity.APART and rule.guests & own
        for each in rule.guests - own
        if (other := state.guest(each)) is not None
    }
    strict = [r for r in state.rules if r.enabled and r.strict and r.kind is Affinity.APART and r.guests & own]
    return Unit(
        guests=tuple(guests),
        home=guests[0].node,
        ram_bytes=sum(guest.ram_bytes for guest in guests if holds_ram(guest)),
        allowed=allowed,
        preferred=((preferred & near) or preferred) - shy,
        refused=refused,
        apart=frozenset(rule.name for rule in strict),
        aside=aside,
    )
