"""What about a guest's volumes keeps it where it is, in PVE's terms, with the remedy a person can carry out.

The rules are those of qemu-server's and pve-container's own migration code; what of them was seen on a real cluster
is said in docs/reference/guests.md.
"""

from __future__ import annotations

from collections.abc import Iterator

from noout.domain.cluster import ClusterState, Disk, Guest, GuestKind
from noout.domain.reasons import Blocker

# Storages whose volumes PVE can copy to another node, and those of them that keep a container's snapshots.
_COPIED = frozenset({"dir", "btrfs", "zfspool", "lvmthin", "lvm"})
_KEEP_SNAPSHOTS = frozenset({"zfspool", "btrfs"})


def title(guest: Guest) -> str:
    """ "VM 101 boekhuis-db"."""
    return f"{'CT' if guest.kind is GuestKind.LXC else 'VM'} {guest.id.vmid} {guest.name}".strip()


def tool(guest: Guest) -> str:
    """The command that changes such a guest."""
    return "pct" if guest.kind is GuestKind.LXC else "qm"


def volume_blockers(guest: Guest, state: ClusterState) -> tuple[Blocker, ...]:
    """Why the guest's volumes cannot go with it while it runs; nothing about ISOs in its drives."""
    kinds = {store.name: store.kind for store in state.storages if store.node == guest.node}
    found = [_volume(guest, disk, kinds) for disk in guest.carried]
    return tuple([each for each in found if each is not None] + [*_snapshots(guest, kinds)])


def _volume(guest: Guest, disk: Disk, kinds: dict[str, str]) -> Blocker | None:
    name, where = title(guest), guest.node.name
    evidence = {"volume": disk.volume, "drive": disk.key}
    if disk.path:
        return Blocker(
            "guest.local-path",
            str(guest.id),
            f"{name} uses {disk.volume} of {where} itself as {disk.key}, which PVE does not move",
            f"put its data onto a storage, or set shared=1 on {disk.key} where every node has the same there",
            evidence,
        )
    if disk.linked:
        return Blocker(
            "guest.linked-clone",
            str(guest.id),
            f"{name} is a linked clone of a template on local storage ({disk.volume}), which PVE does not move",
            f"make it a full copy: {tool(guest)} {'move-volume' if tool(guest) == 'pct' else 'disk move'} "
            f"{guest.id.vmid} {disk.key} STORAGE",
            evidence,
        )
    kind = kinds.get(disk.storage, "")
    if kind and kind not in _COPIED:
        return Blocker(
            "guest.local-storage-kind",
            str(guest.id),
            f"{name} has {disk.key} on {disk.storage}, a storage of type {kind} that PVE cannot copy to another node",
            f"move {disk.key} to another storage",
            evidence,
        )
    return None


def _snapshots(guest: Guest, kinds: dict[str, str]) -> Iterator[Blocker]:
    if not guest.snapshots:
        return
    names = ", ".join(guest.snapshots)
    stays = [disk for disk in guest.carried if disk.key != "vmstate" and not _keeps(guest, disk, kinds)]
    if stays:
        disks = ", ".join(disk.key for disk in stays)
        yield Blocker(
            "guest.snapshots",
            str(guest.id),
            f"{title(guest)} has snapshots ({names}) of local disks ({disks}): PVE does not take both along",
            f"delete the snapshots when nobody needs them ({tool(guest)} delsnapshot {guest.id.vmid} "
            f"{guest.snapshots[0]}), or move {disks} to shared storage",
            {"snapshots": names, "disks": disks},
        )
    for iso in (disk for disk in guest.kept if disk.cdrom):
        yield Blocker(
            "guest.snapshot-iso",
            str(guest.id),
            f"a snapshot of {title(guest)} refers to {iso.volume}, which no other node can read",
            f"delete the snapshot when nobody needs it ({names})",
            {"volume": iso.volume, "snapshots": names},
        )


def _keeps(guest: Guest, disk: Disk, kinds: dict[str, str]) -> bool:
    """Whether the volume's snapshots go with it: a VM's only by replication, a container's with some storages.

    (To which nodes replication leads is for the choice of targets.)
    """
    if guest.kind is GuestKind.LXC:
        return kinds.get(disk.storage) in _KEEP_SNAPSHOTS
    return bool(guest.replicas) and disk.replicate
