"""What costs a look, kept for some seconds, so that many who ask cost no more than one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Kept(Generic[T]):
    """Answers of ``look`` by key, each good for ``wall_s`` wall seconds after it was asked for.

    Whoever asks while a look is under way gets its answer; a look that failed is told to all who waited, and not kept.
    """

    def __init__(self, look: Callable[[str], Coroutine[Any, Any, T]], wall_s: float) -> None:
        self._look, self._wall_s = look, wall_s
        self._looks: dict[str, tuple[float, asyncio.Task[T]]] = {}

    async def of(self, key: str) -> T:
        now = asyncio.get_running_loop().time()
        at, task = self._looks.get(key, (0.0, None))
        if task is None or (task.done() and (now - at > self._wall_s or _failed(task))):
            task = asyncio.create_task(self._look(key))
            self._looks[key] = (now, task)
        return await asyncio.shield(task)


def _failed(task: asyncio.Task[Any]) -> bool:
    return task.cancelled() or task.exception() is not None
