"""The parameters of a guest's configuration: all that PVE knows, though the lab changes few of them."""

from __future__ import annotations

from noout.lab.wire.pve.parameters import Param, flag, number, text, whole
from noout.lab.wire.pve.words import KEYBOARDS


def _flags(names: str) -> list[Param]:
    return [flag(name) for name in names.split()]


def _texts(names: str) -> list[Param]:
    return [text(name) for name in names.split()]


def _choice(name: str, values: str) -> Param:
    return text(name, enum=tuple(values.split()))


QEMU_CONFIG: list[Param] = [
    *_flags(
        "acpi allow-ksm autostart ciupgrade force freeze keephugepages kvm localtime numa onboot protection reboot "
        "skiplock tablet tdf template"
    ),
    *_texts(
        "affinity agent amd-sev args audio0 boot bootdisk cdrom cicustom cipassword ciuser cpu efidisk0 hookscript "
        "hostpci[n] hotplug ide[n] intel-tdx ipconfig[n] ivshmem machine memory name nameserver net[n] numa[n] "
        "parallel[n] revert rng0 sata[n] scsi[n] searchdomain serial[n] spice_enhancements sshkeys startdate startup "
        "tpmstate0 unused[n] usb[n] vga virtio[n] virtiofs[n] vmgenid vmstatestorage watchdog"
    ),
    text("delete", format="pve-configid-list"),
    text("tags", format="pve-tag-list"),
    text("description", max_length=8192),
    text("digest", max_length=40),
    text("smbios1", max_length=512),
    _choice("arch", "x86_64 aarch64"),
    _choice("bios", "seabios ovmf"),
    _choice("citype", "configdrive2 nocloud opennebula"),
    _choice("hugepages", "any 2 1024"),
    text("keyboard", enum=KEYBOARDS),
    _choice("lock", "backup clone create migrate rollback snapshot snapshot-delete suspending suspended"),
    _choice("ostype", "other wxp w2k w2k3 w2k8 wvista win7 win8 win10 win11 l24 l26 solaris"),
    _choice("scsihw", "lsi lsi53c810 virtio-scsi-pci virtio-scsi-single megasas pvscsi"),
    *(whole(name, minimum=1) for name in ("cores", "smp", "sockets", "vcpus")),
    *(whole(name, minimum=0) for name in ("balloon", "migrate_speed")),
    whole("shares", minimum=0, maximum=50000),
    whole("cpuunits", minimum=1, maximum=262144),
    number("cpulimit", minimum=0, maximum=128),
    number("migrate_downtime", minimum=0),
]

QEMU_CONFIG_ASYNC: list[Param] = [
    *QEMU_CONFIG,
    whole("background_delay", minimum=1, maximum=30),
    text("import-working-storage", format="pve-storage-id"),
]

LXC_CONFIG: list[Param] = [
    *_flags("console debug onboot protection template unprivileged"),
    *_texts(
        "dev[n] entrypoint env features hookscript mp[n] nameserver net[n] revert rootfs searchdomain startup "
        "timezone unused[n]"
    ),
    text("delete", format="pve-configid-list"),
    text("tags", format="pve-tag-list"),
    text("description", max_length=8192),
    text("digest", max_length=40),
    text("hostname", max_length=255),
    _choice("arch", "amd64 i386 arm64 armhf riscv32 riscv64"),
    _choice("cmode", "shell console tty"),
    _choice("lock", "backup create destroyed disk fstrim migrate mounted rollback snapshot snapshot-delete"),
    _choice("ostype", "debian devuan ubuntu centos fedora opensuse archlinux alpine gentoo nixos unmanaged"),
    whole("cores", minimum=1, maximum=8192),
    whole("cpuunits", minimum=0, maximum=500000),
    whole("memory", minimum=16),
    whole("swap", minimum=0),
    whole("tty", minimum=0, maximum=6),
    number("cpulimit", minimum=0, maximum=8192),
]
