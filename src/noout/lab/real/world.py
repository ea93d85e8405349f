"""The world of the lab with real parts: four nodes, six small guests, three of them on the node of the story."""

from __future__ import annotations

from noout.lab.real.ceph import HOSTS, MGRS, MONS, OSDS, POOL, RealCeph
from noout.lab.real.ipmi import FANS, FULL_RPM, LOWER
from noout.lab.real.machines import DISK_BYTES
from noout.lab.real.network import guest_address
from noout.lab.real.qemu import RAM_MIB
from noout.lab.world.build import build_world
from noout.lab.world.model import Ceph, Cluster, Disk, Fan, GiB, Guest, Mgr, MiB, Mon, Osd, Storage, World

NODES = len(HOSTS)
FILES, RBD = "shared", POOL
_CAST = (
    ("boekhuis-web", "boekhuis"), ("mercato-shop", "mercato"), ("zonneweb-site", "zonneweb"),
    ("mercato-search", "mercato"), ("boekhuis-mail", "boekhuis"), ("monitor", None),
    ("zonneweb-build", "zonneweb"), ("mercato-queue", "mercato"),
)  # fmt: skip
_PLACES = (3, 3, 3, 1, 2, 4, 1, 2)  # the node of the story is the third
GUESTS_MAX = len(_CAST)


def real_world(now: float, guests: int, ceph: RealCeph | None) -> World:
    """``guests``: how many of the cast. With a Ceph the guests' disks are images in it, else files that all share."""
    world = build_world(nodes=NODES, guests=0, epoch=now)
    (cluster,) = world.clusters.values()
    storage = FILES if ceph is None else RBD
    cluster.guests = {
        101 + i: _guest(101 + i, name, pool, f"pve{node}", storage)
        for i, ((name, pool), node) in enumerate(zip(_CAST[:guests], _PLACES, strict=False))
    }
    kind = "dir" if ceph is None else "rbd"
    used = {"": guests * DISK_BYTES}
    cluster.storages = {storage: Storage(storage, kind, True, "images", 8 * GiB, used)}
    cluster.options = {"migration": "insecure,network=10.78.0.0/24", "keyboard": "en-us"}
    for node, lrm in cluster.ha.lrm.items():
        lrm.state = "wait_for_agent_lock"
        cluster.bmcs[node].fans = {fan: Fan(fan, float(FULL_RPM), float(LOWER[1])) for fan in FANS}
    cluster.ceph = None if ceph is None else _services(ceph)
    return world


def _guest(vmid: int, name: str, pool: str | None, node: str, storage: str) -> Guest:
    return Guest(
        vmid=vmid,
        name=name,
        type="qemu",
        node=node,
        status="stopped",
        maxmem=RAM_MIB * MiB,
        cores=1,
        cpu=0.02,
        dirty_rate=0,
        disks=[Disk("scsi0", f"{storage}:vm-{vmid}-disk-0", DISK_BYTES)],
        tags=[] if pool else ["infra"],
        pool=pool,
        cpu_type="qemu64",
        agent=False,
        ip=guest_address(vmid),
    )


def _services(ceph: RealCeph) -> Ceph:
    """Which daemons live where: all that Proxmox VE has to know to start and stop them."""
    osds = {osd: Osd(osd, host, ceph.uuids[osd], 8 * GiB, 0) for host, mine in OSDS.items() for osd in mine}
    mons = {host: Mon(host, rank, ceph.address(host)) for rank, host in enumerate(MONS)}
    return Ceph(ceph.fsid, osds=osds, mons=mons, mgrs={host: Mgr(host) for host in MGRS}, mgr_active=MGRS[0])


def vmids(cluster: Cluster, node: str) -> list[int]:
    return [vmid for vmid, guest in cluster.guests.items() if guest.node == node]
