"""An asyncio event loop with virtual time: hours of sleeps pass in milliseconds, always in the same order.

When nothing is ready to run, time jumps to the next timer. Sockets still work (they are polled without waiting), but
threads must not take part: a coroutine waiting for a thread would see time jump past it. Everything joined under this
loop must therefore stay in the loop (see ``tests.support.asgi`` for HTTP); what does not is found and refused.
"""

from __future__ import annotations

import asyncio
import selectors
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class NothingWillHappen(RuntimeError):
    """Every task waits for something that no timer and no other task can bring."""


class VirtualTimeUp(RuntimeError):
    """The limit of virtual time was reached: something polls for ever."""


class ThreadTookPart(RuntimeError):
    """Something left the loop for a thread: time jumped past it, and two runs of one story would differ."""


class _JumpingSelector(selectors.DefaultSelector):  # type: ignore[misc, valid-type]
    """A selector that never waits: what it would have waited is handed to ``passed``."""

    def __init__(self, passed: Callable[[float | None], None]) -> None:
        super().__init__()
        self._passed = passed

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        events = super().select(0)
        if not events and (timeout is None or timeout > 0):
            self._passed(timeout)
        return events


class VirtualLoop(asyncio.SelectorEventLoop):
    """``time()`` starts at ``start`` seconds and moves only when nothing is ready."""

    def __init__(self, start: float = 0.0, limit_s: float | None = None) -> None:
        self._virtual = start
        self._end = None if limit_s is None else start + limit_s
        self._own_thread = threading.get_ident()
        self._strangers: list[str] = []
        super().__init__(_JumpingSelector(self._pass))
        # Wider than the rounding of seconds counted since 1970, so that a timer is never missed by one bit.
        self._clock_resolution = 1e-6

    def time(self) -> float:
        return self._virtual

    def call_soon_threadsafe(self, callback: Callable[..., Any], *args: Any, **kwargs: Any) -> asyncio.Handle:
        """A thread that reports back took part: the order of things was the machine's, not the clock's."""
        if threading.get_ident() != self._own_thread:
            self._strangers.append(f"{threading.current_thread().name} came back with {callback!r}")
        return super().call_soon_threadsafe(callback, *args, **kwargs)

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> Any:
        raise ThreadTookPart(f"{func!r} is to run in a thread")

    def refuse_threads(self) -> None:
        """Raises ThreadTookPart where one came back."""
        if self._strangers:
            raise ThreadTookPart("; ".join(self._strangers))

    def _pass(self, seconds: float | None) -> None:
        self.refuse_threads()
        if seconds is None:
            waiting = "; ".join(repr(task) for task in asyncio.all_tasks(self))
            raise NothingWillHappen(f"nothing is ready and no timer is set; tasks: {waiting}")
        self._virtual += seconds
        if self._end is not None and self._virtual > self._end:
            raise VirtualTimeUp(f"the limit of virtual time was passed at {self._virtual:.0f} s")


def run_virtual(
    coro: Coroutine[Any, Any, T], *, start: float = 0.0, limit_s: float | None = 30 * 86400.0, debug: bool = False,
    loop: type[VirtualLoop] = VirtualLoop,
) -> T:  # fmt: skip
    """Run ``coro`` to its end under virtual time. ``limit_s`` (virtual seconds) ends a test that polls for ever."""
    with asyncio.Runner(loop_factory=lambda: loop(start, limit_s), debug=debug) as runner:
        result = runner.run(coro)
        used = runner.get_loop()
        assert isinstance(used, VirtualLoop)
        used.refuse_threads()
        return result
