"""The way home: whose interruption hurts least goes first, and whoever cannot come home is named, with the reason.

"Done" is not "all home": a guest that a rule keeps from its old neighbour, or that its home has no room for any more,
stays where it is safe and is not forgotten.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from noout.domain.cluster import Affinity, ClusterState, Guest, GuestId, NodeId, Rule
from noout.domain.maintenance import Move, Plan, Stay
from noout.domain.reasons import Caution
from noout.plan import own
from noout.plan.capacity import gib, holds_ram, taken_bytes
from noout.plan.policy import Policy
from noout.plan.schedule import Ground, with_dependencies

START_S = 30.0  # a guest that was shut down here is started again


@dataclass(frozen=True, slots=True)
class WayHome:
    """Every move of the way out is undone by one of ``moves`` (in executable order), or its guest is in ``stays``."""

    moves: tuple[Move, ...] = ()
    stays: tuple[Stay, ...] = ()


def way_home(
    state: ClusterState,
    out: Sequence[Move],
    limits: Mapping[NodeId, int],
    policy: Policy,
    staying: Mapping[GuestId, str],
) -> WayHome:
    """The way back from ``out``, which is executable in ``state``: reverse order, tolerant guests before all others,
    noout's own last. ``staying``: guests that are to stay away, with the reason. A node may hold as much as it held
    before, even above its limit.
    """
    guests = {guest.id: guest for guest in state.guests}
    back = [_back(move, guests.get(move.guest)) for move in reversed(out) if move.guest not in staying]
    stays = [Stay(m.guest, m.name, m.target, staying[m.guest]) for m in out if m.guest in staying and m.target]
    where = {guest.id: guest.node for guest in state.guests}
    away = where | {move.guest: move.target for move in out if move.target is not None}
    taken = taken_bytes(state)
    most = {node: max(limit, taken[node]) for node, limit in limits.items()}
    grounds = _Grounds(state, away, most, Ground(state, away, most))
    tolerant_first = sorted(back, key=lambda move: not _tolerates(guests.get(move.guest), policy))
    mine = policy.noout_guests
    whole = grounds.timed(own.last(tolerant_first, mine)) or grounds.timed(own.last(back, mine))
    left: list[Move] = []
    if whole is None and (whole := grounds.timed(back)) is not None:
        return WayHome(tuple(whole), tuple(stays))  # somebody's way home needs the room that noout's guest takes
    if whole is None:
        whole, left = grounds.as_many_as_can(own.last(tolerant_first, mine))
    stays += [Stay(m.guest, m.name, m.source, grounds.why_not(whole, m), grounds.remedy(m)) for m in left]
    return WayHome(tuple(own.waiting(whole, mine, frozenset(move.guest for move in back))), tuple(stays))


def unwanted(stays: Sequence[Stay]) -> list[Caution]:
    """A word about each guest that cannot come home; none about those that are not meant to."""
    return [
        Caution("plan.stays-away", str(each.guest), f"{each.name} stays on {each.node.name}: {each.why}", each.remedy)
        for each in stays
        if each.remedy
    ]


def belongs_home(move: Move) -> bool:
    """Whether a guest must come home even where others may stay: HA would fetch it, its ISO is there, or it never
    left."""
    return move.target is None or move.failback_off or bool(move.ejects)


def as_before(parent: Plan | None) -> Callable[[Sequence[Move]], Mapping[GuestId, str]]:
    """Who does not come home by a plan made anew: all, as long as the one before it sent somebody away for good."""
    why = next((stay.why for stay in (parent.stays if parent else ()) if not stay.remedy), None)
    if why is None:
        return lambda moves: {}
    return lambda moves: {move.guest: why for move in moves if not belongs_home(move)}


def _tolerates(guest: Guest | None, policy: Policy) -> bool:
    return guest is not None and policy.tolerant_tag in guest.tags


def _back(move: Move, guest: Guest | None) -> Move:
    """The same move the other way; a guest that was shut down here is started again."""
    name = move.name or str(move.guest)
    if move.target is None:
        return replace(move, after=(), why=f"{name} is started again", expected_s=START_S, expected_blackout_ms=0)
    stores = {disk.storage for disk in guest.local_disks} if guest else set()
    store = next(iter(stores)) if move.target_storage is not None and len(stores) == 1 else None
    return replace(
        move, source=move.target, target=move.source, target_storage=store, after=(), failback_off=False,
        why=f"{name} returns to {move.source.name}",
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Grounds:
    """Where all are when the way home begins, and what each node may hold."""

    state: ClusterState
    away: Mapping[GuestId, NodeId]
    limits: Mapping[NodeId, int]
    ground: Ground

    def timed(self, order: Sequence[Move]) -> list[Move] | None:
        return with_dependencies(order, self.ground)

    def as_many_as_can(self, order: Sequence[Move]) -> tuple[list[Move], list[Move]]:
        """Those that can come home one after the other, tried again whenever another has made room; and the rest."""
        found: list[Move] = []
        left = list(order)
        while True:
            for move in left:
                if (longer := self.timed([*found, move])) is not None:
                    found = longer
                    left.remove(move)
                    break
            else:
                return found, left

    def why_not(self, found: Sequence[Move], move: Move) -> str:
        """Why this guest cannot follow those that come home: a rule, or the room."""
        assert move.target is not None
        there = self._there_after(found, move.target) - {move.guest}
        for rule in self._apart(move.guest):
            if rivals := sorted(rule.guests & there):
                who = ", ".join(str(each) for each in rivals)
                return f"{move.target.name} holds {who}, and rule {rule.name} keeps them apart"
        held = sum(guest.ram_bytes for guest in self.state.guests if guest.id in there)
        short = held + move.ram_bytes - self.limits[move.target]
        if short > 0:
            return f"{move.target.name} lacks {gib(short)} for it"
        return f"no order was found in which it comes back to {move.target.name}"

    def remedy(self, move: Move) -> str:
        assert move.target is not None
        if rules := self._apart(move.guest):
            return f"nothing to do while rule {', '.join(rule.name for rule in rules)} holds: it stays where it is"
        return f"make room on {move.target.name} and move it home by hand, or leave it where it is"

    def _apart(self, guest: GuestId) -> list[Rule]:
        rules = self.state.rules
        return [r for r in rules if r.enabled and r.strict and r.kind is Affinity.APART and guest in r.guests]

    def _there_after(self, found: Sequence[Move], node: NodeId) -> set[GuestId]:
        where = dict(self.away) | {move.guest: move.target for move in found if move.target is not None}
        return {guest.id for guest in self.state.guests if holds_ram(guest) and where[guest.id] == node}
