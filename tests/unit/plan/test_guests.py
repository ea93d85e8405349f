"""Every kind of guest has its path in the plan, or is named with what keeps it; the table is in the documentation."""

from __future__ import annotations

from dataclasses import replace

import pytest

from noout.domain.cluster import Disk, GuestKind, GuestStatus, HaService, MappedDevice, Nic, Replica, Task
from noout.domain.errors import UsageError
from noout.domain.maintenance import Plan
from noout.plan.plan import make_plan
from noout.plan.policy import Policy
from tests.unit.plan.clusters import (
    GIB,
    NOW,
    a_ceph,
    a_guest,
    a_node,
    a_state,
    a_store,
    apart,
    gid,
    ha,
    node_id,
    pinned,
    together,
)

PVE3 = node_id("pve3")
ISO = Disk("ide2", "local:iso/debian.iso", "local", GIB, False, cdrom=True)
LOCAL = Disk("scsi0", "local-lvm:vm-1-disk-0", "local-lvm", 30 * GIB, False)
SHUTDOWN = frozenset({"shutdown-ok"})


def stores(free_gib=100.0, kind="lvmthin", count=6):
    return tuple(a_store("local-lvm", f"pve{i}", free_gib, kind=kind) for i in range(1, count + 1))


def plan_for(*guests, nodes=None, policy=None, ceph=None, crush_host=None, **state) -> Plan:
    nodes = nodes or [a_node(f"pve{i}") for i in range(1, 7)]
    more = {} if crush_host is None else {"crush_host": crush_host}
    return make_plan(a_state(nodes, guests, **state), ceph, PVE3, now=NOW, policy=policy or Policy(), **more)


def kinds(plan: Plan) -> list[tuple[int, str]]:
    return [(move.guest.vmid, move.kind.value) for move in plan.moves]


def blocked(plan: Plan) -> list[str]:
    return [blocker.code for blocker in plan.blockers]


def told(plan: Plan, code: str):
    return next((caution for caution in plan.cautions if caution.code == code), None)


def targets(plan: Plan) -> set[str]:
    return {move.target.name for move in plan.moves if move.target}


# --- plain, HA, containers -----------------------------------------------------------------------------------


def test_a_plain_vm_and_one_under_ha_move_live():
    plan = plan_for(a_guest(1, "pve3"), a_guest(2, "pve3", ha=ha(2, "pve3")))
    assert plan.feasible
    assert {(m.guest.vmid, m.kind.value, m.ha) for m in plan.moves} == {(1, "live", False), (2, "live", True)}


def test_a_container_is_restarted_elsewhere_by_consent_only():
    container = a_guest(1, "pve3", kind=GuestKind.LXC)
    assert blocked(plan_for(container)) == ["guest.lxc-relocation"]
    assert kinds(plan_for(replace(container, tags=frozenset({"relocate-ok"})))) == [(1, "relocate")]


def test_a_containers_local_disks_are_copied_while_it_is_down():
    more = {"kind": GuestKind.LXC, "tags": frozenset({"relocate-ok"}), "disks": (replace(LOCAL, key="rootfs"),)}
    plan = plan_for(a_guest(1, "pve3", **more), storages=stores())
    assert kinds(plan) == [(1, "relocate")] and plan.moves[0].with_local_disks
    shared = plan_for(a_guest(1, "pve3", kind=GuestKind.LXC, tags=frozenset({"relocate-ok"})))
    assert plan.moves[0].expected_blackout_ms > shared.moves[0].expected_blackout_ms + 60_000
    kept = replace(a_guest(1, "pve3", **more), snapshots=("before",))
    assert blocked(plan_for(kept, storages=stores())) == ["guest.snapshots"]
    assert plan_for(kept, storages=stores(kind="zfspool")).feasible, "ZFS sends snapshots along"


# --- at rest -------------------------------------------------------------------------------------------------


def test_a_stopped_guest_that_ha_is_to_run_is_needed_and_moves():
    wanted = a_guest(1, "pve3", status=GuestStatus.STOPPED, ha=HaService("vm:1", "stopped", "pve3"))
    left = replace(wanted, ha=HaService("vm:1", "stopped", "pve3", requested_state="stopped"))
    assert kinds(plan_for(wanted)) == [(1, "offline")]
    assert kinds(plan_for(left)) == [] and told(plan_for(left), "guest.stopped")


@pytest.mark.parametrize("more", [{"disks": (LOCAL,)}, {"disks": (ISO,)}, {"local_resources": ("usb0",)}])
def test_a_stopped_guest_bound_to_the_node_stays_and_is_named(more):
    plan = plan_for(a_guest(1, "pve3", status=GuestStatus.STOPPED, onboot=True, **more), storages=stores())
    assert (
        plan.feasible and kinds(plan) == [] and "qm set 1 --onboot 0" in told(plan, "guest.starts-at-power-on").remedy
    )


def test_a_template_stays_and_its_local_clones_are_named():
    template = a_guest(9, "pve3", status=GuestStatus.STOPPED, template=True)
    clone = replace(LOCAL, volume="local-lvm:base-9-disk-0/vm-1-disk-0", linked=True)
    plan = plan_for(template, a_guest(1, "pve3", disks=(clone,)), storages=stores())
    assert told(plan, "guest.template") and blocked(plan) == ["guest.linked-clone"]
    assert "qm disk move 1 scsi0" in plan.blockers[0].remedy


# --- volumes -------------------------------------------------------------------------------------------------


def test_local_disks_that_come_to_one_storage_must_fit_together():
    guests = [a_guest(v, "pve3", disks=(replace(LOCAL, volume=f"local-lvm:vm-{v}-disk-0"),)) for v in (1, 2, 3)]
    few = [a_node(f"pve{i}") for i in (1, 2, 3)]
    roomy = plan_for(*guests, nodes=few, storages=stores(65, count=3))
    assert roomy.feasible and all(move.with_local_disks for move in roomy.moves)
    tight = plan_for(*guests, nodes=few, storages=stores(40, count=3))  # one on each of two nodes, and no more
    assert blocked(tight) == ["plan.no-room"] and len(tight.moves) == 2


def test_another_storage_of_the_target_takes_the_disks():
    other = (a_store("local-lvm", "pve3", 100), a_store("fast", "pve1", 100, kind="zfspool"))
    plan = plan_for(a_guest(1, "pve3", disks=(LOCAL,)), storages=other)
    assert [(m.target.name, m.target_storage) for m in plan.moves] == [("pve1", "fast")]
    assert plan.returns[0].target_storage == "local-lvm"
    ceph = [a_store("rbd", f"pve{i}", 500, kind="rbd", shared=True) for i in range(1, 7)]
    oneway = plan_for(a_guest(1, "pve3", disks=(LOCAL,)), storages=(a_store("local-lvm", "pve3", 100), *ceph))
    assert blocked(oneway) == ["plan.no-room"], "from shared storage PVE would not copy it home"


def test_snapshots_of_local_disks_keep_a_running_vm():
    snapped = a_guest(1, "pve3", disks=(LOCAL,), snapshots=("before-upgrade",))
    plan = plan_for(snapped, storages=stores())
    assert blocked(plan) == ["guest.snapshots"]
    assert "qm delsnapshot 1 before-upgrade" in plan.blockers[0].remedy
    shared = a_guest(1, "pve3", snapshots=("before-upgrade",))
    assert plan_for(shared).feasible, "on shared storage snapshots are in nobody's way"


def test_saved_ram_of_a_snapshot_is_copied_to_the_storage_of_the_same_name():
    ram = Disk("vmstate", "local-lvm:vm-1-state-before", "local-lvm", 30 * GIB, False)
    guest = a_guest(1, "pve3", snapshots=("before",), kept=(ram,))
    assert plan_for(guest, storages=stores()).feasible
    assert blocked(plan_for(guest, storages=stores(20))) == ["plan.no-room"]


def test_an_iso_in_a_snapshot_is_in_the_way_though_no_drive_holds_it():
    guest = a_guest(1, "pve3", snapshots=("before",), kept=(ISO,), tags=frozenset({"eject-ok"}))
    assert blocked(plan_for(guest)) == ["guest.snapshot-iso"]


@pytest.mark.parametrize(
    ("disk", "code"),
    [
        (Disk("scsi1", "/dev/disk/by-id/nvme-1", "", GIB, False), "guest.local-path"),
        (replace(LOCAL, storage="sanlun", volume="sanlun:1"), "guest.local-storage-kind"),
    ],
)
def test_volumes_that_pve_cannot_copy_keep_their_guest(disk, code):
    lun = a_store("sanlun", "pve3", 500, kind="iscsidirect")
    guest = a_guest(1, "pve3", disks=(disk,))
    assert blocked(plan_for(guest, storages=(*stores(), lun))) == [code]
    agreed = replace(guest, tags=SHUTDOWN)
    assert kinds(plan_for(agreed, storages=(*stores(), lun))) == [(1, "shutdown")]


def test_a_replicated_guest_goes_to_its_replica_and_nowhere_else():
    guest = a_guest(1, "pve3", disks=(LOCAL,), replicas=(Replica("pve5"),))
    plan = plan_for(guest, storages=stores(1))  # the copy is there already: it needs no room
    assert plan.feasible and targets(plan) == {"pve5"} and plan.moves[0].with_local_disks
    full = [a_node(f"pve{i}", 40 if i != 5 else 10) for i in range(1, 7)]
    nowhere = plan_for(guest, storages=stores(), nodes=full)
    assert blocked(nowhere) == ["plan.no-room"]
    assert "pve1 is not a target of the guest's replication" in nowhere.blockers[0].message


def test_a_replication_that_is_being_removed_is_no_way_out():
    guest = a_guest(1, "pve3", disks=(LOCAL,), replicas=(Replica("pve5", removing=True),))
    plan = plan_for(guest, storages=stores())
    assert blocked(plan) == ["plan.no-room"] and "being removed" in plan.blockers[0].message


def test_ha_takes_replicated_disks_along_and_no_others():
    guest = a_guest(1, "pve3", disks=(LOCAL,), ha=ha(1, "pve3"))
    assert blocked(plan_for(guest, storages=stores())) == ["guest.ha-local-disks"]
    assert targets(plan_for(replace(guest, replicas=(Replica("pve5"),)), storages=stores())) == {"pve5"}


def test_a_local_iso_is_taken_out_by_consent_and_named():
    guest = a_guest(1, "pve3", disks=(ISO,))
    assert blocked(plan_for(guest)) == ["guest.local-iso"]
    for plan in (plan_for(replace(guest, tags=frozenset({"eject-ok"}))), plan_for(guest, policy=_ejecting())):
        assert plan.feasible
        assert plan.moves[0].ejects == plan.returns[0].ejects == (("ide2", "local:iso/debian.iso"),)
        assert "local:iso/debian.iso (ide2)" in told(plan, "guest.iso-ejected").message
    consented = plan_for(guest, policy=Policy(consents=frozenset({gid(1)})))
    assert blocked(consented) == ["guest.local-iso"], "consent to an interruption is none to this"


def _ejecting() -> Policy:
    return Policy(eject_isos="eject")


# --- devices and settings ------------------------------------------------------------------------------------


@pytest.mark.parametrize("device", ["usb0", "hostpci0", "serial0", "parallel0", "ivshmem"])
def test_devices_of_the_node_are_a_consented_shutdown_only(device):
    guest = a_guest(1, "pve3", local_resources=(device,))
    assert blocked(plan_for(guest)) == ["guest.passthrough"]
    assert kinds(plan_for(replace(guest, tags=SHUTDOWN))) == [(1, "shutdown")]


@pytest.mark.parametrize("setting", ["amd-sev", "intel-tdx", "virtiofs0", "vga (clipboard=vnc)"])
def test_settings_that_forbid_live_migration_are_a_consented_shutdown_only(setting):
    guest = a_guest(1, "pve3", not_live=(setting,))
    plan = plan_for(guest)
    assert blocked(plan) == ["guest.not-live"] and setting in plan.blockers[0].message
    assert kinds(plan_for(replace(guest, tags=SHUTDOWN))) == [(1, "shutdown")]
    stopped = replace(guest, status=GuestStatus.STOPPED, onboot=True)
    assert kinds(plan_for(stopped)) == [(1, "offline")], "PVE moves it while it is stopped"


def test_a_mapped_device_that_can_move_live_goes_where_the_mapping_has_one():
    gpu = MappedDevice("hostpci0", "gpu", live=True, lacking=frozenset({"pve1", "pve2", "pve4", "pve6"}))
    plan = plan_for(a_guest(1, "pve3", mapped=(gpu,)))
    assert plan.feasible and targets(plan) == {"pve5"}


def test_a_mapped_device_that_cannot_is_a_consented_shutdown_only():
    guest = a_guest(1, "pve3", mapped=(MappedDevice("usb0", "dongle"),))
    plan = plan_for(guest)
    assert blocked(plan) == ["guest.passthrough"] and "usb0 (mapping dongle)" in plan.blockers[0].message
    assert kinds(plan_for(replace(guest, tags=SHUTDOWN))) == [(1, "shutdown")]


def test_no_shutdown_that_could_end_in_a_hard_stop_is_planned():
    guest = a_guest(1, "pve3", local_resources=("usb0",), tags=SHUTDOWN, ha=ha(1, "pve3"))
    plan = plan_for(guest)
    assert blocked(plan) == ["guest.ha-shutdown"] and kinds(plan) == []
    assert "ha-manager set vm:1 --state ignored" in plan.blockers[0].remedy
    cramped = [a_node(f"pve{i}", 10) if i != 3 else a_node("pve3") for i in range(1, 7)]
    no_room = plan_for(replace(guest, local_resources=()), nodes=cramped)
    assert kinds(no_room) == [] and blocked(no_room) == ["plan.no-room"]
    assert "ha-manager set vm:1 --state ignored" in no_room.blockers[0].remedy


# --- what holds it now ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("lock", ["backup", "snapshot", "snapshot-delete", "clone", "migrate"])
def test_a_lock_that_passes_is_a_caution_and_its_guest_leaves_late(lock):
    plan = plan_for(a_guest(1, "pve3", 16, lock=lock), a_guest(2, "pve3"), policy=Policy(lock_wait_s=1800))
    assert plan.feasible and [move.guest.vmid for move in plan.moves] == [2, 1]
    caution = told(plan, "guest.locked-for-now")
    assert "waits up to 30 min" in caution.message
    assert caution.evidence["lock"] == lock and caution.evidence["transient"] == "yes"


@pytest.mark.parametrize("lock", ["suspended", "suspending", "rollback", "create", "unheard-of"])
def test_a_lock_that_needs_a_person_blocks(lock):
    plan = plan_for(a_guest(1, "pve3", lock=lock))
    assert blocked(plan) == ["guest.locked"] and kinds(plan) == []
    assert plan.blockers[0].evidence == {"lock": lock, "transient": "no"}


def test_a_migration_by_somebody_else_passes():
    task = Task("UPID:x", "pve3", "qmigrate", "1", running=True)
    plan = plan_for(a_guest(1, "pve3"), running_tasks=(task,))
    assert plan.feasible and told(plan, "guest.locked-for-now").evidence["task"] == "UPID:x"


def test_a_paused_vm_moves_live_and_stays_paused():
    plan = plan_for(a_guest(1, "pve3", status=GuestStatus.PAUSED, qmp_status="paused"))
    assert plan.feasible and kinds(plan) == [(1, "live")]
    assert "stays paused" in plan.moves[0].why and told(plan, "guest.paused")


@pytest.mark.parametrize("word", ["io-error", "prelaunch", "internal-error", "guest-panicked"])
def test_a_vm_that_stands_still_for_another_reason_needs_a_person(word):
    plan = plan_for(a_guest(1, "pve3", status=GuestStatus.PAUSED, qmp_status=word))
    assert blocked(plan) == ["guest.not-running"] and word in plan.blockers[0].message


def test_a_paused_vm_is_not_asked_to_shut_down():
    more = {"status": GuestStatus.PAUSED, "local_resources": ("usb0",), "tags": SHUTDOWN}
    plan = plan_for(a_guest(1, "pve3", **more))
    assert blocked(plan) == ["guest.not-running"] and "qm resume 1" in plan.blockers[0].remedy


# --- networks and CPUs ---------------------------------------------------------------------------------------


def test_guests_behind_the_firewall_are_named_and_their_connections_taken_along_outside_ha():
    nics = (Nic("net0", "vmbr0", firewall=True),)
    plan = plan_for(a_guest(1, "pve3", nics=nics), a_guest(2, "pve3", nics=nics, ha=ha(2, "pve3")), a_guest(4, "pve3"))
    caution = told(plan, "guest.firewall")
    assert caution.evidence == {"guests": "ams1/1, ams1/2", "without_table": "ams1/2"}
    assert {m.guest.vmid: m.with_conntrack for m in plan.moves} == {1: True, 2: False, 4: False}
    assert told(plan_for(a_guest(1, "pve3")), "guest.firewall") is None
    older = plan_for(a_guest(1, "pve3", nics=nics), version="8.4.1")
    assert not older.moves[0].with_conntrack, "an option that is not known there would be refused"


def test_a_bridge_missing_on_a_target_rules_it_out():
    nodes = [
        a_node(f"pve{i}", bridges=frozenset({"vmbr0", "vmbr1"} if i in (3, 5) else {"vmbr0"})) for i in range(1, 7)
    ]
    assert targets(plan_for(a_guest(1, "pve3", bridges=("vmbr1",)), nodes=nodes)) == {"pve5"}


@pytest.mark.parametrize("nic", [Nic("net0", "vmbr0", tag=120), Nic("net0", "vmbr0", trunks=True)])
def test_a_bridge_that_passes_no_vlans_on_rules_its_node_out(nic):
    aware = frozenset({"vmbr0"})
    nodes = [a_node(f"pve{i}", vlan_aware=aware if i in (3, 5) else frozenset()) for i in range(1, 7)]
    assert targets(plan_for(a_guest(1, "pve3", nics=(nic,)), nodes=nodes)) == {"pve5"}
    alike = [a_node(f"pve{i}") for i in range(1, 7)]
    assert plan_for(a_guest(1, "pve3", nics=(nic,)), nodes=alike).feasible, "nowhere VLAN-aware: PVE makes its own"


def test_an_sdn_network_that_does_not_work_on_a_target_rules_it_out():
    nodes = [a_node(f"pve{i}", bridges=frozenset({"vmbr0", "shop"} if i == 3 else {"vmbr0"})) for i in range(1, 7)]
    guest = a_guest(1, "pve3", bridges=("shop",))
    plan = plan_for(guest, nodes=nodes, vnets=(("shop", "tenants"),))
    assert blocked(plan) == ["plan.no-room"]
    assert "pve1 has no network shop (SDN zone tenants)" in plan.blockers[0].message


def test_a_network_of_which_nothing_is_known_is_said():
    plan = plan_for(a_guest(1, "pve3", bridges=("hidden",)))
    assert plan.feasible and "hidden" in told(plan, "guest.network-unknown").message


MILAN, ROME = "AMD EPYC 7543 32-Core Processor", "AMD EPYC 7502 32-Core Processor"


@pytest.mark.parametrize("cpu_type", ["host", "max", "custom-shop"])
def test_a_guest_with_the_nodes_own_cpu_goes_only_to_the_same(cpu_type):
    nodes = [a_node(f"pve{i}", cpu_model=MILAN if i in (3, 5) else ROME) for i in range(1, 7)]
    assert targets(plan_for(a_guest(1, "pve3", cpu_type=cpu_type), nodes=nodes)) == {"pve5"}
    few, all_ = frozenset({"aes"}), frozenset({"aes", "pku"})
    same = [a_node(f"pve{i}", cpu_model=MILAN, cpu_flags=all_ if i in (3, 5) else few) for i in range(1, 7)]
    assert targets(plan_for(a_guest(1, "pve3", cpu_type=cpu_type), nodes=same)) == {"pve5"}


@pytest.mark.parametrize(
    ("more", "flag"),
    [
        ({"cpu_type": "x86-64-v3"}, "avx2"),
        ({"cpu_type": "x86-64-v2-AES"}, "aes"),
        ({"cpu_type": "kvm64", "cpu_flags": frozenset({"spec-ctrl"})}, "spec_ctrl"),
    ],
)
def test_flags_that_a_guest_asks_for_must_be_there(more, flag):
    both, one = frozenset({"sse4_2", flag}), frozenset({"sse4_2"})
    nodes = [a_node(f"pve{i}", cpu_flags=both if i in (3, 5) else one) for i in range(1, 7)]
    assert targets(plan_for(a_guest(1, "pve3", **more), nodes=nodes)) == {"pve5"}
    assert len(targets(plan_for(*(a_guest(v, "pve3", 12, cpu_type="x86-64-v2") for v in (1, 2, 4)), nodes=nodes))) > 1


def test_a_makers_model_does_not_go_to_another_makers_cpu():
    nodes = [a_node(f"pve{i}", cpu_vendor="AuthenticAMD" if i in (3, 5) else "GenuineIntel") for i in range(1, 7)]
    assert targets(plan_for(a_guest(1, "pve3", cpu_type="EPYC-Milan"), nodes=nodes)) == {"pve5"}


# --- rules ---------------------------------------------------------------------------------------------------


def test_strict_node_affinity_binds_and_preferred_only_leans():
    guest = a_guest(1, "pve3", ha=ha(1, "pve3", failback=False))
    strict = plan_for(guest, rules=(pinned([1], {"pve3": 0, "pve6": 0}),))
    assert targets(strict) == {"pve6"}
    assert targets(plan_for(guest, rules=(pinned([1], {"pve3": 0, "pve6": 0}, strict=False),))) == {"pve6"}
    full = [a_node(f"pve{i}", 10 if i == 6 else 40) for i in range(1, 7)]
    assert blocked(plan_for(guest, nodes=full, rules=(pinned([1], {"pve3": 0, "pve6": 0}),))) == ["plan.no-room"]
    assert plan_for(guest, nodes=full, rules=(pinned([1], {"pve3": 0, "pve6": 0}, strict=False),)).feasible


def test_resource_affinity_keeps_together_and_apart():
    pair = [a_guest(1, "pve3"), a_guest(2, "pve3")]
    plan = plan_for(*pair, rules=(together(1, 2),))
    assert len(targets(plan)) == 1 and len(plan.moves) == 2
    rival = [a_guest(v, f"pve{n}") for v, n in ((11, 1), (12, 2), (14, 4), (15, 5))]
    assert targets(plan_for(a_guest(1, "pve3"), *rival, rules=(apart(1, 11, 12, 14, 15),))) == {"pve6"}


# --- the node in Ceph ----------------------------------------------------------------------------------------


def test_the_nodes_osds_are_found_under_its_crush_host():
    ceph = a_ceph()
    renamed = replace(ceph, osds=tuple(replace(o, host=f"rack-{o.host}") for o in ceph.osds))
    own = plan_for(a_guest(1, "pve3"), ceph=renamed)
    assert told(own, "ceph.no-osds-here")
    plan = plan_for(a_guest(1, "pve3"), ceph=renamed, crush_host=lambda node: f"rack-{node.name}")
    assert plan.feasible and told(plan, "ceph.no-osds-here") is None
    assert {load.reserve_bytes for load in plan.loads} == {16 * GIB}
    assert {load.reserve_bytes for load in own.loads} == {8 * GIB}


def test_a_policy_that_makes_no_sense_is_refused():
    with pytest.raises(UsageError, match="eject_isos"):
        Policy(eject_isos="always")
    with pytest.raises(UsageError, match="lock_wait_s"):
        Policy(lock_wait_s=-1)


def test_the_operators_consent_holds_as_long_as_the_maintenance():
    container = a_guest(1, "pve3", kind=GuestKind.LXC)
    first = plan_for(container, policy=Policy(consents=frozenset({gid(1)})))
    assert first.feasible and first.consents == (gid(1),)
    state = a_state([a_node(f"pve{i}") for i in range(1, 7)], [container])
    again = make_plan(state, None, PVE3, now=NOW, parent=first)
    assert again.feasible and again.consents == (gid(1),)
    assert not make_plan(state, None, PVE3, now=NOW).feasible
