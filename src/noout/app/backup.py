"""noout's own state as one file, and back: the same file for SQLite and PostgreSQL, and so the way from one to the
other.

A restored journal ends when the backup was made; what was done since stands in the clusters alone. So everything
stands still after a restore, written in the same transaction, until an operator has looked and allows it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from noout import __version__
from noout.adapters.store import copying
from noout.adapters.store.archive import Header, Reading, save
from noout.adapters.store.sql import SqlStore, head, write_after
from noout.app.compose import clock_of, store_of
from noout.app.standstill import STOPPED, STREAM
from noout.domain.errors import Refused, UsageError
from noout.ports import Clock
from noout.run.record import Known
from noout.settings import Settings

Progress = Callable[[str, int], None]  # a table's name, and how many of its rows are done
SAID_EVERY = 500


@dataclass(frozen=True, slots=True)
class Copied:
    """``rows``: how many of each table. ``made_at``: what came later is not in the file."""

    made_at: datetime
    rows: Counter[str]


@asynccontextmanager
async def stored(settings: Settings, *, there: bool) -> AsyncIterator[tuple[SqlStore, Clock]]:
    """The store alone: no cluster is asked, no secret read. ``there``: Refused where it has no file yet."""
    clock = clock_of(settings)
    store, path = store_of(settings, clock)
    try:
        if there and path is not None and not path.exists():
            raise Refused(f"there is nothing to back up: {path} does not exist", remedy="check key store.url")
        yield store, clock
    finally:
        await store.close()


async def open_in(store: SqlStore) -> list[str]:
    """The maintenances that are open."""
    states = [await Known(store).find(stream) for stream in await store.streams()]
    return [state.id for state in states if state is not None and state.open]


async def back_up(store: SqlStore, clock: Clock, path: Path, progress: Progress, *, measured: bool = True) -> Copied:
    """Write everything that is kept now, as of one moment, into one file; runs go on meanwhile.

    ``measured``: with samples and sensor states. Refused for an empty store and for a broken chain, which could not be
    restored; Broken when the file cannot be written.
    """
    header = Header(clock.now(), __version__, measured)

    def work(connection: Connection) -> Copied:
        if not copying.not_empty(connection):
            raise Refused("there is nothing to back up: the store is empty", remedy="check key store.url")
        tables = (*copying.JOURNAL, *(copying.MEASURED if measured else ()))
        return Copied(header.made_at, save(path, header, _counting(copying.rows(connection, tables), progress)))

    return await store.at_once(work)


def _counting(rows: Iterator[copying.Row], progress: Progress) -> Iterator[copying.Row]:
    counted = Counter[str]()
    for row in rows:
        counted[row[0]] += 1
        if counted[row[0]] % SAID_EVERY == 0:
            progress(row[0], counted[row[0]])
        yield row


async def restore(store: SqlStore, clock: Clock, path: Path, actor: str, progress: Progress) -> Copied:
    """Fill an empty store from a file, all of it or nothing, and let everything stand still.

    UsageError for a file that is no backup, newer, damaged or cut short; Refused for a store in which something is, and
    for a broken chain.
    """
    with Reading(path) as reading:
        made_at = reading.header.made_at
        reason = (
            f"restored from a backup of {made_at:%Y-%m-%d %H:%M:%S} UTC; what was done since is not in this journal"
        )

        def work(connection: Connection) -> Copied:
            if found := copying.not_empty(connection):
                raise Refused(
                    f"the store is not empty ({found}): nothing was restored",
                    remedy="name an empty one by key store.url; a journal is never written over",
                )
            copying.write(connection, reading.rows(), progress)
            data = {"reason": reason, "doubted": True, "made_at": made_at.isoformat()}
            write_after(connection, head(connection, STREAM), STREAM, clock.now(), STOPPED, data, actor)
            return Copied(made_at, reading.counted)

        try:
            return await store.at_once(work, alone=True)
        except IntegrityError:
            raise UsageError(
                f"{path} holds something twice; nothing of it was restored", remedy="use another backup"
            ) from None
