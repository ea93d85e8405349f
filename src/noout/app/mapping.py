"""Whose the guests are: the configuration and its list read, and those that are nobody's named."""

from __future__ import annotations

import csv
from dataclasses import dataclass

from noout.domain.cluster import ClusterState, Guest, GuestId
from noout.domain.customers import Customer, Unmapped, owner, unmapped
from noout.domain.errors import UsageError
from noout.domain.windows import parse_window
from noout.settings import Settings


def customers_of(settings: Settings) -> tuple[Customer, ...]:
    """As configured. UsageError for a list of guests that cannot be read, or names what is not there."""
    listed = _listed(settings)
    return tuple(
        Customer(
            key,
            each.name,
            frozenset(each.pools),
            frozenset(each.tags),
            each.language,
            each.timezone,
            tuple(parse_window(text) for text in each.contract_excludes),
            tuple(each.networks),
            tuple(each.names),
            frozenset(listed.get(key, ())),
            each.notice_h,
            each.emergency_notice_h,
            each.acknowledge_h,
            tuple((tag, tuple(windows)) for tag, windows in each.quiet_hours.items()),
        )
        for key, each in settings.customers.items()
    )


def _listed(settings: Settings) -> dict[str, set[GuestId]]:
    """``[tell] guests_file``: "CLUSTER/VMID,CUSTOMER" a line; a first line "guest,customer" and lines from # on are
    passed over."""
    if settings.tell.guests_file is None:
        return {}
    path = settings.file(settings.tell.guests_file)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"key tell.guests_file: {path} cannot be read", remedy="check the file") from error
    found: dict[str, set[GuestId]] = {}
    for number, row in enumerate(csv.reader(text.splitlines()), start=1):
        cells = [cell.strip() for cell in row]
        if not any(cells) or cells[0].startswith("#") or (number == 1 and cells[:2] == ["guest", "customer"]):
            continue
        where = f"{path}, line {number}"
        try:
            guest = GuestId.parse(cells[0])
        except ValueError:
            raise UsageError(f"{where}: {cells[0][:40]!r} is no guest", remedy="such as ams1/110,boekhuis") from None
        if len(cells) < 2 or cells[1] not in settings.customers:
            known = ", ".join(settings.customers) or "none"
            raise UsageError(f"{where}: {guest} has no customer of the configuration", remedy=f"known: {known}")
        found.setdefault(cells[1], set()).add(guest)
    return found


@dataclass(frozen=True, slots=True)
class Mapped:
    """``guests``: how many each customer has, by key; ``unmapped``: those that are nobody's, or that several claim."""

    guests: dict[str, int]
    unmapped: tuple[Unmapped, ...]


def mapped(customers: tuple[Customer, ...], states: list[ClusterState]) -> Mapped:
    """Of every guest that is no template."""
    guests: list[Guest] = [guest for state in states for guest in state.guests if not guest.template]
    counts = {customer.key: 0 for customer in customers}
    for guest in guests:
        whose = owner(customers, guest)
        if whose is not None:
            counts[whose.key] += 1
    return Mapped(counts, unmapped(customers, guests))
