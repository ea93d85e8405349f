"""Random clusters: some easy, most nearly full, with rules, containers, local disks and guests at rest."""

from __future__ import annotations

from hypothesis import strategies as st

from noout.domain.cluster import ClusterState, Disk, GuestKind, GuestStatus, MappedDevice, Nic, Replica
from tests.unit.plan.clusters import GIB, a_guest, a_node, a_state, a_store, apart, gid, ha, pinned, together

_ODD = ("paused", "locked", "eject", "snapshot", "replica", "mapped", "vlan", "flags")
_EJECT = frozenset({"eject-ok"})


def _local(vmid: int) -> Disk:
    return Disk("scsi0", f"local-lvm:vm-{vmid}-disk-0", "local-lvm", 30 * GIB, False)


@st.composite
def clusters(draw: st.DrawFn) -> ClusterState:
    """3 to 6 nodes of 24 to 48 GiB; each guest fits where it is. The node to be emptied is always pve1."""
    count = draw(st.integers(3, 6))
    names = [f"pve{i + 1}" for i in range(count)]
    nodes = [a_node(name, draw(st.sampled_from([24, 32, 48])), **draw(abilities())) for name in names]
    guests = []
    vmid = 100
    for name, node in zip(names, nodes, strict=True):
        left = node.ram_bytes // GIB - 8
        for _ in range(draw(st.integers(0, 5))):
            ram = draw(st.sampled_from([1, 2, 4, 8, 12]))
            if ram > left:
                continue
            left -= ram
            guests.append(draw(guest(vmid, name, ram)))
            vmid += 1
    stores = [a_store("local-lvm", name, draw(st.sampled_from([0, 50, 200]))) for name in names]
    return a_state(nodes, guests, rules=draw(rules([g.id.vmid for g in guests], names)), storages=tuple(stores))


@st.composite
def abilities(draw: st.DrawFn) -> dict[str, frozenset[str]]:
    """Mostly the same everywhere."""
    vlan = frozenset({"vmbr0"}) if draw(st.integers(0, 4)) else frozenset()
    return {"vlan_aware": vlan, "cpu_flags": frozenset({"sse", "aes"} if draw(st.integers(0, 4)) else {"sse"})}


@st.composite
def guest(draw: st.DrawFn, vmid: int, node: str, ram_gib: int):
    """Mostly a plain VM."""
    kind = draw(st.sampled_from(["vm"] * 8 + ["ha", "ha", "ct", "ct-alone", "usb", "disk", "stopped", "iso", *_ODD]))
    more = {
        "vm": {},
        "ha": {"ha": ha(vmid, node)},
        "ct": {"kind": GuestKind.LXC, "tags": frozenset({"relocate-ok"})},
        "ct-alone": {"kind": GuestKind.LXC},
        "usb": {"local_resources": ("usb0",), "tags": frozenset({"shutdown-ok"})},
        "disk": {"disks": (_local(vmid),)},
        "stopped": {"status": GuestStatus.STOPPED, "onboot": draw(st.booleans())},
        "iso": {"disks": (Disk("ide2", "local:iso/a.iso", "local", GIB, False, cdrom=True),)},
        "paused": {"status": GuestStatus.PAUSED},
        "locked": {"lock": draw(st.sampled_from(["backup", "snapshot", "rollback"]))},
        "eject": {"disks": (Disk("ide2", "local:iso/a.iso", "local", GIB, False, cdrom=True),), "tags": _EJECT},
        "snapshot": {"disks": (_local(vmid),), "snapshots": ("before",)},
        "replica": {"disks": (_local(vmid),), "replicas": (Replica(draw(st.sampled_from(["pve1", "pve2", "pve3"]))),)},
        "mapped": {"mapped": (MappedDevice("hostpci0", "gpu", draw(st.booleans()), frozenset({"pve2"})),)},
        "vlan": {"nics": (Nic("net0", "vmbr0", tag=5, firewall=True),)},
        "flags": {"cpu_flags": frozenset({"aes"})},
    }[kind]
    return a_guest(vmid, node, ram_gib, dirty_bytes_s=draw(st.sampled_from([None, 0, 5 << 20, 500 << 20])), **more)


@st.composite
def rules(draw: st.DrawFn, vmids: list[int], names: list[str]):
    if len(vmids) < 2:
        return ()
    some = st.lists(st.sampled_from(vmids), min_size=2, max_size=3, unique=True)
    found = [apart(*draw(some), name=f"apart-{i}") for i in range(draw(st.integers(0, 2)))]
    if draw(st.booleans()):
        found.append(together(*draw(some)))
    if draw(st.booleans()):
        where = draw(st.lists(st.sampled_from(names), min_size=1, unique=True))
        found.append(pinned(draw(some), dict.fromkeys(where, 0), strict=draw(st.booleans())))
    return tuple(found)


__all__ = ["clusters", "gid"]
