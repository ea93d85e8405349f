"""Each kind of guest as the lab's wire shows it: what the adapter sees, and what the plan makes of it.

The kinds and their sentences are in docs/reference/guests.md, which names these scenarios.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from noout.domain.cluster import Affinity, ClusterState, Guest, GuestStatus, MappedDevice, Nic, NodeId, Replica
from noout.domain.maintenance import Plan
from noout.lab import scenarios
from noout.lab.world.model import Disk as LabDisk
from noout.plan.plan import make_plan
from noout.plan.policy import Policy
from tests.support.labsite import LabSite, lab_site
from tests.support.virtual import run_virtual

PVE3 = NodeId("ams1", "pve3")
Look = Callable[[LabSite], Coroutine[Any, Any, Any]]


def at(scenario: str, look: Look) -> Any:
    """What ``look`` says of a lab where the scenario has just begun."""

    async def main() -> Any:
        world, switch_on = scenarios.build(scenario)
        site = lab_site(world)
        switch_on(site.laws)
        return await look(site)

    return run_virtual(main(), limit_s=3600)


def seen(scenario: str, policy: Policy | None = None) -> tuple[ClusterState, Plan]:
    async def look(site: LabSite) -> tuple[ClusterState, Plan]:
        state, ceph = await site.hypervisor.observe(), await site.ceph.observe()
        return state, make_plan(state, ceph, PVE3, now=state.at, policy=policy or Policy())

    return at(scenario, look)


def one(state: ClusterState, vmid: int) -> Guest:
    return next(guest for guest in state.guests if guest.id.vmid == vmid)


def goes(plan: Plan) -> dict[int, tuple[str, str]]:
    """vmid -> (kind, target)."""
    return {m.guest.vmid: (m.kind.value, m.target.name if m.target else "") for m in plan.moves}


def blocked(plan: Plan) -> dict[int, str]:
    return {int(b.subject.split("/")[1]): b.code for b in plan.blockers}


def told(plan: Plan) -> dict[str, str]:
    return {caution.code: caution.subject for caution in plan.cautions}


def test_a_container_without_consent() -> None:
    _, plan = seen("lxc-no-consent")
    assert blocked(plan) == {200: "guest.lxc-relocation"}


def test_a_replicated_guest() -> None:
    state, plan = seen("replicated-guest")
    assert one(state, 104).replicas == (Replica("pve5"),)
    assert plan.feasible and goes(plan)[104] == ("live", "pve5")


def test_snapshots() -> None:
    state, plan = seen("snapshots")
    assert one(state, 104).snapshots == ("before-upgrade",) and one(state, 104).kept == ()
    (ram,) = one(state, 108).kept
    assert (ram.key, ram.volume, ram.shared) == ("vmstate", "local-lvm:vm-108-state-with-ram", False)
    assert ram.size_bytes > one(state, 108).ram_bytes
    assert blocked(plan) == {104: "guest.snapshots"} and goes(plan)[108][0] == "live"


def test_local_disks_and_where_they_fit() -> None:
    _, plan = seen("local-disks")
    assert plan.feasible and all(m.with_local_disks for m in plan.moves if m.guest.vmid in (104, 107, 108))
    _, full = seen("storage-full")
    assert [code for code in blocked(full).values()] == ["plan.no-room"]
    assert sum(target == "pve5" for vmid, (_, target) in goes(full).items() if vmid in (104, 107, 108)) == 2


def test_mapped_devices() -> None:
    state, plan = seen("mapped-device")
    others = frozenset({"pve1", "pve2", "pve4", "pve6"})
    assert one(state, 104).mapped == (MappedDevice("hostpci0", "gpu", live=True, lacking=others),)
    assert one(state, 107).mapped == (MappedDevice("usb1", "dongle", live=False, lacking=others),)
    assert goes(plan)[104] == ("live", "pve5") and blocked(plan) == {107: "guest.passthrough"}


def test_settings_that_forbid_live_migration() -> None:
    state, plan = seen("not-live")
    assert one(state, 104).not_live == ("amd-sev",) and one(state, 107).not_live == ("vga (clipboard=vnc)",)
    assert [device.name for device in one(state, 108).mapped] == ["exchange"]
    assert blocked(plan) == {104: "guest.not-live", 107: "guest.not-live", 108: "guest.passthrough"}


def test_paused_guests() -> None:
    state, plan = seen("paused-guest")
    assert {one(state, vmid).status for vmid in (104, 108)} == {GuestStatus.PAUSED}
    assert [one(state, vmid).qmp_status for vmid in (104, 108)] == ["paused", "io-error"]
    assert goes(plan)[104][0] == "live" and blocked(plan) == {108: "guest.not-running"}


def test_locks() -> None:
    _, passing = seen("backup-running")
    assert passing.feasible and told(passing)["guest.locked-for-now"] == "ams1/101"
    assert passing.moves[-2].guest.vmid == 101, "last but for the one that is shut down"
    _, plan = seen("locked-for-good")
    assert blocked(plan) == {104: "guest.locked"}


def test_guests_behind_the_firewall() -> None:
    state, plan = seen("firewalled-guest")
    assert one(state, 104).nics == (Nic("net0", "vmbr0", firewall=True),) and one(state, 104).firewalled
    assert {m.guest.vmid for m in plan.moves if m.with_conntrack} == {104}
    assert told(plan)["guest.firewall"] == "ams1/pve3"


def test_templates_and_linked_clones() -> None:
    state, plan = seen("template")
    assert one(state, 108).template and one(state, 104).disks[0].linked
    assert told(plan)["guest.template"] == "ams1/108" and blocked(plan) == {104: "guest.linked-clone"}


def test_stopped_guests() -> None:
    _, plan = seen("stopped-onboot")
    assert (goes(plan)[104][0], goes(plan)[107][0]) == ("offline", "offline")
    assert told(plan)["guest.stopped"] == "ams1/108" and 108 not in goes(plan)


def test_networks_that_not_every_node_has() -> None:
    state, plan = seen("missing-network")
    assert state.vnets == (("shopnet", "tenants"),)
    having = {node.id.name for node in state.nodes if "shopnet" in node.bridges}
    assert having == {"pve3", "pve4", "pve6"}
    assert {node.id.name for node in state.nodes if not node.vlan_aware} == {"pve2"}
    assert one(state, 108).nics == (Nic("net0", "vmbr0", tag=120),)
    assert plan.feasible and goes(plan)[104][1] == "pve5"
    assert goes(plan)[107][1] in ("pve4", "pve6") and goes(plan)[108][1] != "pve2"
    assert "guest.network-unknown" not in told(plan)


def test_networks_that_the_token_may_not_see() -> None:
    async def look(site: LabSite) -> Plan:
        site.laws.fault(site.cluster, "api-error", pattern="GET /cluster/sdn/vnets", status=403, times=1)
        state = await site.hypervisor.observe()
        return make_plan(state, None, PVE3, now=state.at)

    plan = at("missing-network", look)
    assert plan.feasible and told(plan)["guest.network-unknown"] == "ams1/pve3"


def test_unlike_cpus() -> None:
    state, plan = seen("unlike-cpus")
    node = state.node(NodeId("ams1", "pve5"))
    assert node is not None and "avx2" in node.cpu_flags and node.cpu_vendor == "AuthenticAMD"
    assert one(state, 108).cpu_flags == {"pku"} and one(state, 108).cpu_type == "x86-64-v2-AES"
    assert plan.feasible and {goes(plan)[vmid][1] for vmid in (104, 107, 108)} == {"pve5"}


def test_rules() -> None:
    state, plan = seen("affinity")
    assert {(rule.name, rule.kind, rule.strict) for rule in state.rules} == {
        ("books", Affinity.TOGETHER, True),
        ("licensed", Affinity.NODE, True),
        ("rather", Affinity.NODE, False),
        ("shop-apart", Affinity.APART, True),
    }
    where = goes(plan)
    assert plan.feasible and where[104][1] == "pve6" and where[107][1] == "pve4" and where[100] == where[101]
    assert where[102][1] != "pve4", "where the other of the pair is"


def test_targets_that_are_full() -> None:
    _, plan = seen("targets-full")
    assert not plan.feasible and set(blocked(plan).values()) == {"plan.no-room"}


def test_local_isos() -> None:
    _, plan = seen("local-iso")
    assert blocked(plan) == {104: "guest.local-iso"}
    _, agreed = seen("local-iso", Policy(eject_isos="eject"))
    move = next(m for m in agreed.moves if m.guest.vmid == 104)
    assert agreed.feasible and move.ejects == (("ide2", "local:iso/debian-13.1.0-amd64-netinst.iso"),)


def test_passthrough_with_and_without_consent() -> None:
    _, plan = seen("no-consent")
    assert blocked(plan) == {106: "guest.passthrough"}
    _, agreed = seen("default")
    assert goes(agreed)[106] == ("shutdown", "")


def test_a_guest_that_ha_is_told_to_ignore_is_moved_without_ha() -> None:
    async def look(site: LabSite) -> ClusterState:
        site.cluster.ha.resources["vm:101"].state = "ignored"
        return await site.hypervisor.observe()

    assert one(at("default", look), 101).ha is None


def test_volumes_that_lie_on_no_storage_and_disks_left_out_of_replication() -> None:
    async def look(site: LabSite) -> ClusterState:
        site.cluster.guests[104].disks += [
            LabDisk("scsi1", "/dev/disk/by-id/nvme-1", 1024**3),
            LabDisk("scsi2", "rbd:vm-104-disk-1", 1024**3, replicate=False),
        ]
        return await site.hypervisor.observe()

    disks = {disk.key: disk for disk in one(at("default", look), 104).disks}
    assert disks["scsi1"].path and not disks["scsi1"].shared
    assert (disks["scsi0"].replicate, disks["scsi2"].replicate) == (True, False)


@pytest.mark.parametrize("scenario", ["replicated-guest", "paused-guest", "local-disks", "mapped-device"])
def test_the_plans_target_is_one_that_migration_reaches(scenario: str) -> None:
    """The odd guest 104 goes where the plan says, in the lab's terms of what Proxmox VE allows."""

    async def look(site: LabSite) -> tuple[str | None, str, str, str]:
        state = await site.hypervisor.observe()
        plan = make_plan(state, None, PVE3, now=state.at)
        move = next(m for m in plan.moves if m.guest.vmid == 104)
        assert move.target is not None
        before = one(state, 104)
        task = await site.hypervisor.migrate(
            before, move.target, online=True, with_local_disks=move.with_local_disks, target_storage=move.target_storage
        )
        while task.running:
            await site.clock.sleep(5)
            task = await site.hypervisor.task(task.upid)
        after = one(await site.hypervisor.observe(), 104)
        return task.exit_status, after.node.name, move.target.name, f"{before.status.value} {after.status.value}"

    exit_status, arrived, planned, statuses = at(scenario, look)
    assert exit_status == "OK" and arrived == planned
    assert len(set(statuses.split())) == 1, "as it was"
