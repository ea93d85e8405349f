"""``noout journal``: proved, taken along, published and forgotten from the command line."""

from __future__ import annotations

import asyncio
import json
import stat
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from sqlalchemy import update

from noout.adapters.clock import SystemClock
from noout.adapters.store.sql import SqlStore
from noout.adapters.store.tables import events
from noout.domain.journal import Kind
from tests.cli.conftest import Noout

MID = "ams1-pve3-1"


@pytest.fixture
def journal(place: Path) -> str:
    """The URL of a store with one maintenance that is over."""
    url = f"sqlite:///{place / 'noout.db'}"

    async def write() -> None:
        store = await SqlStore.open(url, SystemClock())
        opened = {"node": "ams1/pve3", "mode": "auto", "reason": "fan 3B, says Ruben"}
        await store.append(MID, 0, Kind.OPENED, opened, "operator:anna")
        await store.append(MID, 1, Kind.CLOSED, {"outcome": "done", "phase": "done"})
        await store.close()

    asyncio.run(write())
    return url


def spoil(url: str, **values: str) -> None:
    async def work() -> None:
        store = await SqlStore.open(url, SystemClock())
        await store.do(lambda connection: connection.execute(update(events).where(events.c.seq == 2).values(**values)))
        await store.close()

    asyncio.run(work())


def test_it_is_proved_exported_and_published(noout: Noout, journal: str, place: Path) -> None:
    said = noout("journal", "verify")
    assert said.code == 0 and f"{MID}: 2 events, unbroken" in said.out
    assert noout("journal", "export", MID, "-o", "j.json").code == 0
    assert stat.S_IMODE((place / "j.json").stat().st_mode) == 0o600
    document = json.loads((place / "j.json").read_text())
    assert [each["seq"] for each in document["events"]] == [1, 2]
    assert json.loads(noout("journal", "export", MID).out) == document
    Draft202012Validator(json.loads(noout("schema", "journal").out)).validate(document)
    (place / "heads").write_text(noout("journal", "heads").out)
    assert "1 published head looked for: all lie" in noout("journal", "verify", "--heads", "heads").out
    spoil(journal, data='{"outcome":"aborted","phase":"done"}')
    said = noout("journal", "verify")
    assert said.code == 1 and "broken" in said.out and "event 2 (maintenance.closed) was changed" in said.out
    spoil(journal, data="{")
    said = noout("journal", "verify")
    assert said.code == 1 and "event 2" in said.out


def test_a_person_is_erased_and_it_is_said(noout: Noout, journal: str, place: Path) -> None:
    (place / "heads").write_text(noout("journal", "heads").out)
    assert "erased in 1 event and 0 messages" in noout("journal", "erase", MID, "Ruben").out
    assert "Ruben" not in noout("journal", "export", MID).out
    said = noout("journal", "verify", "--heads", "heads")
    assert said.code == 0 and "text of 1 event was erased by operator:" in said.out


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("export", "ams1-pve9-1"), 2, "there is no maintenance ams1-pve9-1"),
        (("erase", "ams1-pve9-1", "Ruben"), 2, "there is no stream ams1-pve9-1"),
        (("verify", "--heads", "nowhere"), 2, "nowhere cannot be read"),
        (("verify", "--heads", "noout.toml"), 2, "there are no heads"),
        (("export", MID, "-o", "no/such/place"), 1, "cannot be written"),
    ],
)
def test_bad_input_gets_a_sentence(
    noout: Noout, journal: str, arguments: tuple[str, ...], code: int, said: str
) -> None:
    told = noout("journal", *arguments)
    assert told.code == code and said in told.err
