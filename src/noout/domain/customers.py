"""Customers, and whose a guest is: by PVE pool or tag; a guest of nobody is listed as such, never guessed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from noout.domain.cluster import Guest
from noout.domain.windows import Window


@dataclass(frozen=True, slots=True)
class Customer:
    key: str  # "boekhuis": stable, used in file names
    name: str
    pools: frozenset[str] = frozenset()
    tags: frozenset[str] = frozenset()
    language: str = "en"
    timezone: str = "UTC"
    contract_excludes: tuple[Window, ...] = ()  # in the customer's own time: not counted in contractual availability
    networks: tuple[str, ...] = ()  # an address within, told by a guest of somebody else, is not believed

    def owns(self, guest: Guest) -> bool:
        return (guest.pool is not None and guest.pool in self.pools) or bool(self.tags & guest.tags)


def owner(customers: Iterable[Customer], guest: Guest) -> Customer | None:
    """The one customer whose guest this is; None when nobody's, or when two would claim it (never guessed)."""
    claims = [customer for customer in customers if customer.owns(guest)]
    return claims[0] if len(claims) == 1 else None
