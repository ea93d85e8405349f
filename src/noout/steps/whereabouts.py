"""Where the guests we touched are, and where they belong: read from the moves that were observed to have happened."""

from __future__ import annotations

from noout.domain.cluster import GuestId, NodeId
from noout.domain.maintenance import Json, Maintenance, Observation


def away(m: Maintenance) -> dict[GuestId, str]:
    """Guests we moved and did not bring back -> the node we put them on."""
    result: dict[GuestId, str] = {}
    for moved in m.moved:
        if moved.homeward:
            result.pop(moved.guest, None)
        elif moved.target is not None:
            result[moved.guest] = moved.target.name
    return result


def homes(m: Maintenance) -> dict[GuestId, NodeId]:
    """Every guest we moved -> the node we first took it from; not always the node in maintenance (room was made)."""
    result: dict[GuestId, NodeId] = {}
    for moved in m.moved:
        if not moved.homeward:
            result.setdefault(moved.guest, moved.source)
    return result


def not_home(m: Maintenance, seen: Observation) -> list[GuestId]:
    """Guests we moved that are still there and not where they belong, whoever put them where they are."""
    belongs = homes(m)
    return sorted(
        guest.id
        for guest in seen.cluster.guests
        if guest.id in away(m) and guest.node != belongs[guest.id]
    )  # fmt: skip


def leftovers(m: Maintenance, seen: Observation) -> list[dict[str, Json]]:
    """Every guest that is not home: {guest, name, node, why, next, planned}. None is forgotten: what is not planned
    has a reason, and what a person can do about it."""
    stays = {stay.guest: stay for stay in (m.plan.stays if m.plan else ())}
    put, belongs = away(m), homes(m)
    found: list[dict[str, Json]] = []
    for each in not_home(m, seen):
        guest = seen.cluster.guest(each)
        if guest is None:
            continue
        home = belongs[each].name
        by_hand = f"move it to {home} by hand when that suits, or leave it"
        stay = stays.get(each)
        if guest.node.name != put[each]:
            why, then = f"somebody moved it on from {put[each]}", by_hand
        elif each in m.left_away:
            why, then = "an operator said that it may stay there", by_hand
        elif stay is not None:
            why, then = stay.why, stay.remedy
        else:
            why, then = f"it was not brought back to {home}", by_hand
        planned = stay is not None and not stay.remedy and why == stay.why
        told = {"guest": str(each), "name": guest.name, "node": guest.node.name, "why": why, "next": then}
        found.append({**told, "planned": planned})
    return found
