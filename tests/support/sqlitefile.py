"""The journal in a SQLite file on a file system that another process has to itself: a copy of it is read.

(SQLite follows ``/proc/PID/root``, a link, back to this process's own files.)
"""

from __future__ import annotations

import json
import sqlite3
import tempfile
from contextlib import closing
from datetime import datetime
from pathlib import Path

from noout.domain.journal import Event

WAL_HEADER = 32
TRIES = 50


def events_in(file: Path, stream: str) -> list[Event]:
    """Empty while there is no such table. What was written ahead counts; a copy made while that went into the file
    itself is made again."""
    wal = file.with_name(f"{file.name}-wal")
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "noout.db"
        for _ in range(TRIES):
            before = _mark(file, wal)
            copy.write_bytes(file.read_bytes())
            copy.with_name("noout.db-wal").write_bytes(wal.read_bytes())
            if _mark(file, wal) == before:
                return _read(copy, stream)
    raise AssertionError(f"{file} does not hold still")


def _mark(file: Path, wal: Path) -> tuple[int, bytes]:
    with wal.open("rb") as opened:
        return file.stat().st_mtime_ns, opened.read(WAL_HEADER)


def _read(file: Path, stream: str) -> list[Event]:
    with closing(sqlite3.connect(file)) as connection:
        query = "SELECT seq, at, kind, data, actor, digest FROM events WHERE stream = ? ORDER BY seq"
        try:
            rows = connection.execute(query, (stream,)).fetchall()
        except sqlite3.OperationalError:  # no such table yet
            return []
    return [
        Event(stream, seq, datetime.fromisoformat(at), kind, json.loads(data), actor, digest)
        for seq, at, kind, data, actor, digest in rows
    ]
