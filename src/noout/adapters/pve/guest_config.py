"""A guest's configuration: its disks, what binds it to a node, its networks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from noout.adapters.pve.parse import boolean
from noout.domain.cluster import Disk, GuestKind

_QEMU_DISK = re.compile(r"^(?:(?:ide|sata|scsi|virtio)\d+|efidisk0|tpmstate0|unused\d+)$")
_LXC_DISK = re.compile(r"^(?:rootfs|mp\d+|unused\d+)$")
_SIZE = re.compile(r"^(\d+(?:\.\d+)?)([KMGT]?)$")
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
    uuid: str = ""  # SMBIOS, as the machine sees it


def parse_config(kind: GuestKind, data: Mapping[str, Any], shared: Mapping[str, bool]) -> Config:
    """``/nodes/N/{qemu,lxc}/ID/config``. ``shared``: storage name -> every node reaches the same bytes.

    A volume on a storage that is not known counts as local: the careful answer.
    """
    qemu = kind is GuestKind.QEMU
    disks, local, bridges, addresses = [], [], [], []
    for key in sorted(data, key=_natural):
        text = str(data[key])
        if (_QEMU_DISK if qemu else _LXC_DISK).match(key):
            if (disk := _disk(key, text, shared)) is not None:
                disks.append(disk)
        elif re.match(r"^net\d+$", key):
            fields = _fields(text)
            bridges += [fields["bridge"]] if "bridge" in fields else []
            addresses += _addresses(fields)
        elif re.match(r"^ipconfig\d+$", key):
            addresses += _addresses(_fields(text))
        elif _binds(key, text, qemu):
            local.append(key)
    return Config(
        disks=tuple(disks),
        local_resources=tuple(local),
        bridges=tuple(dict.fromkeys(bridges)),
        addresses=tuple(dict.fromkeys(addresses)),
        cpu_type=_cpu_type(data.get("cpu")) if qemu else "",
        onboot=boolean(data.get("onboot")),
        template=boolean(data.get("template")),
        lock=str(data["lock"]) if data.get("lock") else None,
        tags=str(data.get("tags") or ""),
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
    """Does this line tie the guest to its node? Mapped devices are PVE's to judge (its precondition says)."""
    if not qemu:
        return bool(re.match(r"^dev\d+$", key))
    if re.match(r"^usb\d+$", key):
        return not text.startswith(("spice", "mapping=")) and "mapping=" not in text
    if re.match(r"^hostpci\d+$", key):
        return "mapping=" not in text
    if re.match(r"^serial\d+$", key):
        return text != "socket"
    return bool(re.match(r"^(?:parallel\d+|ivshmem|virtiofs\d+|amd-sev|intel-tdx)$", key))


def _cpu_type(value: Any) -> str:
    """ "host,flags=+aes" or "cputype=host" -> "host"; PVE's default is kvm64."""
    text = str(value or "")
    return _fields(text).get("cputype") or text.split(",", 1)[0] or "kvm64"
