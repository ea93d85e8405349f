"""How late this process is in everything it does: what it was too late to see blames nobody."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

BEAT_S = 0.02
USUAL_S = 0.005  # a timer's own coarseness
_NS = 1_000_000_000
_SCHEDSTAT = "/proc/thread-self/schedstat"


class RunDelay:
    """How long this thread was ready to run while others had the core, in all, as the kernel counts it.

    The second number of schedstat (Linux, Documentation/scheduler/sched-stats.rst), in nanoseconds. Always 0.0 where
    the kernel does not count.
    """

    def __init__(self) -> None:
        try:
            self._file = os.open(_SCHEDSTAT, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            self._file = -1

    def seconds(self) -> float:
        if self._file < 0:
            return 0.0
        return int(os.pread(self._file, 128, 0).split()[1]) / _NS

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
        self._file = -1


class Beat:
    """A regular call; ``late_s`` is how much it was kept waiting in all, the wait that is going on now included.

    Waiting is what the kernel kept this thread from running, or how late the call came, whichever is more: the one
    counts every short wait, the other also what a lock of this process or a sleeping machine took.

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
        self._run_delay: RunDelay | None = None
        self._delayed_s = 0.0  # what the kernel had counted at the last call

    def start(self) -> None:
        """Begin, unless it beats already in this loop."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop or self._timer is None:
            self._loop = loop
            if self._run_delay is None:  # of the thread that the loop runs in
                self._run_delay = RunDelay()
            self._next(loop)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._due = None
        if self._run_delay is not None:
            self._run_delay.close()
            self._run_delay = None

    def late_s(self) -> float:
        return self._late_s + self._waited()

    def _waited(self) -> float:
        if self._loop is None or self._due is None or self._run_delay is None:
            return 0.0
        late_s = self._loop.time() - self._due
        return max(late_s if late_s > USUAL_S else 0.0, self._run_delay.seconds() - self._delayed_s)

    def _next(self, loop: asyncio.AbstractEventLoop) -> None:
        self._due = loop.time() + BEAT_S
        self._delayed_s = self._run_delay.seconds() if self._run_delay is not None else 0.0
        self._timer = loop.call_at(self._due, self._beat)

    def _beat(self) -> None:
        self._late_s += self._waited()
        self._timer = self._due = None
        if self._beaten() and self._loop is not None:
            self._next(self._loop)
