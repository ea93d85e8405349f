"""The heads of the chains go every day to where nobody rewrites them; whoever was named can be taken out again."""

from __future__ import annotations

import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import noout.app.heads as heads_room
from noout.app.compose import Installation
from noout.app.erasing import erase
from noout.app.heads import STREAM, Publisher, breaks, heads_now
from noout.app.maintain import Maintenances
from noout.app.planning import plan_now
from noout.domain.cluster import NodeId
from noout.domain.errors import Refused, UsageError
from noout.domain.heads import read_heads
from noout.domain.journal import Event, Kind, Message, MessageKind, chain_error
from noout.domain.maintenance import Mode
from noout.run.fold import fold
from tests.sim.play import WatchedStore, installation, settings_of
from tests.support.labsite import lab_site

MID = "ams1-pve3-1"


class Stage:
    def __init__(self, **journal: Any) -> None:
        self.wall = 0.0
        lab = lab_site(wall=lambda: self.wall)
        made: tuple[Installation, WatchedStore] = installation(lab, settings_of(lab, journal=journal))
        self.found, self.store = made

    async def write(self, kind: str, data: dict[str, Any], actor: str = "noout", stream: str = MID) -> Event:
        return await self.store.append(stream, len(await self.store.read(stream)), kind, data, actor)

    async def open(self) -> None:
        await self.write(Kind.OPENED, {"node": "ams1/pve3", "mode": "auto", "reason": "fan 3B"}, "operator:anna")


async def test_they_are_added_to_a_file_once_a_day_and_lie_on_the_chains(tmp_path: Path) -> None:
    kept = tmp_path / "heads"
    stage = Stage(heads_file=str(kept))
    await stage.open()
    publisher = Publisher(stage.found)
    assert await publisher.look() and not await publisher.look()
    await stage.write(Kind.FACT, {"name": "n", "value": 1})
    stage.wall += 86400
    assert await publisher.look()
    published = read_heads(kept.read_text())
    assert [(each.stream, each.seq) for each in published] == [(MID, 1), (MID, 2), (STREAM, 1)]
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    whole, broken = await breaks(stage.store, tuple(published))
    assert set(whole) == {MID, STREAM} and not broken


async def test_a_chain_that_was_written_anew_cut_short_or_taken_away_is_found(tmp_path: Path) -> None:
    stage = Stage()
    await stage.open()
    await stage.write(Kind.FACT, {"name": "n", "value": 1})
    await stage.write("effects.stopped", {"reason": ""}, stream="standstill")
    published = tuple(read_heads(await heads_now(stage.found)))
    events = stage.store._events
    true = {stream: list(some) for stream, some in events.items()}
    events[MID] = events[MID][:1]
    assert (await breaks(stage.store, published))[1] == [
        f"{MID} was cut short: it had 2 events as published of {published[0].at:%Y-%m-%d %H:%M} UTC, and has 1"
    ]
    await stage.write(Kind.FACT, {"name": "n", "value": 2})
    whole, broken = await breaks(stage.store, published)
    assert "was written anew" in broken[0] and MID not in whole
    assert (await breaks(stage.store))[1] == [], "in itself it is whole"
    del events["standstill"]
    events[MID] = true[MID]
    assert [each.split(":")[0] for each in (await breaks(stage.store, published))[1]] == ["standstill is gone"]
    events[MID][0] = replace(events[MID][0], actor="operator:piet")
    assert "was changed after it was written" in (await breaks(stage.store))[1][0]


async def test_a_command_gets_them_on_its_standard_input_and_no_shell_reads_it(tmp_path: Path) -> None:
    told, odd = tmp_path / "told", "$(touch oops); `id`"
    script = tmp_path / "mail"
    script.write_text(f'#!/bin/sh\n[ "$2" = {odd!r} ] && cat > {told}\n')
    script.chmod(0o755)
    stage = Stage(heads_command=[str(script), "-s", odd])
    await stage.open()
    assert await Publisher(stage.found).look()
    assert [each.stream for each in read_heads(told.read_text())] == [MID]
    assert not (tmp_path / "oops").exists()


async def test_what_fails_is_told_once_and_tried_again_within_the_hour(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    woken: list[str] = []

    async def wake(found: Any, why: str, **of: str) -> None:
        woken.append(why)

    monkeypatch.setattr(heads_room, "wake", wake)
    place = tmp_path / "share"
    stage = Stage(heads_file=str(place / "heads"), heads_command=["false"])
    await stage.open()
    publisher = Publisher(stage.found)
    for _ in range(3):
        assert not await publisher.look()
        stage.wall += 3600
    assert len(woken) == 1 and "No such file" in woken[0] and "false ended with 1" in woken[0]
    place.mkdir()
    stage.found.settings = stage.found.settings.model_copy(
        update={"journal": stage.found.settings.journal.model_copy(update={"heads_command": ()})}
    )
    assert await publisher.look() and not await publisher.look()


async def test_nothing_is_written_where_nothing_is_to_be_published() -> None:
    stage = Stage()
    await stage.open()
    assert not await Publisher(stage.found).look()
    assert await stage.store.streams() == [MID]


async def test_of_two_processes_one_publishes(tmp_path: Path) -> None:
    stage = Stage(heads_file=str(tmp_path / "heads"))
    await stage.open()
    read = stage.store.read

    async def late(stream: str, after: int = 0) -> Any:
        """The other one publishes between this one's look and its word."""
        events = list(await read(stream, after))
        if stream == STREAM and not events:
            await stage.store.append(STREAM, 0, "heads.published", {})
            return []
        return events

    stage.store.read = late  # type: ignore[method-assign]
    assert not await Publisher(stage.found).look()
    assert not (tmp_path / "heads").exists()


async def signed_off(stage: Stage) -> None:
    await stage.open()
    at = stage.found.clock.now()
    note = {"check": "fans.clean", "answer": "done", "note": "Ruben Jansen, 06-12345678: fan 3B"}
    said = Message("technician/1/k", MessageKind.FINDING, "technician:Ruben Jansen", at, note)
    await stage.store.post(MID, said)
    told = {"key": said.key, "kind": "finding", "at": at.isoformat(), "data": note}
    await stage.write(Kind.MESSAGE, told, said.actor)


async def test_a_person_is_taken_out_of_events_and_messages_and_all_else_stays() -> None:
    stage = Stage()
    await signed_off(stage)
    with pytest.raises(Refused, match="is open"):
        await erase(stage.found, MID, "Ruben Jansen", "operator:anna")
    await stage.write(Kind.CLOSED, {"outcome": "done", "phase": "done"})
    published = tuple(read_heads(await heads_now(stage.found)))
    before = await stage.found.known.get(MID)
    assert await erase(stage.found, MID, "Ruben Jansen", "operator:anna") == (1, 1)
    assert await erase(stage.found, MID, "06-12345678", "operator:anna") == (1, 1)
    assert await erase(stage.found, MID, "06-12345678", "operator:anna") == (0, 0)
    everything = f"{await stage.store.read(MID)} {await stage.store.messages(MID)}"
    assert "Ruben" not in everything and "12345678" not in everything
    after = fold(await stage.store.read(MID))
    assert after.findings[0].note == "(erased), (erased): fan 3B" and after.findings[0].by == "technician:(erased)"
    assert replace(after, findings=(), seq=0) == replace(before, findings=(), seq=0)
    assert (await breaks(stage.store, published))[1] == []
    assert chain_error(await stage.store.read(MID)) is None


@pytest.mark.parametrize(
    ("text", "error"),
    [("ab", UsageError), ("ams1/pve3", Refused), ("maintenance.opened", None), ("Rub", None)],
)
async def test_only_whole_words_and_nothing_that_the_journal_itself_needs(text: str, error: Any) -> None:
    stage = Stage()
    await signed_off(stage)
    await stage.write(Kind.CLOSED, {"outcome": "done", "phase": "done"})
    before = await stage.store.read(MID)
    if error is None:
        assert await erase(stage.found, MID, text, "operator:anna") == (0, 0)
    else:
        with pytest.raises(error):
            await erase(stage.found, MID, text, "operator:anna")
    assert await stage.store.read(MID) == before


async def test_customers_and_how_to_reach_them_are_never_written_down(tmp_path: Path) -> None:
    """What noout knows of a customer stands in its configuration, from where it can be taken at any time."""
    stage = Stage()
    found = stage.found
    names = {each.name for each in found.customers}
    assert names
    node = NodeId("ams1", "pve3")
    plan = await plan_now(found, node)
    mid = await Maintenances(found).open(node, reason="fans", mode=Mode.AUTO, actor="operator:anna", plan=plan)
    text = str(await stage.store.read(mid))
    assert not [name for name in names if name in text]
