"""Where the guests we touched are, and where they belong: read from the moves that were observed to have happened."""

from __future__ import annotations

from noout.domain.cluster import GuestId, NodeId
from noout.domain.maintenance import Maintenance, Observation


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
