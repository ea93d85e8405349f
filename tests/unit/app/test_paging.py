"""People are woken by a command of theirs; a run of another cluster waits while one closes up."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from noout.app.carrying import context_of
from noout.app.paging import page
from noout.domain.journal import Kind
from noout.settings import PageSettings
from tests.sim.play import installation, settings_of
from tests.support.labsite import lab_site
from tests.unit.steps.scene import maintenance, owning


async def test_the_command_gets_what_is_wrong_on_its_standard_input(tmp_path: Path) -> None:
    lab = lab_site()
    found, _ = installation(lab, settings_of(lab))
    told = tmp_path / "told"
    script = tmp_path / "page"
    script.write_text(f"#!/bin/sh\ncat > {told}\n")
    script.chmod(0o755)
    found.settings = found.settings.model_copy(update={"page": PageSettings(command=(str(script),))})
    await page(found, maintenance(), "osd.8 is down")
    assert json.loads(told.read_text()) == {
        "format": "noout.page", "version": 1, "maintenance": "ams1-pve3-1", "node": "ams1/pve3", "why": "osd.8 is down",
    }  # fmt: skip


@pytest.mark.parametrize("argv", [("/nonexistent/page",), ("false",)])
async def test_a_page_that_fails_is_logged_and_stops_nothing(argv: tuple[str, ...], caplog: Any) -> None:
    lab = lab_site()
    found, _ = installation(lab, settings_of(lab))
    found.settings = found.settings.model_copy(update={"page": PageSettings(command=argv)})
    await page(found, maintenance(), "osd.8 is down")
    assert "osd.8 is down" in caplog.text and "page command" in caplog.text


async def test_others_are_frozen_while_one_closes_up_but_not_on_their_own_way_back() -> None:
    lab = lab_site()
    found, store = installation(lab, settings_of(lab))
    await store.append("rtm1-pve1-1", 0, Kind.OPENED, {"node": "rtm1/pve1", "mode": "auto"})
    frozen = context_of(found, {}).frozen
    mine = maintenance()
    assert await frozen(mine) == ""
    await store.append("rtm1-pve1-1", 1, Kind.FACT, {"name": "second-fault", "value": "osd.8 is down"})
    assert await frozen(mine) == "rtm1-pve1-1 to be safe again: osd.8 is down"
    assert await frozen(replace(mine, owned=owning(("osd-stopped", "osd.4")))) == ""
    assert await frozen(replace(mine, urgent=True)) == ""
    await store.append("rtm1-pve1-1", 2, Kind.CLOSED, {"outcome": "closed up"})
    assert await frozen(mine) == ""
