"""A backup gives the same store back, whatever its database; a file that is not whole gives nothing back."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
import os
import stat
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from noout.adapters.store import copying
from noout.adapters.store.archive import Header, Reading, save
from noout.adapters.store.sql import SqlStore
from noout.adapters.store.tables import metadata
from noout.app.backup import back_up, restore
from noout.app.standstill import STREAM, standstill, stop_all
from noout.domain.cluster import GuestId
from noout.domain.errors import Broken, NooutError, Refused, UsageError
from noout.domain.hardware import HardwareState, LogEntry, Power, SensorKind, Unit
from noout.domain.hardware import Reading as Said
from noout.domain.impact import Sample
from noout.domain.journal import Message, chain_error
from tests.contract.store.test_store import NODE, T0, Ticking
from tests.support.postgres import postgres_url

WEB = GuestId("ams1", 101)
ANNA = "operator:anna"


def silent(table: str, count: int) -> None:
    return None


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    with postgres_url() as url:
        yield url


@asynccontextmanager
async def at(url: str) -> AsyncIterator[SqlStore]:
    store = await SqlStore.open(url, Ticking())
    yield store
    if url.startswith("postgres"):
        await store.do(metadata.drop_all)
    await store.close()


def sqlite(folder: Path, name: str) -> str:
    return f"sqlite:///{folder / name}.db"


async def fill(store: SqlStore) -> None:
    """Something of everything that is kept, with the figures and letters that are easily lost."""
    for stream in ("ams1-pve3-1", "Ams1-pve3-1", "ledger"):  # databases sort these otherwise than Python does
        for seq in range(3):
            await store.append(stream, seq, "fact", {"name": "ö\u0000", "value": [1, 0.1 + 0.2, None, 1e300]}, ANNA)
    for key in ("b", "a"):
        await store.post("ams1-pve3-1", Message(key, "finding", "technician:rubén", T0, {"note": "“ok”"}))
    for n in range(9):
        await store.add_samples("ams1-pve3-1", [Sample(WEB, T0 + timedelta(seconds=n), n % 4 != 0, 0.1 + 0.2)])
    for n in range(16):
        fan = Said("FAN3B", SensorKind.FAN, None if n == 7 else 6000.1 + n, Unit.RPM, lower_critical=1800.0)
        log = (LogEntry("7", T0, "Critical", "Fan FAN3B stopped", "FAN3B"),) if n in (3, 14) else ()
        await store.add_hardware(HardwareState(NODE, T0 + timedelta(minutes=n), True, Power.ON, False, (fan,), log))
    await store.thin_hardware(NODE, T0 + timedelta(minutes=10), T0)
    await store.keep_memory(NODE, T0, {"level": 3, "fans": {"FAN3B": 0.1}})


async def kept(store: SqlStore) -> list[Any]:
    """All that can be asked of it; its standstill aside."""
    streams = sorted(each for each in await store.streams() if each != STREAM)
    return [
        {stream: (list(await store.read(stream)), list(await store.messages(stream))) for stream in streams},
        list(await store.samples("ams1-pve3-1")),
        list(await store.hardware(NODE, T0)),
        list(await store.trends(NODE, T0)),
        list(await store.logged(NODE, T0)),
        await store.memory(NODE),
    ]


DATABASES = [
    pytest.param("sqlite", "sqlite"),
    pytest.param("sqlite", "postgresql", marks=pytest.mark.real),
    pytest.param("postgresql", "sqlite", marks=pytest.mark.real),
]


@pytest.mark.parametrize(("source", "target"), DATABASES)
async def test_it_comes_back_whole_and_can_be_written_to(
    source: str, target: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    def url(kind: str, name: str) -> str:
        return sqlite(tmp_path, name) if kind == "sqlite" else request.getfixturevalue("postgres")

    async with at(url(source, "old")) as old, at(url(target, "new")) as new:
        await fill(old)
        copied = await back_up(old, Ticking(), tmp_path / "backup", silent)
        again = await restore(new, Ticking(), tmp_path / "backup", ANNA, silent)
        assert again == copied and copied.rows["events"] == 9
        assert await kept(new) == await kept(old)
        for stream in await new.streams():
            assert chain_error(await new.read(stream)) is None
        await new.append("ledger", 3, "fact", {})
        await fill_more(new)


async def fill_more(store: SqlStore) -> None:
    """Numbers that the database gives by itself go on where the copied ones end."""
    assert await store.post("ams1-pve3-1", Message("c", "finding", "technician:ruben", T0))
    assert [each.key for each in await store.messages("ams1-pve3-1")] == ["b", "a", "c"]
    await store.add_samples("ams1-pve3-1", [Sample(WEB, T0 + timedelta(hours=1), True)])
    assert len(await store.samples("ams1-pve3-1")) == 10


async def test_after_a_restore_everything_stands_still_whoever_had_stopped_or_allowed_it(tmp_path: Path) -> None:
    async with at(sqlite(tmp_path, "old")) as old, at(sqlite(tmp_path, "new")) as new:
        await fill(old)
        await stop_all(old, "operator:piet", "fire")
        copied = await back_up(old, Ticking(), tmp_path / "backup", silent)
        await restore(new, Ticking(), tmp_path / "backup", ANNA, silent)
        stopped = await standstill(new)
        assert stopped is not None and stopped.doubted and stopped.by == ANNA
        assert f"a backup of {copied.made_at:%Y-%m-%d %H:%M:%S} UTC" in stopped.headline
        assert len(await new.read(STREAM)) == 2 and chain_error(await new.read(STREAM)) is None


async def test_without_measurements_the_journal_is_all_of_it(tmp_path: Path) -> None:
    async with at(sqlite(tmp_path, "old")) as old, at(sqlite(tmp_path, "new")) as new:
        await fill(old)
        copied = await back_up(old, Ticking(), tmp_path / "backup", silent, measured=False)
        assert set(copied.rows) == {"events", "messages"}
        await restore(new, Ticking(), tmp_path / "backup", ANNA, silent)
        assert (await kept(new))[0] == (await kept(old))[0] and await new.samples("ams1-pve3-1") == []


def test_every_table_is_copied_or_is_of_the_moment() -> None:
    copied = {table.name for table in (*copying.JOURNAL, *copying.MEASURED)}
    assert copied | copying.OF_THE_MOMENT == set(metadata.tables) and not copied & copying.OF_THE_MOMENT


async def test_what_is_written_meanwhile_is_in_it_wholly_or_not_at_all(tmp_path: Path) -> None:
    async with at(sqlite(tmp_path, "old")) as old, at(sqlite(tmp_path, "new")) as new:
        await fill(old)
        loop, wrote = asyncio.get_running_loop(), asyncio.Event()

        async def meanwhile() -> None:
            await old.append("ledger", 3, "fact", {})
            await old.post("late", Message("k", "pause", ANNA, T0))
            wrote.set()

        def progress(table: str, count: int) -> None:  # in the thread that copies, after the first rows were read
            asyncio.run_coroutine_threadsafe(meanwhile(), loop).result(20)

        rows = copying.rows

        def one_by_one(connection: Any, tables: Any) -> Iterator[Any]:
            for number, row in enumerate(rows(connection, tables)):
                if number == 1:
                    progress("", 1)
                yield row

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(copying, "rows", one_by_one)
            await back_up(old, Ticking(), tmp_path / "backup", silent)
        assert wrote.is_set() and len(await old.read("ledger")) == 4
        await restore(new, Ticking(), tmp_path / "backup", ANNA, silent)
        assert len(await new.read("ledger")) == 3 and await new.messages("late") == []


# --- the file -------------------------------------------------------------------------------------------------------


async def test_only_its_owner_can_read_it_and_an_older_one_gives_way_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "backup"
    path.parent.mkdir()
    path.write_text("an older one")
    path.chmod(0o644)
    async with at(sqlite(tmp_path, "old")) as old:
        await fill(old)
        before = os.umask(0)
        try:
            await back_up(old, Ticking(), path, silent)
        finally:
            os.umask(before)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600 and os.listdir(path.parent) == ["backup"]
        whole = path.read_bytes()
        await old.do(lambda connection: connection.exec_driver_sql("UPDATE events SET actor = 'x' WHERE seq = 2"))
        with pytest.raises(Refused, match=r"chain is broken: .*event 2 \(fact\) was changed"):
            await back_up(old, Ticking(), path, silent)
        await old.do(lambda connection: connection.exec_driver_sql("UPDATE events SET data = '{' WHERE seq = 1"))
        with pytest.raises(Refused, match=r"event 1 was changed after it was written: it cannot be read"):
            await back_up(old, Ticking(), path, silent)
        assert path.read_bytes() == whole and os.listdir(path.parent) == ["backup"]
        with pytest.raises(Broken, match="cannot be written: No such file or directory"):
            await back_up(old, Ticking(), tmp_path / "nowhere" / "backup", silent)
        with pytest.raises(UsageError, match="is not a file"):
            await back_up(old, Ticking(), path.parent, silent)


async def test_an_empty_store_is_not_backed_up_and_one_with_something_in_it_is_not_filled(tmp_path: Path) -> None:
    async with at(sqlite(tmp_path, "old")) as old, at(sqlite(tmp_path, "new")) as new:
        with pytest.raises(Refused, match="nothing to back up"):
            await back_up(old, Ticking(), tmp_path / "backup", silent)
        await fill(old)
        await back_up(old, Ticking(), tmp_path / "backup", silent)
        await new.keep_memory(NODE, T0, {})
        with pytest.raises(Refused, match=r"is not empty \(1 rows of watch_memory\)"):
            await restore(new, Ticking(), tmp_path / "backup", ANNA, silent)
        assert await new.streams() == []


Lines = list[Any]


def rewritten(change: Callable[[Lines], None]) -> Callable[[bytes], bytes]:
    """Change its lines, and let its end say again what is before it, as somebody would who knows the format."""

    def made(data: bytes) -> bytes:
        lines: Lines = [json.loads(line) for line in gzip.decompress(data).splitlines()]
        change(lines)
        body = b"".join(_line(each) for each in lines[:-1])
        counted: dict[str, int] = {}
        for each in lines[1:-1]:
            counted[each[0]] = counted.get(each[0], 0) + 1
        end = {"rows": counted, "sha256": hashlib.sha256(body).hexdigest()}
        return gzip.compress(body + _line(end))

    return made


def _line(document: Any) -> bytes:
    return json.dumps(document).encode() + b"\n"


def header(**changes: Any) -> Callable[[bytes], bytes]:
    return rewritten(lambda lines: lines[0].update(changes))


def of_line(number: int, place: int, value: Any) -> Callable[[bytes], bytes]:
    def change(lines: Lines) -> None:
        lines[number][place] = value

    return rewritten(change)


def packed(change: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    return lambda data: gzip.compress(change(gzip.decompress(data)))


DAMAGED: dict[str, tuple[Callable[[bytes], bytes], type[NooutError], str]] = {
    "nothing": (lambda data: b"", UsageError, "is not a backup of noout"),
    "a database": (lambda data: b"SQLite format 3\0" * 50, UsageError, "is not a backup of noout"),
    "another gzip": (lambda data: gzip.compress(b"hello\n"), UsageError, "is not a backup of noout"),
    "other JSON": (lambda data: gzip.compress(b"[1]\n"), UsageError, "is not a backup of noout"),
    "newer": (header(version=2, noout="7.1"), UsageError, "of version 2 and schema 1, written by noout 7.1"),
    "newer events": (header(schema=2), UsageError, "of version 1 and schema 2"),
    "other tables": (header(tables={"events": ["stream"]}), UsageError, "holds other tables"),
    "no time": (header(made_at="today"), UsageError, "first line is not whole"),
    "cut short": (lambda data: data[:-9], UsageError, "cut short or changed"),
    "half of it": (lambda data: data[: len(data) // 2], UsageError, "cut short or changed"),
    "more behind it": (lambda data: data + data, UsageError, "its end does not fit"),
    "no end": (packed(lambda text: text[: text.rindex(b'{"rows"')]), UsageError, "cut short"),
    "half a line": (packed(lambda text: text[:-40]), UsageError, "cut short"),
    "a row left out": (packed(lambda text: text.replace(_some(text, b'["messages"'), b"", 1)), UsageError, "its end"),
    "a value changed": (packed(lambda text: text.replace(b"rub\xc3\xa9n", b"rubens", 1)), UsageError, "its end"),
    "no JSON": (packed(lambda text: text.replace(b'["messages"', b'["messages', 1)), UsageError, "not JSON"),
    "no table": (of_line(3, 0, "users"), UsageError, "of no table"),
    "too few values": (rewritten(lambda lines: lines[2].pop()), UsageError, "row 2 of events is none"),
    "no number": (of_line(2, 2, "2"), UsageError, "row 2 of events is none"),
    "true is none": (of_line(1, 2, True), UsageError, "row 1 of events is none"),
    "no time of an event": (of_line(2, 3, "noon"), UsageError, "row 2 of events is none"),
    "half a character": (of_line(2, 4, "\ud800"), UsageError, "row 2 of events is none"),
    "an event changed": (of_line(2, 6, "operator:eve"), Refused, r"event 2 \(fact\) was changed after it was written"),
    "an event left out": (rewritten(lambda lines: lines.pop(2)), Refused, "event 2 is missing"),
    "an event twice": (rewritten(lambda lines: lines.insert(2, lines[1])), Refused, "event 2 is missing"),
    "a stream twice": (rewritten(lambda lines: lines.__setitem__(slice(10, 10), lines[1:4])), UsageError, "twice"),
    "streams mixed": (rewritten(lambda lines: lines.insert(9, lines.pop(3))), Refused, "is missing"),
}  # fmt: skip


def _some(text: bytes, begins: bytes) -> bytes:
    return next(line for line in text.splitlines(keepends=True) if line.startswith(begins))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A good backup."""
    folder = tmp_path_factory.mktemp("whole")

    async def main() -> bytes:
        async with at(sqlite(folder, "old")) as old:
            await fill(old)
            await back_up(old, Ticking(), folder / "backup", silent)
            return (folder / "backup").read_bytes()

    return asyncio.run(main())


@pytest.mark.parametrize("kind", DAMAGED)
async def test_a_file_that_is_not_whole_fills_nothing(kind: str, whole: bytes, tmp_path: Path) -> None:
    change, error, says = DAMAGED[kind]
    path = tmp_path / "backup"
    path.write_bytes(change(whole))
    async with at(sqlite(tmp_path, "new")) as new:
        with pytest.raises(error, match=says) as caught:
            await restore(new, Ticking(), path, ANNA, silent)
        assert caught.value.exit_code in (2, 3) and "\n" not in str(caught.value)
        assert await new.do(copying.not_empty) == ""


async def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    async with at(sqlite(tmp_path, "new")) as new:
        with pytest.raises(UsageError, match="cannot be read: No such file"):
            await restore(new, Ticking(), tmp_path / "backup", ANNA, silent)
        with pytest.raises(UsageError, match="cannot be read: Is a directory"):
            await restore(new, Ticking(), tmp_path, ANNA, silent)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_no_changed_byte_passes_and_none_is_a_fault_of_ours(data: st.DataObject, whole: bytes, tmp_path: Path) -> None:
    """Whatever byte of the file is another, or of the text in it."""
    text = data.draw(st.booleans())
    plain = bytearray(gzip.decompress(whole) if text else whole)
    place = data.draw(st.integers(0, len(plain) - 1))
    if not text and 3 <= place < 10:  # gzip's own header: its time, its flags
        place += 10
    plain[place] ^= data.draw(st.integers(1, 255))
    path = tmp_path / "backup"
    path.write_bytes(gzip.compress(bytes(plain), 1) if text else bytes(plain))
    with pytest.raises((UsageError, Refused)), Reading(path) as reading:
        for _ in copying._checked(reading.rows()):
            pass


TEXT = st.text(st.characters(blacklist_categories=("Cs",)), max_size=8)
FIGURES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), TEXT)
DATA = st.dictionaries(TEXT, st.recursive(FIGURES, lambda each: st.lists(each, max_size=3), max_leaves=6), max_size=3)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(rows=st.lists(st.tuples(TEXT, TEXT, DATA, st.binary(max_size=20), st.floats(0, 4e9)), max_size=5))
def test_every_value_goes_into_the_file_and_comes_out_of_it(rows: list[Any], tmp_path: Path) -> None:
    """Without a database between: what no database changes, no file does."""
    told: list[copying.Row] = [("messages", (a, b, "k", "w", "t", json.dumps(data))) for a, b, data, _, _ in rows]
    told += [("sample_blocks", (a, b, until_s, block)) for a, b, _, block, until_s in rows]
    counted = save(tmp_path / "backup", Header(T0, "1", True), iter(told))
    with Reading(tmp_path / "backup") as reading:
        assert list(reading.rows()) == told and reading.counted == counted and reading.header == Header(T0, "1", True)
