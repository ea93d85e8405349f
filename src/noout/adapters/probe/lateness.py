"""How late this process is in everything it does: what it was too late to see blames nobody."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

BEAT_S = 0.02
USUAL_S = 0.005  # a timer's own coarseness


class Beat:
    """A regular call; ``late_s`` is how much it was kept waiting in all, the wait that is going on now included.

    asyncio hands out what came over sockets before it looks at timers: so a call-back that runs first after the process
    stood still asks here, and is told of that standstill.
    """

    def __init__(self, beaten: Callable[[], bool]) -> None:
        """``beaten`` is called each time; it goes on while that says True."""
        self._beaten = beaten
        self._late_s = 0.0
        self._due: float | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin, unless it beats already in this loop."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop or self._timer is None:
            self._loop = loop
            self._next(loop)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._due = None

    def late_s(self) -> float:
        return self._late_s + self._waited()

    def _waited(self) -> float:
        if self._loop is None or self._due is None:
            return 0.0
        late_s = self._loop.time() - self._due
        return late_s if late_s > USUAL_S else 0.0

    def _next(self, loop: asyncio.AbstractEventLoop) -> None:
        self._due = loop.time() + BEAT_S
        self._timer = loop.call_at(self._due, self._beat)

    def _beat(self) -> None:
        self._late_s += self._waited()
        self._timer = self._due = None
        if self._beaten() and self._loop is not None:
            self._next(self._loop)
