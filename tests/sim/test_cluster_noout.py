"""Where flags for one host are refused, the whole cluster's noout is a fallback: by policy, said, owned, given back."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from noout.domain.journal import Kind
from noout.steps.rules import Rules
from tests.sim.promises import Before, Safety, honest_journal, nothing_left_behind
from tests.sim.story import Sim, simulation
from tests.support.virtual import run_virtual


def refusing(*, cluster_noout: bool) -> Sim:
    """Ceph lets noout look, and set nothing."""
    sim = simulation(guests=8, nodes=4)
    said = "Error EACCES: access denied"
    sim.lab.laws.fault(sim.lab.cluster, "shell-error", pattern="ceph .*osd (un)?set-group", text=said, exit=13)
    context = sim.context
    sim.context = lambda: replace(context(), rules=Rules(cluster_noout=cluster_noout))  # type: ignore[method-assign]
    return sim


@pytest.mark.slow
def test_it_holds_the_data_says_what_that_costs_and_is_given_back() -> None:
    async def play() -> None:
        sim = refusing(cluster_noout=True)
        await sim.open()
        before, safety = Before.of(sim), Safety(sim)
        watching = asyncio.create_task(safety.watch())
        m = await sim.to_the_end()
        watching.cancel()
        assert m.outcome == "done"
        assert safety.broken == []
        nothing_left_behind(sim, before, m)
        honest_journal(await sim.events())
        owned = [event.data["kind"] for event in await sim.events() if event.kind == Kind.OWNED]
        assert "cluster-noout" in owned and not {"noout", "noup"} & set(owned)
        assert {"ceph.cluster-noout", "ceph.no-noup"} <= {caution.code for caution in m.cautions}

    run_virtual(play())


@pytest.mark.slow
def test_without_that_policy_nothing_is_taken_down() -> None:
    async def play() -> None:
        sim = refusing(cluster_noout=False)
        await sim.open()
        hands, run = asyncio.create_task(sim.technician()), asyncio.create_task(sim.carry())
        m = await sim.blocked("ceph.flag")
        assert "access denied" in m.blockers[0].message
        ceph = sim.lab.cluster.ceph
        assert ceph is not None and not ceph.flags and all(osd.up for osd in ceph.osds.values())
        hands.cancel()
        run.cancel()

    run_virtual(play())
