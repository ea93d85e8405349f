"""``/cluster/resources`` lags, and may lag for long when a daemon hangs: nothing that is decided rests on it."""

from __future__ import annotations

import asyncio
import copy

from noout.domain.cluster import GuestStatus
from noout.steps import checks
from noout.steps.hold_data import HoldData
from noout.steps.step import Back
from tests.contract.pve.test_lab import PVE1, PVE3, on, virtual
from tests.support.labsite import LabSite
from tests.unit.steps.scene import maintenance, plan, seen


async def freeze(site: LabSite) -> None:
    """From now on the list says for ever what it says now."""
    await site.client.get("/cluster/resources")
    await site.client.get("/cluster/resources", type="vm")
    site.laws.fault(site.cluster, "api-stale", pattern="GET /cluster/resources", times=10_000)


@virtual
async def test_every_figure_of_a_guest_is_its_own_nodes(site: LabSite) -> None:
    await site.hypervisor.observe()
    await freeze(site)
    guests = site.cluster.guests
    guests[104].status = "stopped"
    guests[107].lock = "backup"
    guests[108].node = "pve1"
    newcomer = guests[555] = copy.deepcopy(guests[108])
    newcomer.vmid, newcomer.name, newcomer.node = 555, "newcomer", "pve3"
    listed = {row["vmid"]: row for row in await site.client.get("/cluster/resources", type="vm")}
    assert listed[104]["status"] == "running" and "lock" not in listed[107] and 555 not in listed, "it is stale"
    assert listed[108]["node"] == "pve3"
    state = await site.hypervisor.observe()
    assert on(state, 104).status is GuestStatus.STOPPED
    assert on(state, 107).lock == "backup"
    assert on(state, 108).node == PVE1
    assert on(state, 555).node == PVE3 and on(state, 555).running


@virtual
async def test_a_guest_that_came_back_unseen_by_the_list_keeps_the_node_on(site: LabSite) -> None:
    guests = site.cluster.guests
    for guest in guests.values():
        guest.node = "pve1" if guest.node == "pve3" else guest.node
    await freeze(site)
    guests[108].node = "pve3"
    m = maintenance(plan=plan())
    now = seen(await site.hypervisor.observe())
    assert [each.id.vmid for each in checks.running_on_node(m, now)] == [108]
    assert isinstance(HoldData().plan(m, now), Back)


@virtual
async def test_a_guest_that_only_the_list_knows_is_unknown_and_in_the_way(site: LabSite) -> None:
    """Deleted, or on its way between two nodes: nobody can tell, so the careful answer is taken."""
    await freeze(site)
    del site.cluster.guests[108]
    state = await site.hypervisor.observe()
    assert on(state, 108).status is GuestStatus.UNKNOWN
    assert 108 in {each.id.vmid for each in checks.running_on_node(maintenance(), seen(state))}


@virtual
async def test_a_look_at_ease_asks_anew_only_what_the_lists_say_has_changed(site: LabSite) -> None:
    await site.hypervisor.observe()
    await asyncio.sleep(1800)
    before = len(site.network.requests)
    await site.hypervisor.observe(keep_s=3600.0)
    asked = [url for _, url in site.network.requests[before:]]
    assert len(asked) <= 30 and not any("/config" in url or "/network" in url for url in asked)
    site.cluster.guests[108].lock = "backup"
    before = len(site.network.requests)
    assert on(await site.hypervisor.observe(keep_s=3600.0), 108).lock == "backup"
    assert [url for _, url in site.network.requests[before:] if url.endswith("/config")], "that guest is read again"
    before = len(site.network.requests)
    await site.hypervisor.observe()
    assert len([url for _, url in site.network.requests[before:] if url.endswith("/config")]) >= 20, "as all are"
