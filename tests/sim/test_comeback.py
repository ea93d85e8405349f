"""The node comes back with a wrong MTU: its OSDs wait, the link is named, and mended and resumed it all ends well."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import pytest

from noout.adapters.pve.inventory import PveInspector
from noout.app.carrying import accepted
from noout.app.comeback import Comeback
from noout.app.compose import Installation
from noout.domain.journal import MessageKind
from noout.domain.maintenance import Maintenance, Observation
from noout.run.context import Answer, Context
from tests.sim.promises import honest_journal
from tests.sim.story import NODE, SOAK_S, Sim, simulation
from tests.support.virtual import run_virtual


def compared(sim: Sim) -> None:
    """From here the acceptance is the application's own, with the node's own word before and after."""
    lab, plain = sim.lab, sim.context
    policy = SimpleNamespace(policy=SimpleNamespace(soak_s=SOAK_S, soak_share=0.0, soak_max_h=4.0))
    found = SimpleNamespace(measurements=sim.store, bmc=lab.bmcs.get, clock=lab.clock, settings=policy)
    comeback = Comeback({NODE.cluster: PveInspector(lab.client, lab.shell, lab.ceph.osd_addresses)}, lab.clock)

    async def accept(m: Maintenance, seen: Observation) -> Answer:
        return await accepted(cast(Installation, found), m, seen, comeback)

    def context() -> Context:
        return replace(plain(), accept=accept, inventory=comeback.before)

    sim.context = context  # type: ignore[method-assign]


@pytest.mark.slow
def test_a_wrong_mtu_keeps_the_osds_down_until_it_is_mended() -> None:
    async def play() -> None:
        sim = simulation(guests=8, nodes=5)
        compared(sim)
        await sim.open()
        cluster, laws = sim.lab.cluster, sim.lab.laws
        ceph = cluster.ceph
        assert ceph is not None
        own = [osd for osd in ceph.osds.values() if osd.host == NODE.name]
        stays = cluster.guests[106]  # holds a device of the node
        assert stays.onboot
        laws.fault(cluster, "mtu-wrong-after", node=NODE.name)

        async def operator() -> None:
            m = await sim.blocked("acceptance.failed")
            assert m.facts["inventory"]["links_from"] == "ip", "what it said of itself while it was up"
            said = [each.message for each in m.blockers]
            text = "packets of 1500 bytes passed uncut before, nothing does now"
            way = "pve1, pve2, pve4, pve5"
            assert said == [f"pve3 to {way} (corosync): {text}", f"{way} to pve3 (corosync, 10.77.0.3): {text}"]
            assert all("noout resume ams1-pve3-1 --accept-differences" in each.remedy for each in m.blockers)
            seq = m.seq
            await sim.say(MessageKind.RESUME)
            await sim.until(lambda m: m.seq > seq and bool(m.blockers))
            assert ceph.crush_node_flags[NODE.name] == {"noout", "noup"}, "nothing was mended: it fails again"
            assert not any(osd.up for osd in own)
            assert stays.node == NODE.name
            assert not stays.has_process, "no guest starts before the acceptance"
            assert not stays.onboot
            laws.clear_fault(cluster, "mtu-wrong-after", node=NODE.name)
            await sim.say(MessageKind.RESUME)

        m = await sim.to_the_end(operator())
        assert m.outcome == "done"
        assert not m.owned
        assert all(osd.up for osd in own)
        assert not ceph.crush_node_flags.get(NODE.name)
        assert m.facts["acceptance"]["differences"] == []
        assert stays.has_process
        assert stays.onboot
        honest_journal(await sim.events())

    run_virtual(play())
