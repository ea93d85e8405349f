"""While Ceph reports that it serves its clients slowly, no further guest is moved; after a limit, one at a time.

A migration may share its network with Ceph. What Ceph says is all that is looked at: nothing noout reads tells how late
corosync's own messages are.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from noout.domain.maintenance import Maintenance, Observation
from noout.steps.rules import Rules
from noout.steps.step import Note

FACT = "backing-off"  # {"since": ..., "checks": [...]}; None when it is over
# Ceph's own words for requests and heartbeats that take too long.
SLOW = frozenset(
    {
        "SLOW_OPS",
        "BLUESTORE_SLOW_OP_ALERT",
        "OSD_SLOW_PING_TIME_BACK",
        "OSD_SLOW_PING_TIME_FRONT",
        "MDS_SLOW_REQUEST",
        "MDS_SLOW_METADATA_IO",
    }
)


def strain(seen: Observation) -> list[str]:
    """Which of them Ceph reports now."""
    return sorted(SLOW & seen.ceph.checks.keys()) if seen.ceph is not None else []


def since(m: Maintenance) -> datetime | None:
    """Since when it has held moves back; None when it does not."""
    fact = m.facts.get(FACT)
    return datetime.fromisoformat(fact["since"]) if isinstance(fact, dict) else None


def note(m: Maintenance, seen: Observation) -> Note | None:
    """Written down once when it begins, and once when it is over."""
    checks = strain(seen)
    if checks and since(m) is None:
        return Note(FACT, {"since": seen.at.isoformat(), "checks": checks})
    return Note(FACT, None) if not checks and since(m) is not None else None


def streams(planned: int, m: Maintenance, seen: Observation, rules: Rules) -> int:
    """How many may copy at once: as planned, none for as long as the limit says, then one."""
    began = since(m)
    if began is None or not strain(seen):
        return planned
    return 1 if (seen.at - began).total_seconds() >= rules.slow_wait_s else 0


def limit(m: Maintenance, rules: Rules) -> datetime | None:
    """Until when no guest is moved; None when none is held back."""
    began = since(m)
    return None if began is None else began + timedelta(seconds=rules.slow_wait_s)


def why(seen: Observation) -> str:
    return f"Ceph to serve its clients in time again ({', '.join(strain(seen))}): no guest is moved meanwhile"
