"""What a node says of itself from inside, read from the lab's wire: as it is, with each fault, and without a shell."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest

from noout.adapters.pve.inventory import PveInspector, configured_links, kernel_links, meeting_places
from noout.domain.inventory import Link, NodeInventory
from noout.watch.comeback import differences
from tests.contract.pve.test_lab import virtual
from tests.support.labsite import LabSite

CONFIGURED: list[dict[str, object]] = [
    {"iface": "eno1", "type": "eth"},
    {"iface": "eno2", "type": "eth"},
    {"iface": "bond0", "type": "bond", "slaves": "eno1 eno2", "mtu": "9000"},
    {"iface": "vmbr0", "type": "bridge", "bridge_ports": "bond0", "cidr": "10.0.0.3/24", "mtu": 9000},
    {"iface": "vmbr1", "type": "OVSBridge", "cidr6": "fd00::3/64"},
    {"type": "unknown"},
]


async def of_pve3(site: LabSite, shell: bool = True) -> NodeInventory:
    inspector = PveInspector(site.client, site.shell if shell else None, site.ceph.osd_addresses if shell else None)
    return await inspector.inspect(
        site.node("pve3"), [site.node(name) for name in site.cluster.nodes if name != "pve3"]
    )


@virtual
async def test_a_node_says_all_of_it_and_a_healthy_one_comes_back_the_same(site: LabSite) -> None:
    told = await of_pve3(site)
    assert not told.unread
    assert [(link.name, link.part_of, link.up) for link in told.links] == [
        ("bond0", "vmbr0", True),
        ("eno1", "bond0", True),
        ("eno2", "bond0", True),
        ("vmbr0", "", True),
    ], "the guests' own devices are left out"
    assert len({link.mac for link in told.links if link.kind == "eth"}) == 2, "each port's own, not the bond's"
    assert {(each.source, each.target) for each in told.passages} >= {("pve3", "pve1"), ("pve1", "pve3")}
    assert {each.packet_bytes for each in told.passages} == {1500}
    assert told.kvm and told.cpu_flags and told.kernel and told.memory_bytes and told.packages["pve-qemu-kvm"]
    assert told.disks and told.clock_ahead_s is not None
    site.laws.power_cut(site.cluster, "pve3")
    site.laws.power_on(site.cluster, "pve3")
    await site.clock.sleep(150)
    again = differences(told, await of_pve3(site))
    assert (again.findings, again.notes) == ((), ())


FAULTS = {
    "nic-renamed-after": "eno2: there before, not there now; enp65s0f1 has its address",
    "bond-half-after": "eno2 of bond0: up before, without a link now",
    "mtu-wrong-after": "pve3 to pve1, pve2, pve4, pve5, pve6 (corosync): packets of 1500 bytes passed uncut before, n",
    "kernel-changed-after": "kernel: 6.14.11-4-pve before, 6.17.2-1-pve now",
    "clock-off-after": "its clock is ahead, by more than 0.5 s",
    "kvm-missing-after": "KVM: usable before, not now",
    "disk-missing-after": "there before, not there now",
    "dimm-missing-after": "memory: ",
}


@pytest.mark.parametrize(("fault", "sentence"), FAULTS.items(), ids=FAULTS.keys())
def test_what_is_wrong_after_the_work_is_named(fault: str, sentence: str) -> None:
    @virtual
    async def play(site: LabSite) -> None:
        before = await of_pve3(site)
        site.laws.fault(site.cluster, fault, node="pve3")
        assert not differences(before, await of_pve3(site)).findings, "nothing is different before the power was off"
        site.laws.power_cut(site.cluster, "pve3")
        site.laws.power_on(site.cluster, "pve3")
        await site.clock.sleep(150)
        found = differences(before, await of_pve3(site)).findings
        assert any(sentence in each for each in found), found
        site.laws.clear_fault(site.cluster, fault, node="pve3")
        if fault != "dimm-missing-after":  # that takes the technician's hands
            assert not differences(before, await of_pve3(site)).findings

    play()


@virtual
async def test_without_a_shell_it_says_what_the_configuration_says(site: LabSite) -> None:
    told = await of_pve3(site, shell=False)
    assert told.links_from == "pve"
    assert {link.up for link in told.links} == {None}
    assert not told.passages
    assert not told.unread


@virtual
async def test_a_shell_that_refuses_is_named_and_says_nothing_of_packets(site: LabSite) -> None:
    site.laws.fault(site.cluster, "shell-error", pattern="^(ip|ping) ", text="noout-shell: refused", exit=126)
    told = await of_pve3(site)
    assert [each.what for each in told.unread] == ["the kernel's network links"]
    assert told.links_from == "pve"
    assert {each.packet_bytes for each in told.passages} == {None}


def test_names_members_and_mtu_are_read_from_the_configuration() -> None:
    assert configured_links(CONFIGURED) == (
        Link("bond0", "bond", 9000, part_of="vmbr0"),
        Link("eno1", "eth", part_of="bond0"),
        Link("eno2", "eth", part_of="bond0"),
        Link("vmbr0", "bridge", 9000, addresses=("10.0.0.3/24",)),
        Link("vmbr1", "bridge", addresses=("fd00::3/64",)),
    )


def test_packets_go_where_the_node_and_another_meet_and_where_ceph_and_corosync_are() -> None:
    links = (Link("vmbr0", "bridge", addresses=("10.0.0.3/24",)), Link("lo", "loopback", addresses=("10.9.9.3/32",)))
    peers = {"pve1": ["10.0.0.1/24", "192.168.7.1/24", "auto"], "pve2": []}
    corosync = {"pve3": frozenset({"10.0.0.3"}), "pve2": frozenset({"10.5.5.2"})}
    ceph = {"pve1": frozenset({"10.9.9.1"}), "pve3": frozenset({"10.9.9.3"}), "pve7": frozenset({"10.9.9.7"})}
    assert meeting_places("pve3", links, peers, corosync, ceph) == {
        "pve1": {"10.0.0.1": "vmbr0", "10.9.9.1": "Ceph"},
        "pve2": {"10.5.5.2": "corosync"},
        "pve3": {"10.0.0.3": "corosync", "10.9.9.3": "Ceph"},
    }


@pytest.mark.real
@pytest.mark.skipif(shutil.which("ip") is None, reason="iproute2 is not installed: the real `ip` is not read")
def test_the_real_ip_is_understood() -> None:
    done = subprocess.run(["ip", "-json", "-details", "address", "show"], capture_output=True, text=True, check=True)
    links = kernel_links(json.loads(done.stdout))
    assert all(link.mtu and link.up is not None for link in links)
    assert not any("127." in address for link in links for address in link.addresses)
