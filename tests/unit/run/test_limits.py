"""No wait without an end: what lasts too long is told, is waited for all the same, and gets its time anew."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from noout.adapters.store.memory import MemoryStore
from noout.domain.journal import Kind
from noout.domain.maintenance import Action, Maintenance
from noout.run.advance import _Turn
from noout.run.limits import limit_of, outstayed
from noout.run.record import Known, Record
from noout.steps.step import Hold
from noout.steps.waits import NO_END_S, WAITS
from tests.unit.run.test_settle import Hand
from tests.unit.steps.scene import NODE, T0, maintenance, pending

MID = "ams1-pve3-1"
BUSY = Hold("world", "the world to answer again: pve1 is deaf", 10.0)


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


class Run:
    """A journal, and what a run does when it is to wait."""

    def __init__(self) -> None:
        self.clock = Hand()
        self.store = MemoryStore(self.clock)  # type: ignore[arg-type]
        self.paged: list[str] = []

    async def page(self, m: Maintenance, why: str) -> None:
        self.paged.append(why)

    async def waits(self, hold: Hold, after_s: float) -> Maintenance:
        self.clock.at = at(after_s)
        if not await self.store.read(MID):
            await self.store.append(MID, 0, Kind.OPENED, {"node": str(NODE), "mode": "auto"})
        turn = object.__new__(_Turn)
        turn.ctx, turn.record = self, await Record.read(Known(self.store), MID)  # type: ignore[assignment]
        await turn.wait(hold)
        return turn.m

    async def says(self, kind: str, **data: Any) -> None:
        seq = len(await self.store.read(MID))
        said = {"key": f"k{seq}", "kind": kind, "at": self.clock.at.isoformat(), "data": data}
        await self.store.append(MID, seq, Kind.MESSAGE, said, "operator:anna")


@pytest.mark.parametrize("code", [code for code, kind in WAITS.items() if kind.limit_s is not None])
async def test_every_kind_with_a_limit_is_told_after_it(code: str) -> None:
    run, limit_s = Run(), WAITS[code].limit_s or 0.0
    hold = Hold(code, "something to happen", 10.0)
    m = await run.waits(hold, 0)
    assert m.waiting_limit == at(limit_s) and m.waiting_code == code
    assert not (await run.waits(hold, limit_s)).blockers
    m = await run.waits(hold, limit_s + 120)
    (told,) = m.blockers
    assert told.code == f"wait.{code}" and told.subject == str(NODE) and told.remedy
    assert "something to happen, since 2026-11-30 10:00 UTC" in told.message


async def test_a_world_that_gives_another_reason_each_time_has_not_answered_in_between() -> None:
    run = Run()
    for second in range(0, 600, 60):
        m = await run.waits(replace(BUSY, why=f"{BUSY.why} ({second})"), second)
        assert not m.blockers and m.waiting_since == at(second) and m.waiting_kind_since == T0
    events = len(await run.store.read(MID))
    for second in (700, 760, 820):
        m = await run.waits(replace(BUSY, why=f"{BUSY.why} ({second})"), second)
    assert [each.code for each in m.blockers] == ["wait.world"]
    assert len(run.paged) == 1 and len(await run.store.read(MID)) == events + 1, "it is told once"


async def test_who_resumes_the_run_gives_it_the_whole_time_again() -> None:
    run = Run()
    await run.waits(BUSY, 0)
    assert (await run.waits(BUSY, 700)).blockers
    await run.says("resume")
    m = await run.waits(BUSY, 710)
    assert not m.blockers and m.waiting_limit == at(710 + 600)


async def test_what_was_done_meanwhile_begins_the_wait_anew() -> None:
    run = Run()
    await run.waits(BUSY, 0)
    await run.store.append(MID, 2, Kind.STEP_ENTERED, {"step": "dispatch"})
    assert not (await run.waits(BUSY, 700)).blockers


async def test_an_extended_hold_is_shown_with_its_new_end() -> None:
    run = Run()
    hold = Hold("checklist", "the technician to sign off", 30.0, at(3600))
    assert (await run.waits(hold, 0)).waiting_limit == at(3600)
    events = len(await run.store.read(MID))
    await run.waits(hold, 60)
    assert len(await run.store.read(MID)) == events
    assert (await run.waits(replace(hold, limit_at=at(7200)), 120)).waiting_limit == at(7200)


def test_a_wait_for_a_person_has_no_limit_but_a_name() -> None:
    for code, kind in WAITS.items():
        if kind.decides:
            assert limit_of(maintenance(), Hold(code, "x", 1.0), T0) is None
            assert not outstayed(maintenance(waiting_kind_since=T0), Hold(code, "x", 1.0), at(10**7))


def test_an_effect_that_neither_happens_nor_fails_is_told_however_it_is_waited_for() -> None:
    action = Action("evacuate", "ha-migrate", "ams1/101", "Ask HA to move it", args={"expected_s": 60.0})
    m = maintenance(pending=(pending(action),))
    hold = Hold("arrivals", "guests to arrive", 5.0)
    end_s = NO_END_S + 20 * 60
    assert not outstayed(m, hold, at(end_s - 1))
    (told,) = outstayed(m, hold, at(end_s))
    assert (told.code, told.subject) == ("effect.no-end", "ams1/101") and "Ask HA to move it" in told.message
    assert not outstayed(m, Hold("confirmation", "a yes", 5.0), at(end_s)), "a person is asked first"
