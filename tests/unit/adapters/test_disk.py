"""Who waits for the disk: the journal at every event, the engine's scratch memory at its checkpoints."""

from __future__ import annotations

import contextlib
from pathlib import Path

from sqlalchemy import text

from noout.adapters.clock import SystemClock
from noout.adapters.durable import _Unhurried
from noout.adapters.store.sql import SqlStore

NORMAL, FULL = 1, 2  # in SQLite's own numbers


async def test_the_journal_waits_for_the_disk_at_every_event(tmp_path: Path) -> None:
    store = await SqlStore.open(f"sqlite:///{tmp_path / 'noout.db'}", SystemClock())
    try:
        assert await store.do(lambda connection: connection.execute(text("PRAGMA synchronous")).scalar()) == FULL
    finally:
        await store.close()


def test_the_engine_holds_no_truth_and_does_not(tmp_path: Path) -> None:
    with contextlib.closing(_Unhurried(str(tmp_path / "engine.db"))) as connection:
        assert connection.execute("PRAGMA synchronous").fetchone() == (NORMAL,)
