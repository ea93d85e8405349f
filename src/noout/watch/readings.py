"""Polls in the order of time."""

from __future__ import annotations

from collections.abc import Sequence

from noout.domain.hardware import HardwareState
from noout.watch.fans import AFTER_GAP as AFTER_GAP


def ordered(states: Sequence[HardwareState]) -> list[HardwareState]:
    """Oldest first, each moment once."""
    return sorted({state.at: state for state in states}.values(), key=lambda state: state.at)
