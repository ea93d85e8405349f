"""Build worlds: the default one is the cluster ``ams1``, whose node ``pve3`` has the story's failing fan."""

from __future__ import annotations

from noout.lab.world import cast
from noout.lab.world.ceph_map import crush
from noout.lab.world.chance import hexdigits, uuid
from noout.lab.world.model import (
    Bmc,
    Ceph,
    Cluster,
    Disk,
    Fan,
    GiB,
    Guest,
    Ha,
    HaResource,
    HaRule,
    HaService,
    LogRecord,
    Lrm,
    Mgr,
    Mon,
    Node,
    Osd,
    Pg,
    Pool,
    Psu,
    Storage,
    Temperature,
    TiB,
    Token,
    World,
)

EPOCH = 1_796_032_800.0  # Monday 30 November 2026, 10:00 UTC: office hours
FILL = 0.65  # share of the nodes' memory promised to guests and daemons
PLANNER = frozenset({"Sys.Audit", "VM.Audit", "VM.Migrate", "Datastore.Audit", "Pool.Audit"})
ORCHESTRATOR = PLANNER | {
    "VM.PowerMgmt", "VM.Config.Options", "VM.Config.CDROM", "Sys.PowerMgmt", "Sys.Modify", "Sys.Console",
}  # fmt: skip
CLUSTER_NAMES = ("ams1", "rtm1", "fra1", "mad1")


def build_world(
    nodes: int = 6, guests: int = 24, seed: int = 1, epoch: float = EPOCH, clusters: int = 1, pgs: int = 128
) -> World:
    """A world of ``clusters`` clusters of ``nodes`` nodes and ``guests`` guests each, the same for the same seed."""
    if nodes < 1 or guests < 0 or not 1 <= clusters <= len(CLUSTER_NAMES):
        raise ValueError(f"a world needs 1 or more nodes, 0 or more guests, 1 to {len(CLUSTER_NAMES)} clusters")
    built = {CLUSTER_NAMES[i]: _cluster(i, nodes, guests, seed + 7919 * i, epoch, pgs) for i in range(clusters)}
    return World(seed=seed, epoch=epoch, now=epoch, clusters=built)


def _cluster(index: int, node_count: int, guest_count: int, seed: int, epoch: float, pgs: int) -> Cluster:
    names = [f"pve{i + 1}" for i in range(node_count)]
    people, ha_vmids = cast.cast(names, min(2, node_count - 1), guest_count, seed, epoch)
    guests = {g.vmid: g for g in people}
    for guest in people:
        _furnish(guest, seed)
    nodes = _nodes(index, names, guests, epoch)
    ceph = _ceph(names, guests, seed, index, pgs)
    return Cluster(
        name=CLUSTER_NAMES[index],
        nodes=nodes,
        guests=guests,
        storages=_storages(names, guests, ceph),
        pools={p: cast.POOL_COMMENTS[p] for p in cast.CUSTOMERS},
        ha=_ha(names, guests, ha_vmids, seed, epoch),
        ceph=ceph,
        bmcs={name: _bmc(name, seed, epoch) for name in names},
        tokens=_tokens(seed),
        options={"migration": f"secure,network=10.{77 + index}.0.0/24", "keyboard": "en-us"},
    )


def _furnish(guest: Guest, seed: int) -> None:
    """Disks, and a configuration digest."""
    if guest.type == "lxc":
        guest.disks = [Disk("rootfs", f"rbd:vm-{guest.vmid}-disk-0", 8 * GiB)]
        guest.agent = False
        guest.service = "udp:53" if guest.name.endswith("dns") else "tcp:80"
    else:
        store = "local-lvm" if guest.vmid == cast.LOCAL_DISK else "rbd"
        guest.disks = [Disk("scsi0", f"{store}:vm-{guest.vmid}-disk-0", 32 * GiB)]
        iso = "local:iso/debian-13.1.0-amd64-netinst.iso" if guest.vmid == cast.LOCAL_ISO else "none"
        guest.disks.append(Disk("ide2", iso, 700 * 1024**2 if iso != "none" else 0, cdrom=True))
    guest.digest = hexdigits(40, seed, "digest", guest.vmid)


def _nodes(index: int, names: list[str], guests: dict[int, Guest], epoch: float) -> dict[str, Node]:
    base = 12 * GiB
    per_node = sum(g.maxmem for g in guests.values()) / len(names) + base
    fullest = max(base + sum(g.maxmem for g in guests.values() if g.node == n) for n in names)
    ram = -(-int(max(per_node / FILL, fullest / 0.9, 32 * GiB)) // (4 * GiB)) * 4 * GiB
    return {
        name: Node(
            name=name,
            nodeid=i + 1,
            ip=f"10.{77 + index}.0.{i + 1}",
            booted_at=epoch - 86400 * (40 + 3 * i),
            maxmem=ram,
            base_mem=base,
        )
        for i, name in enumerate(names)
    }


def _storages(names: list[str], guests: dict[int, Guest], ceph: Ceph | None) -> dict[str, Storage]:
    disks = [(g.node, d) for g in guests.values() for d in g.disks if not d.cdrom]
    rbd_used = int(sum(d.size for _, d in disks if d.storage == "rbd") * 0.45)
    stores = [
        Storage("local", "dir", False, "iso,vztmpl,backup", 94 * GiB, {n: 9 * GiB for n in names}),
        Storage("local-lvm", "lvmthin", False, "images,rootdir", 340 * GiB, {n: 6 * GiB for n in names}),
    ]
    if ceph is not None:
        usable = int(sum(o.size for o in ceph.osds.values()) / 3 * 0.9)
        stores.append(Storage("rbd", "rbd", True, "images,rootdir", usable, {"": rbd_used}))
    return {s.storage: s for s in stores}


def _ha(names: list[str], guests: dict[int, Guest], vmids: list[int], seed: int, epoch: float) -> Ha:
    ha = Ha(master=names[0], timestamp=epoch)
    for vmid in vmids:
        sid = f"vm:{vmid}"
        ha.resources[sid] = HaResource(sid)
        ha.services[sid] = HaService(sid, guests[vmid].node, uid=hexdigits(22, seed, "uid", sid))
    ha.node_status = dict.fromkeys(names, "online")
    busy = {guests[v].node for v in vmids}
    ha.lrm = {n: Lrm(state="active" if n in busy else "wait_for_agent_lock", timestamp=epoch) for n in names}
    if all(v in vmids for v in cast.ANTI_AFFINITY):
        pair = [f"vm:{v}" for v in cast.ANTI_AFFINITY]
        ha.rules[cast.STORY_PAIR] = HaRule(cast.STORY_PAIR, "resource-affinity", pair, affinity="negative")
    return ha


def _ceph(names: list[str], guests: dict[int, Guest], seed: int, index: int, pgs: int) -> Ceph | None:
    """Hyperconverged from three nodes up: mons on the first three, OSDs (2 to 4) on every node."""
    if len(names) < 3:
        return None
    ceph = Ceph(fsid=uuid(seed, "fsid"), mgr_active=names[0])
    number = 0
    for i, name in enumerate(names):
        for _ in range((3, 4, 3, 2, 3, 3)[i % 6]):
            size = int(1.92 * TiB / 1.1)
            ceph.osds[number] = Osd(number, name, uuid(seed, "osd", number), size, 0)
            number += 1
    for rank, name in enumerate(names[:3]):
        ceph.mons[name] = Mon(name, rank, f"10.{77 + index}.0.{rank + 1}")
    ceph.mgrs = {name: Mgr(name) for name in names[:2]}
    stored = int(sum(d.size for g in guests.values() for d in g.disks if d.storage == "rbd") * 0.45)
    ceph.pools = {1: Pool(1, ".mgr", pg_num=1, used=2 * 1024**2), 2: Pool(2, "rbd", pg_num=pgs, used=stored)}
    for pool in ceph.pools.values():
        for n in range(pool.pg_num):
            pgid = f"{pool.id}.{n:x}"
            acting = crush(ceph, pgid, pool.size)
            ceph.pgs[pgid] = Pg(pgid, list(acting), up=list(acting))
            for osd in acting:
                ceph.osds[osd].used += pool.used // pool.pg_num
    return ceph


def _bmc(node: str, seed: int, epoch: float) -> Bmc:
    fans = [Fan(f"FAN{i}{side}", zone=0 if side == "A" else 1) for i in (1, 2, 3) for side in "AB"]
    for fan in fans:
        fan.rpm = 8400.0 if fan.zone == 0 else 7600.0  # the two rotors of a pair turn at unlike speeds
    heat = [("Inlet", 22.0, 42.0), ("CPU1", 52.0, 95.0), ("CPU2", 50.0, 95.0), ("DIMM A1", 38.0, 85.0)]
    return Bmc(
        node=node,
        serial=f"LAB{hexdigits(7, seed, 'serial', node).upper()}",
        fans={f.name: f for f in fans},
        temperatures={n: Temperature(n, c, limit) for n, c, limit in heat},
        psus={n: Psu(n) for n in ("PSU1", "PSU2")},
        log=[LogRecord(1, epoch - 86400 * 39, "OK", "Log cleared", message_id="LogCleared")],
    )


def _tokens(seed: int) -> list[Token]:
    return [
        Token("root@pam", "lab", uuid(seed, "token", "root"), {"/": frozenset({"*"})}),
        Token("root@pam", None, hexdigits(20, seed, "password", "root"), {"/": frozenset({"*"})}),
        Token("noout@pve", "lab", uuid(seed, "token", "noout"), {"/": ORCHESTRATOR}),
        Token("noout@pve", "plan", uuid(seed, "token", "plan"), {"/": PLANNER}),
    ]
