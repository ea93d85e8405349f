"""Journal and measurements in a database, by SQLAlchemy Core: SQLite with no set-up, or PostgreSQL.

Calls leave the event loop (``asyncio.to_thread``): a slow disk or database must not stop the watch. Raises
StoreBroken when the database cannot be used, Superseded when another writer was faster.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import (
    URL,
    Connection,
    Engine,
    Row,
    bindparam,
    create_engine,
    event,
    func,
    insert,
    literal_column,
    make_url,
    select,
)  # fmt: skip
from sqlalchemy.exc import ArgumentError, IntegrityError, NoSuchModuleError, SQLAlchemyError

from noout.adapters.store import copying, erasing, facts, readings, samples
from noout.adapters.store.tables import events, messages
from noout.domain.cluster import GuestId, NodeId
from noout.domain.errors import Broken, NooutError, StoreBroken, Superseded, UsageError
from noout.domain.hardware import HardwareState, LogEntry
from noout.domain.impact import Sample
from noout.domain.journal import ERASED, GENESIS, Event, Message, digest, reading
from noout.domain.maintenance import Json
from noout.domain.trend import Trend
from noout.ports import Clock, Head

T = TypeVar("T")

# Made once: for a statement of one row, making it costs more than running it.
_HEAD = (
    select(events.c.seq, events.c.digest)
    .where(events.c.stream == bindparam("of"))
    .order_by(events.c.seq.desc())
    .limit(literal_column("1"))
)
_APPEND = insert(events)

IDLE_S = 5  # between two statements of one transaction
# In libpq's own words: seconds, and for the last one milliseconds.
PATIENCE = {
    "connect_timeout": 5, "keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}  # fmt: skip


class SqlStore:
    """``Journal`` and ``Measurements`` over one database.

    ``await SqlStore.open(url, clock)`` makes the tables at once; ``SqlStore.at(url, clock)`` when it is first used, so
    that a command which only looks at a cluster, or is refused, leaves no file behind.
    """

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock
        self._made = False
        self._making = asyncio.Lock()
        self._readings = readings.Readings()
        self._waiting: list[tuple[HardwareState, asyncio.Future[None]]] = []
        self._writing = asyncio.Lock()
        self._guard: Callable[[Connection], None] = lambda connection: None

    @classmethod
    def at(cls, url: str, clock: Clock) -> SqlStore:
        """UsageError for a URL that is none."""
        return cls(_engine(url), clock)

    @classmethod
    async def open(cls, url: str, clock: Clock) -> SqlStore:
        """UsageError for a URL that is none; Broken when the database cannot be used."""
        store = cls.at(url, clock)
        await store._make()
        return store

    def guarded(self, guard: Callable[[Connection], None]) -> SqlStore:
        """The same store, as one writes to its journal for whom ``guard`` speaks: it runs in the transaction of every
        append, and when it raises, nothing is written."""
        other = copy(self)
        other._guard = guard
        return other

    async def close(self) -> None:
        await asyncio.to_thread(self._engine.dispose)

    async def _make(self) -> None:
        async with self._making:
            if not self._made:
                try:
                    await self._transact(facts.make)
                except IntegrityError:  # another process made the same tables at this moment
                    await self._transact(facts.make)
                self._made = True

    async def do(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` in one transaction, off the event loop."""
        if not self._made:
            await self._make()
        return await self._transact(work)

    async def at_once(self, work: Callable[[Connection], T], *, alone: bool = False) -> T:
        """Run ``work`` on one picture of the database that does not change meanwhile. ``alone``: nobody else writes."""
        await self._make()

        def still(connection: Connection) -> T:
            copying.hold_still(connection, alone=alone)
            return work(connection)

        fixed = self._engine.dialect.name != "sqlite" and not alone
        return await self._transact(still, {"isolation_level": "REPEATABLE READ"} if fixed else {})

    async def _transact(self, work: Callable[[Connection], T], options: Mapping[str, Any] | None = None) -> T:
        return await asyncio.to_thread(self.do_here, work, options)

    def do_here(self, work: Callable[[Connection], T], options: Mapping[str, Any] | None = None) -> T:
        """Run ``work`` in one transaction in this thread, which is not the event loop's; the tables must be there."""
        engine = self._engine.execution_options(**options) if options else self._engine
        try:
            with engine.begin() as connection:
                return work(connection)
        except IntegrityError:
            raise
        except SQLAlchemyError as error:
            cause = str(getattr(error, "orig", None) or error).splitlines()[0]
            raise StoreBroken(
                f"the database ({self._engine.url.render_as_string()}) cannot be used: {cause}",
                remedy="check that it runs, is writable and has room; nothing new is begun until then",
            ) from None

    # --- journal --------------------------------------------------------------------------------------------

    async def append(
        self, stream: str, expected_seq: int, kind: str, data: Mapping[str, Json], actor: str = "noout"
    ) -> Event:
        # Through JSON once, so that what is hashed is what will be read back.
        plain, at = json.loads(json.dumps(data, ensure_ascii=False, allow_nan=False)), self._clock.now()

        def work(connection: Connection) -> Event:
            self._guard(connection)
            return _append(connection, stream, expected_seq, at, kind, plain, actor)

        try:
            return await self.do(work)
        except IntegrityError:
            raise Superseded(f"{stream}: somebody else wrote event {expected_seq + 1}") from None

    async def erase(
        self, stream: str, expected_seq: int, reads: Sequence[Event], said: Sequence[tuple[str, Message]], actor: str
    ) -> Event:
        told, at = {"reads": {str(each.seq): reading(each) for each in reads}}, self._clock.now()

        def work(connection: Connection) -> Event:
            erasing.write_over(connection, stream, reads, said)
            return _append(connection, stream, expected_seq, at, ERASED, told, actor)

        try:
            event = await self.do(work)
        except IntegrityError:
            raise Superseded(f"{stream}: somebody else wrote event {expected_seq + 1}") from None
        await self.settle()
        return event

    async def settle(self) -> None:
        """What was written over, or dropped, is gone from the database's files too."""
        await asyncio.to_thread(erasing.settle_files, self._engine)

    async def writable(self) -> None:
        await self.do(lambda connection: facts.written(connection, self._clock.now()))

    async def read(self, stream: str, after: int = 0) -> Sequence[Event]:
        query = select(events).where(events.c.stream == stream, events.c.seq > after).order_by(events.c.seq)
        return [_event(row) for row in await self._rows(query)]

    async def streams(self) -> Sequence[str]:
        query = select(events.c.stream).group_by(events.c.stream).order_by(func.min(events.c.at), events.c.stream)
        return [row.stream for row in await self._rows(query)]

    async def heads(self, streams: Sequence[str]) -> Mapping[str, Head]:
        return await self.do(lambda connection: _heads(connection, streams)) if streams else {}

    async def post(self, stream: str, message: Message) -> bool:
        row = {
            "stream": stream,
            "key": message.key,
            "kind": message.kind,
            "actor": message.actor,
            "at": message.at.isoformat(),
            "data": json.dumps(message.data, ensure_ascii=False, allow_nan=False),
        }
        try:
            await self.do(lambda connection: connection.execute(insert(messages).values(row)))
        except IntegrityError:
            return False
        return True

    async def messages(self, stream: str) -> Sequence[Message]:
        query = select(messages).where(messages.c.stream == stream).order_by(messages.c.number)
        return [
            Message(row.key, row.kind, row.actor, datetime.fromisoformat(row.at), json.loads(row.data))
            for row in await self._rows(query)
        ]

    async def _rows(self, query: Any) -> Sequence[Row[Any]]:
        return await self.do(lambda connection: connection.execute(query).all())

    # --- measurements ---------------------------------------------------------------------------------------

    async def add_samples(self, maintenance: str, samples_: Sequence[Sample]) -> None:
        if samples_:
            await self.do(lambda connection: samples.add(connection, maintenance, samples_))

    async def samples(
        self, maintenance: str, guest: GuestId | None = None, since: datetime | None = None
    ) -> Sequence[Sample]:
        return await self.do(lambda connection: samples.read(connection, maintenance, guest, since))

    async def forget_samples(self, before: datetime) -> None:
        await self.do(lambda connection: samples.forget(connection, before))

    async def add_hardware(self, state: HardwareState) -> None:
        """States that wait while others are being written go together: one transaction, not one for each node."""
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((state, written))
        async with self._writing:
            if not written.done():
                batch, self._waiting = self._waiting, []
                # Shielded: what was begun for others too is finished, should this caller be called off.
                await asyncio.shield(self._write(batch))
        await written

    async def _write(self, batch: list[tuple[HardwareState, asyncio.Future[None]]]) -> None:
        failed: NooutError | None = None
        for _ in range(2):
            failed = None
            try:
                await self.do(lambda connection: self._readings.add(connection, [state for state, _ in batch]))
                break
            except IntegrityError:  # another process wrote the same frame at this moment: now it is there
                failed = Broken("the database took the same readings from two sides; they were not kept")
            except NooutError as error:
                failed = error
            self._readings.forget()
        for _, written in batch:
            if written.done():
                continue  # called off
            if failed is None:
                written.set_result(None)
            else:
                written.set_exception(failed)

    async def hardware(self, node: NodeId, since: datetime) -> Sequence[HardwareState]:
        return await self.do(lambda connection: readings.states(connection, node, since))

    async def thin_hardware(self, node: NodeId, raw_since: datetime, trends_since: datetime) -> None:
        async with self._writing:
            await self.do(lambda connection: readings.thin(connection, node, raw_since, trends_since))
            self._readings.forget()

    async def trends(self, node: NodeId, since: datetime) -> Sequence[Trend]:
        return await self.do(lambda connection: readings.trends(connection, node, since))

    async def logged(self, node: NodeId, since: datetime) -> Sequence[LogEntry]:
        return await self.do(lambda connection: readings.logged(connection, node, since))

    async def keep_memory(self, node: NodeId, at: datetime, memory: Json) -> None:
        await self.do(lambda connection: readings.keep_memory(connection, node, at, memory))

    async def memory(self, node: NodeId) -> tuple[datetime, Json] | None:
        return await self.do(lambda connection: readings.memory(connection, node))


def _heads(connection: Connection, streams: Sequence[str]) -> dict[str, Head]:
    last = select(events.c.stream, func.max(events.c.seq)).where(events.c.stream.in_(streams)).group_by(events.c.stream)
    left = (
        select(messages.c.stream, func.count())
        .where(messages.c.stream.in_(streams))
        .group_by(messages.c.stream)
    )  # fmt: skip
    counts = {stream: count for stream, count in connection.execute(left)}
    return {stream: Head(seq, counts.get(stream, 0)) for stream, seq in connection.execute(last)}


def head(connection: Connection, stream: str) -> tuple[int, str]:
    """The number and the digest of a stream's last event."""
    last = connection.execute(_HEAD, {"of": stream}).first()
    return (0, GENESIS) if last is None else (last.seq, last.digest)


def write_after(
    connection: Connection,
    last: tuple[int, str],
    stream: str,
    at: datetime,
    kind: str,
    data: Mapping[str, Json],
    actor: str,
) -> Event:
    """Append to a stream after this ``head``; IntegrityError when another writer was faster."""
    seq, previous = last
    made = digest(previous, stream, seq + 1, at, kind, data, actor)
    text = json.dumps(data, ensure_ascii=False, allow_nan=False)
    row = {"stream": stream, "seq": seq + 1, "at": at.isoformat(), "kind": kind, "data": text, "actor": actor}
    connection.execute(_APPEND, {**row, "digest": made})
    return Event(stream, seq + 1, at, str(kind), data, actor, made)


def _append(
    connection: Connection,
    stream: str,
    expected_seq: int,
    at: datetime,
    kind: str,
    data: Mapping[str, Json],
    actor: str,
) -> Event:
    last = head(connection, stream)
    if last[0] != expected_seq:
        raise Superseded(f"{stream} is at event {last[0]}, not {expected_seq}: somebody else wrote to it")
    return write_after(connection, last, stream, at, kind, data, actor)


def _event(row: Row[Any]) -> Event:
    try:
        at, data = datetime.fromisoformat(row.at), json.loads(row.data)
    except ValueError:
        raise Broken(
            f"{row.stream}: event {row.seq} ({row.kind}) was changed after it was written: it cannot be read",
            remedy="restore a backup, which has it as it was",
        ) from None
    return Event(row.stream, row.seq, at, row.kind, data, row.actor, row.digest)


def _engine(url: str) -> Engine:
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() == "sqlite" and parsed.database not in (None, "", ":memory:"):
            Path(str(parsed.database)).parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(parsed, pool_pre_ping=True, connect_args=_patience(parsed))
    except (ArgumentError, NoSuchModuleError) as error:
        raise UsageError(f"key store.url: {error}", remedy="for example sqlite:///noout.db") from None
    except ModuleNotFoundError as error:
        raise UsageError(f"key store.url: {error}", remedy="install noout with its [pg] extra") from None
    except OSError as error:
        raise Broken(f"key store.url: {error.strerror}: {error.filename}", remedy="check the folder") from None
    if parsed.get_backend_name() == "sqlite":
        event.listen(engine, "connect", _sqlite_manners)
    if parsed.get_backend_name() == "postgresql":
        event.listen(engine, "connect", _postgres_manners)
    return engine


def _patience(url: URL) -> dict[str, int]:
    """How long a PostgreSQL server that is gone is waited for; what the URL says itself counts."""
    if url.get_backend_name() != "postgresql":
        return {}
    return {key: value for key, value in PATIENCE.items() if key not in url.query}


def _postgres_manners(connection: Any, _: object) -> None:
    """A process that is stopped in the middle of a transaction, or whose machine is gone, blocks nobody for long."""
    cursor = connection.cursor()
    cursor.execute(f"SET idle_in_transaction_session_timeout = '{IDLE_S}s'")
    cursor.close()
    connection.commit()


def _sqlite_manners(connection: Any, _: object) -> None:
    """Write ahead (readers never wait), wait for a lock instead of failing, and survive a power cut."""
    cursor = connection.cursor()
    path = cursor.execute("PRAGMA database_list").fetchone()[2]
    if path and not os.path.getsize(path):  # new: it will name customers' guests; the files beside it take its rights
        os.chmod(path, 0o600)
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA busy_timeout=10000")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.close()
