"""Opening a maintenance: one at a time in a cluster and in a Ceph, also when two people open at the same moment."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from noout.app.maintain import CLAIM_S, OPENINGS, Maintenances
from noout.app.planning import plan_now
from noout.domain.cluster import NodeId
from noout.domain.errors import Refused
from noout.domain.journal import Kind, Message, MessageKind
from noout.domain.maintenance import Mode, Plan
from noout.run.fold import fold
from noout.run.inbox import refusal
from tests.sim.play import installation, settings_of
from tests.support.labsite import lab_site
from tests.support.virtual import run_virtual

PVE3, PVE4 = NodeId("ams1", "pve3"), NodeId("ams1", "pve4")


class Desk:
    """An installation over the lab, with a plan for each of two nodes."""

    def __init__(self) -> None:
        self.lab = lab_site()
        self.found, self.store = installation(self.lab, settings_of(self.lab))
        self.plans: dict[NodeId, Plan] = {}

    async def open(self, node: NodeId) -> str:
        if node not in self.plans:
            self.plans[node] = await plan_now(self.found, node)
        return await Maintenances(self.found).open(
            node, reason="fans", mode=Mode.STEP, actor="operator:anna", plan=self.plans[node]
        )


def test_a_second_node_of_the_cluster_is_refused() -> None:
    async def main() -> None:
        desk = Desk()
        first = await desk.open(PVE3)
        with pytest.raises(Refused, match=first):
            await desk.open(PVE4)

    run_virtual(main())


def test_another_cluster_on_the_same_ceph_is_refused() -> None:
    async def main() -> None:
        desk = Desk()
        fsid = (await desk.lab.ceph.observe()).fsid
        told: dict[str, Any] = {"node": "rtm1/pve1", "mode": "step", "fsid": fsid}
        await desk.store.append("rtm1-pve1-1", 0, Kind.OPENED, told)
        with pytest.raises(Refused, match=r"rtm1/pve1 is in maintenance .*one at a time in a Ceph"):
            await desk.open(PVE3)
        told["fsid"] = "another"
        await desk.store.append("rtm1-pve1-1", 1, Kind.CLOSED, {"outcome": "done"})
        await desk.store.append("rtm1-pve2-1", 0, Kind.OPENED, told)
        await desk.open(PVE3)

    run_virtual(main())


def test_of_two_opened_at_the_same_moment_one_is_refused() -> None:
    async def main() -> None:
        desk = Desk()
        for node in (PVE3, PVE4):
            desk.plans[node] = await plan_now(desk.found, node)
        both = await asyncio.gather(desk.open(PVE3), desk.open(PVE4), return_exceptions=True)
        assert sorted(type(each).__name__ for each in both) == ["Refused", "str"], both
        assert len([each for each in await Maintenances(desk.found).all() if each.open]) == 1

    run_virtual(main())


def test_a_claim_whose_opener_died_stands_in_the_way_for_two_minutes() -> None:
    async def main() -> None:
        desk = Desk()
        await desk.store.append(OPENINGS, 0, "opening.claimed", {"maintenance": "ams1-pve5-1"})
        with pytest.raises(Refused, match=r"ams1-pve5-1\) is being opened"):
            await desk.open(PVE3)
        await asyncio.sleep(CLAIM_S)
        await desk.open(PVE3)

    run_virtual(main())


def test_an_opening_that_was_cut_short_cannot_be_approved_unseen() -> None:
    async def main() -> None:
        desk = Desk()
        mid = await desk.open(PVE3)
        whole = await desk.store.read(mid)
        approve = Message("k", MessageKind.APPROVE, "operator:anna", desk.found.clock.now(), {})
        assert refusal(fold(whole), approve) == ""
        assert "no plan to approve" in refusal(fold(whole[:1]), approve)
        assert fold(whole).fsid == (await desk.lab.ceph.observe()).fsid

    run_virtual(main())


def test_a_repair_that_did_not_last_is_taken_up_again_under_its_own_name() -> None:
    async def main() -> None:
        desk = Desk()
        first = await desk.open(PVE3)
        until = desk.lab.clock.now().isoformat()
        seq = len(await desk.store.read(first))
        await desk.store.append(first, seq, Kind.CLOSED, {"outcome": "done", "probation_until": until})
        await desk.store.append(first, seq + 1, Kind.PROBATION_FAILED, {"why": "FAN3B again"})
        assert await desk.open(PVE3) == first
        events = await desk.store.read(first)
        m = fold(events)
        assert events[seq + 2].kind == Kind.REOPENED and m.open and m.reopened == 1
        assert m.plan == desk.plans[PVE3] and m.approved_by == "operator:anna" and "guests" in m.facts
        seq = len(events)
        await desk.store.append(first, seq, Kind.CLOSED, {"outcome": "done", "probation_until": until})
        assert await desk.open(PVE3) != first, "this one was not found wanting"

    run_virtual(main())
