"""What a run may begin only at certain hours: its evacuation, and its power-down. What was begun goes on at any hour,
and the way back is never held up."""

from __future__ import annotations

from noout.domain.maintenance import Maintenance
from noout.domain.windows import Shut
from noout.steps.exposure import given_up
from noout.steps.step import Hold

HELD = frozenset({"noout", "noup", "cluster-noout", "osd-stopped", "mon-stopped", "guest-down", "onboot"})


def begins(m: Maintenance) -> str:
    """What its next effect would begin, in words; "" when nothing new."""
    if m.aborting or m.closing_up or m.urgent or given_up(m) or m.node_off_at is not None:
        return ""
    if m.step == "evacuate" and not (m.moved or m.owned or m.pending or m.failed):
        return "the evacuation"
    asked_off = any(each.action.step == "repair" for each in m.pending) or any(key[:7] == "repair/" for key in m.failed)
    if m.step in ("hold-data", "repair") and not asked_off and not any(own.kind in HELD for own in m.owned):
        return "the power-down"
    return ""


def hold(m: Maintenance, shut: Shut) -> Hold | None:
    """None when it may go on all the same. ``shut``: the hours are closed now."""
    what = begins(m)
    if not what:
        return None
    return Hold("window", f"{shut.why}: {what} of {m.node.name} begins then", shut.for_s, shut.until)
