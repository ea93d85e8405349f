"""Messages that other processes left, and runs that were lost: looked for once for all runs of this process."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from noout.app.news import News
from noout.domain.errors import NooutError, StoreBroken
from noout.ports import Engine, Head, Journal

log = logging.getLogger(__name__)

EVERY_S = 0.5  # wall seconds between two looks
RESTART_EVERY = 20  # ... looks after which an open run that has lost its workflow is started again


@dataclass(slots=True)
class _Run:
    over: asyncio.Event = field(default_factory=asyncio.Event)
    head: Head = field(default_factory=Head)
    led: bool = False


@dataclass(slots=True)
class Inboxes:
    """``leads``: whether a run is this process's. ``trouble`` hears that the store takes nothing, for each run."""

    news: News
    journal: Journal
    leads: Callable[[str], bool]
    trouble: Callable[[str, StoreBroken], Awaitable[None]]
    engine: Engine | None = None
    runs: dict[str, _Run] = field(default_factory=dict)
    _looks: int = 0
    _looking: asyncio.Task[None] | None = None

    async def until_over(self, maintenance: str) -> None:
        """Start the run, wake it for each message, start it again should it be lost; until it is over."""
        mine = self.runs[maintenance] = _Run()
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._run())
        try:
            await mine.over.wait()
        finally:
            if self.runs.get(maintenance) is mine:
                del self.runs[maintenance]

    async def end(self) -> None:
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)

    async def _run(self) -> None:
        while self.runs:
            try:
                await self._look()
            except StoreBroken as error:
                for maintenance in list(self.runs):
                    await self.trouble(maintenance, error)
            except NooutError as error:
                log.warning("the inboxes: %s", error)
            self._looks += 1
            await asyncio.sleep(EVERY_S)

    async def _look(self) -> None:
        assert self.engine is not None
        all_again = self._looks % RESTART_EVERY == 0
        if all_again:
            await self.journal.writable()  # else the engine cannot keep what it does either
        heads = await self.news.heads(list(self.runs))
        for maintenance, mine in list(self.runs.items()):
            head, sure = heads.get(maintenance, Head()), self.leads(maintenance)
            moved, came = head.events != mine.head.events, head.messages > mine.head.messages
            if moved and not (await self.news.state(maintenance)).open:
                mine.over.set()
                continue
            try:
                if sure and (all_again or not mine.led):
                    await self.engine.start(maintenance)
                if came:
                    await self.engine.wake(maintenance)
            except StoreBroken:
                raise
            except NooutError as error:
                log.warning("%s: %s", maintenance, error)
            else:
                mine.head, mine.led = head, sure
