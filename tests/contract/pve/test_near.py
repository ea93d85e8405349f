"""A small look: what it costs, that it sees what it is about, and that anything unexpected has all looked at."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from noout.adapters.pve.near import WHOLE_S
from noout.domain.cluster import ClusterState, GuestStatus, Near
from noout.lab.world.model import Cluster
from tests.contract.pve.test_lab import PVE1, PVE3, PVE4, on
from tests.support.labsite import LabSite, lab_site
from tests.support.virtual import run_virtual

MOVING = 108  # on pve3, managed by nobody


async def _look(site: LabSite, near: Near) -> tuple[ClusterState, list[str]]:
    """What was seen, and what was asked for."""
    before = len(site.network.requests)
    state = await site.hypervisor.observe(keep_s=3600, near=near)
    return state, [url.partition("/api2/json")[2] for _, url in site.network.requests[before:]]


def near(state: ClusterState, *, ha: bool = True) -> Near:
    """What the start of the guest's move to pve1 rests on; and what HA says."""
    guest = on(state, MOVING)
    return Near(guests=frozenset({(guest.id, guest.node)}), nodes=frozenset({PVE1}), ha=ha, effect=True)


def _same(one: ClusterState, other: ClusterState) -> bool:
    """But for loads, which tick."""
    told = [[(g.id, g.node, g.status, g.lock, g.ram_bytes, g.ha, g.qmp_status) for g in s.guests] for s in (one, other)]
    return told[0] == told[1] and [n.online for n in one.nodes] == [n.online for n in other.nodes]


def test_what_a_start_rests_on_costs_a_few_requests_and_shows_what_a_whole_look_shows() -> None:
    async def story() -> None:
        site = lab_site()
        whole = await site.hypervisor.observe()
        await site.clock.sleep(40)
        seen, asked = await _look(site, near(whole))
        assert len(asked) <= 5 and f"/nodes/pve3/qemu/{MOVING}/status/current" in asked
        assert "/cluster/resources" in asked and "/cluster/ha/status/current" in asked
        assert _same(seen, await site.hypervisor.observe()) and seen.at > whole.at
        await site.clock.sleep(40)
        again, asked = await _look(site, near(whole, ha=False))
        assert len(asked) <= 4 and not any("/ha/" in each for each in asked) and _same(again, seen)

    run_virtual(story())


def test_a_vote_that_is_no_members_own_is_asked_for() -> None:
    async def story() -> None:
        site = lab_site()
        site.cluster.qdevice = True
        whole = await site.hypervisor.observe()
        await site.clock.sleep(1)
        _, asked = await _look(site, near(whole, ha=False))
        assert whole.qdevice_votes and "/cluster/status" in asked

    run_virtual(story())


def test_starts_of_the_same_second_share_a_look_and_later_ones_do_not() -> None:
    async def story() -> None:
        site = lab_site()
        whole = await site.hypervisor.observe()
        _, first = await _look(site, near(whole))
        _, second = await _look(site, near(whole))
        await site.clock.sleep(1)
        _, third = await _look(site, near(whole))
        assert second == [] and sorted(third) == sorted(first) != []

    run_virtual(story())


def _lock(cluster: Cluster) -> None:
    cluster.guests[MOVING].lock = "backup"


def _stop(cluster: Cluster) -> None:
    cluster.guests[MOVING].status = "stopped"


@pytest.mark.parametrize(
    ("change", "seen_as"),
    [(_lock, (GuestStatus.RUNNING, "backup")), (_stop, (GuestStatus.STOPPED, None))],
    ids=["locked", "stopped"],
)
def test_the_guest_itself_is_as_it_is_now(
    change: Callable[[Cluster], None], seen_as: tuple[GuestStatus, str | None]
) -> None:
    async def story() -> None:
        site = lab_site()
        whole = await site.hypervisor.observe()
        await site.clock.sleep(1)
        change(site.cluster)
        seen, asked = await _look(site, near(whole))
        assert (on(seen, MOVING).status, on(seen, MOVING).lock) == seen_as and len(asked) <= 5

    run_virtual(story())


def test_one_that_was_started_on_the_target_a_moment_ago_is_counted() -> None:
    async def story() -> None:
        site = lab_site()
        neighbour = next(g for g in site.cluster.guests.values() if g.node != "pve1" and g.type == "qemu")
        neighbour.node, neighbour.status = "pve1", "stopped"
        site.cluster.ha.resources.pop(f"vm:{neighbour.vmid}", None)
        await site.clock.sleep(30)
        whole = await site.hypervisor.observe()
        await site.clock.sleep(35)
        site.laws.advance()
        site.laws._set_status(site.cluster, neighbour, "running")  # /cluster/resources tells it some seconds later
        seen, asked = await _look(site, near(whole))
        assert "/version" not in asked
        assert on(seen, neighbour.vmid).status is GuestStatus.RUNNING

    run_virtual(story())


def _moved_by_others(site: LabSite) -> None:
    site.cluster.guests[107].node = "pve4"


def _deleted(site: LabSite) -> None:
    del site.cluster.guests[107]


def _a_node_lost(site: LabSite) -> None:
    site.laws.power_cut(site.cluster, "pve6")


def _ha_disarmed(site: LabSite) -> None:
    site.cluster.ha.armed = False


def _failback_changed(site: LabSite) -> None:
    resource = next(iter(site.cluster.ha.resources.values()))
    resource.failback = not resource.failback


@pytest.mark.parametrize("change", [_moved_by_others, _deleted, _a_node_lost, _ha_disarmed, _failback_changed])
def test_what_nobody_asked_for_has_everything_looked_at(change: Callable[[LabSite], None]) -> None:
    async def story() -> None:
        site = lab_site()
        whole = await site.hypervisor.observe()
        assert on(whole, 107).node != PVE4
        change(site)
        await site.clock.sleep(30)
        seen, asked = await _look(site, near(whole))
        assert "/version" in asked
        assert _same(seen, await site.hypervisor.observe())

    run_virtual(story())


def test_an_old_whole_look_is_nothing_to_build_upon() -> None:
    async def story() -> None:
        site = lab_site()
        whole = await site.hypervisor.observe()
        await site.clock.sleep(WHOLE_S)
        _, asked = await _look(site, near(whole))
        assert "/version" in asked
        _, asked = await _look(site, near(whole))
        assert "/version" not in asked, "there is a new one"

    run_virtual(story())


def test_a_guest_on_its_way_counts_where_it_started_until_it_is_asked_for() -> None:
    async def story() -> None:
        site = lab_site()
        whole = await site.hypervisor.observe()
        guest = on(whole, MOVING)
        await site.hypervisor.migrate(guest, PVE4, online=True, with_local_disks=True, target_storage="local-lvm")
        flying = frozenset({guest.id})
        for _ in range(10):
            await site.clock.sleep(30)
            seen, asked = await _look(site, Near(flying=flying))
            assert on(seen, MOVING).node == PVE3 and len(asked) <= 1
        assert site.cluster.guests[MOVING].node == "pve4"
        seen, asked = await _look(site, Near(flying=flying, guests=frozenset({(guest.id, PVE4)})))
        arrived = on(seen, MOVING)
        assert (arrived.node, arrived.status, arrived.lock) == (PVE4, GuestStatus.RUNNING, None)

    run_virtual(story(), limit_s=3600)


def test_a_guest_that_is_not_where_it_should_be_by_now_has_everything_looked_at() -> None:
    async def story() -> None:
        site = lab_site()
        whole = await site.hypervisor.observe()
        guest = on(whole, MOVING)
        there = Near(flying=frozenset({guest.id}), guests=frozenset({(guest.id, PVE4)}))
        seen, asked = await _look(site, there)
        assert on(seen, MOVING).node == PVE3 and "/version" in asked

    run_virtual(story())
