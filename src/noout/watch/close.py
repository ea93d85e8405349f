"""The closer look at one reading of a fan that turns: low, hunting, out of line with its peers, or well.

What a fan's peers say depends on when each was read. A BMC reads its sensors one after the other; when the load leaps,
some readings of a poll are from before it and some from after. A fan of two cannot tell which of them is late: its peer
says the old speed in this poll, and said it in the poll before. So what is low or out of line only by its peers is a
doubt, until the next poll has the peers say the same.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from noout.watch.fan import Fan

OF_CRITICAL, OF_PEERS = 0.9, 0.5  # low = below 0.9 of the lower critical limit, or half of what the peers say
OF_UNKNOWN_PEERS = 0.2  # the same while it is not yet known which fans are peers
HUNTING_FROM, HUNTING_OF_PEERS = 0.6, 0.8  # a reading below its limit, yet as its peers say: the limit is wrong
ODD = 0.2  # ln: a reading so far from its peers is out of line


class Doubt(NamedTuple):
    """A reading that only its peers make ``kind``: [Unix seconds, the fan's own unit, ln]."""

    fan: int
    at: float
    speed: float
    apart: float
    kind: str


def kind(fan: Fan, speed: float, apart: float | None, known: bool) -> str:
    """ "low", "hunting", "odd", or "" for a reading above 0 that is well.

    ``apart``: ln of it in proportion to what its peers say; None where they say nothing. ``known``: whether its usual
    proportion to them is known well enough to hold it against them.
    """
    if apart is not None and apart < math.log(OF_PEERS if known else OF_UNKNOWN_PEERS):
        return "low"
    if speed < OF_CRITICAL * fan.limit:
        alike = apart is None or not known or apart >= math.log(HUNTING_OF_PEERS)
        return "hunting" if alike and fan.hunts and speed >= HUNTING_FROM * fan.limit else "low"
    return "odd" if apart is not None and abs(apart) > ODD and known else ""


def nearest(one: float, other: float) -> float:
    """Of two distances [ln] the smaller; 0 when the truth may lie between."""
    return 0.0 if min(one, other) <= 0 <= max(one, other) else min(one, other, key=abs)
