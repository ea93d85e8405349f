"""Which of the addresses that guests tell themselves are believed.

A guest can tell any address: another customer's, a node's, one on the Internet. So its word counts only within networks
that the provider has named, and for no address that is known to be somebody else's.
"""

from __future__ import annotations

import ipaddress
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from noout.domain.cluster import ClusterState, Guest, GuestId
from noout.domain.probes import usable

SHOWN = 3


@dataclass(frozen=True, slots=True)
class Believed:
    """``addresses``: of each guest that is believed, best first. ``refused``: of the others, why not."""

    addresses: Mapping[GuestId, tuple[str, ...]] = field(default_factory=dict)
    refused: Mapping[GuestId, str] = field(default_factory=dict)


def believed(
    told: Mapping[GuestId, Sequence[str]],
    networks: Sequence[str],
    known: Mapping[str, frozenset[str]],
    foreign: Mapping[GuestId, Sequence[str]] | None = None,
) -> Believed:
    """``told``: by each guest. ``known``: address -> whose it is, as ``known_addresses`` tells it. ``foreign``: guest
    -> networks of customers whose guest it is not. Without a network nobody is believed; of two that tell the same
    address, neither."""
    plain = {guest: tuple(dict.fromkeys(_plain(addresses))) for guest, addresses in told.items()}
    claims: defaultdict[str, set[str]] = defaultdict(set)
    for guest, addresses in plain.items():
        for address in addresses:
            claims[address].add(str(guest))
    good: dict[GuestId, tuple[str, ...]] = {}
    refused: dict[GuestId, str] = {}
    for guest, addresses in plain.items():
        within = usable(addresses, networks) if networks else ()
        if (reserved := (foreign or {}).get(guest)) and (theirs := usable(within, reserved)):
            within = tuple(each for each in within if each not in theirs)
            refused[guest] = f"it tells {', '.join(theirs[:SHOWN])}: in a network of another customer"
        others = {each: (claims[each] | known.get(each, frozenset())) - {str(guest)} for each in within}
        mine = tuple(each for each in within if not others[each])
        if mine:
            good[guest] = mine
            refused.pop(guest, None)
        elif within:
            refused[guest] = "; ".join(f"it tells {each}, so does {_named(others[each])}" for each in within[:SHOWN])
        else:
            refused.setdefault(guest, _outside(usable(addresses)))
    return Believed(good, refused)


def known_addresses(state: ClusterState, guests: Sequence[Guest] = ()) -> dict[str, frozenset[str]]:
    """Address -> who has it, by the configuration of guests and nodes. ``guests``: recorded with what was believed."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for guest in (*state.guests, *guests):
        for address in _plain(guest.addresses):
            found[address].add(str(guest.id))
    for node in state.nodes:
        for address in _plain([node.ip]):
            found[address].add(f"node {node.id}")
    for address in _plain(state.corosync_addresses):
        found[address].add("corosync")
    return {address: frozenset(whose) for address, whose in found.items()}


def _plain(addresses: Sequence[str] | frozenset[str]) -> list[str]:
    """Each written in the one usual way; what is no address is left out, and so is what may stand for another one:
    IPv4 within IPv6, and an address with a zone."""
    found = []
    for text in addresses:
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            continue
        if isinstance(address, ipaddress.IPv4Address) or not (address.ipv4_mapped or address.scope_id):
            found.append(str(address))
    return found


def _outside(addresses: Sequence[str]) -> str:
    if not addresses:
        return "it tells no address that can be asked"
    more = f" and {len(addresses) - SHOWN} more" if len(addresses) > SHOWN else ""
    return f"it tells {', '.join(addresses[:SHOWN])}{more}: not within [probes] networks"


def _named(whose: set[str]) -> str:
    return ", ".join(sorted(whose))
