"""The guests of the default world: the cast that the story needs on one node, and the crowd on the others."""

from __future__ import annotations

from noout.lab.world.chance import between, share
from noout.lab.world.model import GiB, Guest, GuestType, MiB

CUSTOMERS = ("boekhuis", "mercato", "zonneweb")
POOL_COMMENTS = {"boekhuis": "Boekhuis B.V.", "mercato": "Mercato S.L.", "zonneweb": "Zonneweb Hosting"}

# vmid, name, type, node (0-based from the story node), RAM GiB, pool, tags, HA, local resources
_CAST: tuple[tuple[int, str, GuestType, int, int, str | None, tuple[str, ...], bool, tuple[str, ...]], ...] = (
    (100, "boekhuis-web", "qemu", 0, 4, "boekhuis", ("prod",), True, ()),
    (101, "boekhuis-db", "qemu", 0, 8, "boekhuis", ("prod",), True, ()),
    (200, "zonneweb-dns", "lxc", 0, 2, "zonneweb", ("relocate-ok",), False, ()),
    (106, "zonneweb-licence", "qemu", 0, 2, "zonneweb", ("shutdown-ok",), False, ("usb0",)),
    (102, "mercato-shop-a", "qemu", 0, 4, "mercato", ("prod",), True, ()),
    (103, "mercato-shop-b", "qemu", 1, 4, "mercato", ("prod",), True, ()),
    (104, "mercato-search", "qemu", 0, 8, "mercato", (), False, ()),
    (107, "lindeboom-erp", "qemu", 0, 4, None, ("customer-lindeboom",), False, ()),
    (108, "monitor", "qemu", 0, 2, None, ("infra",), False, ()),
    (109, "zonneweb-build", "qemu", 2, 4, "zonneweb", (), False, ()),  # holds an ISO of its node's own store
    (110, "mercato-archive", "qemu", 3, 4, "mercato", (), False, ()),  # holds a disk of its node's own store
)
LOCAL_ISO, LOCAL_DISK = 109, 110
ANTI_AFFINITY = (102, 103)
STORY_PAIR = "shop-apart"


def cast(node_names: list[str], story: int, count: int, seed: int, epoch: float) -> tuple[list[Guest], list[int]]:
    """The first ``count`` guests and the vmids under HA; the crowd goes where least memory is promised."""
    guests: list[Guest] = []
    ha: list[int] = []
    promised = dict.fromkeys(node_names, 0)
    for vmid, name, kind, offset, ram, pool, tags, is_ha, local in _CAST[:count]:
        node = node_names[(story + offset) % len(node_names)]
        guests.append(_guest(vmid, name, kind, node, ram, seed, epoch))
        guests[-1].pool, guests[-1].tags, guests[-1].local_resources = pool, list(tags), list(local)
        promised[node] += ram * GiB
        if is_ha:
            ha.append(vmid)
    for i in range(count - len(guests)):
        kind = "lxc" if i % 7 == 5 else "qemu"
        ram = (4, 8, 8, 16, 4, 2, 8)[int(share(seed, "ram", i) * 7)] if kind == "qemu" else 2
        node = min(node_names, key=lambda n: (promised[n], n))
        who = CUSTOMERS[i % 4] if i % 4 < 3 else None
        name = f"{who or 'infra'}-{('app', 'cache', 'mail', 'web', 'queue')[i % 5]}-{i + 1}"
        guest = _guest((201 if kind == "lxc" else 111) + i, name, kind, node, ram, seed, epoch)
        guest.vmid = 300 + i if guest.vmid >= 200 and kind == "qemu" else guest.vmid
        if kind == "lxc" and i >= 90:
            guest.vmid = 100_000 + i
        guest.pool = who
        guest.tags = ["infra"] if who is None else (["relocate-ok"] if kind == "lxc" else [])
        promised[node] += ram * GiB
        guests.append(guest)
        if kind == "qemu" and i % 3 == 0:
            ha.append(guest.vmid)
    return guests, ha


def _guest(vmid: int, name: str, kind: GuestType, node: str, ram_gib: int, seed: int, epoch: float) -> Guest:
    return Guest(
        vmid=vmid,
        name=name,
        type=kind,
        node=node,
        maxmem=ram_gib * GiB,
        cores=2 if ram_gib < 8 else 4,
        cpu=round(between(0.02, 0.45, seed, "cpu", vmid), 3),
        dirty_rate=int(between(1, 40, seed, "dirty", vmid)) * MiB,
        started_at=epoch - between(5, 90, seed, "uptime", vmid) * 86400,
        ip=f"10.20.{vmid // 250 % 250}.{vmid % 250 + 2}",
    )
