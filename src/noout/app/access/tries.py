"""How often somebody may be wrong: guessing is slow, and nobody can lock out another."""

from __future__ import annotations

import ipaddress
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from noout.domain.errors import Refused

WITHIN = timedelta(minutes=15)
OF_ONE_NAME, OF_ONE_PLACE = 5, 20  # wrong tries from one place, with one name and with any, in that time
PLACES_MAX = 10_000
IPV6_PLACE = 64  # who has one address has its /64


@dataclass(slots=True)
class Tries:
    """Wrong tries count for the place they come from: whoever tries out an operator's name elsewhere keeps that
    operator out of nothing. In the memory of this process: a restart forgets them."""

    _wrong: dict[tuple[str, str], deque[datetime]] = field(default_factory=dict)

    def check(self, name: str, address: str, now: datetime) -> None:
        """Raises Refused while there were too many."""
        place = place_of(address)
        for key, most in (((place, name), OF_ONE_NAME), ((place, ""), OF_ONE_PLACE)):
            times = self._wrong.get(key)
            while times and now - times[0] >= WITHIN:
                times.popleft()
            if times and len(times) >= most:
                minutes = max(1, round((times[0] + WITHIN - now).total_seconds() / 60))
                raise Refused("too many wrong tries from here", remedy=f"try again in {minutes} min")

    def wrong(self, name: str, address: str, now: datetime) -> None:
        place = place_of(address)
        for key in ((place, name), (place, "")):
            self._wrong.setdefault(key, deque()).append(now)
        while len(self._wrong) > PLACES_MAX:
            self._wrong.pop(next(iter(self._wrong)))

    def right(self, name: str, address: str) -> None:
        self._wrong.pop((place_of(address), name), None)


def place_of(address: str) -> str:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if found.version == 6:
        mapped = found.ipv4_mapped
        return str(mapped) if mapped else str(ipaddress.ip_network((found, IPV6_PLACE), strict=False))
    return str(found)
