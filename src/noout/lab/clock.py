"""The lab's clock: virtual time as a straight line over some other clock.

``now = epoch + speed × (wall() − started)``, all in seconds. The same three figures stand in the config that the
lab writes, so that a client that reads them agrees with the lab about what time it is.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class LabClock:
    """Virtual Unix seconds. In tests ``wall`` is an event loop's ``time`` and ``speed`` is 1."""

    epoch: float
    started: float
    speed: float = 1.0
    wall: Callable[[], float] = time.time

    @classmethod
    def from_now(cls, epoch: float, speed: float = 1.0) -> LabClock:
        """A clock over the wall's that shows ``epoch`` at this moment."""
        return cls(epoch=epoch, started=time.time(), speed=speed)

    def now(self) -> float:
        """The present virtual instant (Unix seconds, UTC)."""
        return self.epoch + self.speed * (self.wall() - self.started)

    def wall_seconds(self, virtual_seconds: float) -> float:
        """How long a stretch of virtual time takes on the wall."""
        return virtual_seconds / self.speed


def wall_now() -> float:
    """Unix seconds of the machine: for a lab whose parts live by its time."""
    return time.time()


class ManualClock:
    """A clock that a test moves by hand; it never goes back."""

    def __init__(self, at: float) -> None:
        self.at = at

    def now(self) -> float:
        return self.at

    def forward(self, seconds: float) -> float:
        if seconds < 0:
            raise ValueError("time does not go back")
        self.at += seconds
        return self.at
