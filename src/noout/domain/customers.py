"""Customers, and whose a guest is: by PVE pool, tag, name or list; what is nobody's is listed, never guessed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase

from noout.domain.cluster import Guest, GuestId
from noout.domain.windows import Window, quiet_text

ALL = "*"  # in place of a tag: every guest of the customer


@dataclass(frozen=True, slots=True)
class Customer:
    key: str  # "boekhuis": stable, used in file names and in the journal
    name: str
    pools: frozenset[str] = frozenset()
    tags: frozenset[str] = frozenset()
    language: str = "en"
    timezone: str = "UTC"
    contract_excludes: tuple[Window, ...] = ()  # in the customer's own time: not counted in contractual availability
    networks: tuple[str, ...] = ()  # an address within, told by a guest of somebody else, is not believed
    names: tuple[str, ...] = ()  # patterns of guests' names: "shop-*"
    guests: frozenset[GuestId] = frozenset()  # one by one, as a list says
    notice_h: float = 0.0  # how long before planned work the contract wants it said
    emergency_notice_h: float = 0.0  # the same of work that cannot wait
    acknowledge_h: float = 0.0  # > 0: nothing of theirs is moved before they have acknowledged it; told after so long
    quiet_hours: tuple[tuple[str, tuple[str, ...]], ...] = ()  # (tag, windows): their guests so tagged; "*": all

    def owns(self, guest: Guest) -> bool:
        return (
            (guest.pool is not None and guest.pool in self.pools)
            or bool(self.tags & guest.tags)
            or guest.id in self.guests
            or any(fnmatchcase(guest.name, pattern) for pattern in self.names)
        )


def owner(customers: Iterable[Customer], guest: Guest) -> Customer | None:
    """The one customer whose guest this is; None when nobody's, or when two would claim it (never guessed)."""
    claims = [customer for customer in customers if customer.owns(guest)]
    return claims[0] if len(claims) == 1 else None


def quiet_hours(customers: Iterable[Customer], guest: Guest) -> tuple[str, ...]:
    """The hours in which this guest is not to be moved, as ``windows.quiet_text``; of two customers that claim it,
    both count."""
    found = [
        quiet_text(window, customer.timezone)
        for customer in customers
        if customer.owns(guest)
        for tag, windows in customer.quiet_hours
        if tag == ALL or tag in guest.tags
        for window in windows
    ]
    return tuple(dict.fromkeys(found))


@dataclass(frozen=True, slots=True)
class Unmapped:
    """A guest that is no customer's. ``claims``: keys of the customers that would all have it; empty: nobody."""

    guest: GuestId
    name: str
    claims: tuple[str, ...] = ()


def unmapped(customers: Sequence[Customer], guests: Iterable[Guest]) -> tuple[Unmapped, ...]:
    """In the order of their ids; templates are nobody's and need not be."""
    found = []
    for guest in sorted(guests, key=lambda each: each.id):
        claims = [customer.key for customer in customers if customer.owns(guest)]
        if len(claims) != 1 and not guest.template:
            found.append(Unmapped(guest.id, guest.name, tuple(claims)))
    return tuple(found)


class Wants(StrEnum):
    """How often somebody wants to be written to. All of it stands on their portal whatever they chose."""

    SILENT = "silent"
    DIGEST = "digest"  # once a month
    EVERY = "every"  # each notice, and once a month


@dataclass(frozen=True, slots=True)
class Contact:
    """Somebody at a customer's who is written to. Kept outside the journal, so that it can be erased."""

    customer: str
    mail: str
    name: str = ""
    language: str = ""  # "": the customer's
    timezone: str = ""  # "": the customer's
    wants: Wants = Wants.DIGEST
