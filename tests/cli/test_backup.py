"""noout backup, restore and what status and allow-all say afterwards, as a person types them."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from noout.adapters.clock import SystemClock
from noout.adapters.store.sql import SqlStore
from noout.domain.journal import Kind
from noout.domain.maintenance import Mode
from tests.cli.conftest import Noout
from tests.cli.test_secrets import secrets_of

MID = "ams1-pve3-1"
TOLD: Sequence[tuple[Kind, dict[str, Any]]] = (
    (Kind.OPENED, {"node": "ams1/pve3", "reason": "fans", "mode": Mode.AUTO.value}),
    (Kind.APPROVED, {"by": "operator:anna"}),
    (Kind.OWNED, {"kind": "noout", "subject": "pve3"}),
)


@pytest.fixture
def kept(place: Path) -> Path:
    """The folder, whose store holds an open maintenance that says it has set noout."""

    async def main() -> None:
        store = await SqlStore.open(f"sqlite:///{place / 'noout.db'}", SystemClock())
        for seq, (kind, data) in enumerate(TOLD):
            await store.append(MID, seq, kind, data, "operator:anna")
        await store.close()

    asyncio.run(main())
    return place


def test_backup_restore_look_and_go_on(noout: Noout, kept: Path) -> None:
    said = noout("backup", "b")
    assert said.code == 0 and said.out.startswith("wrote b: 3 events, as of "), said
    text = gzip.decompress((kept / "b").read_bytes()).decode()
    assert MID in text
    for what, secret in secrets_of(kept).items():
        assert secret not in text, what

    assert noout("restore", "b").code == 3  # what is there is never written over
    for file in kept.glob("noout.db*"):
        file.rename(file.with_name(f"old-{file.name}"))
    said = noout("restore", "b")
    assert said.code == 0 and f"1 maintenance open: {MID}" in said.out, said
    said = noout("status")
    assert "No new effect is started anywhere" in said.out and "restored from a backup of" in said.out
    assert "≠ noout pve3: held by the journal, not set in the cluster" in said.out
    said = noout("status", "--json")
    assert said.code == 0 and '"compared"' in said.out
    assert noout("allow-all").out == "effects are allowed again\n"
    assert "No new effect" not in noout("status").out


@pytest.mark.parametrize(
    ("command", "code", "says"),
    [
        (("backup", "b", "--config", "other.toml"), 3, "there is nothing to back up"),
        (("restore", "noout.toml"), 2, "is not a backup of noout"),
        (("restore", "nowhere"), 2, "cannot be read"),
        (("backup", "nowhere/b"), 1, "cannot be written"),
    ],
    ids=lambda each: "-".join(each) if isinstance(each, tuple) else "",
)
def test_what_does_not_go_is_said_in_a_sentence(
    noout: Noout, kept: Path, command: tuple[str, ...], code: int, says: str
) -> None:
    (kept / "other.toml").write_text((kept / "noout.toml").read_text().replace("noout.db", "other.db"))
    said = noout(*command)
    assert said.code == code and says in said.err and "Traceback" not in said.err, said
    assert not (kept / "other.db").exists()


def test_adopt_has_nothing_to_say_of_a_cluster_that_noout_has_not_touched(noout: Noout) -> None:
    said = noout("adopt")
    assert (said.code, said.out) == (0, "Nothing on any cluster looks as if noout had left it.\n"), said
    assert noout("adopt", "--cluster", "other").code == 2
