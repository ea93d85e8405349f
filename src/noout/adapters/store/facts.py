"""What the database says of itself: which programs may use it, and when it last took anything."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, insert, inspect, select, update

from noout.adapters.store.tables import metadata, store_facts
from noout.domain.errors import Refused

# Raised when a program that knows the older one only must not use the store, nor carry on the runs in it: tables or
# events whose meaning changed. New tables, kinds of events and keys need no other number: what is not known is passed
# over.
SCHEMA = 1


def make(connection: Connection) -> None:
    """The tables that are missing, and the mark. Refused for a store of a newer program: nothing is touched then."""
    known = _read(connection) if inspect(connection).has_table(store_facts.name) else {}
    if int(known.get("schema", SCHEMA)) > SCHEMA:
        raise Refused(
            f"a newer noout made this store (its schema is {known['schema']}, this program knows {SCHEMA})",
            remedy="use that version again, or restore a backup that this one made",
        )
    metadata.create_all(connection)
    for name, value in (("schema", str(SCHEMA)), ("written", "")):
        if name not in known:
            connection.execute(insert(store_facts).values(name=name, value=value))


def written(connection: Connection, at: datetime) -> None:
    """Write something: it fails where nothing can be written."""
    connection.execute(update(store_facts).where(store_facts.c.name == "written").values(value=at.isoformat()))


def _read(connection: Connection) -> dict[str, str]:
    return {row.name: row.value for row in connection.execute(select(store_facts))}
