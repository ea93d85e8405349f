"""The engine that makes a run survive, on DBOS Transact; the one module that knows the workflow library.

It remembers which runs exist, at which wait each stands, and wakes them. It holds no truth: its tables lie apart from
the journal, and when they are deleted every open maintenance is found in the journal and started again.

Facts of DBOS 3.4 that shaped this, each tried: a SQLite file needs WAL set by hand; workflows that are started run in
the caller's event loop and recovered ones in DBOS's own, so they are always enqueued, and the work itself is handed to
the application's loop; the version is pinned because a changed hash of the source would leave runs pending in silence;
a hard cancel would run no compensation, so no run that is being executed is ever cancelled. Its own waiting (``recv``)
asks the database for each run twice a second, which was 13 % of a core for 300 runs: they wait here, in memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
import uuid
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from dbos import DBOS, DBOSConfig, SetWorkflowID

from noout.ports import Advance, Clock, Engine, Wait

T = TypeVar("T")

log = logging.getLogger(__name__)

VERSION = "2"  # of the loop below; raised only when recorded runs cannot continue under the new code
SQLITE = "sqlite:///"
QUEUE = "maintenances"
QUEUE_POLL_S = 1.0  # how soon a run begins
UNFINISHED = ["PENDING", "ENQUEUED", "DELAYED"]

Loop = Callable[[Engine, str], Awaitable[None]]


class DurableEngine:
    """Engine on DBOS. One per process: ``async with DurableEngine(...)``.

    ``run``: the loop (``run.story.run``). Deadlines are Clock times; DBOS is given the wall time that is left.
    """

    def __init__(self, database_url: str, clock: Clock, run: Loop) -> None:
        self._url = database_url
        self._clock = clock
        self._run = run
        self._loop: asyncio.AbstractEventLoop | None = None
        self._workflow: Any = None
        self._executed: set[str] = set()  # maintenances whose loop is in this process's hands
        self._stranded: set[str] = set()  # workflows that are called pending, and that nobody was seen to execute
        self._looked: set[str] = set()  # maintenances whose last step was taken here, not read from what is recorded
        self._wakes: dict[str, asyncio.Event] = {}

    async def __aenter__(self) -> DurableEngine:
        self._loop = asyncio.get_running_loop()
        await asyncio.to_thread(self._launch)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._loop is not None
        await asyncio.to_thread(DBOS.destroy, destroy_registry=True)
        # DBOS has put a thread pool of its own under this loop and has just shut it down: others still need threads.
        self._loop.set_default_executor(ThreadPoolExecutor(thread_name_prefix="noout"))

    def _launch(self) -> None:
        _use_wal(self._url)
        config: DBOSConfig = {
            "name": "noout",
            "system_database_url": self._url,
            "application_version": VERSION,
            "db_engine_kwargs": {"connect_args": {"factory": _Unhurried}} if _is_sqlite(self._url) else None,
            "enable_otlp": False,
            "log_level": "CRITICAL",
        }
        DBOS(config=config)

        @DBOS.workflow(name="maintenance", max_recovery_attempts=None)
        async def maintenance(mid: str) -> None:
            self._executed.add(mid)
            try:
                await self._run(self, mid)
            except Exception as error:  # the engine's own log is silent: whoever leads this process must hear of it
                log.error("%s: its run stopped and is taken up again: %s: %s", mid, type(error).__name__, error)
                raise
            finally:
                self._executed.discard(mid)

        self._workflow = maintenance
        DBOS.launch()
        DBOS.register_queue(QUEUE, polling_interval_sec=QUEUE_POLL_S)

    # --- the three verbs ------------------------------------------------------------------------------------

    async def step(self, advance: Advance, maintenance: str) -> Wait | None:
        """One durable step: its result is recorded, so that a recovered run does not repeat it."""

        async def work() -> tuple[str, str | None] | None:
            self._looked.add(maintenance)
            wait = await self._in_application(_taken(advance, maintenance))
            return None if wait is None else (wait.why, wait.until.isoformat() if wait.until else None)

        recorded = await DBOS.run_step_async({"name": "advance"}, work)
        if recorded is None:
            return None
        why, until = recorded
        return Wait(why, datetime.fromisoformat(until) if until else None)

    async def inbox(self, maintenance: str, until: datetime | None) -> None:
        """A run that was taken up again reads the steps it has recorded, and waits for none of their times: those may
        have been cut short by a message."""
        looked = maintenance in self._looked
        self._looked.discard(maintenance)
        if until is not None and looked:
            await self._in_application(self._wait(maintenance, until))

    async def _wait(self, maintenance: str, until: datetime) -> None:
        woken = self._wakes.setdefault(maintenance, asyncio.Event())
        left_s = max(0.0, (until - self._clock.now()).total_seconds())
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(woken.wait(), self._clock.wall_s(left_s))
        woken.clear()

    async def start(self, maintenance: str) -> None:
        """One that is called pending though nobody executes it (its own end could not be written down) is given up,
        and the maintenance begun anew: at the second look, as one that is taken up after a restart takes a moment."""
        if maintenance in self._executed:
            return
        known = await DBOS.list_workflows_async(
            workflow_id_prefix=f"{maintenance}/", status=UNFINISHED, app_version=VERSION, load_input=False,
            load_output=False,
        )  # fmt: skip
        for each in known:
            if each.status != "PENDING" or each.workflow_id not in self._stranded or maintenance in self._executed:
                self._stranded.add(each.workflow_id)
                return
            await DBOS.cancel_workflow_async(each.workflow_id)
            self._stranded.discard(each.workflow_id)
            log.warning("%s: its run was lost, and is begun anew from the journal", maintenance)
        with SetWorkflowID(f"{maintenance}/{uuid.uuid4().hex}"):
            await DBOS.enqueue_workflow_async(QUEUE, self._workflow, maintenance)

    async def wake(self, maintenance: str) -> None:
        self._wakes.setdefault(maintenance, asyncio.Event()).set()

    async def _in_application(self, work: Coroutine[Any, Any, T]) -> T:
        """Run ``work`` in the application's own event loop, where its connections live."""
        assert self._loop is not None
        if asyncio.get_running_loop() is self._loop:
            return await work
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))


async def _taken(advance: Advance, maintenance: str) -> Wait | None:
    """As a coroutine: ``advance`` promises an Awaitable only, and another thread's loop takes nothing less."""
    return await advance(maintenance)


class _Unhurried(sqlite3.Connection):
    """Writes ahead, and leaves it to the next checkpoint to wait for the disk: when the power fails, the last steps
    are forgotten and taken again, from the journal, which waits for the disk at every event."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.execute("PRAGMA synchronous=NORMAL")


def _is_sqlite(url: str) -> bool:
    return url.startswith(SQLITE)


def _use_wal(url: str) -> None:
    """SQLite files are written ahead of, ten times as fast, and readers never wait."""
    if _is_sqlite(url):
        path = Path(url.removeprefix(SQLITE))
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
