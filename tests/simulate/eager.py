"""Coroutines begun at once, in the task that wants them: only one that has to wait becomes a task of its own.

Where most answers are there without waiting, tasks and their wake-ups cost more than the answers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Generator
from typing import Any


async def together(*coros: Coroutine[Any, Any, Any]) -> list[Any]:
    """All results in order. Whatever fails is raised when the others have been cancelled."""
    results: list[Any] = [None] * len(coros)
    tasks: dict[int, asyncio.Future[Any]] = {}
    left = list(enumerate(coros))
    try:
        while left:
            place, coro = left.pop(0)
            try:
                waits_for = coro.send(None)
            except StopIteration as done:
                results[place] = done.value
            else:
                tasks[place] = going_on(coro, waits_for)
        if tasks:
            for place, result in zip(tasks, await asyncio.gather(*tasks.values()), strict=True):
                results[place] = result
    except BaseException:
        for _, coro in left:
            coro.close()
        for task in tasks.values():
            task.cancel()
        await asyncio.gather(*tasks.values(), return_exceptions=True)
        raise
    return results


def going_on(coro: Coroutine[Any, Any, Any], waits_for: Any) -> asyncio.Future[Any]:
    """A task that carries on with ``coro``, which was begun, and waits for ``waits_for``."""
    return asyncio.ensure_future(_Rest(coro, waits_for))


class _Rest:
    def __init__(self, coro: Coroutine[Any, Any, Any], waits_for: Any) -> None:
        self._coro = coro
        self._waits_for = waits_for

    def __await__(self) -> Generator[Any, Any, Any]:
        waits_for = self._waits_for
        try:
            while True:
                try:
                    got = yield waits_for
                except BaseException as error:  # noqa: BLE001 - handed on to whoever waits within
                    waits_for = self._coro.throw(error)
                else:
                    waits_for = self._coro.send(got)
        except StopIteration as done:
            return done.value
