"""The live view: what moves, how far it is, what is held; and all of it fits into 80 columns."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from typing import cast

from rich.console import Console

from noout.app.compose import Installation
from noout.cli.live import Moving, picture
from noout.domain.cluster import MigrationProgress, NodeId
from noout.domain.maintenance import Action, Maintenance, Mode, Owned, Pending, Phase

AT = datetime(2026, 11, 30, 11, 0, tzinfo=UTC)
GIB = 1024**3


def shown(progress: dict[str, MigrationProgress]) -> list[str]:
    args = {"name": "mercato-warehouse-db", "source": "pve3", "target": "pve4"}
    pending = Pending(Action("evacuate", "migrate", "ams1/104", "Migrate", "", args), AT, 1, "UPID:x")
    state = Maintenance(
        "ams1-pve3-1", NodeId("ams1", "pve3"), "fans", Mode.AUTO, AT, "anna", 1, phase=Phase.EVACUATING,
        pending=(pending,), owned=(Owned("led", "ams1/pve3", AT),), waiting_for="",
    )  # fmt: skip
    moving = Moving(cast(Installation, None), state, progress)
    console = Console(file=io.StringIO(), width=80, highlight=False)
    console.print(picture(state, moving, AT + timedelta(seconds=42)))
    return cast(io.StringIO, console.file).getvalue().splitlines()


def test_a_move_with_its_figures() -> None:
    known = MigrationProgress(transferred_bytes=6 * GIB, total_bytes=8 * GIB, rate_bytes_s=GIB // 2)
    lines = shown({"ams1/104": known})
    row = next(line for line in lines if "mercato" in line)
    assert "pve3 → pve4" in row and "6.0 of 8.0 GiB, 4 s left" in row and "42 s" in row
    assert all(len(line) <= 80 for line in lines)
    assert any("led ams1/pve3" in line for line in lines)


def test_a_move_without_figures_yet() -> None:
    assert any("is being set up" in line for line in shown({}))
