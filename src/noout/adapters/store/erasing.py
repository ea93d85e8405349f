"""Write over what the database holds of one stream, so that what was there is gone from its files too."""

from __future__ import annotations

import json
from collections.abc import Sequence

from sqlalchemy import Connection, Engine, update

from noout.adapters.store.tables import events, messages
from noout.domain.journal import Event, Message


def write_over(connection: Connection, stream: str, told: Sequence[Event], said: Sequence[tuple[str, Message]]) -> None:
    """``told``: events as they read from now on, under the digests they have; ``said``: messages, each with the key
    that it had."""
    if connection.dialect.name == "sqlite":  # what is freed is filled with zeros
        connection.exec_driver_sql("PRAGMA secure_delete=ON")
    for event in told:
        connection.execute(
            update(events)
            .where(events.c.stream == stream, events.c.seq == event.seq)
            .values(data=json.dumps(event.data, ensure_ascii=False, allow_nan=False), actor=event.actor)
        )
    for key, message in said:
        connection.execute(
            update(messages)
            .where(messages.c.stream == stream, messages.c.key == key)
            .values(
                key=message.key,
                actor=message.actor,
                data=json.dumps(message.data, ensure_ascii=False, allow_nan=False),
            )
        )


def settle_files(engine: Engine) -> None:
    """SQLite: what was written ahead goes into the file itself; else the one beside it holds the old text."""
    if engine.dialect.name == "sqlite":
        with engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
