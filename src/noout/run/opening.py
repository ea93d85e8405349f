"""What a run may begin only at certain hours: its evacuation, and its power-down. What was begun goes on at any hour,
and the way back is never held up."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from noout.domain.hardware import Urgency
from noout.domain.maintenance import Maintenance
from noout.domain.windows import Shut
from noout.steps.exposure import given_up
from noout.steps.step import Hold

LOOK_S = 15.0  # how soon it is seen that a customer has acknowledged
EVACUATION = "the evacuation"
HELD = frozenset({"noout", "noup", "cluster-noout", "osd-stopped", "mon-stopped", "guest-down", "onboot"})


@dataclass(frozen=True, slots=True)
class Unread:
    """Customers who have yet to acknowledge what is to come, in a stable sentence; people are told at ``limit``."""

    why: str
    limit: datetime


def begins(m: Maintenance) -> str:
    """What its next effect would begin, in words; "" when nothing new."""
    if m.aborting or m.closing_up or m.urgent or given_up(m) or m.node_off_at is not None:
        return ""
    if m.step == "evacuate" and not (m.moved or m.owned or m.pending or m.failed):
        return EVACUATION
    asked_off = any(each.action.step == "repair" for each in m.pending) or any(key[:7] == "repair/" for key in m.failed)
    if m.step in ("hold-data", "repair") and not asked_off and not any(own.kind in HELD for own in m.owned):
        return "the power-down"
    return ""


def empties(m: Maintenance) -> bool:
    """Whether its next effect would be the first of the evacuation, of a node that need not be emptied at once."""
    cannot_wait = m.fault is not None and m.fault.urgency is Urgency.EVACUATE_NOW
    return begins(m) == EVACUATION and not cannot_wait


def unread(told: Unread) -> Hold:
    """The wait for those customers."""
    return Hold("acknowledgement", told.why, LOOK_S, told.limit)


def hold(m: Maintenance, shut: Shut) -> Hold | None:
    """None when it may go on all the same. ``shut``: the hours are closed now."""
    what = begins(m)
    if not what:
        return None
    return Hold("window", f"{shut.why}: {what} of {m.node.name} begins then", shut.for_s, shut.until)
