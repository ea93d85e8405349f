"""What a guest's configuration only hints at, asked for where it does: mapped devices, snapshots, replication."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

from noout.adapters.pve import parse
from noout.adapters.pve.guest_config import Config
from noout.domain.cluster import Disk, GuestKind, MappedDevice
from noout.domain.errors import Refused

Get = Callable[[str], Awaitable[Any]]


async def look_closer(get: Get, path: str, kind: GuestKind, config: Config, shared: Mapping[str, bool]) -> Config:
    """The configuration with the guest's snapshots, the local volumes that only they refer to, and what PVE says of
    its mapped devices. Where PVE does not tell (a locked guest has no preconditions), mapped devices are held to be
    unable to move live: the careful answer.

    A snapshot may hide behind no parent when it lies on another branch; so guests with local disks are always asked.
    """
    local = any(not disk.shared and not disk.cdrom for disk in config.disks)
    snapshots = parse.snapshots(await get(f"{path}/snapshot")) if config.parent or local else ()
    told: Mapping[str, Any] = {}
    if kind is GuestKind.QEMU and (config.mapped or snapshots):
        told = await _precondition(get, f"{path}/migrate")
    return replace(config, snapshots=snapshots, kept=_kept(told, shared), devices=_devices(config, told))


async def _precondition(get: Get, path: str) -> Mapping[str, Any]:
    try:
        return parse.table(await get(path))
    except Refused:
        return {}


def _kept(told: Mapping[str, Any], shared: Mapping[str, bool]) -> tuple[Disk, ...]:
    """Local volumes of no drive: PVE lists them with what they are."""
    found = []
    for row in parse.rows(told.get("local_disks")):
        if parse.boolean(row.get("is_attached")) or parse.boolean(row.get("is_unused")) or not row.get("volid"):
            continue
        volume = str(row["volid"])
        storage, colon, _ = volume.partition(":")
        key = "vmstate" if parse.boolean(row.get("is_vmstate")) else str(row.get("drivename") or "snapshot")
        cdrom = parse.boolean(row.get("cdrom")) and not parse.boolean(row.get("is_cloudinit"))
        everywhere = bool(colon) and shared.get(storage, False)
        size = parse.whole(row.get("size"))
        found.append(Disk(key, volume, storage if colon else "", size, everywhere, cdrom))
    return tuple(disk for disk in found if not disk.shared)


def _devices(config: Config, told: Mapping[str, Any]) -> tuple[MappedDevice, ...]:
    info = parse.table(told.get("mapped-resource-info"))
    lacking: dict[str, set[str]] = {}
    for node, row in parse.table(told.get("not_allowed_nodes")).items():
        for key in parse.table(row).get("unavailable-resources") or ():
            lacking.setdefault(str(key), set()).add(str(node))
    return tuple(
        MappedDevice(
            key,
            name,
            live=parse.boolean(parse.table(info.get(key)).get("live-migration")),
            lacking=frozenset(lacking.get(key, ())),
        )
        for key, name in config.mapped
    )
