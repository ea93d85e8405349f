"""At which points a run waits for its hours, and that neither what was begun nor the way back does."""

from __future__ import annotations

import asyncio
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from noout.app.carrying import context_of
from noout.app.maintain import Maintenances
from noout.app.planning import plan_now
from noout.domain.cluster import NodeId
from noout.domain.errors import Refused, UsageError
from noout.domain.journal import Kind, Message, MessageKind
from noout.domain.maintenance import Mode
from noout.domain.windows import Shut
from noout.run.advance import advance
from noout.run.inbox import refusal
from noout.run.opening import begins, hold
from noout.settings import parse
from noout.settings_kinds import FreezeSettings
from noout.steps import actions
from tests.sim.play import installation, settings_of
from tests.support.labsite import lab_site
from tests.support.virtual import run_virtual
from tests.unit.steps.scene import NODE, T0, maintenance, owning, pending

SHUT = Shut("the freeze to end, 2026-12-01 09:00 UTC", T0, T0 + timedelta(hours=23))
HELD = owning(("noout", "pve3"))
STOPPED = owning(("noout", "pve3"), ("osd-stopped", "osd.4"))
ASKED_OFF = (pending(actions.shutdown_node("repair", NODE)),)


@pytest.mark.parametrize(
    ("what", "changes"),
    [
        ("the evacuation", {"step": "evacuate"}),
        ("", {"step": "evacuate", "owned": owning(("failback", "ams1/101"))}),
        ("", {"step": "evacuate", "failed": {"evacuate/migrate/ams1/101": 1}}),
        ("", {"step": "dispatch"}),
        ("the power-down", {"step": "hold-data", "owned": owning(("maintenance-mode", "ams1/pve3"))}),
        ("", {"step": "hold-data", "owned": HELD}),
        ("", {"step": "repair", "owned": STOPPED}),
        ("the power-down", {"step": "repair"}),  # a node without data
        ("", {"step": "repair", "pending": ASKED_OFF}),
        ("", {"step": "repair", "node_off_at": T0}),
        ("", {"step": "hold-data", "aborting": True}),
        ("", {"step": "hold-data", "closing_up": "another OSD failed"}),
        ("", {"step": "return"}),
    ],
)
def test_only_a_beginning_waits(what: str, changes: dict[str, Any]) -> None:
    m = maintenance(**changes)
    assert begins(m) == what
    found = hold(m, SHUT)
    if not what:
        assert found is None
    else:
        assert found is not None and (found.for_s, found.needs) == (23 * 3600, "time")
        assert found.why == f"the freeze to end, 2026-12-01 09:00 UTC: {what} of pve3 begins then"


def test_a_run_begins_when_its_freeze_is_over_and_says_what_it_waits_for() -> None:
    async def main() -> None:
        lab = lab_site()
        begins_at = lab.clock.now() + timedelta(hours=2)
        frozen = {"from": begins_at - timedelta(days=1), "until": begins_at, "reason": "sale"}
        table = settings_of(lab).model_dump(by_alias=True, exclude_none=True)
        found, store = installation(lab, parse({**table, "freezes": [frozen]}, Path("noout.toml")))
        plan = await plan_now(found, NodeId("ams1", "pve3"))
        mid = await Maintenances(found).open(plan.node, reason="", mode=Mode.AUTO, actor="operator:a", plan=plan)
        context = context_of(found, {})
        for _ in range(5):
            wait = await advance(context, mid)
        assert wait is not None and wait.until == begins_at
        m = await found.known.get(mid)
        assert m.waiting_for.startswith("the freeze (sale) to end, ") and m.waiting_until == begins_at
        assert not [event for event in await store.read(mid) if event.kind == Kind.INTENT]
        await asyncio.sleep(2 * 3600 / lab.clock.speed + 1)
        for _ in range(5):
            await advance(context, mid)
        assert [event for event in await store.read(mid) if event.kind == Kind.INTENT]

    run_virtual(main())


async def test_whoever_opened_it_may_not_approve_it_where_four_eyes_are_wanted() -> None:
    lab = lab_site(wall=lambda: 0.0)
    found, store = installation(lab, settings_of(lab, policy={"four_eyes": True}))
    maintenances = Maintenances(found)
    plan = await plan_now(found, NodeId("ams1", "pve3"))
    mid = await maintenances.open(plan.node, reason="", mode=Mode.AUTO, actor="operator:anna", plan=plan)
    assert (await maintenances.get(mid)).approved_by is None
    with pytest.raises(Refused, match="operator:anna has opened it: by the four-eyes rule"):
        await maintenances.tell(mid, MessageKind.APPROVE, "operator:anna", {})
    by_post = Message("k", MessageKind.APPROVE, "operator:anna", T0, {})
    assert "four-eyes" in refusal(await maintenances.get(mid), by_post)
    await store.post(mid, by_post)
    await advance(context_of(found, {}), mid)
    m = await maintenances.get(mid)
    assert m.approved_by is None and m.needs == "approval"
    await maintenances.tell(mid, MessageKind.APPROVE, "operator:piet", {})
    await advance(context_of(found, {}), mid)
    assert (await maintenances.get(mid)).approved_by == "operator:piet"


@pytest.mark.parametrize(
    ("given", "since", "until"),
    [
        ((date(2026, 12, 18), date(2026, 12, 18)), "2026-12-17T23:00:00+00:00", "2026-12-18T23:00:00+00:00"),
        (
            (datetime.fromisoformat("2026-12-18T17:00"), datetime.fromisoformat("2026-12-19T08:00Z")),
            "2026-12-18T16:00:00+00:00", "2026-12-19T08:00:00+00:00",
        ),
    ],
)  # fmt: skip
def test_a_freeze_is_read_in_the_cluster_s_time(given: tuple[Any, Any], since: str, until: str) -> None:
    frozen = FreezeSettings.model_validate({"from": given[0], "until": given[1]})
    found = frozen.within(ZoneInfo("Europe/Amsterdam"))
    assert (found.since.isoformat(), found.until.isoformat()) == (since, until)


def test_a_freeze_that_ends_before_it_begins_is_no_freeze() -> None:
    frozen = {"from": date(2026, 12, 2), "until": date(2026, 12, 1)}
    table = settings_of(lab_site(wall=lambda: 0.0)).model_dump(by_alias=True, exclude_none=True)
    with pytest.raises(UsageError, match=r"freezes\.0: until must be later than from"):
        parse({**table, "freezes": [frozen]}, Path("noout.toml"))
