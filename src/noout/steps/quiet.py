"""Hours in which a customer wants a guest left alone: its move waits for their end, there and back. What cannot wait
(a second fault, a node that must be emptied now) goes on all the same."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

from noout.domain.hardware import Urgency
from noout.domain.maintenance import Maintenance, Move
from noout.domain.windows import free_from
from noout.steps.step import Hold


def may_move_from(move: Move, m: Maintenance, at: datetime) -> datetime:
    """When this move may begin: ``at`` itself where nothing speaks against it. Where no gap is long enough, it begins
    in the first there is."""
    now = m.urgent or (m.fault is not None and m.fault.urgency is Urgency.EVACUATE_NOW)
    if now or not move.quiet:
        return at
    return free_from(at, move.quiet, move.expected_s) or free_from(at, move.quiet) or at


def hold(waiting: Mapping[Move, datetime], at: datetime) -> Hold:
    """Until the first of these may go. ``waiting``: at least one move, and when it may."""
    first = min(waiting.values())
    zone = ZoneInfo(min(waiting, key=lambda move: waiting[move]).quiet[0].rpartition(" ")[2])
    who = ", ".join(f"{move.name or move.guest} ({move.guest})" for move in waiting)
    why = f"the quiet hours of {who} to end, {first.astimezone(zone):%Y-%m-%d %H:%M} {zone}"
    return Hold("quiet-hours", why, max((first - at).total_seconds(), 1.0))
