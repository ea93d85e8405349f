"""A copy of the store as one file: gzip, in it one JSON document a line.

::

    {"format": "noout.backup", "version": 1, "made_at": "...", "noout": "0.1.0", "schema": 1, "tables": {...}}
    ["events", "ams1-pve3-1", 1, "2026-11-22T03:00:00+00:00", "maintenance.opened", "{...}", "operator:anna", "4f..."]
    ...
    {"rows": {"events": 812, ...}, "sha256": "..."}                of all lines before

``zcat`` reads it. What a database keeps as bytes is base64. A file that lacks its last line, or whose lines are not
those that the last line counts and sums, is not complete.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import hashlib
import json
import math
import os
import tempfile
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from sqlalchemy import Column, Float, Integer, Table

from noout.adapters.store.copying import JOURNAL, MEASURED, Row, columns, event_of, is_binary
from noout.adapters.store.facts import SCHEMA
from noout.adapters.store.tables import events
from noout.domain.errors import Broken, UsageError

FORMAT, VERSION = "noout.backup", 1
LINE_BYTES_MAX = 1 << 28  # far more than the largest plan; a file is read line by line and never as a whole
LEVEL = 6


@dataclass(frozen=True, slots=True)
class Header:
    """``made_at``: what came later is not in it. ``program``: the noout that wrote it. ``measured``: whether samples
    and sensor states are in it."""

    made_at: datetime
    program: str
    measured: bool


def save(path: Path, header: Header, rows: Iterable[Row]) -> Counter[str]:
    """Write the file, readable by its owner only, in place of an older one only once it is complete and on the disk.

    How many rows of each table are in it. Broken when it cannot be written; then nothing is left of it.
    """
    partial = ""
    try:
        if path.exists() and not path.is_file():
            raise UsageError(f"{path} is not a file", remedy="name a file")
        number, partial = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".partial", dir=path.parent)  # mode 0600
        with open(number, "wb") as file:
            counted = _save(file, header, rows)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
        partial = ""
        _sync_folder(path.parent)
    except OSError as error:
        raise Broken(
            f"{path} cannot be written: {error.strerror}", remedy="choose a folder that is there and has room"
        ) from None
    finally:
        if partial:
            os.unlink(partial)
    return counted


def _save(file: IO[bytes], header: Header, rows: Iterable[Row]) -> Counter[str]:
    counted, sums = Counter[str](), hashlib.sha256()
    # No file name and no time in it: the same store gives the same bytes.
    with gzip.GzipFile("", "wb", LEVEL, file, mtime=0) as packed:

        def line(document: Any) -> None:
            data = json.dumps(document, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode() + b"\n"
            sums.update(data)
            packed.write(data)

        tables = {name: [each.name for each in columns(table)] for name, table in _tables(header.measured).items()}
        line({
            "format": FORMAT, "version": VERSION, "made_at": header.made_at.isoformat(), "noout": header.program,
            "schema": SCHEMA, "tables": tables,
        })  # fmt: skip
        for name, values in rows:
            counted[name] += 1
            line([name, *(base64.b64encode(each).decode() if isinstance(each, bytes) else each for each in values)])
        line({"rows": dict(counted), "sha256": sums.hexdigest()})
    return counted


def _tables(measured: bool) -> dict[str, Table]:
    return {table.name: table for table in (*JOURNAL, *(MEASURED if measured else ()))}


def _sync_folder(folder: Path) -> None:
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


class Reading:
    """A file that is being read: ``header`` at once, then ``rows``, which end only when the file is complete.

    UsageError, in one sentence, for one that cannot be opened, is no backup, is newer, damaged or cut short.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.counted = Counter[str]()
        self._sums = hashlib.sha256()
        try:
            self._file = gzip.open(path, "rb")  # noqa: SIM115 - closed by __exit__
        except OSError as error:
            raise UsageError(f"{path} cannot be read: {error.strerror}", remedy="check the file") from None
        self.header = self._header()

    def __enter__(self) -> Reading:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def rows(self) -> Iterator[Row]:
        tables = _tables(self.header.measured)
        while True:
            before = self._sums.hexdigest()
            document = self._line()
            if isinstance(document, dict):
                if document != {"rows": dict(self.counted), "sha256": before} or self._more():
                    raise self._damaged("its end does not fit what is before it")
                return
            name, *values = document if isinstance(document, list) and document else ("",)
            if not isinstance(name, str) or name not in tables:
                raise self._damaged("a line is of no table")
            self.counted[name] += 1
            yield name, self._checked(tables[name], values)

    def _header(self) -> Header:
        try:
            document = self._line()
        except UsageError:
            document = None
        if not isinstance(document, dict) or document.get("format") != FORMAT:
            raise UsageError(f"{self.path} is not a backup of noout", remedy="`noout backup FILE` writes one")
        version, schema = document.get("version"), document.get("schema")
        if version != VERSION or not isinstance(schema, int) or schema > SCHEMA:
            raise UsageError(
                f"{self.path} is of version {version!r} and schema {schema!r}, written by noout "
                f"{document.get('noout')}; this one reads version {VERSION} and schemas up to {SCHEMA}",
                remedy="restore it with that noout",
            )
        names = document.get("tables")
        measured = isinstance(names, dict) and len(names) > len(JOURNAL)
        if names != {name: [each.name for each in columns(table)] for name, table in _tables(measured).items()}:
            raise UsageError(
                f"{self.path} holds other tables than this noout keeps, written by noout {document.get('noout')}",
                remedy="restore it with that noout",
            )
        try:
            return Header(datetime.fromisoformat(document["made_at"]), str(document["noout"]), measured)
        except (KeyError, TypeError, ValueError):
            raise self._damaged("its first line is not whole") from None

    def _line(self) -> Any:
        try:
            data = self._file.readline(LINE_BYTES_MAX)
        except (EOFError, zlib.error, gzip.BadGzipFile):
            raise self._damaged("it is cut short or changed") from None
        except OSError as error:
            raise UsageError(f"{self.path} cannot be read: {error.strerror}", remedy="check the file") from None
        if not data.endswith(b"\n"):
            raise self._damaged("it is cut short")
        self._sums.update(data)
        try:
            return json.loads(data)
        except (ValueError, RecursionError):
            raise self._damaged("a line is not JSON") from None

    def _more(self) -> bool:
        try:
            return bool(self._file.read(1))
        except (EOFError, zlib.error, OSError):
            raise self._damaged("it is cut short or changed") from None

    def _checked(self, table: Table, values: list[Any]) -> tuple[Any, ...]:
        wanted = columns(table)
        try:
            if len(values) != len(wanted):
                raise ValueError
            found = tuple(_value(column, value) for column, value in zip(wanted, values, strict=True))
            if table is events:
                event_of(found)
        except (TypeError, ValueError, RecursionError):
            number = self.counted[table.name]
            raise self._damaged(f"row {number} of {table.name} is none") from None
        return found

    def _damaged(self, why: str) -> UsageError:
        return UsageError(f"{self.path} is damaged: {why}; nothing of it was restored", remedy="use another backup")


def _value(column: Column[Any], value: Any) -> Any:
    """ValueError for what this column cannot hold."""
    if is_binary(column):
        try:
            return base64.b64decode(value, validate=True)
        except binascii.Error:
            raise ValueError from None
    kinds: Mapping[type, tuple[type, ...]] = {Integer: (int,), Float: (int, float)}
    kind = kinds.get(type(column.type), (str,))
    if (
        not isinstance(value, kind)
        or isinstance(value, bool)
        or (isinstance(value, float) and not math.isfinite(value))
    ):
        raise ValueError
    if isinstance(value, str):
        value.encode()  # half a character is none
    return value
