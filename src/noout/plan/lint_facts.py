"""What a plan says of guests and nodes is what was observed: people approve what they read.

Part of the lint: it counts for itself and shares no code with what plans.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from noout.domain.cluster import ClusterState, Guest, GuestId, GuestStatus, NodeId
from noout.domain.maintenance import Move, MoveKind, Plan
from noout.plan.policy import Policy


def misstated(plan: Plan, state: ClusterState, policy: Policy) -> Iterator[str]:
    guests = {guest.id: guest for guest in state.guests}
    for move in (*plan.moves, *plan.returns):
        if (guest := guests.get(move.guest)) is not None:
            yield from _of_the_guest(move, guest)
            yield from _of_its_customer(move, guest, policy)
    yield from _same_both_ways(plan.moves, plan.returns, guests)
    for who in sorted(set(plan.consents) - policy.consents):
        yield f"the plan has it that the owner of {who} agreed, and nobody said so"
    for who in sorted(policy.noout_guests - set(plan.noout_guests)):
        yield f"{who} is noout's own, and the plan does not know"
    if not plan.observed_at <= plan.made_at:
        yield f"the plan was made at {plan.made_at}, before what it was made from was seen ({plan.observed_at})"


def _of_the_guest(move: Move, guest: Guest) -> Iterator[str]:
    if move.name != guest.name:
        yield f"{move.guest} is called {guest.name}, and the plan calls it {move.name}"
    if move.expected_blackout_ms < 0:
        yield f"{move.guest} is to pause for {move.expected_blackout_ms} ms, which is no time"
    if move.target_storage is not None and not guest.carried:
        yield f"{move.guest} has no local disks, and the plan puts them on {move.target_storage}"
    if move.with_conntrack and (move.kind is not MoveKind.LIVE or guest.ha is not None):
        yield f"{move.guest}: its connections are to be taken along, which only a live move outside HA can"


def _of_its_customer(move: Move, guest: Guest, policy: Policy) -> Iterator[str]:
    for customer in policy.customers:
        for tag, windows in customer.quiet_hours if customer.owns(guest) else ():
            for window in windows if tag in ("*", *guest.tags) else ():
                if f"{window} {customer.timezone}" not in move.quiet:
                    yield f"{move.guest} is to be left alone {window} ({customer.key}), and the plan does not know"


def _same_both_ways(out: Sequence[Move], back: Sequence[Move], guests: Mapping[GuestId, Guest]) -> Iterator[str]:
    """The way home takes the same guest with the same disks and drives, and leaves HA's failback as it was."""
    went = {move.guest: move for move in out}
    for move in back:
        there = went.get(move.guest)
        if there is None:
            continue
        if move.ram_bytes != there.ram_bytes or move.ha != there.ha:
            yield f"{move.guest} returns with another RAM or another manager than it left with"
        if move.with_local_disks != there.with_local_disks or move.ejects != there.ejects:
            yield f"{move.guest} returns with other disks or drives than it left with"
        if move.failback_off:
            yield f"{move.guest}: its failback is to be switched off at home"
        places = {disk.storage for disk in guests[move.guest].local_disks} if move.guest in guests else set()
        if move.target_storage is not None and move.target_storage not in places:
            yield f"{move.guest}: its disks do not come from {move.target_storage}, where they are to return"


def wrong_table(plan: Plan, state: ClusterState) -> Iterator[str]:
    """The table of memory before and after, against the guests."""
    away = {move.guest: move.target for move in plan.moves}  # None: shut down, and nowhere
    before: dict[NodeId, int] = {}
    after: dict[NodeId, int] = {}
    for guest in state.guests:
        if guest.status is GuestStatus.STOPPED or guest.template:
            continue
        before[guest.node] = before.get(guest.node, 0) + guest.ram_bytes
        if (end := away.get(guest.id, guest.node)) is not None:
            after[end] = after.get(end, 0) + guest.ram_bytes
    if sorted(load.node for load in plan.loads) != sorted(node.id for node in state.nodes):
        yield "the table of memory does not list each node once"
    nodes = {node.id: node for node in state.nodes}
    for load in plan.loads:
        node = nodes.get(load.node)
        right = node is not None and load.capacity_bytes == node.ram_bytes and load.reserve_bytes >= 0
        if not right or (load.before_bytes, load.after_bytes) != (before.get(load.node, 0), after.get(load.node, 0)):
            yield f"the table of memory is wrong about {load.node.name}"
