"""Photos in the store: found where they were kept, erased for good, forgotten in time, and in every backup."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from noout.adapters.store.photos import MemoryPhotos, SqlPhotos
from noout.adapters.store.sql import SqlStore
from noout.app.backup import back_up, restore
from noout.ports import Photos
from tests.contract.store.test_store import T0, Ticking

JPEG = b"\xff\xd8\xff\xe0 a face that its owner wants gone " * 200
DIGEST, OTHER = "a" * 64, "b" * 64


async def kept(photos: Photos) -> None:
    await photos.keep("m-1", DIGEST, T0, JPEG)
    await photos.keep("m-1", DIGEST, T0 + timedelta(days=9), JPEG)  # sent once more: it stays as it was
    await photos.keep("m-1", OTHER, T0 + timedelta(days=2), b"other")


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_what_is_kept_is_found_by_its_maintenance_and_digest_and_goes(kind: str, tmp_path: Path) -> None:
    store = await SqlStore.open(f"sqlite:///{tmp_path / 'a.db'}", Ticking())
    photos: Photos = MemoryPhotos() if kind == "memory" else SqlPhotos(store)
    await kept(photos)
    assert await photos.find("m-1", DIGEST) == JPEG
    assert await photos.find("m-2", DIGEST) is None and await photos.find("m-1", "c" * 64) is None
    await photos.forget(T0 + timedelta(days=1))
    assert await photos.find("m-1", DIGEST) is None and await photos.find("m-1", OTHER) == b"other"
    assert await photos.erase("m-1", OTHER) and not await photos.erase("m-1", OTHER)
    await store.close()


def having(folder: Path, what: bytes) -> list[Path]:
    return [path for path in folder.iterdir() if what in path.read_bytes()]


async def test_an_erased_photo_is_in_no_file_of_the_database(tmp_path: Path) -> None:
    store = await SqlStore.open(f"sqlite:///{tmp_path / 'a.db'}", Ticking())
    photos = SqlPhotos(store)
    await kept(photos)
    assert having(tmp_path, b"a face that its owner")
    assert await photos.erase("m-1", DIGEST)
    await store.close()
    assert not having(tmp_path, b"a face that its owner")


async def test_a_backup_has_them(tmp_path: Path) -> None:
    clock = Ticking()
    store = await SqlStore.open(f"sqlite:///{tmp_path / 'a.db'}", clock)
    await kept(SqlPhotos(store))
    await store.append("m-1", 0, "fact", {})
    await back_up(store, clock, tmp_path / "b.gz", lambda *_: None, measured=False)
    await store.close()
    other = await SqlStore.open(f"sqlite:///{tmp_path / 'b.db'}", clock)
    await restore(other, clock, tmp_path / "b.gz", "operator:anna", lambda *_: None)
    assert await SqlPhotos(other).find("m-1", DIGEST) == JPEG
    await other.close()
