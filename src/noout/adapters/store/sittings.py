"""Sessions, and what else is kept of a browser for a while, by the digest of the secret that the browser has."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import cast

from sqlalchemy import Connection, delete, insert, select

from noout.adapters.store.sql import SqlStore
from noout.adapters.store.tables import sittings
from noout.domain.maintenance import Json

_c = sittings.c


class SqlSittings:
    """In the store's database: every process on it knows them."""

    def __init__(self, store: SqlStore) -> None:
        self._store = store

    async def keep(self, key: str, data: Mapping[str, Json], until: datetime) -> None:
        text = json.dumps(data)

        def work(connection: Connection) -> None:
            connection.execute(delete(sittings).where(_c.key == key))
            connection.execute(insert(sittings).values(key=key, data=text, until_s=until.timestamp()))

        await self._store.do(work)

    async def find(self, key: str, now: datetime) -> Mapping[str, Json] | None:
        query = select(_c.data).where(_c.key == key, _c.until_s > now.timestamp())
        row = await self._store.do(lambda connection: connection.execute(query).first())
        return cast(Mapping[str, Json], json.loads(row.data)) if row else None

    async def drop(self, key: str) -> bool:
        count = await self._store.do(
            lambda connection: connection.execute(delete(sittings).where(_c.key == key)).rowcount
        )
        return count > 0

    async def tidy(self, now: datetime) -> None:
        await self._store.do(
            lambda connection: connection.execute(delete(sittings).where(_c.until_s <= now.timestamp()))
        )


class MemorySittings:
    """In this process: for tests, and where nobody signs in."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[str, datetime]] = {}

    async def keep(self, key: str, data: Mapping[str, Json], until: datetime) -> None:
        self._kept[key] = (json.dumps(data), until)

    async def find(self, key: str, now: datetime) -> Mapping[str, Json] | None:
        text, until = self._kept.get(key, ("", now))
        return cast(Mapping[str, Json], json.loads(text)) if now < until else None

    async def drop(self, key: str) -> bool:
        return self._kept.pop(key, None) is not None

    async def tidy(self, now: datetime) -> None:
        self._kept = {key: kept for key, kept in self._kept.items() if now < kept[1]}
