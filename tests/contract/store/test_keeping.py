"""What every store must do beside keeping: say that nothing fits any more, refuse what a newer program made, and forget
a person without breaking a chain."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import update

from noout.adapters.store.facts import SCHEMA
from noout.adapters.store.sql import SqlStore
from noout.adapters.store.tables import events, metadata, store_facts
from noout.domain.errors import Broken, Refused, StoreBroken, Superseded
from noout.domain.heads import Head, head_error
from noout.domain.journal import ERASED, Message, chain_error
from tests.contract.store.test_store import Store, Ticking, postgres, store  # noqa: F401 - fixtures

T0 = datetime(2026, 11, 17, 9, 0, tzinfo=UTC)


async def test_somebody_is_erased_and_the_chain_and_published_heads_stay_valid(store: Store) -> None:  # noqa: F811
    said = Message("technician/1/k", "finding", "technician:Ruben", T0, {"note": "Ruben, 06-12345678"})
    await store.post("m-1", Message("first", "approve", "operator:anna", T0))
    await store.post("m-1", said)
    await store.post("m-1", Message("last", "sign-off", "technician:x", T0))
    for seq in range(3):
        await store.append("m-1", seq, "message", {"note": "Ruben, 06-12345678"}, "technician:Ruben")
    before = await store.read("m-1")
    head = Head("m-1", 3, before[-1].digest, T0)
    less = replace(before[1], data={"note": "(erased)"}, actor="technician:(erased)")
    blank = replace(said, key="technician/(erased)/k", actor="technician:(erased)", data={"note": "(erased)"})
    with pytest.raises(Superseded):
        await store.erase("m-1", 2, [less], [(said.key, blank)], "operator:anna")
    assert await store.read("m-1") == before and (await store.messages("m-1"))[1] == said, "all or nothing"
    event = await store.erase("m-1", 3, [less], [(said.key, blank)], "operator:anna")
    after = await store.read("m-1")
    assert after[:3] == [before[0], less, before[2]] and after[3] == event and event.kind == ERASED
    assert chain_error(after) is None and head_error(head, after) is None
    assert [each.key for each in await store.messages("m-1")] == ["first", "technician/(erased)/k", "last"]
    await store.append("m-1", 4, "fact", {})
    assert chain_error(await store.read("m-1")) is None


async def test_what_was_erased_is_in_no_file_any_more(tmp_path: Path) -> None:
    opened = await SqlStore.open(f"sqlite:///{tmp_path / 'noout.db'}", Ticking())
    for seq in range(40):
        await opened.append("m-1", seq, "message", {"note": f"{'Ruben Jansen ' * 30}{seq}"}, "technician:x")
    await opened.post("m-1", Message("k", "finding", "technician:Ruben Jansen", T0, {"note": "Ruben Jansen"}))

    def holding() -> list[str]:
        return [path.name for path in tmp_path.iterdir() if b"Ruben Jansen" in path.read_bytes()]

    assert holding()
    less = [replace(each, data={"note": "(erased)"}) for each in await opened.read("m-1")]
    await opened.erase("m-1", 40, less, [("k", Message("k", "finding", "technician:x", T0, {}))], "operator:anna")
    assert holding() == []
    await opened.close()


@pytest.mark.parametrize("why", ["PRAGMA query_only=ON", "PRAGMA max_page_count=1"])
async def test_a_database_that_takes_nothing_is_said_so_and_holds_nothing_half(tmp_path: Path, why: str) -> None:
    """As a disk that is full and a database that is read only: what is refused is not there, and later it goes on."""
    opened = await SqlStore.open(f"sqlite:///{tmp_path / 'noout.db'}", Ticking())
    await opened.append("m-1", 0, "fact", {"n": 1})
    await opened.do(lambda connection: connection.exec_driver_sql(why))
    with pytest.raises(
        StoreBroken, match=r"cannot be used: (attempt to write a readonly database|database or disk is full)"
    ):
        for seq in range(1, 50):
            await opened.append("m-1", seq, "fact", {"n": "x" * 2000})
    if "query_only" in why:
        with pytest.raises(StoreBroken):
            await opened.writable()
    written = len(await opened.read("m-1"))
    assert chain_error(await opened.read("m-1")) is None
    await opened.do(lambda connection: connection.exec_driver_sql(why.replace("ON", "OFF").replace("=1", "=100000")))
    await opened.writable()
    await opened.append("m-1", written, "fact", {"n": "x" * 2000})
    assert len(await opened.read("m-1")) == written + 1
    await opened.close()


async def test_the_store_of_a_newer_program_is_refused_and_left_as_it_is(store: Store) -> None:  # noqa: F811
    if not isinstance(store, SqlStore):
        return  # what is in memory ends with its program
    await store.append("m-1", 0, "fact", {})
    await store.do(
        lambda connection: connection.execute(
            update(store_facts).where(store_facts.c.name == "schema").values(value=str(SCHEMA + 1))
        )
    )
    again = SqlStore.at(store._engine.url.render_as_string(hide_password=False), Ticking())
    with pytest.raises(Refused, match="a newer noout made this store") as caught:
        await again.read("m-1")
    assert "restore a backup" in caught.value.remedy
    await again.close()


async def test_a_store_from_before_the_mark_gets_it(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'noout.db'}"
    old = await SqlStore.open(url, Ticking())
    await old.append("m-1", 0, "fact", {})
    await old.do(store_facts.drop)
    await old.close()
    new = await SqlStore.open(url, Ticking())
    assert len(await new.read("m-1")) == 1
    marks = await new.do(lambda connection: {row.name: row.value for row in connection.execute(store_facts.select())})
    assert marks["schema"] == str(SCHEMA)
    await new.close()
    assert store_facts.name in metadata.tables


async def test_an_event_that_is_no_json_any_more_is_said_to_be_changed(tmp_path: Path) -> None:
    opened = await SqlStore.open(f"sqlite:///{tmp_path / 'noout.db'}", Ticking())
    await opened.append("m-1", 0, "fact", {"n": 1})
    await opened.do(lambda connection: connection.execute(update(events).values(data='{"n": 1')))
    with pytest.raises(Broken, match=r"event 1 .* was changed after it was written"):
        await opened.read("m-1")
    await opened.close()
