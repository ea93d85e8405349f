"""From SQLite to PostgreSQL by backup and restore, in the middle of a maintenance: it goes on when allowed to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from noout.adapters.store.sql import SqlStore
from noout.app.backup import back_up, open_in, restore
from noout.app.carrying import context_of
from noout.app.maintain import Maintenances
from noout.app.older import allow_despite, compare
from noout.app.planning import plan_now
from noout.app.standstill import standstill
from noout.domain.journal import Kind, chain_error
from noout.domain.maintenance import Mode
from noout.domain.note import read_note
from noout.run.advance import advance
from tests.sim.play import installation, settings_of
from tests.support.labsite import lab_site
from tests.support.postgres import postgres_url
from tests.unit.steps.scene import NODE

ANNA = "operator:anna"


@pytest.fixture
def target() -> Iterator[str]:
    with postgres_url() as url:
        yield url


@pytest.mark.real
async def test_a_run_goes_on_in_the_other_database(target: str, tmp_path: Path) -> None:
    wall = [0.0]
    lab = lab_site(wall=lambda: wall[0])
    laid, _ = installation(lab, settings_of(lab))
    old = await SqlStore.open(f"sqlite:///{tmp_path / 'old.db'}", lab.clock)
    found = replace(laid, journal=old, measurements=old)
    plan = await plan_now(found, NODE)
    mid = await Maintenances(found).open(NODE, reason="fans", mode=Mode.AUTO, actor=ANNA, plan=plan)
    context = context_of(found, {})
    while read_note((await lab.hypervisor.describe(NODE)).text) is None:
        wall[0] += 5
        await advance(context, mid)
    await back_up(old, lab.clock, tmp_path / "backup", lambda table, count: None)
    await old.close()

    new = await SqlStore.open(target, lab.clock)
    await restore(new, lab.clock, tmp_path / "backup", ANNA, lambda table, count: None)
    assert await open_in(new) == [mid]
    found = replace(laid, journal=new, measurements=new)
    context = context_of(found, {})
    before = [event.digest for event in await new.read(mid)]

    async def intents() -> int:
        return sum(event.kind == Kind.INTENT for event in await new.read(mid))

    done = await intents()
    for _ in range(4):
        wall[0] += 60
        await advance(context, mid)
    assert await intents() == done, "everything stands still"
    compared = await compare(found, [await found.known.get(mid)])
    assert not compared.ahead, "nothing was done since: the journal is the latest"
    assert await allow_despite(found, ANNA) == (True, []) and await standstill(new) is None
    for _ in range(4):
        wall[0] += 60
        await advance(context, mid)
    events = await new.read(mid)
    assert await intents() > done and chain_error(events) is None
    assert [event.digest for event in events[: len(before)]] == before, "the same chain goes on"
    await new.close()
