"""Two clusters in one installation share a database and nothing else: no lock, no entry in the ledger, no stream."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from noout.adapters.http import Server
from noout.adapters.probe.instants import InstantProber
from noout.adapters.store.leases import SqlLeases
from noout.adapters.store.sql import SqlStore
from noout.adapters.store.tables import metadata
from noout.app.carrying import lease_of
from noout.app.compose import Installation, policy_of
from noout.app.ledger import Books
from noout.app.maintain import Maintenances
from noout.app.planning import plan_now
from noout.domain.cluster import NodeId
from noout.domain.errors import Refused
from noout.domain.journal import Kind, chain_error
from noout.domain.maintenance import Mode
from noout.domain.ownership import Hold
from noout.lab.world.build import build_world
from noout.lab.world.model import World
from tests.sim.play import settings_of
from tests.support.labsite import LabSite, lab_site
from tests.support.postgres import postgres_url

AMS, RTM = NodeId("ams1", "pve3"), NodeId("rtm1", "pve3")


def sites() -> list[LabSite]:
    """Two clusters of the same shape: every node, guest number and CRUSH host is there twice."""
    both = build_world(nodes=4, guests=6, clusters=2)
    return [
        lab_site(World(seed=both.seed, epoch=both.epoch, now=both.now, clusters={name: cluster}))
        for name, cluster in both.clusters.items()
    ]


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    with postgres_url() as url:
        yield url


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.real)])
async def found(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Installation]:
    real = request.param == "postgresql"
    url = request.getfixturevalue("postgres") if real else f"sqlite:///{tmp_path / 'noout.db'}"
    labs = sites()
    settings = settings_of(labs[0])
    tables = {each.cluster.name: settings.clusters["ams1"] for each in labs}
    settings = settings.model_copy(update={"clusters": tables})
    store = await SqlStore.open(url, labs[0].clock)
    bmcs = {node: bmc for each in labs for node, bmc in each.bmcs.items()}
    yield Installation(
        settings, labs[0].clock, store, store, {each.cluster.name: each.hypervisor for each in labs},
        {each.cluster.name: each.ceph for each in labs}, bmcs, InstantProber(Server("http://nobody"), labs[0].clock),
        policy_of(settings),
    )  # fmt: skip
    await store.do(metadata.drop_all)
    await store.close()


async def opened(found: Installation, node: NodeId) -> str:
    plan = await plan_now(found, node)
    return await Maintenances(found).open(node, reason="fans", mode=Mode.STEP, actor="operator:anna", plan=plan)


async def test_both_are_opened_at_the_same_moment_and_know_nothing_of_each_other(found: Installation) -> None:
    here, there = await asyncio.gather(opened(found, AMS), opened(found, RTM))
    assert (here, there) == ("ams1-pve3-1", "rtm1-pve3-1")

    # The locks: each cluster's is held by its own maintenance, and by no other.
    maintenances = Maintenances(found)
    for node, mid in ((AMS, here), (RTM, there)):
        with pytest.raises(Refused, match=mid):
            await maintenances.running(NodeId(node.cluster, "pve4"))
    assert lease_of(here) != lease_of(there)
    assert isinstance(found.journal, SqlStore)
    leases = SqlLeases(found.journal, 600.0)
    async with leases.joined(serves=True):
        await leases.take([lease_of(here)])
        assert leases.holds(lease_of(here)) and not leases.holds(lease_of(there))

    # The streams: what is written in one is in no other, and each chain stands by itself.
    for node, mid in ((AMS, here), (RTM, there)):
        events = await found.journal.read(mid)
        assert chain_error(events) is None
        assert {event.data["node"] for event in events if event.kind == Kind.OPENED} == {str(node)}
        others = (RTM if node == AMS else AMS).cluster
        assert f'"{others}' not in json.dumps([event.data for event in events])


async def test_what_one_holds_the_other_neither_owns_nor_releases(found: Installation) -> None:
    """The same flag on a CRUSH host of the same name, in two Cephs."""
    flag = {"kind": "noout", "subject": "pve3"}
    for mid in await asyncio.gather(opened(found, AMS), opened(found, RTM)):
        await found.journal.append(mid, len(await found.journal.read(mid)), Kind.OWNED, flag)
    books = Books(found)
    await books.read()
    assert {place[0] for place in books.latest()} == {"ams1", "rtm1"}
    await found.journal.append("ams1-pve3-1", len(await found.journal.read("ams1-pve3-1")), Kind.RELEASED, flag)
    await books.read()
    ((place, (holding, live)),) = books.latest().items()
    assert place == ("rtm1", "noout", "pve3") and live
    assert holding.hold is Hold.HELD and holding.maintenance == "rtm1-pve3-1"
