"""SQLite is for one process at a time: the second one says so."""

from __future__ import annotations

import fcntl
from pathlib import Path

from tests.cli.conftest import Noout


def test_a_second_process_that_serves_a_sqlite_store_is_refused(noout: Noout, place: Path) -> None:
    with (place / "noout.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)  # as the first process does
        said = noout("serve")
    assert said.code == 3
    assert "another noout process carries this store's maintenances" in said.err
    assert "PostgreSQL" in said.err and "Traceback" not in said.err
    assert not list(place.glob("*.engine.db")), "nothing was begun"
