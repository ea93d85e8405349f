"""Beginning a maintenance from a page or by the API: what was seen is what begins, and who may not approve does not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from noout.app.console import Showing
from noout.app.desk import Desk, Way, deeds_of
from noout.app.maintain import Maintenances
from noout.app.notice import watcher_of
from noout.domain.cluster import NodeId
from noout.domain.errors import Refused, UsageError
from noout.domain.journal import Message, MessageKind
from noout.domain.maintenance import Mode
from noout.run.inbox import refusal
from tests.sim.play import installation, settings_of
from tests.support.labsite import lab_site
from tests.support.virtual import run_virtual

PVE3, PVE4 = NodeId("ams1", "pve3"), NodeId("ams1", "pve4")
ANNA = "operator:anna"


def desk() -> Desk:
    lab = lab_site()
    found, _ = installation(lab, settings_of(lab))
    return Desk(found, watcher_of(found))


def test_who_may_not_approve_opens_and_somebody_else_says_yes() -> None:
    async def main() -> None:
        here = desk()
        seen = (await here.plan(PVE3)).plan
        mid = await here.begin(
            PVE3, reason="fans", mode=Mode.STEP, actor=ANNA, approves=False, plan_id=seen.id,
            address="192.0.2.7",
        )  # fmt: skip
        opened = (await here.found.journal.read(mid))[0]
        assert (opened.actor, opened.data["from"]) == (ANNA, "192.0.2.7")
        m = await Maintenances(here.found).get(mid)
        assert m.approved_by is None and m.plan is not None and deeds_of(m.plan) == deeds_of(seen)
        yes = Message("k", MessageKind.APPROVE, "operator:piet", here.found.clock.now(), {})
        assert refusal(m, yes) == ""

    run_virtual(main())


def test_what_begins_is_what_was_seen() -> None:
    async def main() -> None:
        here = desk()
        seen = (await here.plan(PVE3)).plan
        how = {"reason": "", "mode": Mode.AUTO, "actor": ANNA, "approves": True}
        with pytest.raises(Refused, match="is not known any more"):
            await here.begin(PVE3, **how, plan_id="plan-of-yesterday")
        with pytest.raises(Refused, match="is not known any more"):
            await here.begin(PVE4, **how, plan_id=seen.id)
        here._shown[seen.id] = replace(seen, moves=seen.moves[1:])
        with pytest.raises(Refused, match="has changed since"):
            await here.begin(PVE3, **how, plan_id=seen.id)
        with pytest.raises(UsageError, match="advise begins nothing"):
            await here.begin(PVE3, **(how | {"mode": Mode.ADVISE}))
        assert not [each for each in await Maintenances(here.found).all() if each.open]
        toward = (await here.plan(PVE3, Way(toward=("pve6",)))).plan
        mid = await here.begin(PVE3, **how, way=Way(toward=("pve6",)), plan_id=toward.id)
        assert (await Maintenances(here.found).get(mid)).approved_by == ANNA

    run_virtual(main())


def test_the_ledger_is_of_the_clusters_that_one_may_see() -> None:
    async def main() -> None:
        here = desk()
        assert (await here.ledger(["ams1"])).unread == {} and (await here.ledger([])).lines == ()
        assert list(await here.record()) == [] and list(await here.proposals()) == []
        with pytest.raises(Refused, match="nothing is proposed"):
            await here.decline(PVE3, "no", ANNA)
        with pytest.raises(Refused, match="not ours to release"):
            await here.release("ams1", "noout", "pve3", ANNA)
        assert list(await here.record()) == [], "what was refused was not decided"
        showing = Showing(here.found, here.watcher)
        await showing.stop_all(ANNA, "fire", "192.0.2.7")
        await showing.allow_all(ANNA, "192.0.2.8")
        assert [(each.kind, each.actor, each.data) for each in await here.record()] == [
            ("stopped", ANNA, {"reason": "fire", "from": "192.0.2.7"}),
            ("allowed", ANNA, {"from": "192.0.2.8"}),
        ]

    run_virtual(main())
