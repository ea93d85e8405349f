"""The node that came back, compared with the one that went: what differs is named, the unknown is no equal."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from noout.codec import decode, encode
from noout.domain.cluster import NodeId
from noout.domain.inventory import InstalledDisk, Link, NodeInventory, Passage
from noout.domain.survey import Unread
from noout.watch.comeback import differences

GIB = 1024**3
LINKS = (
    Link("bond0", "bond", 9000, "b4:00", "vmbr0", True),
    Link("eno1", "eth", 9000, "b4:01", "bond0", True),
    Link("eno2", "eth", 9000, "b4:02", "bond0", True),
    Link("vmbr0", "bridge", 9000, "b4:00", "", True, ("10.0.0.3/24",)),
)
PASSAGES = (
    Passage("pve3", "pve1", "10.0.0.1", "corosync", 9000),
    Passage("pve1", "pve3", "10.0.0.3", "corosync", 9000),
)
DISKS = (InstalledDisk("S1", "/dev/sda", "BOOT", 480 * 10**9), InstalledDisk("S2", "/dev/nvme0n1", "NVME", 10**12))
BEFORE = NodeInventory(
    node=NodeId("ams1", "pve3"),
    at=datetime(2026, 11, 30, 10, 0, tzinfo=UTC),
    links=LINKS,
    links_from="ip",
    passages=PASSAGES,
    kvm=True,
    cpu_model="EPYC",
    cpu_flags=frozenset({"avx2", "aes"}),
    cpus=64,
    memory_bytes=256 * GIB,
    kernel="6.14.11-4-pve",
    kernel_next="6.14.11-4-pve",
    packages={"pve-qemu-kvm": "10.1.2-7"},
    disks=DISKS,
    clock_ahead_s=0.1,
    clock_doubt_s=0.5,
)


def test_the_same_node_has_no_difference_and_nothing_to_remark() -> None:
    later = replace(BEFORE, clock_ahead_s=-0.2, memory_bytes=256 * GIB - 200 * 1024**2)
    assert differences(BEFORE, later) == differences(BEFORE, BEFORE)
    assert not differences(BEFORE, later).findings
    assert not differences(BEFORE, later).notes
    assert decode(NodeInventory, encode(BEFORE)) == BEFORE, "it is kept in the journal meanwhile"


def link(of: str, /, **changes: Any) -> tuple[Link, ...]:
    return tuple(replace(each, **changes) if each.name == of else each for each in LINKS)


WAY = "pve3 to pve1 (corosync, 10.0.0.1): "


def passage(packet_bytes: int | None) -> tuple[Passage, ...]:
    return (replace(PASSAGES[0], packet_bytes=packet_bytes), PASSAGES[1])


TOLD: dict[str, tuple[dict[str, Any], str]] = {
    "a port has another name": (
        {"links": link("eno2", name="enp65s0f1", part_of="")},
        "eno2: there before, not there now; enp65s0f1 has its address b4:02",
    ),
    "a port is another card": ({"links": link("eno2", mac="b4:99")}, "eno2: hardware address b4:02 before, b4:99 now"),
    "half a bond has no carrier": ({"links": link("eno2", up=False)}, "eno2 of bond0: up before, without a link now"),
    "nobody says whether it is up": ({"links": link("eno2", up=None)}, "eno2 of bond0: up before, without a link now"),
    "half a bond is not in it": ({"links": link("eno2", part_of="")}, "eno2: in bond0 before, in nothing now"),
    "an MTU": ({"links": link("vmbr0", mtu=1500)}, "vmbr0: MTU 9000 before, 1500 now"),
    "an address": ({"links": link("vmbr0", addresses=())}, "vmbr0: address 10.0.0.3/24 before, not there now"),
    "no links": ({"links": (), "links_from": ""}, "network links: known before, nothing is said of them now"),
    "no kernel's list": (
        {"links_from": "pve"},
        "network links: the kernel's own list could be read before, and cannot now",
    ),
    "large packets": ({"passages": passage(1500)}, WAY + "packets of 9000 bytes passed uncut before, only 1500 do now"),
    "no packets": ({"passages": passage(0)}, WAY + "packets of 9000 bytes passed uncut before, nothing does now"),
    "packets cannot be tried": (
        {"passages": passage(None)},
        WAY + "packets of 9000 bytes passed uncut before, it cannot be tried now",
    ),
    "a clock ahead": ({"clock_ahead_s": 30.0}, "its clock is ahead, by more than 0.5 s"),
    "a clock behind": ({"clock_ahead_s": -1.7}, "its clock is behind, by more than 0.5 s"),
    "a clock that says nothing": ({"clock_ahead_s": None}, "its clock cannot be read"),
    "no KVM": ({"kvm": False}, "KVM: usable before, not now (is virtualisation switched off in the firmware?)"),
    "KVM unknown": ({"kvm": None}, "KVM: usable before, not now (is virtualisation switched off in the firmware?)"),
    "another CPU": ({"cpu_model": "Xeon"}, "CPU: EPYC before, Xeon now"),
    "half the CPUs": ({"cpus": 32}, "logical CPUs: 64 before, 32 now"),
    "a CPU flag": ({"cpu_flags": frozenset({"aes"})}, "CPU flags that are gone: avx2"),
    "memory": ({"memory_bytes": 240 * GIB}, "memory: 256.0 GiB before, 240.0 GiB now"),
    "a disk": ({"disks": DISKS[:1]}, "disk /dev/nvme0n1 (NVME S2, 1000 GB): there before, not there now"),
    "no disks said": ({"disks": None}, "disks: known before, nothing is said of them now"),
    "a kernel": ({"kernel": "6.17.2-1-pve"}, "kernel: 6.14.11-4-pve before, 6.17.2-1-pve now"),
    "QEMU": ({"packages": {}}, "pve-qemu-kvm: 10.1.2-7 before, unknown now"),
}  # fmt: skip


@pytest.mark.parametrize(("changes", "sentence"), TOLD.values(), ids=TOLD.keys())
def test_each_difference_is_a_finding_in_one_sentence(changes: dict[str, Any], sentence: str) -> None:
    assert sentence in differences(BEFORE, replace(BEFORE, **changes)).findings


UNKNOWN: dict[str, tuple[dict[str, Any], str]] = {
    "links": ({"links": (), "links_from": ""}, "network links: not compared, they were not known before"),
    "passages": ({"passages": ()}, "whether large packets pass was not tried before the work: not compared"),
    "a passage": ({"passages": passage(0)}, WAY + "no packet passed before the work: not compared"),
    "KVM": ({"kvm": None}, "KVM: not compared, it was not known before"),
    "flags": ({"cpu_flags": frozenset()}, "CPU flags: not compared, they were not known before"),
    "memory": ({"memory_bytes": None}, "memory: not compared, it was not known before"),
    "disks": ({"disks": None}, "disks: not compared, they were not known before"),
    "kernel": ({"kernel": ""}, "kernel: not compared, it was not known before"),
    "packages": ({"packages": {}}, "package versions: not compared, they were not known before"),
    "unread": ({"unread": (Unread("its disks", "403"),)}, "its disks could not be read before the work: 403"),
}  # fmt: skip


@pytest.mark.parametrize(("changes", "sentence"), UNKNOWN.values(), ids=UNKNOWN.keys())
def test_what_was_not_known_before_is_a_note_and_never_equal(changes: dict[str, Any], sentence: str) -> None:
    found = differences(replace(BEFORE, **changes), BEFORE)
    assert sentence in found.notes
    assert not found.findings


def test_the_configuration_alone_says_nothing_of_carriers() -> None:
    configured = replace(BEFORE, links_from="pve", links=tuple(replace(each, up=None) for each in LINKS))
    same = differences(configured, configured)
    assert (same.findings, same.notes) == (
        (),
        ("whether links are up is not compared: noout has no shell that says so",),
    )
    assert differences(configured, replace(configured, links=LINKS[:2])).findings


def test_a_kernel_that_waited_for_its_boot_is_no_surprise() -> None:
    waiting = replace(BEFORE, kernel_next="6.17.2-1-pve")
    found = differences(waiting, replace(BEFORE, kernel="6.17.2-1-pve"))
    assert not found.findings
    assert found.notes == ("kernel: 6.14.11-4-pve before, 6.17.2-1-pve now, which was installed before the work",)


def test_a_clock_that_was_as_far_off_before_is_not_held_against_the_repair() -> None:
    off = replace(BEFORE, clock_ahead_s=30.0)
    assert not differences(off, replace(BEFORE, clock_ahead_s=30.4)).findings
    doubtful = replace(BEFORE, clock_ahead_s=3.0, clock_doubt_s=4.0)
    assert not differences(BEFORE, doubtful).findings, "not known that precisely"


def test_what_is_new_is_told_and_keeps_nobody_out() -> None:
    more = replace(
        BEFORE,
        links=(*LINKS, Link("eno3", "eth", 1500, "b4:03", "", True)),
        disks=(*DISKS, InstalledDisk("S3", "/dev/sdb", "NEW", 10**12)),
        cpu_flags=BEFORE.cpu_flags | {"avx512f"},
    )
    found = differences(BEFORE, more)
    assert not found.findings
    assert len(found.notes) == 3
