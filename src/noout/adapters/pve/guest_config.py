"""A guest's configuration: its disks, what binds it to a node, its networks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from noout.adapters.pve.parse import boolean
from noout.domain.cluster import Disk, GuestKind, MappedDevice, Nic

_QEMU_DISK = re.compile(r"^(?:(?:ide|sata|scsi|virtio)\d+|efidisk0|tpmstate0|unused\d+)$")
_LXC_DISK = re.compile(r"^(?:rootfs|mp\d+|unused\d+)$")
_SIZE = re.compile(r"^(\d+(?:\.\d+)?)([KMGT]?)$")
_LINKED = re.compile(r"(?:^|[:/])base(?:vol)?-\d+-[^/]+/")  # "local-lvm:base-9-disk-0/vm-1-disk-0"
_FACTOR = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4}


@dataclass(frozen=True, slots=True)
class Config:
    """What the configuration adds to a guest's row in a list."""

    disks: tuple[Disk, ...] = ()
    local_resources: tuple[str, ...] = ()
    bridges: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    cpu_type: str = ""
    onboot: bool = False
    template: bool = False
    lock: str | None = None
    tags: str = ""
    nics: tuple[Nic, ...] = ()
    cpu_flags: frozenset[str] = frozenset()
    not_live: tuple[str, ...] = ()
    mapped: tuple[tuple[str, str], ...] = ()  # (key, name of the mapping)
    parent: str = ""  # the snapshot that its present state goes back to; a hint that there are snapshots
    snapshots: tuple[str, ...] = ()  # this and what follows: by a closer look, not from the configuration
    kept: tuple[Disk, ...] = ()
    devices: tuple[MappedDevice, ...] = ()
    uuid: str = ""  # SMBIOS, as the machine sees it


def parse_config(kind: GuestKind, data: Mapping[str, Any], shared: Mapping[str, bool]) -> Config:
    """``/nodes/N/{qemu,lxc}/ID/config``. ``shared``: storage name -> every node reaches the same bytes.

    A volume on a storage that is not known counts as local: the careful answer.
    """
    qemu = kind is GuestKind.QEMU
    disks, local, nics, addresses, not_live, mapped = [], [], [], [], [], []
    for key in sorted(data, key=_natural):
        text = str(data[key])
        if (_QEMU_DISK if qemu else _LXC_DISK).match(key):
            if (disk := _disk(key, text, shared)) is not None:
                disks.append(disk)
        elif re.match(r"^net\d+$", key):
            fields = _fields(text)
            nics += [_nic(key, fields)] if "bridge" in fields else []
            addresses += _addresses(fields)
        elif re.match(r"^ipconfig\d+$", key):
            addresses += _addresses(_fields(text))
        elif (name := _mapping(key, text)) and qemu:
            mapped.append((key, name))
        elif _binds(key, text, qemu):
            local.append(key)
        elif qemu and (setting := _not_live(key, text)):
            not_live.append(setting)
    return Config(
        disks=tuple(disks),
        local_resources=tuple(local),
        bridges=tuple(dict.fromkeys(nic.bridge for nic in nics)),
        addresses=tuple(dict.fromkeys(addresses)),
        cpu_type=_cpu_type(data.get("cpu")) if qemu else "",
        onboot=boolean(data.get("onboot")),
        template=boolean(data.get("template")),
        lock=str(data["lock"]) if data.get("lock") else None,
        tags=str(data.get("tags") or ""),
        nics=tuple(nics),
        cpu_flags=_cpu_flags(data.get("cpu")) if qemu else frozenset(),
        not_live=tuple(not_live),
        mapped=tuple(mapped),
        parent=str(data.get("parent") or ""),
        uuid=_fields(str(data.get("smbios1") or "")).get("uuid", "").lower(),
    )


def _natural(key: str) -> tuple[str, int]:
    found = re.match(r"^(.*?)(\d*)$", key)
    assert found is not None  # the pattern matches every text
    return found[1], int(found[2] or 0)


def _fields(text: str) -> dict[str, str]:
    """ "virtio=BC:24,bridge=vmbr0" -> {"virtio": "BC:24", "bridge": "vmbr0"}"""
    pairs = (part.partition("=") for part in text.split(","))
    return {key.strip(): value.strip() for key, equals, value in pairs if equals}


def _disk(key: str, text: str, shared: Mapping[str, bool]) -> Disk | None:
    """None for an empty drive. A cloud-init drive is no ISO: PVE moves it like a disk."""
    fields = _fields(text)
    first = text.split(",", 1)[0]
    volume = fields.get("file") or fields.get("volume") or first
    if volume == "none":
        return None
    storage, colon, _ = volume.partition(":")
    everywhere = boolean(fields.get("shared")) or (bool(colon) and shared.get(storage, False))
    return Disk(
        key=key,
        volume=volume,
        storage=storage if colon else "",
        size_bytes=size_bytes(fields.get("size", "")),
        shared=everywhere,
        cdrom=fields.get("media") == "cdrom" and "cloudinit" not in volume,
        replicate=boolean(fields.get("replicate", 1)),
        linked=bool(_LINKED.search(volume)),
    )


def _nic(key: str, fields: Mapping[str, str]) -> Nic:
    tag = fields.get("tag", "")
    return Nic(
        key=key,
        bridge=fields["bridge"],
        tag=int(tag) if tag.isdigit() else None,
        trunks=bool(fields.get("trunks")),
        firewall=boolean(fields.get("firewall")),
    )


def size_bytes(text: str) -> int:
    """ "32G" -> bytes; 0 when it is not a size."""
    found = _SIZE.match(text.strip().upper())
    return int(float(found[1]) * _FACTOR[found[2]]) if found else 0


def _addresses(fields: Mapping[str, str]) -> list[str]:
    """Static addresses of a cloud-init or container network, without their prefix length."""
    told = (fields.get(key, "").split("/")[0] for key in ("ip", "ip6"))
    return [address for address in told if address and address not in ("dhcp", "auto", "manual")]


def _binds(key: str, text: str, qemu: bool) -> bool:
    """Does this line tie the guest to its node, running or not?"""
    if not qemu:
        return bool(re.match(r"^dev\d+$", key))
    if re.match(r"^usb\d+$", key):
        return not text.startswith(("spice", "host=spice"))
    if re.match(r"^serial\d+$", key):
        return text != "socket"
    return bool(re.match(r"^(?:hostpci\d+|parallel\d+|ivshmem|hostusb|hostpci)$", key))


def _mapping(key: str, text: str) -> str:
    """The cluster-wide mapping that a device or a shared directory is taken from; "" for everything else."""
    if re.match(r"^(?:usb|hostpci)\d+$", key):
        return _fields(text).get("mapping", "")
    if re.match(r"^virtiofs\d+$", key):
        return _fields(text).get("dirid") or text.split(",", 1)[0]
    return ""


def _not_live(key: str, text: str) -> str:
    """A setting with which PVE does not migrate a running VM, in words; "" for everything else."""
    if key in ("amd-sev", "intel-tdx"):
        return key
    return "vga (clipboard=vnc)" if key == "vga" and _fields(text).get("clipboard") == "vnc" else ""


def _cpu_type(value: Any) -> str:
    """ "host,flags=+aes" or "cputype=host" -> "host"; PVE's default is kvm64."""
    text = str(value or "")
    return _fields(text).get("cputype") or text.split(",", 1)[0] or "kvm64"


def _cpu_flags(value: Any) -> frozenset[str]:
    """ "host,flags=+aes;-pcid" -> {"aes"}"""
    flags = _fields(str(value or "")).get("flags", "").split(";")
    return frozenset(flag[1:] for flag in flags if flag.startswith("+"))
