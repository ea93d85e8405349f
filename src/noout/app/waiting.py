"""A wait as people are told of it: since when, until when at the latest or for whose decision, and what now."""

from __future__ import annotations

from datetime import datetime

from noout.domain.maintenance import Maintenance
from noout.run.limits import next_action
from noout.steps.waits import WAITS


def clock(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC" if at is not None else ""


def how_long(state: Maintenance) -> str:
    """In brackets; "" where it is not known."""
    if state.waiting_since is None:
        return ""
    kind = WAITS.get(state.waiting_code)
    until = f", until {clock(state.waiting_limit)} at the latest" if state.waiting_limit is not None else ""
    if not until and kind is not None and kind.decides:
        until = f", until the {kind.decides} decides"
    return f" (since {clock(state.waiting_since)}{until})"


def what_now(state: Maintenance) -> str:
    """What a person can do about it; "" where nothing is known."""
    return next_action(state, state.waiting_code)
