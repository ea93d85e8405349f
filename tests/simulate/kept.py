"""Answers to questions asked before, kept as long as what they tell of in the world is the same.

What an answer tells of is known by its path: nodes, guests, HA, tasks, Ceph or a BMC. Each of these has a picture: all
its records, byte by byte. An answer holds while the pictures of its kind are the same; figures that count seconds
(uptimes, octets) matter to nobody and may be as old as the answer, except for a node's uptime, from which a reboot is
told: that one is as old as pvestatd's, at most. What an adapter made of all its answers is kept in the same way.
``python -m tests.simulate --compare`` proves it: with nothing kept, every journal is the same to the last bit.
"""

from __future__ import annotations

import marshal
import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, TypeVar

from noout.lab.world.laws import Laws
from noout.lab.world.model import Ceph, Cluster, Guest

CLOCKED_S = 10.0  # as often as pvestatd tells the cluster
FANS_S = 30.0  # how old the reading of a fan may be; what judges them reads the log too, and never what was kept
HA_DEAD_S = 30.0  # how old a time stamp of HA may be

# By question: the pictures that the answer is made of; none: never kept.
_KINDS: tuple[tuple[re.Pattern[str], tuple[str, ...]], ...] = (
    (re.compile(r"^ceph .*(mon dump|mon metadata)"), ("mons",)),
    (re.compile(r"^ceph .*mgr dump"), ("mons", "mgrs")),
    (re.compile(r"^ceph .*osd (dump|tree)"), ("mons", "osds")),
    (re.compile(r"^ceph .*osd df"), ("mons", "mgrs", "osds", "pgs")),
    (re.compile(r"^ceph "), ("mons", "mgrs", "osds", "pgs", "mds")),
    (re.compile(r"/tasks/|/log$|/rrd|Sessions|/time$|/access/|Entries|(qemu|lxc)/.*/status/current$"), ()),
    (re.compile(r"Thermal$"), ("bmc", "fans")),
    (re.compile(r"^/redfish/.*(Managers|LogServices|Sensors|Subsystem|Fans)"), ()),
    (re.compile(r"^/redfish/"), ("bmc",)),
    (re.compile(r"/nodes/(?P<about>[^/]+)/tasks$"), ("up", "tasks")),
    (re.compile(r"/nodes/(?P<about>[^/]+)/(qemu|lxc)(/\d+/(config|pending))?$"), ("up", "here")),
    (re.compile(r"/cluster/ha/(resources|rules)$"), ("up", "wishes", "places")),
    (re.compile(r"/cluster/ha/"), ("up", "ha", "wishes", "places")),
    (re.compile(r"/nodes$"), ("nodes", "places", "clock")),
    (re.compile(r"/nodes/[^/]+/status$"), ("nodes", "places")),
    (re.compile(r"/cluster/resources$"), ("nodes", "guests", "ha", "wishes", "published")),
    (re.compile(r"/nodes/[^/]+/(network|storage)$|/cluster/config/"), ("nodes", "options")),
    (re.compile(r"/nodes/[^/]+/config$"), ("up", "notes")),
    (re.compile(r"/version$|/cluster/(options|status)$"), ("up", "options")),
)  # fmt: skip


@dataclass
class Kept:
    """``touched``: a hand that is not noout's did something to the world: nothing kept holds any more.

    ``asked``: noout is about to change something, of which ``on_effect`` is told: the pictures are taken anew.
    """

    laws: Laws
    cluster: Cluster
    on_effect: Callable[[str], None] = lambda effect: None
    off: bool = False
    hands: int = 0
    effects: int = 0
    answers: dict[tuple[object, ...], tuple[object, Any]] = field(default_factory=dict)
    _kinds: dict[str, tuple[tuple[str, ...], str]] = field(default_factory=dict)
    _moment: object = None
    _pictures: dict[tuple[str, str], object] = field(default_factory=dict)

    def touched(self) -> None:
        self.hands += 1

    def asked(self, effect: str) -> None:
        self.effects += 1
        self.on_effect(effect)

    def done(self) -> None:
        self.effects += 1

    def held(self, key: tuple[object, ...], stamp: object) -> Any:
        """The answer that was kept under ``key``, if it still holds."""
        held = self.answers.get(key)
        return held[1] if held is not None and held[0] == stamp else None

    def stamp(self, question: str, bmc: str = "") -> object | None:
        """What must be the same for a kept answer to hold; None where nothing is kept.

        ``question``: a path, or a command; ``bmc``: of which node, if one is asked.
        """
        known = self._kinds.get(question)
        if known is None:
            known = self._kinds[question] = _kinds(question)
        kinds, about = known
        if self.off or not kinds or (question[0] == "/" and self._meddled_with(question)):
            return None
        return self._stamp(kinds, about or bmc)

    def _meddled_with(self, path: str) -> bool:
        """Whether a fault of the wire may change this answer."""
        return any(re.search(each.pattern, f"GET {_short(path)}") for each in self.cluster.wire_faults)

    def _api_meddled_with(self) -> bool:
        """Whether one may change what is seen of the cluster: any of the answers that it is seen from."""
        if not self.cluster.wire_faults:
            return False
        return any(
            kinds and path.startswith(API) and self._meddled_with(path) for path, (kinds, _) in self._kinds.items()
        )

    def _stamp(self, kinds: tuple[str, ...], node: str = "") -> tuple[object, ...]:
        laws = self.laws
        laws.advance()
        moment = (laws.world.now, laws.ran, self.hands, self.effects)
        if moment != self._moment:
            self._moment = moment
            self._pictures.clear()
        return (self.hands, *[self._picture(kind, node) for kind in kinds])

    async def look(
        self, kinds: tuple[str, ...], node: str, now: Callable[[], datetime], real: Callable[[], Awaitable[T]],
        own: Callable[[], object] = lambda: (),
    ) -> T:  # fmt: skip
        """What ``real`` sees, or saw when all was as it is now. ``own``: what the one who looks knows already; None
        when it has grown too old."""
        api = kinds is HYPERVISOR
        if self.off or (api and self._api_meddled_with()):
            return await real()
        began, stamp, known = now(), self._stamp(kinds, node), own()
        held: Any = self.held((kinds, node), (stamp, known)) if known is not None else None
        if held is not None:
            return replace(held, at=began)  # type: ignore[no-any-return]
        seen: Any = await real()
        # What took its time (a command that hangs, a second try) takes it every time.
        if now() == began and not (api and self._api_meddled_with()) and self._stamp(kinds, node) == stamp:
            self.answers[kinds, node] = ((stamp, own()), seen)
        return seen  # type: ignore[no-any-return]

    def _picture(self, kind: str, node: str) -> object:
        found = self._pictures.get((kind, node))
        if found is None:
            found = self._pictures[kind, node] = _PICTURES[kind](self.laws, self.cluster, node)
        return found


T = TypeVar("T")
API = "/api2/json"
HYPERVISOR = ("up", "nodes", "guests", "ha", "wishes", "published", "tasks", "options")
CEPH = ("mons", "mgrs", "osds", "pgs", "mds")


def _kinds(question: str) -> tuple[tuple[str, ...], str]:
    """The pictures it is answered from, and the node that it is about (by its path)."""
    for pattern, kinds in _KINDS:
        if (found := pattern.search(question)) is not None:
            return kinds, found.groupdict().get("about", "")
    return (), ""


def _short(path: str) -> str:
    return path.removeprefix(API)


def _all(records: Iterable[object]) -> list[dict[str, Any]]:
    return [vars(each) for each in records]


def _bytes(*what: object) -> bytes:
    return marshal.dumps(what, 2)  # version 2 tells by value alone


def _nodes(laws: Laws, cluster: Cluster, _: str) -> object:
    return _bytes(cluster.quorate, [vars(node) | {"description": ""} for node in cluster.nodes.values()])


def _notes(laws: Laws, cluster: Cluster, _: str) -> object:
    return _bytes([(node.description, node.wakeonlan) for node in cluster.nodes.values()])


def _guest(guest: Guest) -> dict[str, Any]:
    return vars(guest) | {"disks": _all(guest.disks), "snapshots": _all(guest.snapshots), "dark": 0}


def _guests(laws: Laws, cluster: Cluster, _: str) -> object:
    moves = [(each.guest, each.target, each.online) for each in cluster.migrations.values()]
    return _bytes([_guest(guest) for guest in cluster.guests.values()], moves)


def _here(laws: Laws, cluster: Cluster, node: str) -> object:
    return _bytes([_guest(guest) for guest in cluster.guests.values() if guest.node == node])


def _published(laws: Laws, cluster: Cluster, _: str) -> object:
    stores = [(each.total, each.used) for each in cluster.storages.values()]
    return _bytes([laws.published_status(cluster, vmid) for vmid in cluster.guests], stores)


def _ha(laws: Laws, cluster: Cluster, _: str) -> object:
    ha, now = cluster.ha, laws.now
    lrms = [(vars(each) | {"timestamp": 0}, now - each.timestamp <= HA_DEAD_S) for each in ha.lrm.values()]
    alive = now - ha.timestamp <= HA_DEAD_S
    ours = (ha.master, ha.armed, ha.disarm_mode, ha.node_status, ha.node_request, alive)
    return _bytes(ours, lrms, _all(ha.services.values()))


def _wishes(laws: Laws, cluster: Cluster, _: str) -> object:
    return _bytes(_all(cluster.ha.resources.values()), _all(cluster.ha.rules.values()))


def _places(laws: Laws, cluster: Cluster, _: str) -> object:
    """Where guests are and what they weigh there."""
    return _bytes([(g.vmid, g.node, g.status, g.maxmem, g.cores, g.cpu) for g in cluster.guests.values()])


def _tasks(laws: Laws, cluster: Cluster, node: str) -> object:
    running = [task for task in cluster.tasks.values() if task.status == "running"]
    return _bytes([task.upid for task in running if node in ("", task.node)])


def _options(laws: Laws, cluster: Cluster, _: str) -> object:
    return _bytes(cluster.options, cluster.version, cluster.qdevice, [_all(cluster.storages.values())])


def _clock(laws: Laws, cluster: Cluster, _: str) -> object:
    return laws.now // CLOCKED_S


def _up(laws: Laws, cluster: Cluster, _: str) -> object:
    return _bytes(cluster.quorate, [(node.online, node.proxy_broken) for node in cluster.nodes.values()])


def _ceph(cluster: Cluster) -> Ceph:
    assert cluster.ceph is not None
    return cluster.ceph


def _mons(laws: Laws, cluster: Cluster, _: str) -> object:
    elects = laws.now < laws._election_until.get(cluster.name, 0.0)
    return _bytes(_all(_ceph(cluster).mons.values()), elects, [node.online for node in cluster.nodes.values()])


def _mgrs(laws: Laws, cluster: Cluster, _: str) -> object:
    return _bytes(_ceph(cluster).mgr_active, _all(_ceph(cluster).mgrs.values()))


def _osds(laws: Laws, cluster: Cluster, _: str) -> object:
    ceph = _ceph(cluster)
    flags = (ceph.flags, ceph.crush_node_flags, ceph.epoch)
    return _bytes(flags, _all(ceph.osds.values()), _all(ceph.pools.values()))


def _pgs(laws: Laws, cluster: Cluster, _: str) -> object:
    beside = [laws._frozen.get(cluster.name), sorted(laws._moving.get(cluster.name, ()))]
    return _bytes(_all(_ceph(cluster).pgs.values()), beside, _ceph(cluster).bytes_moved)


def _mds(laws: Laws, cluster: Cluster, _: str) -> object:
    return _bytes(_ceph(cluster).mds_active, _ceph(cluster).services)


def _bmc(laws: Laws, cluster: Cluster, node: str) -> object:
    bmc = cluster.bmcs[node]
    records = {name: _all(getattr(bmc, name).values()) for name in ("fans", "temperatures", "psus")}
    seen = (laws.power_state(cluster, node), cluster.nodes[node].power, len(bmc.log))
    stands = [fan.name for fan in bmc.fans.values() if any(a <= laws.now < b for a, b in fan.stops[-5:])]
    return _bytes(vars(bmc) | records | {"log": 0}, seen, stands)


def _fans(laws: Laws, cluster: Cluster, node: str) -> object:
    return laws.now // FANS_S


_PICTURES: dict[str, Callable[[Laws, Cluster, str], object]] = {
    "up": _up, "nodes": _nodes, "notes": _notes, "guests": _guests, "here": _here, "places": _places,
    "published": _published, "ha": _ha, "wishes": _wishes, "tasks": _tasks, "options": _options, "clock": _clock,
    "mons": _mons, "mgrs": _mgrs, "osds": _osds, "pgs": _pgs, "mds": _mds, "bmc": _bmc, "fans": _fans,
}  # fmt: skip
