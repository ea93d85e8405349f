"""The whole store row by row, and back into an empty one: the same rows whatever database they lie in.

Everything here runs inside a transaction of ``SqlStore``; nothing opens one. Numbers that a database gives by itself
are left out: the other one gives its own, in the same order. What is only of the moment (who leads which run) is not
copied.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Column, Connection, LargeBinary, Table, func, insert, select, text

from noout.adapters.store.tables import (
    events,
    hardware_frames,
    hardware_states,
    hardware_trends,
    messages,
    papers,
    photos,
    sample_blocks,
    watch_memory,
)
from noout.domain.errors import Refused
from noout.domain.journal import Chain, Event

JOURNAL: tuple[Table, ...] = (events, messages, papers, photos)  # what people did, said and wrote
MEASURED: tuple[Table, ...] = (sample_blocks, hardware_frames, hardware_states, hardware_trends, watch_memory)
OF_THE_MOMENT = frozenset({"store_facts", "replicas", "leases", "sittings"})  # in no copy
BATCH = 500

Row = tuple[str, Sequence[Any]]  # the table's name; a value for each of ``columns(table)``


def columns(table: Table) -> list[Column[Any]]:
    """Those that are copied."""
    return [column for column in table.columns if column.autoincrement is not True]


def is_binary(column: Column[Any]) -> bool:
    return isinstance(column.type, LargeBinary)


def rows(connection: Connection, tables: Iterable[Table]) -> Iterator[Row]:
    """Every row, a few at a time; events stream by stream in their order. Refused at the first broken chain."""
    for table in tables:
        order = [column for column in table.columns if column.primary_key]  # the number that a database gave, or keys
        streaming = connection.execution_options(stream_results=True, yield_per=BATCH)
        found: Iterator[Row] = (
            (table.name, tuple(row)) for row in streaming.execute(select(*columns(table)).order_by(*order))
        )
        yield from _checked(found)


def write(connection: Connection, copied: Iterable[Row], progress: Callable[[str, int], None]) -> None:
    """Refused at the first broken chain. ``progress`` hears the table and how many of its rows are written."""
    known = {table.name: table for table in (*JOURNAL, *MEASURED)}
    batch: list[Mapping[str, Any]] = []
    current, written = "", 0

    def flush() -> None:
        nonlocal written
        if batch:
            connection.execute(insert(known[current]), batch)
            written += len(batch)
            batch.clear()
            progress(current, written)

    for name, values in _checked(copied):
        if name != current:
            flush()
            current, written = name, 0
        batch.append({column.name: value for column, value in zip(columns(known[name]), values, strict=True)})
        if len(batch) >= BATCH:
            flush()
    flush()


def not_empty(connection: Connection) -> str:
    """What is in it already, in words; "" for an empty store."""
    counted = {
        table.name: connection.execute(select(func.count()).select_from(table)).scalar_one()
        for table in (*JOURNAL, *MEASURED)
    }
    return ", ".join(f"{count} rows of {name}" for name, count in counted.items() if count)


def hold_still(connection: Connection, *, alone: bool) -> None:
    """From here on this transaction sees one unchanging picture. ``alone``: nobody else writes before it ends."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE" if alone else "BEGIN")
        return
    connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))  # a disk may take its time
    if alone:
        connection.execute(text(f"LOCK TABLE {', '.join(table.name for table in JOURNAL)} IN ACCESS EXCLUSIVE MODE"))


def _checked(passing: Iterable[Row]) -> Iterator[Row]:
    """The same rows. Events pass stream by stream; Refused at the first chain that is broken."""
    stream, chain = "", Chain()
    for row in passing:
        if row[0] == events.name:
            try:
                event = event_of(row[1])
            except (TypeError, ValueError):
                said = f"{row[1][0]}: event {row[1][1]} was changed after it was written: it cannot be read"
                raise _broken(said) from None
            if event.stream != stream:
                _unbroken(chain.error)
                stream, chain = event.stream, Chain()
            _unbroken(chain.add(event))
        yield row
    _unbroken(chain.error)


def _unbroken(error: str | None) -> None:
    if error is not None:
        raise _broken(error)


def _broken(error: str) -> Refused:
    return Refused(
        f"the journal's chain is broken: {error}",
        remedy="`noout journal verify` names every break; keep it as it is, and find out who changed it",
    )


def event_of(values: Sequence[Any]) -> Event:
    """ValueError when it is none."""
    stream, seq, at, kind, data, actor, digest = values
    return Event(stream, seq, datetime.fromisoformat(at), kind, json.loads(data), actor, digest)
