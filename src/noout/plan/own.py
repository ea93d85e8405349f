"""noout, or its database, may run in a guest of the node: that guest is named, goes last, and is never stopped.

A live migration it survives: it pauses, and goes on from its journal. Nothing would start it again after a stop.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from noout.domain.cluster import ClusterState, Guest, GuestId, GuestStatus
from noout.domain.maintenance import Move, MoveKind
from noout.domain.reasons import Blocker, Caution
from noout.plan import movability
from noout.plan.movability import WayOut
from noout.plan.policy import Policy
from noout.plan.volumes import title

# What stands in the way of a guest that could only be stopped.
_ONLY_BY_A_STOP = frozenset({"guest.passthrough", "guest.lxc-relocation", "guest.not-live", "guest.ha-shutdown"})


def own_guests(state: ClusterState, policy: Policy) -> frozenset[GuestId]:
    """Those that the configuration names, and the one that has this machine's UUID."""
    uuid = policy.machine_uuid.strip().lower()
    found = {guest.id for guest in state.guests if guest.id in policy.noout_guests}
    return frozenset(found | {guest.id for guest in state.guests if uuid and guest.uuid.lower() == uuid})


def unknown(state: ClusterState, policy: Policy) -> list[Blocker]:
    """A guest that the configuration names and nobody knows: with a number mistyped, noout would switch itself off."""
    known = {guest.id for guest in state.guests}
    return [
        Blocker(
            "noout.self-unknown", str(each), f"noout is said to run in {each}, which is not a guest of {state.name}",
            "correct [self] guests",
        )
        for each in sorted(policy.noout_guests)
        if each.cluster == state.name and each not in known
    ]  # fmt: skip


def way_out(guest: Guest, state: ClusterState, policy: Policy) -> WayOut:
    """How this guest leaves its node; one that is noout's own: live, or not at all."""
    out = movability.way_out(guest, state, policy)
    if guest.id not in policy.noout_guests:
        return out
    stops = out.kind in (MoveKind.RELOCATE, MoveKind.SHUTDOWN)
    if stops or any(each.code in _ONLY_BY_A_STOP for each in out.blockers):
        return WayOut(guest, None, blockers=(_cannot_restart(guest),))
    if out.kind is None and not out.blockers and guest.status is GuestStatus.STOPPED and not guest.template:
        return WayOut(guest, MoveKind.OFFLINE, "is part of noout and stopped: the node must not hold it")
    return out


def _cannot_restart(guest: Guest) -> Blocker:
    return Blocker(
        "noout.cannot-restart", str(guest.id),
        f"noout itself, or its database, runs in {title(guest)}, which cannot leave {guest.node.name} without a stop: "
        "noout cannot restart itself",
        "run noout elsewhere for this maintenance (it takes up its runs from its database), or move this guest by hand "
        "before it begins",
    )  # fmt: skip


def last(moves: Sequence[Move], own: frozenset[GuestId]) -> list[Move]:
    """The same moves, noout's own at the end."""
    return [move for move in moves if move.guest not in own] + [move for move in moves if move.guest in own]


def waiting(moves: Sequence[Move], own: frozenset[GuestId], between: frozenset[GuestId]) -> list[Move]:
    """noout's own moves wait for all those of ``between`` that come before them."""
    result: list[Move] = []
    for move in moves:
        if move.guest in own:
            before = tuple(each.guest for each in result if each.guest in between and each.target is not None)
            move = replace(move, after=tuple(dict.fromkeys((*move.after, *before))))
        result.append(move)
    return result


def caution(move: Move) -> Caution:
    name = move.name or str(move.guest)
    return Caution(
        "noout.self", str(move.guest),
        f"noout itself, or its database, runs in {name} ({move.guest}): it moves last, when all others have left, and "
        "comes home last",
        "nothing to do: after its own move noout goes on from its journal",
    )  # fmt: skip
