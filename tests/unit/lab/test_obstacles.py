"""What Proxmox VE refuses to migrate, the lab refuses in its words; its preconditions name what those of PVE name."""

from __future__ import annotations

from typing import Any

import pytest

from noout.lab.scenarios import build
from noout.lab.world.model import Guest
from tests.unit.lab.play import Play


def playing(scenario: str) -> Play:
    world, switch_on = build(scenario)
    play = Play(world)
    switch_on(play.laws)
    return play


def migrated(play: Play, vmid: int, target: str, **options: object) -> Any:
    task: Any = play.migrate(vmid, target, **options)
    play.until(lambda: task.status == "stopped", 600)
    return task


@pytest.mark.parametrize(
    ("scenario", "vmid", "target", "said"),
    [
        (
            "replicated-guest",
            104,
            "pve4",
            "Cannot live-migrate replicated VM to node 'pve4' - not a replication",
        ),
        ("snapshots", 104, "pve4", "online storage migration not possible if non-replicated snapshot exists"),
        ("template", 104, "pve4", "as it's a clone of 'base-108-disk-0'"),
        ("mapped-device", 104, "pve4", "can't migrate to 'pve4': missing mapped devices hostpci0"),
        (
            "mapped-device",
            107,
            "pve5",
            "VM which uses following mapped devices: usb1:dongle",
        ),
        ("not-live", 104, "pve4", "can't migrate VM which uses local devices: amd-sev"),
        ("not-live", 107, "pve4", "VMs with 'clipboard' set to 'vnc' are not live migratable!"),
        ("local-iso", 104, "pve4", "can't migrate local disk 'local:iso/debian-13.1.0-amd64-netinst.iso'"),
        ("missing-network", 104, "pve4", "bridge 'vmbr1' does not exist"),
        ("missing-network", 107, "pve5", "bridge 'shopnet' does not exist"),
        ("unlike-cpus", 107, "pve4", "kvm: Host doesn't support requested features: avx, avx2"),
        ("unlike-cpus", 108, "pve4", "kvm: Host doesn't support requested features: pku"),
    ],
)
def test_what_cannot_move_fails_in_pves_words(scenario: str, vmid: int, target: str, said: str) -> None:
    play = playing(scenario)
    task = migrated(play, vmid, target, with_local_disks=True)
    assert task.exitstatus != "OK" and any(said in line for line in task.log), task.log
    guest: Guest = play.guest(vmid)
    assert (guest.node, guest.status, guest.lock) == ("pve3", "running", None)


@pytest.mark.parametrize(
    ("scenario", "vmid", "target"),
    [
        ("replicated-guest", 104, "pve5"),
        ("snapshots", 108, "pve4"),
        ("mapped-device", 104, "pve5"),
        ("missing-network", 104, "pve5"),
        ("missing-network", 107, "pve6"),
        ("unlike-cpus", 104, "pve5"),
    ],
)
def test_what_can_move_does(scenario: str, vmid: int, target: str) -> None:
    play = playing(scenario)
    assert migrated(play, vmid, target, with_local_disks=True).exitstatus == "OK"
    assert (play.guest(vmid).node, play.guest(vmid).status) == (target, "running")


def test_a_replication_job_turns_round_when_its_guest_moved() -> None:
    play = playing("replicated-guest")
    migrated(play, 104, "pve5", with_local_disks=True)
    assert [job["target"] for job in play.c.replication_jobs] == ["pve3"]


def test_a_paused_guest_stays_paused_and_needs_online() -> None:
    play = playing("paused-guest")
    assert migrated(play, 104, "pve4").exitstatus == "OK"
    assert (play.guest(104).node, play.guest(104).status) == ("pve4", "paused")


def test_preconditions_name_mapped_devices_and_saved_ram() -> None:
    play = playing("mapped-device")
    facts = play.laws.migration_precondition(play.c, 104)
    assert facts["mapped-resource-info"] == {"hostpci0": {"name": "gpu", "live-migration": 1}}
    assert facts["not_allowed_nodes"]["pve4"] == {"unavailable-resources": ["hostpci0"]}
    assert facts["not_allowed_nodes"]["pve5"] == {} and facts["local_resources"] == []
    assert play.laws.migration_precondition(play.c, 107)["local_resources"] == ["usb1"]
    saved = playing("snapshots").laws
    (ram,) = saved.migration_precondition(saved.cluster("ams1"), 108)["local_disks"]
    assert ram["is_vmstate"] == 1 and ram["is_attached"] == 0


def test_a_guest_that_ha_ignores_moves_at_once() -> None:
    play = Play()
    play.c.ha.resources["vm:101"].state = "ignored"
    task: Any = play.migrate(101, "pve4")
    assert task.type == "qmigrate"
