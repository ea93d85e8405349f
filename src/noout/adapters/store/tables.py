"""The database's tables, all of them, for SQLite and PostgreSQL alike. Times are UTC, ISO 8601 text or Unix seconds."""

from __future__ import annotations

from sqlalchemy import (
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

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

# What the store says of itself (``facts``).
store_facts = Table(
    "store_facts",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("value", String(200), nullable=False),
)

# Packed: a row for each answer would be thirty times as much.
sample_blocks = Table(
    "sample_blocks",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("maintenance", String(200), nullable=False),
    Column("guest", String(200), nullable=False),  # "": several are in it
    Column("until_s", Float, nullable=False),  # the last sample's
    Column("packed", LargeBinary, nullable=False),
    Index("sample_blocks_of", "maintenance", "guest"),
)

# What stays the same from poll to poll (names, limits, serial number, ...) is written once, as a frame; a row of
# ``hardware_states`` is small: 2,000 nodes write 2.9 million of them a day.
hardware_frames = Table(
    "hardware_frames",
    metadata,
    Column("node", String(200), primary_key=True),
    Column("digest", String(64), primary_key=True),
    Column("frame", Text, nullable=False),  # HardwareState as JSON, without what changes
)

hardware_states = Table(
    "hardware_states",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("node", String(200), nullable=False),
    Column("at_s", Float, nullable=False),
    Column("digest", String(64), nullable=False),  # of its frame
    Column("figures", Text, nullable=False),  # JSON: the values of readings, then of host
    Column("told", Text, nullable=False),  # JSON: what else changes (log, alerts, trouble), "" when there is none
    Index("hardware_states_of", "node", "at_s"),
)

hardware_trends = Table(
    "hardware_trends",
    metadata,
    Column("node", String(200), primary_key=True),
    Column("at_s", Float, primary_key=True, autoincrement=False),  # the beginning of ten minutes
    Column("trends", Text, nullable=False),  # JSON: [[sensor, kind, unit, lowest, middle, highest, polls], ...]
    Column("log", Text, nullable=False),  # JSON: the log entries that came in these minutes, "" when there are none
)

watch_memory = Table(
    "watch_memory",
    metadata,
    Column("node", String(200), primary_key=True),
    Column("at_s", Float, nullable=False),
    Column("memory", Text, nullable=False),  # JSON
)

# Who takes part, until when it counts as alive (Unix seconds of the database's own clock), and who holds what.
replicas = Table(
    "replicas",
    metadata,
    Column("holder", String(200), primary_key=True),
    Column("until_s", Float, nullable=False),
    Column("serves", Integer, nullable=False),
)

leases = Table(
    "leases",
    metadata,
    Column("name", String(300), primary_key=True),
    Column("holder", String(200), nullable=False),  # "": given back
    Column("token", Integer, nullable=False),  # one more with each new holder
)

# The technicians' photos, drawn anew; the journal holds their digests.
photos = Table(
    "photos",
    metadata,
    Column("maintenance", String(200), primary_key=True),
    Column("digest", String(64), primary_key=True),
    Column("at_s", Float, nullable=False),
    Column("jpeg", LargeBinary, nullable=False),
)

# What is kept of a browser for a while (a session, a sign-in under way), by the digest of the secret that it has.
sittings = Table(
    "sittings",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("data", Text, nullable=False),  # JSON
    Column("until_s", Float, nullable=False),
)

# What customers are written and to whom (``Papers``): none of it is in the journal, all of it can be erased.
papers = Table(
    "papers",
    metadata,
    Column("kind", String(40), primary_key=True),
    Column("key", String(200), primary_key=True),
    Column("customer", String(60), nullable=False),
    Column("paper", Text, nullable=False),  # JSON
    Index("papers_of", "kind", "customer"),
)
