"""A virtual loop in which timers of the same instant always run in the order in which they were set.

In asyncio's own that depends on which other timers there were: two histories that differ in one timer that never
rings would part.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from contextvars import Context
from typing import Any

from tests.support.virtual import VirtualLoop


class _Timer(asyncio.TimerHandle):
    number = 0

    def __lt__(self, other: Any) -> bool:
        return (self._when, self.number) < (other._when, other.number)  # type: ignore[attr-defined,no-any-return]


class OrderedLoop(VirtualLoop):
    _set = 0

    def call_at(
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        self._set += 1
        timer = _Timer(when, callback, args, self, context)
        timer.number = self._set
        heapq.heappush(self._scheduled, timer)  # type: ignore[attr-defined]
        timer._scheduled = True  # type: ignore[attr-defined]
        return timer
