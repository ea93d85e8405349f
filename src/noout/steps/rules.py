"""What an installation has decided about moving guests and holding data: read by the steps, never changed by them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

# Locks that end by themselves when the work that holds them is done. Every other lock waits for a person.
PASSING_LOCKS = frozenset({"backup", "snapshot", "snapshot-delete", "clone", "migrate", "fstrim", "disk"})


@dataclass(frozen=True, slots=True)
class Rules:
    """``lock_wait_s``: how long a guest's lock is waited for. ``canary``: what becomes of a guest whose service does
    not answer where it was moved to: it goes back by itself ("return"), or stays until a person decides ("wait").
    ``hold_limit_s``: how long a node may be away with its data held before people are asked to decide.
    ``slow_wait_s``: for how long no guest is moved while Ceph is slow; after it, one at a time.
    ``cluster_noout``: where host flags are refused, noout may be set for the whole cluster instead."""

    lock_wait_s: float = 3600.0
    canary: Literal["return", "wait"] = "return"
    hold_limit_s: float = 4 * 3600.0
    cluster_noout: bool = False
    slow_wait_s: float = 900.0


RULES = Rules()
