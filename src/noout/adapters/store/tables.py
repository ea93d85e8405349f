"""The database's tables, all of them, for SQLite and PostgreSQL alike. Times are UTC, ISO 8601 text or Unix seconds."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Float, Index, Integer, MetaData, String, Table, Text, UniqueConstraint

metadata = MetaData()

# One row per event. The primary key is what makes two writers of one stream collide: the slower is superseded.
events = Table(
    "events",
    metadata,
    Column("stream", String(200), primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("at", String(40), nullable=False),
    Column("kind", String(60), nullable=False),
    Column("data", Text, nullable=False),  # JSON as it was hashed
    Column("actor", String(200), nullable=False),
    Column("digest", String(64), nullable=False),
)

messages = Table(
    "messages",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("stream", String(200), nullable=False),
    Column("key", String(300), nullable=False),
    Column("kind", String(60), nullable=False),
    Column("actor", String(200), nullable=False),
    Column("at", String(40), nullable=False),
    Column("data", Text, nullable=False),
    UniqueConstraint("stream", "key"),
)

samples = Table(
    "samples",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("maintenance", String(200), nullable=False),
    Column("guest", String(200), nullable=False),
    Column("at_s", Float, nullable=False),  # Unix seconds; microseconds are exact in a double until the year 2255
    Column("ok", Boolean, nullable=False),
    Column("lag_s", Float, nullable=False),
    Index("samples_of", "maintenance", "guest"),
)

hardware = Table(
    "hardware",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("node", String(200), nullable=False),
    Column("at_s", Float, nullable=False),
    Column("state", Text, nullable=False),  # HardwareState as JSON
    Index("hardware_of", "node", "at_s"),
)
