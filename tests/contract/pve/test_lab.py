"""The PVE adapter against the lab's wire, in virtual time: what it sees, what it does, how it fails."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from noout.adapters.pve import PveHypervisor
from noout.domain.cluster import Affinity, ClusterState, Guest, GuestKind, GuestStatus, NodeId, Task
from noout.domain.errors import Broken, Forbidden, Refused, Retryable, UnknownOutcome
from tests.support.labsite import LabSite, lab_site
from tests.support.virtual import run_virtual

PVE1, PVE2, PVE3, PVE4 = (NodeId("ams1", f"pve{i}") for i in (1, 2, 3, 4))


def virtual(test: Callable[[LabSite], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """Run the test's coroutine on a fresh lab under virtual time."""

    def run() -> None:
        async def main() -> None:
            await test(lab_site())

        run_virtual(main(), limit_s=3600)

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


def on(state: ClusterState, vmid: int) -> Guest:
    found = next((guest for guest in state.guests if guest.id.vmid == vmid), None)
    assert found is not None, f"guest {vmid} was not seen"
    return found


async def finished(site: LabSite, task: Task, every_s: float = 2.0) -> Task:
    while task.running:
        await site.clock.sleep(every_s)
        task = await site.hypervisor.task(task.upid)
    return task


@virtual
async def test_a_local_iso_is_taken_out_and_put_back(site: LabSite) -> None:
    before = next(guest for guest in (await site.hypervisor.observe()).guests if guest.local_isos)
    (iso,) = before.local_isos
    await site.hypervisor.set_drive(before, iso.key, None)
    out = on(await site.hypervisor.observe(), before.id.vmid)
    assert not out.local_isos, "seen at the next look, though no list tells of it"
    await site.hypervisor.set_drive(out, iso.key, iso.volume)
    again = on(await site.hypervisor.observe(), before.id.vmid)
    assert [(each.key, each.volume) for each in again.local_isos] == [(iso.key, iso.volume)]


@virtual
async def test_a_migration_says_where_it_goes(site: LabSite) -> None:
    guest = on(await site.hypervisor.observe(), 104)
    task = await site.hypervisor.migrate(guest, PVE4, online=True, with_conntrack=True)
    await site.clock.sleep(5.0)
    told = await site.hypervisor.progress(task.upid)
    assert told is not None and told.target == "pve4"


# --- seeing ------------------------------------------------------------------------------------------------


@virtual
async def test_an_observation_shows_the_world_as_it_is(site: LabSite) -> None:
    state = await site.hypervisor.observe()
    world = site.cluster
    assert state.quorate
    assert state.ha_armed
    assert state.at == site.clock.now()
    assert state.version == "9.2.11"
    assert (state.migration_network, state.migration_type) == ("10.77.0.0/24", "secure")
    assert state.corosync_addresses == {node.ip for node in state.nodes}
    assert {node.id.name: (node.online, node.ram_bytes, node.ip) for node in state.nodes} == {
        name: (True, node.maxmem, node.ip) for name, node in world.nodes.items()
    }
    assert all(node.pve_version == "9.2.11" and node.bridges == {"vmbr0"} for node in state.nodes)
    assert {guest.id.vmid for guest in state.guests} == set(world.guests)
    for guest in state.guests:
        true = world.guests[guest.id.vmid]
        assert (guest.name, guest.node.name, guest.kind.value) == (true.name, true.node, true.type)
        assert (guest.ram_bytes, guest.cpus, guest.pool, guest.onboot) == (
            true.maxmem, true.cores, true.pool, true.onboot
        )  # fmt: skip
        assert guest.tags == frozenset(true.tags)
        assert list(guest.local_resources) == true.local_resources
        assert {d.volume for d in guest.disks} == {d.volid for d in true.disks if d.volid != "none"}
        assert (guest.ha is not None) is (f"vm:{true.vmid}" in world.ha.resources)
    assert [rule.kind for rule in state.rules] == [Affinity.APART]


@virtual
async def test_an_observation_asks_few_questions(site: LabSite) -> None:
    await site.hypervisor.observe()
    first = len(site.network.requests)
    await site.hypervisor.observe()
    again = len(site.network.requests) - first
    on_its_node = 1  # a guest with a local disk is asked for its snapshots
    votes = 2
    assert first <= 9 + 6 * 6 + len(site.cluster.guests) + on_its_node + votes
    assert again <= 9 + 3 * 6  # configurations and inventories are kept


@virtual
async def test_a_changed_guest_is_read_anew_at_once(site: LabSite) -> None:
    state = await site.hypervisor.observe()
    assert not on(state, 104).lock
    site.cluster.guests[104].lock = "backup"
    site.cluster.guests[104].local_resources.append("usb0")
    again = on(await site.hypervisor.observe(), 104)
    assert again.lock == "backup"
    assert again.local_resources == ("usb0",)


@virtual
async def test_what_is_kept_grows_old(site: LabSite) -> None:
    await site.hypervisor.observe()
    site.cluster.guests[104].local_resources.append("usb0")
    await site.clock.sleep(61)
    assert on(await site.hypervisor.observe(), 104).local_resources == ("usb0",)


@virtual
async def test_guests_of_a_dead_node_are_unknown_not_lost(site: LabSite) -> None:
    before = await site.hypervisor.observe()
    there = {guest.id for guest in before.guests_on(PVE4)}
    site.laws.fault(site.cluster, "node-dies", node="pve4")
    await site.clock.sleep(20)  # HA has not fenced it yet
    state = await site.hypervisor.observe()
    node = state.node(PVE4)
    assert node is not None
    assert not node.online
    assert {guest.id for guest in state.guests_on(PVE4)} == there
    assert {guest.status for guest in state.guests_on(PVE4)} == {GuestStatus.UNKNOWN}
    assert {guest.disks for guest in state.guests_on(PVE4)} == {guest.disks for guest in before.guests_on(PVE4)}


@virtual
async def test_a_node_that_is_deaf_for_the_api_is_not_taken_for_empty(site: LabSite) -> None:
    site.cluster.nodes["pve4"].proxy_broken = True
    site.network.unplugged.add(("pve4.ams1", 8006))
    state = await site.hypervisor.observe()
    node = state.node(PVE4)
    assert node is not None
    assert node.online
    assert state.guests_on(PVE4)
    assert {guest.status for guest in state.guests_on(PVE4)} == {GuestStatus.UNKNOWN}


@virtual
async def test_a_stale_resources_list_decides_nothing(site: LabSite) -> None:
    guest = on(await site.hypervisor.observe(), 104)
    site.laws.fault(site.cluster, "api-stale", pattern="GET /cluster/resources", times=1000)
    done = await finished(site, await site.hypervisor.migrate(guest, PVE1, online=True))
    assert done.ok
    moved = on(await site.hypervisor.observe(), 104)
    assert moved.node == PVE1
    assert moved.status is GuestStatus.RUNNING


@virtual
async def test_maintenance_mode_is_seen_and_set_from_another_node(site: LabSite) -> None:
    await site.hypervisor.maintenance_mode(PVE2, True)
    [(asked_on, argv)] = site.shell.ran
    assert asked_on != "pve2"
    assert argv == ("ha-manager", "crm-command", "node-maintenance", "enable", "pve2")
    await site.clock.sleep(30)
    state = await site.hypervisor.observe()
    assert ("pve2", "maintenance") in state.ha_requests
    node = state.node(PVE2)
    assert node is not None
    assert node.ha_state == "maintenance"


@virtual
async def test_maintenance_mode_goes_to_the_next_node_when_ssh_is_refused(site: LabSite) -> None:
    site.shell.refused = {"pve1", "pve2"}
    await site.hypervisor.maintenance_mode(PVE3, False)
    assert site.shell.ran[0][0] == "pve4"


@virtual
async def test_disarmed_ha_is_seen(site: LabSite) -> None:
    site.laws.ha_arm(site.cluster, False)
    await site.clock.sleep(30)
    assert not (await site.hypervisor.observe()).ha_armed


# --- doing -------------------------------------------------------------------------------------------------


@virtual
async def test_a_live_migration_from_start_to_end(site: LabSite) -> None:
    guest = on(await site.hypervisor.observe(), 104)
    assert (await site.hypervisor.precondition(guest, PVE1)).blocked == {}
    task = await site.hypervisor.migrate(guest, PVE1, online=True)
    assert (task.kind, task.node, task.subject, task.running) == ("qmigrate", "pve3", "104", True)
    assert await site.hypervisor.progress(task.upid) is None
    await site.clock.sleep(7)
    halfway = await site.hypervisor.progress(task.upid)
    assert halfway is not None
    assert 0 < halfway.transferred_bytes <= halfway.total_bytes
    assert halfway.blackout_ms is None
    during = await site.hypervisor.observe()
    assert on(during, 104).lock == "migrate"
    assert [t.upid for t in during.running_tasks] == [task.upid]
    assert (await finished(site, task)).ok
    after = await site.hypervisor.progress(task.upid)
    assert after is not None
    assert after.blackout_ms is not None
    assert on(await site.hypervisor.observe(), 104).node == PVE1


@virtual
async def test_a_container_is_relocated_by_restart(site: LabSite) -> None:
    guest = on(await site.hypervisor.observe(), 200)
    assert guest.kind is GuestKind.LXC
    task = await site.hypervisor.migrate(guest, PVE1, online=True)
    assert task.kind == "vzmigrate"
    assert (await finished(site, task)).ok
    moved = on(await site.hypervisor.observe(), 200)
    assert (moved.node, moved.status) == (PVE1, GuestStatus.RUNNING)


@virtual
async def test_an_ha_guest_moves_some_time_after_the_request(site: LabSite) -> None:
    guest = on(await site.hypervisor.observe(), 101)
    await site.hypervisor.ha_migrate(guest, PVE1)
    queued = on(await site.hypervisor.observe(), 101)
    assert queued.node == PVE3, "nothing has moved yet"
    await site.clock.sleep(120)
    moved = on(await site.hypervisor.observe(), 101)
    assert moved.node == PVE1
    assert moved.ha is not None
    assert (moved.ha.node, moved.ha.state, moved.lock) == ("pve1", "started", None)


@virtual
async def test_an_ha_move_that_a_rule_forbids_is_refused(site: LabSite) -> None:
    """PVE answers 200 and names the blocking resource; taken for a yes, the run would wait for ever."""
    guest = on(await site.hypervisor.observe(), 102)
    with pytest.raises(Refused, match="vm:103"):
        await site.hypervisor.ha_migrate(guest, PVE4)


@virtual
async def test_what_cannot_move_live_is_said_before_and_after(site: LabSite) -> None:
    guest = on(await site.hypervisor.observe(), 106)
    assert (await site.hypervisor.precondition(guest, PVE1)).local_resources == ("usb0",)
    done = await finished(site, await site.hypervisor.migrate(guest, PVE1, online=True))
    assert done.ok is False
    assert on(await site.hypervisor.observe(), 106).node == PVE3


@virtual
async def test_a_migration_can_be_cancelled(site: LabSite) -> None:
    guest = on(await site.hypervisor.observe(), 104)
    task = await site.hypervisor.migrate(guest, PVE1, online=True)
    await site.clock.sleep(6)
    await site.hypervisor.cancel(task.upid)
    assert (await finished(site, task)).ok is False
    await site.clock.sleep(10)
    left = on(await site.hypervisor.observe(), 104)
    assert (left.node, left.status, left.lock) == (PVE3, GuestStatus.RUNNING, None)


@virtual
async def test_shutting_down_and_starting_a_guest(site: LabSite) -> None:
    guest = on(await site.hypervisor.observe(), 106)
    assert (await finished(site, await site.hypervisor.shutdown_guest(guest, 180))).ok
    down = on(await site.hypervisor.observe(), 106)
    assert down.status is GuestStatus.STOPPED
    assert (await finished(site, await site.hypervisor.start_guest(down))).ok
    assert on(await site.hypervisor.observe(), 106).running


@virtual
async def test_ceph_daemons_and_node_power(site: LabSite) -> None:
    assert (await finished(site, await site.hypervisor.ceph_service(PVE3, "stop", "osd.7"))).ok
    assert not site.cluster.ceph.osds[7].running  # type: ignore[union-attr]
    with pytest.raises(ValueError, match="destroy"):
        await site.hypervisor.ceph_service(PVE3, "destroy", "osd.7")
    await site.hypervisor.shutdown_node(PVE3)
    await site.clock.sleep(600)
    state = await site.hypervisor.observe()
    node = state.node(PVE3)
    assert node is not None
    assert not node.online


# --- failing -----------------------------------------------------------------------------------------------


@virtual
async def test_a_wrong_token_says_what_to_check(site: LabSite) -> None:
    client = site.client_for("noout@pve!lab=wrong-secret")
    with pytest.raises(Broken, match="token") as caught:
        await PveHypervisor(client).observe()
    assert "wrong-secret" not in str(caught.value)
    assert "token file" in caught.value.remedy


@virtual
async def test_a_missing_privilege_is_named(site: LabSite) -> None:
    guest = on(await site.hypervisor.observe(), 104)
    planner = PveHypervisor(site.client_for("plan"))
    assert await planner.observe()  # it may read
    with pytest.raises(Forbidden) as caught:
        await planner.start_guest(guest)
    assert (caught.value.privilege, caught.value.path) == ("VM.PowerMgmt", "/vms/104")
    assert caught.value.exit_code == 3


@virtual
async def test_entry_points_take_over_from_each_other(site: LabSite) -> None:
    await site.hypervisor.observe()
    site.network.unplugged |= {("pve1.ams1", 8006), ("pve2.ams1", 8006)}
    assert (await site.hypervisor.observe()).quorate
    guest = on(await site.hypervisor.observe(), 104)
    assert (await site.hypervisor.migrate(guest, PVE1, online=True)).running


@virtual
async def test_no_entry_point_at_all(site: LabSite) -> None:
    site.network.unplugged |= {(f"{name}.ams1", 8006) for name in site.cluster.nodes}
    with pytest.raises(Retryable, match="no entry point"):
        await site.hypervisor.observe()


@virtual
async def test_a_lost_answer_is_never_repeated(site: LabSite) -> None:
    guest = on(await site.hypervisor.observe(), 104)
    site.laws.fault(site.cluster, "api-lost-answer", pattern="POST .*/migrate", times=1)
    before = len(site.network.requests)
    with pytest.raises(UnknownOutcome) as caught:
        await site.hypervisor.migrate(guest, PVE1, online=True)
    assert [method for method, _ in site.network.requests[before:]].count("POST") == 1
    assert caught.value.exit_code == 4
    # Looking shows that it was done, once.
    await site.clock.sleep(60)
    assert on(await site.hypervisor.observe(), 104).node == PVE1
    assert [task.type for task in site.cluster.tasks.values() if task.id == "104"] == ["qmigrate"]


@virtual
async def test_an_answer_slower_than_the_time_out_is_lost(site: LabSite) -> None:
    guest = on(await site.hypervisor.observe(), 104)
    site.laws.fault(site.cluster, "api-slow", pattern="POST .*/migrate", seconds=45, times=1)
    began = site.clock.now()
    with pytest.raises(UnknownOutcome):
        await site.hypervisor.migrate(guest, PVE1, online=True)
    assert (site.clock.now() - began).total_seconds() == pytest.approx(30, abs=0.1)
    await site.clock.sleep(20)
    assert [task.subject for task in (await site.hypervisor.observe()).running_tasks] == ["104"]


@virtual
async def test_reading_is_tried_again(site: LabSite) -> None:
    site.laws.fault(site.cluster, "api-drop", pattern="GET /cluster/status", times=7)
    assert (await site.hypervisor.observe()).quorate


@virtual
async def test_an_unreachable_target_of_an_effect_leaves_nothing_done(site: LabSite) -> None:
    guest = on(await site.hypervisor.observe(), 104)
    site.laws.fault(site.cluster, "api-error", pattern="POST .*/migrate", status=595, times=6)
    with pytest.raises(Retryable):
        await site.hypervisor.migrate(guest, PVE1, online=True)
    site.laws.fault(site.cluster, "api-error", pattern="POST .*/migrate", status=596, times=1)
    with pytest.raises(UnknownOutcome):
        await site.hypervisor.migrate(guest, PVE1, online=True)
    assert (await site.hypervisor.observe()).running_tasks == ()


@virtual
async def test_a_locked_guest_is_refused_with_a_remedy(site: LabSite) -> None:
    guest = on(await site.hypervisor.observe(), 104)
    site.cluster.guests[104].lock = "backup"
    with pytest.raises(Refused, match="locked") as caught:
        await site.hypervisor.migrate(guest, PVE1, online=True)
    assert caught.value.remedy


@virtual
async def test_a_guest_that_has_moved_meanwhile(site: LabSite) -> None:
    guest = on(await site.hypervisor.observe(), 104)
    assert (await finished(site, await site.hypervisor.migrate(guest, PVE1, online=True))).ok
    with pytest.raises(Refused, match="does not exist"):
        await site.hypervisor.migrate(guest, PVE1, online=True)


@virtual
async def test_a_guest_on_its_way_is_never_left_out(site: LabSite) -> None:
    """Between two nodes' lists a guest can move, again and again: it is unknown then, not gone."""
    guest = site.cluster.guests[111]
    source, target = guest.node, "pve6"
    client = site.hypervisor._client
    read = client.get

    async def racing(path: str, **query: Any) -> Any:
        """Wherever one looks, it has just left."""
        if path.startswith(f"/nodes/{source}/qemu"):
            guest.node = target
        elif path.startswith(f"/nodes/{target}/qemu"):
            guest.node = source
        return await read(path, **query)

    client.get = racing  # type: ignore[method-assign]
    state = await site.hypervisor.observe()
    assert on(state, 111).status is GuestStatus.UNKNOWN
    assert {each.id.vmid for each in state.guests} == set(site.cluster.guests)


@virtual
async def test_a_guest_whose_configuration_has_just_left_is_unknown(site: LabSite) -> None:
    guest = site.cluster.guests[111]
    source = guest.node
    client = site.hypervisor._client
    read = client.get

    async def leaving(path: str, **query: Any) -> Any:
        if path == f"/nodes/{source}/qemu/111/config":
            guest.node = "pve6"
        return await read(path, **query)

    client.get = leaving  # type: ignore[method-assign]
    assert on(await site.hypervisor.observe(), 111).status is GuestStatus.UNKNOWN
    guest.node = source
