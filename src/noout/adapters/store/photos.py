"""The technicians' photos: in the store's database, so that a backup has them, and in no folder that is served."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, delete, insert, select

from noout.adapters.store.sql import SqlStore
from noout.adapters.store.tables import photos

_c = photos.c


class SqlPhotos:
    def __init__(self, store: SqlStore) -> None:
        self._store = store

    async def keep(self, maintenance: str, digest: str, at: datetime, jpeg: bytes) -> None:
        there = select(_c.digest).where(_c.maintenance == maintenance, _c.digest == digest)

        def work(connection: Connection) -> None:
            if connection.execute(there).first() is None:
                row = {"maintenance": maintenance, "digest": digest, "at_s": at.timestamp(), "jpeg": jpeg}
                connection.execute(insert(photos).values(row))

        await self._store.do(work)

    async def find(self, maintenance: str, digest: str) -> bytes | None:
        query = select(_c.jpeg).where(_c.maintenance == maintenance, _c.digest == digest)
        row = await self._store.do(lambda connection: connection.execute(query).first())
        return bytes(row.jpeg) if row else None

    async def erase(self, maintenance: str, digest: str) -> bool:
        which = delete(photos).where(_c.maintenance == maintenance, _c.digest == digest)

        def work(connection: Connection) -> bool:
            if connection.dialect.name == "sqlite":  # what is freed is filled with zeros
                connection.exec_driver_sql("PRAGMA secure_delete=ON")
            return connection.execute(which).rowcount > 0

        erased = await self._store.do(work)
        await self._store.settle()
        return erased

    async def forget(self, before: datetime) -> None:
        which = delete(photos).where(_c.at_s < before.timestamp())
        await self._store.do(lambda connection: connection.execute(which))


class MemoryPhotos:
    """In this process: for tests."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], tuple[datetime, bytes]] = {}

    async def keep(self, maintenance: str, digest: str, at: datetime, jpeg: bytes) -> None:
        self.kept.setdefault((maintenance, digest), (at, jpeg))

    async def find(self, maintenance: str, digest: str) -> bytes | None:
        found = self.kept.get((maintenance, digest))
        return found[1] if found else None

    async def erase(self, maintenance: str, digest: str) -> bool:
        return self.kept.pop((maintenance, digest), None) is not None

    async def forget(self, before: datetime) -> None:
        self.kept = {key: kept for key, kept in self.kept.items() if kept[0] >= before}
