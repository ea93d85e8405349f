"""What a family's cluster has beside nodes and guests: every kind of action has its occasion in some of them."""

from __future__ import annotations

from random import Random

from noout.lab.world.ceph_map import crush
from noout.lab.world.laws import Laws
from noout.lab.world.model import Ceph, Cluster, Guest, HaRule, Mgr
from tests.sim.story import NODE
from tests.simulate.troubles import TROUBLES

EXTRAS = (
    "container", "mgr", "mds", "iso", "failback", "rebalancer", "no-maintenance-mode", "no-host-flags",
)  # fmt: skip
REFUSED = "Error EACCES: access denied"


def furnish(laws: Laws, cluster: Cluster, family: int, rng: Random) -> None:
    """Few and small guests and OSDs (hours of copying tell no more than minutes), and occasion for each action."""
    ceph, ha = cluster.ceph, cluster.ha
    assert ceph is not None
    has = {each for each in EXTRAS if _has(each, family)}
    _keep_osds(ceph, {"pve1": 1, "pve2": 2, NODE.name: 2, "pve4": 1})
    _keep_guests(cluster, {100, 106, 200 if "container" in has else 101})
    for guest in cluster.guests.values():
        guest.maxmem //= rng.choice((1, 2, 4))
    if "container" not in has and rng.random() < 0.8:  # one guest moves without HA
        del ha.resources["vm:101"], ha.services["vm:101"]
    if "mgr" in has:
        ceph.mgrs[NODE.name] = Mgr(NODE.name)
        ceph.mgr_active = NODE.name
    if "mds" in has:
        ceph.services += [("mds", NODE.name), ("mds", "pve4")]
    if "iso" in has:
        _with_a_local_iso(cluster.guests[100])
    if "failback" in has:  # HA would fetch it back
        laws.rule_set(cluster, HaRule("home", "node-affinity", ["vm:100"], nodes={NODE.name: 2, "pve1": 1}))
    if "rebalancer" in has:
        cluster.options["crs"] = "ha=basic,ha-rebalance-on-start=1"
    if "no-maintenance-mode" in has:  # the node can be closed by a rule alone
        laws.fault(cluster, "shell-error", pattern="ha-manager crm-command", text=REFUSED, exit=13)
    if "no-host-flags" in has:  # the data can be held by the whole cluster's flag alone
        laws.fault(cluster, "shell-error", pattern="ceph .*osd (un)?set-group", text=REFUSED, exit=13)


def _has(extra: str, family: int) -> bool:
    """Every other time that the same pairs have their turn, and for unlike families at unlike times."""
    turn, place = divmod(family, len(TROUBLES))
    return (turn + Random(f"{extra} {place}").randrange(2)) % 2 == 0


def _keep_osds(ceph: Ceph, wanted: dict[str, int]) -> None:
    for host, count in wanted.items():
        for osd in sorted(osd.id for osd in ceph.osds.values() if osd.host == host)[count:]:
            del ceph.osds[osd]
    for pg in ceph.pgs.values():
        pg.acting = list(crush(ceph, pg.pgid, 3))
        pg.up = list(pg.acting)


def _keep_guests(cluster: Cluster, wanted: set[int]) -> None:
    for vmid in sorted(set(cluster.guests) - wanted):
        del cluster.guests[vmid]
        cluster.ha.resources.pop(f"vm:{vmid}", None)
        cluster.ha.services.pop(f"vm:{vmid}", None)


def _with_a_local_iso(guest: Guest) -> None:
    drive = next(disk for disk in guest.disks if disk.cdrom)
    drive.volid, drive.size = "local:iso/debian-13.1.0-amd64-netinst.iso", 700 * 1024**2
    guest.tags = [*guest.tags, "eject-ok"]
