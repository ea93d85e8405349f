"""Journal and measurements in a database, by SQLAlchemy Core: SQLite with no set-up, or PostgreSQL.

Calls leave the event loop (``asyncio.to_thread``): a slow disk or database must not stop the watch. Raises Broken when
the database cannot be used, Superseded when another writer was faster.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, Row, create_engine, event, func, insert, make_url, select
from sqlalchemy.exc import ArgumentError, IntegrityError, NoSuchModuleError, SQLAlchemyError

from noout.adapters.store import readings, samples
from noout.adapters.store.tables import events, messages, metadata
from noout.domain.cluster import GuestId, NodeId
from noout.domain.errors import Broken, NooutError, Superseded, UsageError
from noout.domain.hardware import HardwareState, LogEntry
from noout.domain.impact import Sample
from noout.domain.journal import GENESIS, Event, Message, digest
from noout.domain.maintenance import Json
from noout.domain.trend import Trend
from noout.ports import Clock

T = TypeVar("T")


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

    async def close(self) -> None:
        await asyncio.to_thread(self._engine.dispose)

    async def _make(self) -> None:
        async with self._making:
            if not self._made:
                await self._transact(metadata.create_all)
                self._made = True

    async def do(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` in one transaction, off the event loop."""
        if not self._made:
            await self._make()
        return await self._transact(work)

    async def _transact(self, work: Callable[[Connection], T]) -> T:
        def transaction() -> T:
            with self._engine.begin() as connection:
                return work(connection)

        try:
            return await asyncio.to_thread(transaction)
        except IntegrityError:
            raise
        except SQLAlchemyError as error:
            cause = str(getattr(error, "orig", None) or error).splitlines()[0]
            raise Broken(
                f"the database ({self._engine.url.render_as_string()}) cannot be used: {cause}",
                remedy="check that it runs, is writable and has room; nothing new is begun until then",
            ) from None

    # --- journal --------------------------------------------------------------------------------------------

    async def append(
        self, stream: str, expected_seq: int, kind: str, data: Mapping[str, Json], actor: str = "noout"
    ) -> Event:
        # Through JSON once, so that what is hashed is what will be read back.
        text = json.dumps(data, ensure_ascii=False, allow_nan=False)
        plain, at = json.loads(text), self._clock.now()

        def work(connection: Connection) -> Event:
            last = connection.execute(
                select(events.c.seq, events.c.digest)
                .where(events.c.stream == stream)
                .order_by(events.c.seq.desc())
                .limit(1)
            ).first()
            seq, previous = (0, GENESIS) if last is None else (last.seq, last.digest)
            if seq != expected_seq:
                raise Superseded(f"{stream} is at event {seq}, not {expected_seq}: somebody else wrote to it")
            made = digest(previous, stream, seq + 1, at, kind, plain, actor)
            connection.execute(
                insert(events).values(
                    stream=stream, seq=seq + 1, at=at.isoformat(), kind=kind, data=text, actor=actor, digest=made
                )
            )
            return Event(stream, seq + 1, at, str(kind), plain, actor, made)

        try:
            return await self.do(work)
        except IntegrityError:
            raise Superseded(f"{stream}: somebody else wrote event {expected_seq + 1}") from None

    async def read(self, stream: str, after: int = 0) -> Sequence[Event]:
        query = select(events).where(events.c.stream == stream, events.c.seq > after).order_by(events.c.seq)
        return [_event(row) for row in await self._rows(query)]

    async def streams(self) -> Sequence[str]:
        query = select(events.c.stream).group_by(events.c.stream).order_by(func.min(events.c.at), events.c.stream)
        return [row.stream for row in await self._rows(query)]

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

    async def samples(self, maintenance: str, guest: GuestId | None = None) -> Sequence[Sample]:
        return await self.do(lambda connection: samples.read(connection, maintenance, guest))

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


def _event(row: Row[Any]) -> Event:
    at = datetime.fromisoformat(row.at)
    return Event(row.stream, row.seq, at, row.kind, json.loads(row.data), row.actor, row.digest)


def _engine(url: str) -> Engine:
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() == "sqlite" and parsed.database not in (None, "", ":memory:"):
            Path(str(parsed.database)).parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(parsed, pool_pre_ping=True)
    except (ArgumentError, NoSuchModuleError) as error:
        raise UsageError(f"key store.url: {error}", remedy="for example sqlite:///noout.db") from None
    except ModuleNotFoundError as error:
        raise UsageError(f"key store.url: {error}", remedy="install noout with its [pg] extra") from None
    except OSError as error:
        raise Broken(f"key store.url: {error.strerror}: {error.filename}", remedy="check the folder") from None
    if parsed.get_backend_name() == "sqlite":
        event.listen(engine, "connect", _sqlite_manners)
    return engine


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
