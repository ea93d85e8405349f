"""Lines of guest configurations as administrators write them."""

from __future__ import annotations

import pytest

from noout.adapters.pve.guest_config import Config, parse_config, size_bytes
from noout.domain.cluster import GuestKind

GIB = 1024**3
SHARED = {"rbd": True, "local": False, "local-lvm": False, "nas": True}


def qemu(**lines: str | int) -> Config:
    return parse_config(GuestKind.QEMU, lines, SHARED)


def test_disks_of_every_kind() -> None:
    config = qemu(
        scsi0="rbd:vm-100-disk-0,iothread=1,size=32G",
        virtio1="local-lvm:vm-100-disk-1,size=512M",
        sata10="nas:100/vm-100-disk-2.qcow2,size=1T",
        efidisk0="rbd:vm-100-disk-3,efitype=4m,size=528K",
        ide2="local:iso/debian.iso,media=cdrom,size=700M",
        ide3="none,media=cdrom",
        scsi1="local:vm-100-cloudinit,media=cdrom,size=4M",
        unused0="local-lvm:vm-100-disk-9",
        scsihw="virtio-scsi-single",
        scsi2="/dev/disk/by-id/wwn-0x5,size=10G",
        scsi3="/dev/mapper/san,shared=1,size=10G",
    )
    disks = {disk.key: disk for disk in config.disks}
    assert set(disks) == {"scsi0", "scsi1", "scsi2", "scsi3", "virtio1", "sata10", "efidisk0", "ide2", "unused0"}
    assert {key for key, disk in disks.items() if disk.shared} == {"scsi0", "sata10", "efidisk0", "scsi3"}
    assert {key for key, disk in disks.items() if disk.cdrom} == {"ide2"}, "a cloud-init drive moves like a disk"
    assert disks["scsi0"].size_bytes == 32 * GIB
    assert disks["sata10"].size_bytes == 1024 * GIB
    assert disks["scsi2"].storage == ""


def test_a_storage_that_nobody_knows_counts_as_local() -> None:
    assert not qemu(scsi0="gone:vm-1-disk-0,size=1G").disks[0].shared


@pytest.mark.parametrize(
    ("line", "binds"),
    [
        (("usb0", "host=1234:5678"), True),
        (("usb0", "spice"), False),
        (("usb1", "mapping=dongle"), False),
        (("hostpci0", "0000:01:00.0,pcie=1"), True),
        (("hostpci0", "mapping=gpu"), False),
        (("serial0", "socket"), False),
        (("serial0", "/dev/ttyS0"), True),
        (("parallel0", "/dev/parport0"), True),
        (("ivshmem", "size=32"), True),
        (("virtiofs0", "dirid=share"), False),  # it may be moved, but not live
        (("amd-sev", "type=std"), False),
        (("vga", "std"), False),
    ],
    ids=lambda value: "=".join(value) if isinstance(value, tuple) else "",
)
def test_what_binds_a_machine_to_its_node(line: tuple[str, str], binds: bool) -> None:
    assert qemu(**{line[0]: line[1]}).local_resources == ((line[0],) if binds else ())


def test_networks_and_the_rest() -> None:
    config = qemu(
        net1="virtio=BC:24:11:00:00:02,bridge=vmbr1,tag=20",
        net0="virtio=BC:24:11:00:00:01,bridge=vmbr0",
        ipconfig0="ip=192.0.2.10/24,gw=192.0.2.1,ip6=auto",
        ipconfig1="ip=dhcp",
        cpu="cputype=host,flags=+aes",
        onboot="1",
        template=0,
        lock="backup",
        tags="prod;web",
    )
    assert config.bridges == ("vmbr0", "vmbr1")
    assert config.addresses == ("192.0.2.10",)
    assert config.cpu_type == "host"
    assert (config.onboot, config.template, config.lock, config.tags) == (True, False, "backup", "prod;web")


def test_a_machine_without_a_cpu_type_has_pves_default() -> None:
    assert qemu().cpu_type == "kvm64"


def test_a_container() -> None:
    config = parse_config(
        GuestKind.LXC,
        {
            "rootfs": "rbd:vm-200-disk-0,size=8G",
            "mp0": "/mnt/bind,mp=/data",
            "mp1": "local-lvm:vm-200-disk-1,mp=/var,size=4G",
            "dev0": "/dev/dri/renderD128",
            "net0": "name=eth0,bridge=vmbr0,ip=192.0.2.20/24,type=veth",
        },
        SHARED,
    )
    assert {disk.key: disk.shared for disk in config.disks} == {"rootfs": True, "mp0": False, "mp1": False}
    assert config.local_resources == ("dev0",)
    assert config.addresses == ("192.0.2.20",)
    assert config.cpu_type == ""


@pytest.mark.parametrize(
    ("text", "size"), [("32G", 32 * GIB), ("528K", 528 * 1024), ("1.5T", 1536 * GIB), ("100", 100), ("", 0), ("x", 0)]
)
def test_sizes(text: str, size: int) -> None:
    assert size_bytes(text) == size
