"""The addresses that a guest tells itself: a VM by its guest agent, a container by its node, which looks inside.

Only those of the network cards that its configuration gives it, known by their hardware addresses: bridges of Docker,
tunnels and loopbacks have others. A VLAN, a bond or a bridge over a card has the card's own, and counts. Nothing of it
is more than what the guest says: ``witness.claims`` decides what is believed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from noout.adapters.pve.parse import Row, rows, table
from noout.domain.errors import Refused

ADDRESSES_MAX = 64  # a guest may tell as many as it likes
SAID_MAX = 200
_MAC = re.compile(r"(?:[0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}")
_CARD = re.compile(r"net(\d+)")


def cards(config: Mapping[str, Any]) -> tuple[str, ...]:
    """Hardware addresses in lower case, net0's first, of ``/nodes/N/{qemu,lxc}/ID/config``."""
    numbered = sorted((int(found[1]), str(text)) for key, text in config.items() if (found := _CARD.fullmatch(key)))
    return tuple(found[0].lower() for _, text in numbered if (found := _MAC.search(text)))


def by_agent(data: Any, own: tuple[str, ...]) -> tuple[str, ...]:
    """``data`` of ``.../agent/network-get-interfaces``. Refused with the agent's own words where it does not tell:
    PVE passes them on with a status of 200."""
    result = table(data).get("result")
    error = table(table(result).get("error"))
    if error:
        said = "".join(each for each in str(error.get("desc") or error.get("class")) if each.isprintable())[:SAID_MAX]
        raise Refused(f"its guest agent says: {said}")
    return _of_cards(rows(result), own)


def by_node(data: Any, own: tuple[str, ...]) -> tuple[str, ...]:
    """``data`` of a container's ``.../interfaces``; null where it does not run."""
    if data is None:
        raise Refused("it does not run")
    return _of_cards(rows(data), own)


def _of_cards(told: Any, own: tuple[str, ...]) -> tuple[str, ...]:
    """In the order of the cards, each once."""
    of: dict[str, list[str]] = {card: [] for card in own}
    for row in told:
        of.get(str(row.get("hardware-address") or row.get("hwaddr") or "").lower(), []).extend(_addresses(row))
    return tuple(dict.fromkeys(address for card in own for address in of[card]))[:ADDRESSES_MAX]


def _addresses(row: Row) -> Iterator[str]:
    for each in rows(row.get("ip-addresses")):
        yield str(each.get("ip-address") or "")
    for key in ("inet", "inet6"):
        if row.get(key):
            yield str(row[key]).split("/")[0]
