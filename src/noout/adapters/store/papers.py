"""What customers are written, and to whom: JSON documents by kind and key, which can be erased."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import cast

from sqlalchemy import Connection, delete, insert, select

from noout.adapters.store.sql import SqlStore
from noout.adapters.store.tables import papers
from noout.domain.maintenance import Json

_c = papers.c


class SqlPapers:
    """In the store's database."""

    def __init__(self, store: SqlStore) -> None:
        self._store = store

    async def put(self, kind: str, key: str, customer: str, paper: Mapping[str, Json]) -> None:
        text = json.dumps(paper, ensure_ascii=False)

        def work(connection: Connection) -> None:
            connection.execute(delete(papers).where(_c.kind == kind, _c.key == key))
            connection.execute(insert(papers).values(kind=kind, key=key, customer=customer, paper=text))

        await self._store.do(work)

    async def get(self, kind: str, key: str) -> Mapping[str, Json] | None:
        query = select(_c.paper).where(_c.kind == kind, _c.key == key)
        row = await self._store.do(lambda connection: connection.execute(query).first())
        return cast(Mapping[str, Json], json.loads(row.paper)) if row else None

    async def all(self, kind: str, customer: str | None = None) -> Sequence[Mapping[str, Json]]:
        query = select(_c.paper).where(_c.kind == kind).order_by(_c.key)
        if customer is not None:
            query = query.where(_c.customer == customer)
        found = await self._store.do(lambda connection: connection.execute(query).all())
        return [cast(Mapping[str, Json], json.loads(row.paper)) for row in found]

    async def drop(self, kind: str, key: str) -> bool:
        query = delete(papers).where(_c.kind == kind, _c.key == key)
        return await self._store.do(lambda connection: connection.execute(query).rowcount) > 0

    async def forget(self, customer: str) -> int:
        def work(connection: Connection) -> int:
            if connection.dialect.name == "sqlite":  # what is freed is filled with zeros
                connection.exec_driver_sql("PRAGMA secure_delete=ON")
            return connection.execute(delete(papers).where(_c.customer == customer)).rowcount

        gone = await self._store.do(work)
        await self._store.settle()
        return gone


class MemoryPapers:
    """In this process: for tests."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], tuple[str, str]] = {}

    async def put(self, kind: str, key: str, customer: str, paper: Mapping[str, Json]) -> None:
        self._kept[kind, key] = (customer, json.dumps(paper, ensure_ascii=False))

    async def get(self, kind: str, key: str) -> Mapping[str, Json] | None:
        found = self._kept.get((kind, key))
        return cast(Mapping[str, Json], json.loads(found[1])) if found else None

    async def all(self, kind: str, customer: str | None = None) -> Sequence[Mapping[str, Json]]:
        return [
            cast(Mapping[str, Json], json.loads(text))
            for (each, _), (whose, text) in sorted(self._kept.items())
            if each == kind and customer in (None, whose)
        ]

    async def drop(self, kind: str, key: str) -> bool:
        return self._kept.pop((kind, key), None) is not None

    async def forget(self, customer: str) -> int:
        gone = [key for key, (whose, _) in self._kept.items() if whose == customer]
        for key in gone:
            del self._kept[key]
        return len(gone)
