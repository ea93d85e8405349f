"""Leases in the database that several noout processes share; and the same for one that is alone with its store.

Each process says every few seconds that it is alive, in one row however much it holds. What a process held that has
not said so for ``lasts_s`` is anybody's: one statement makes exactly one the new holder, under a higher token. Times
are the database's own, so that no two machines need to agree on theirs.

Whoever wakes up late believes nothing: ``holds`` is False once ``lasts_s`` have passed since the last word that
reached the database, and the database itself refuses what a former holder wants to write.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import threading
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, func, insert, literal_column, select, update
from sqlalchemy.exc import IntegrityError

from noout.adapters.clock import uptime_s
from noout.adapters.store.sql import SqlStore
from noout.adapters.store.tables import leases, replicas
from noout.domain.errors import NooutError, Superseded
from noout.ports import Journal

log = logging.getLogger(__name__)

BEATS = 3  # in the time that a lease lasts
FORGOTTEN_S = 86400.0  # after which a process that is gone leaves no row


class Alone:
    """One process, which a lock on the store's file has let in: everything is its own."""

    @asynccontextmanager
    async def joined(self, *, serves: bool) -> AsyncIterator[None]:
        yield

    async def take(self, names: Sequence[str]) -> frozenset[str]:
        return frozenset(names)

    def holds(self, name: str) -> bool:
        return True

    def fenced(self, journal: Journal, name: str) -> Journal:
        return journal

    async def served(self) -> bool:
        return False


class SqlLeases:
    """``Leases`` in ``store``. ``lasts_s``: wall seconds without a word after which a process counts as gone.

    ``holder``: this process, in words."""

    def __init__(self, store: SqlStore, lasts_s: float) -> None:
        self._store = store
        self._lasts_s = lasts_s
        self.holder = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:12]}"
        self._serves = False
        self._tokens: dict[str, int] = {}  # of what is held here
        self._certain_until = 0.0  # by this machine's uptime
        self._mute = False
        self._asking = threading.Lock()  # what a word says is held, and what is taken meanwhile, must not cross
        self._over = threading.Event()

    # --- taking part ----------------------------------------------------------------------------------------

    @asynccontextmanager
    async def joined(self, *, serves: bool) -> AsyncIterator[None]:
        """Raises what the store raises when the first word does not reach it.

        The words are said from a thread of their own: a plan for a large cluster may keep the event loop for seconds.
        """
        self._serves = serves
        self._over.clear()
        await self._store.do(self._say_alive)  # which makes the tables where there are none
        await asyncio.to_thread(self._beat)
        beating = threading.Thread(target=self._go_on_beating, name="noout-alive", daemon=True)
        beating.start()
        try:
            yield
        finally:
            self._over.set()
            await asyncio.to_thread(beating.join)
            self._certain_until = 0.0
            with suppress(NooutError):  # then they run out
                await self._store.do(self._leave)

    def _go_on_beating(self) -> None:
        while not self._over.wait(self._lasts_s / BEATS):
            try:
                self._beat()
            except NooutError as error:
                if not self._mute:
                    log.warning("nothing new is begun here until the store answers again: %s", error)
                self._mute = True
            else:
                if self._mute:
                    log.warning("the store answers again")
                self._mute = False

    def _beat(self) -> None:
        with self._asking:
            said_at = uptime_s()
            self._tokens = self._store.do_here(self._say_alive)
            self._certain_until = said_at + self._lasts_s

    def _say_alive(self, connection: Connection) -> dict[str, int]:
        """What is held here. (A process that slept may still hold what nobody wanted meanwhile.)"""
        now, mine = _now_s(connection), replicas.c.holder == self.holder
        until_s = now + self._lasts_s
        if connection.execute(update(replicas).where(mine).values(until_s=until_s)).rowcount == 0:
            row = {"holder": self.holder, "serves": int(self._serves)}
            connection.execute(insert(replicas).values(**row, until_s=until_s))
            connection.execute(delete(replicas).where(replicas.c.until_s < now - FORGOTTEN_S))
        held = select(leases.c.name, leases.c.token).where(leases.c.holder == self.holder)
        return {row.name: row.token for row in connection.execute(held)}

    def _leave(self, connection: Connection) -> None:
        connection.execute(update(leases).where(leases.c.holder == self.holder).values(holder=""))
        connection.execute(delete(replicas).where(replicas.c.holder == self.holder))

    # --- holding --------------------------------------------------------------------------------------------

    def holds(self, name: str) -> bool:
        return name in self._tokens and uptime_s() < self._certain_until

    async def take(self, names: Sequence[str]) -> frozenset[str]:
        wanted = [name for name in names if not self.holds(name)]
        if wanted and uptime_s() < self._certain_until:
            for name in sorted(await self._store.do(lambda connection: _free(connection, wanted))):
                await asyncio.to_thread(self._take, name)
        return frozenset(name for name in names if self.holds(name))

    def _take(self, name: str) -> None:
        with self._asking, suppress(IntegrityError):  # another process made it at this moment
            token = self._store.do_here(lambda connection: _taken(connection, name, self.holder))
            if token is not None:
                self._tokens[name] = token

    async def served(self) -> bool:
        def work(connection: Connection) -> bool:
            serving = replicas.c.serves == 1, replicas.c.holder != self.holder, replicas.c.until_s > _now_s(connection)
            return connection.execute(select(replicas.c.holder).where(*serving).limit(1)).first() is not None

        return await self._store.do(work)

    # --- fencing --------------------------------------------------------------------------------------------

    def fenced(self, journal: Journal, name: str) -> Journal:
        if journal is not self._store:
            raise ValueError("the journal and its leases are in one database")
        return self._store.guarded(lambda connection: self._guard(connection, name))

    def _guard(self, connection: Connection, name: str) -> None:
        """Superseded unless this process holds ``name``; and nobody takes it before the transaction has ended."""
        mine = leases.c.name == name, leases.c.holder == self.holder, leases.c.token == self._tokens.get(name, 0)
        if connection.execute(select(leases.c.token).where(*mine).with_for_update(read=True)).first() is None:
            raise Superseded(f"{name}: another noout process has taken it over")


# --- inside a transaction -------------------------------------------------------------------------------------


def _now_s(connection: Connection) -> float:
    """The database's own clock (Unix seconds), at this statement and not at the transaction's begin."""
    clock: ColumnElement[Any] = (
        literal_column("(julianday('now') - 2440587.5) * 86400.0")
        if connection.dialect.name == "sqlite"
        else func.extract("epoch", func.clock_timestamp())
    )
    return float(connection.execute(select(clock)).scalar_one())


def _nobody_alive(connection: Connection) -> ColumnElement[bool]:
    """Of a lease: its holder is gone, or has given it back."""
    return leases.c.holder.not_in(select(replicas.c.holder).where(replicas.c.until_s > _now_s(connection)))


def _free(connection: Connection, names: Sequence[str]) -> list[str]:
    query = select(leases.c.name, _nobody_alive(connection).label("free"))
    known = {row.name: row.free for row in connection.execute(query)}
    return [name for name in names if known.get(name, True)]


def _taken(connection: Connection, name: str, holder: str) -> int | None:
    """The token under which it is ``holder``'s now; None where somebody alive has it."""
    mine = (leases.c.name == name) & _nobody_alive(connection)
    values = {"holder": holder, "token": leases.c.token + 1}
    row = connection.execute(update(leases).where(mine).values(values).returning(leases.c.token)).first()
    if row is not None:
        return int(row.token)
    if connection.execute(select(leases.c.name).where(leases.c.name == name)).first() is not None:
        return None
    connection.execute(insert(leases).values(name=name, holder=holder, token=1))
    return 1
