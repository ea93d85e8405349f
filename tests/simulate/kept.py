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
from collections.abc import Awaitable, Callable, Hashable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any, Protocol, TypeVar

from noout.adapters.http import Answer
from noout.lab.world.laws import Laws
from noout.lab.world.model import Ceph, Cluster, Guest
from tests.simulate.quick import changed

STATES_MAX = 200  # of the world, of which the same answer is kept
CLOCKED_S = 10.0  # as often as pvestatd tells the cluster
FANS_S = 300.0  # how old the reading of a fan may be; what judges them reads the log too, and never what was kept
HA_DEAD_S = 30.0  # how old a time stamp of HA may be

# By question: the pictures that the answer is made of; none: never kept.
_KINDS: tuple[tuple[re.Pattern[str], tuple[str, ...]], ...] = (
    (re.compile(r"^ceph .*(mon dump|mon metadata)"), ("mons",)),
    (re.compile(r"^ceph .*mgr dump"), ("mons", "mgrs")),
    (re.compile(r"^ceph .*osd (dump|tree)"), ("mons", "osds")),
    (re.compile(r"^ceph .*osd df"), ("mons", "mgrs", "osds", "pgs")),
    (re.compile(r"^ceph "), ("mons", "mgrs", "osds", "pgs", "mds")),
    (re.compile(r"/tasks/|/log$|/rrd|Sessions|/time$|/access/|Entries"), ()),
    (re.compile(r"Thermal$"), ("bmc", "fans")),
    (re.compile(r"^/redfish/.*(Managers|LogServices|Sensors|Subsystem|Fans)"), ()),
    (re.compile(r"^/redfish/"), ("bmc",)),
    (re.compile(r"/nodes/(?P<about>[^/]+)/tasks$"), ("up", "tasks")),
    (re.compile(r"/nodes/(?P<about>[^/]+)/(qemu|lxc)(/\d+/(config|pending))?$"), ("up", "here")),
    (re.compile(r"/nodes/(?P<about>[^/]+)/(qemu|lxc)/\d+/status/current$"), ("up", "here", "ha", "wishes")),
    (re.compile(r"/cluster/ha/(resources|rules)$"), ("up", "wishes", "places")),
    (re.compile(r"/cluster/ha/"), ("up", "ha", "wishes", "places")),
    (re.compile(r"/nodes$"), ("nodes", "boots", "places", "clock")),
    (re.compile(r"/nodes/[^/]+/status$"), ("nodes", "boots", "places")),
    (re.compile(r"/cluster/resources$"), ("nodes", "guests", "ha", "wishes", "published")),
    (re.compile(r"/nodes/[^/]+/(network|storage)$|/cluster/config/"), ("nodes", "options")),
    (re.compile(r"/nodes/[^/]+/config$"), ("up", "notes")),
    (re.compile(r"/version$|/cluster/(options|status)$"), ("up", "options")),
)  # fmt: skip


T = TypeVar("T")


@dataclass
class Answers:
    """What was answered in the histories of one family so far, by question and by what it tells of."""

    by_question: dict[tuple[object, ...], dict[object, Any]] = field(default_factory=dict)
    stamps: dict[tuple[object, ...], int] = field(default_factory=dict)  # pictures -> a number for them
    same: dict[bytes, Any] = field(default_factory=dict)  # what was read before, by what is in it
    kinds: dict[str, tuple[tuple[str, ...], str]] = field(default_factory=dict)  # of every question so far
    numbers: dict[int, int] = field(default_factory=dict)  # ... and by which object it is


@dataclass(frozen=True)
class Shown:
    """An answer, by which door it came, and what that door keeps of it, under which name, to show it when stale."""

    answer: Answer
    door: object = None
    name: str = ""
    last: Any = None


class Memory(Protocol):
    """What the one who looks remembers of earlier looks, which has its part in what is seen."""

    def now(self) -> Hashable: ...

    def restore(self, after: Any) -> None:
        """As it was after a look: ``after`` is what ``learned`` said then."""

    def learned(self) -> Any: ...


@dataclass
class Kept:
    """``touched``: a hand that is not noout's did something to the world: the pictures are taken anew.

    ``asked``: so they are when noout is about to change something, of which ``on_effect`` is told.
    """

    laws: Laws
    cluster: Cluster
    answers: Answers
    on_effect: Callable[[str], None] = lambda effect: None
    off: bool = False
    hands: int = 0
    effects: int = 0
    doors: dict[object, dict[str, Any]] = field(default_factory=dict)  # what each has shown last, for stale answers
    shows: list[tuple[tuple[object, ...], Shown]] = field(default_factory=list)  # since somebody emptied it
    _shown: dict[tuple[object, ...], Shown] = field(default_factory=dict)
    _replayed: dict[tuple[tuple[str, ...], str], object] = field(default_factory=dict)  # looks whose answers are _shown
    _happened: object = None  # what the world is made of: as long as it stands, only time has passed
    _now: float = -1.0
    _pictures: dict[tuple[str, str], object] = field(default_factory=dict)
    _stamps: dict[tuple[tuple[str, ...], str], int] = field(default_factory=dict)
    _fleeting: dict[tuple[tuple[str, ...], str], int] = field(default_factory=dict)  # those that time alone may change

    def touched(self) -> None:
        self.hands += 1

    def asked(self, effect: str) -> None:
        self.effects += 1
        self.on_effect(effect)

    def done(self) -> None:
        self.effects += 1

    def held(self, key: tuple[object, ...], stamp: Hashable) -> Any:
        """The answer that was kept under ``key``, if one holds."""
        held = self.answers.by_question.get(key)
        return held.get(stamp) if held is not None else None

    def hold(self, key: tuple[object, ...], stamp: Hashable, answer: object) -> None:
        held = self.answers.by_question.setdefault(key, {})
        if len(held) >= STATES_MAX:
            held.clear()
        held[stamp] = answer

    def show(self, key: tuple[object, ...], shown: Shown) -> Shown:
        """This is the answer to ``key`` now, also for the lab, which may show it again when it is stale."""
        self.shows.append((key, shown))
        if self._shown.get(key) is not shown:
            self._shown[key] = shown
            self._replayed.clear()
            if shown.last is not None:
                self.doors[shown.door][shown.name] = shown.last
        return shown

    def stamp(self, question: str, bmc: str = "") -> int | None:
        """What must be the same for a kept answer to hold; None where nothing is kept.

        ``question``: a path, or a command; ``bmc``: of which node, if one is asked.
        """
        known = self.answers.kinds.get(question)
        if known is None:
            known = self.answers.kinds[question] = _kinds(question)
        kinds, about = known
        if self.off or not kinds or (question[0] == "/" and self._meddled_with(question)):
            return None
        return self._stamp(kinds, about or bmc)

    def _meddled_with(self, path: str) -> bool:
        """Whether a fault of the wire may change this answer."""
        faults = self.cluster.wire_faults
        return bool(faults) and any(_fits(each.pattern, path) for each in faults)

    def _api_meddled_with(self) -> bool:
        """Whether one may change what is seen of the cluster: any of the answers that it is seen from."""
        if not self.cluster.wire_faults:
            return False
        return any(
            kinds and path.startswith(API) and self._meddled_with(path)
            for path, (kinds, _) in self.answers.kinds.items()
        )

    def _stamp(self, kinds: tuple[str, ...], node: str = "") -> int:
        laws = self.laws
        now = laws.advance()
        happened = (laws.ran, self.hands, self.effects)
        if happened != self._happened:
            self._happened, self._now = happened, now
            self._pictures.clear()
            self._stamps.clear()
            self._fleeting.clear()
        elif now != self._now:
            self._now = now
            self._fleeting.clear()
        asked = kinds, node
        found = self._stamps.get(asked) or self._fleeting.get(asked)
        if found is None:
            stamps = self._stamps if FLEETING.isdisjoint(kinds) else self._fleeting
            pictures = (kinds, self._picture("faults", ""), *[self._picture(kind, node) for kind in kinds])
            found = stamps[asked] = self.answers.stamps.setdefault(pictures, len(self.answers.stamps) + 1)
        return found

    async def look(
        self, kinds: tuple[str, ...], node: str, now: Callable[[], datetime], real: Callable[[], Awaitable[T]],
        memory: Memory,
    ) -> T:  # fmt: skip
        """What ``real`` sees, or saw when all was as it is now."""
        api = kinds is HYPERVISOR
        if self.off or (api and self._api_meddled_with()):
            return await real()
        began, stamp = now(), (self._stamp(kinds, node), memory.now())
        held: Any = self.held((kinds, node), stamp)
        if held is not None:
            seen, after, shows = held
            if self._replayed.get((kinds, node)) is not shows:
                for key, shown in shows:
                    self.show(key, shown)
                self._replayed[kinds, node] = shows
            if after:
                memory.restore(after)
            return changed(seen, at=began)  # type: ignore[no-any-return]
        self.shows.clear()
        seen = await real()
        # What took its time (a command that hangs, a second try) takes it every time.
        if now() == began and not (api and self._api_meddled_with()) and self._stamp(kinds, node) == stamp[0]:
            self.hold((kinds, node), stamp, (seen, memory.learned(), tuple(self.shows)))
        return seen  # type: ignore[no-any-return]

    def _picture(self, kind: str, node: str) -> object:
        if kind in FLEETING:
            return _PICTURES[kind](self.laws, self.cluster, node)
        found = self._pictures.get((kind, node))
        if found is None:
            found = self._pictures[kind, node] = _PICTURES[kind](self.laws, self.cluster, node)
        return found


API = "/api2/json"
HYPERVISOR = ("up", "nodes", "boots", "guests", "ha", "wishes", "published", "tasks", "options")
CEPH = ("mons", "mgrs", "osds", "pgs", "mds")


def _kinds(question: str) -> tuple[tuple[str, ...], str]:
    """The pictures it is answered from, and the node that it is about (by its path)."""
    for pattern, kinds in _KINDS:
        if (found := pattern.search(question)) is not None:
            return kinds, found.groupdict().get("about", "")
    return (), ""


@lru_cache(maxsize=2000)
def _fits(pattern: str, path: str) -> bool:
    return re.search(pattern, f"GET {_short(path)}") is not None


def _short(path: str) -> str:
    return path.removeprefix(API)


def _all(records: Iterable[object]) -> list[dict[str, Any]]:
    return [vars(each) for each in records]


def _bytes(*what: object) -> bytes:
    return marshal.dumps(what, 2)  # version 2 tells by value alone


def _faults(laws: Laws, cluster: Cluster, _: str) -> object:
    """What makes an answer another one and is no record of the world."""
    return _bytes(sorted(laws._ssh_refused), sorted(laws._shell_errors.items()), sorted(laws._lying.items()))


def _nodes(laws: Laws, cluster: Cluster, _: str) -> object:
    when = {"description": "", "booted_at": 0, "boot_ready_at": 0}
    return _bytes(cluster.quorate, [(vars(node) | when, node.booted_at is None) for node in cluster.nodes.values()])


def _boots(laws: Laws, cluster: Cluster, _: str) -> object:
    return _bytes([node.booted_at for node in cluster.nodes.values()])


def _notes(laws: Laws, cluster: Cluster, _: str) -> object:
    return _bytes([(node.description, node.wakeonlan) for node in cluster.nodes.values()])


def _guest(guest: Guest) -> dict[str, Any]:
    return vars(guest) | {"disks": _all(guest.disks), "snapshots": _all(guest.snapshots), "dark": 0, "started_at": 0}


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
    lrms = [
        (vars(each) | {"timestamp": 0, "results": 0}, now - each.timestamp <= HA_DEAD_S) for each in ha.lrm.values()
    ]
    alive = now - ha.timestamp <= HA_DEAD_S
    ours = (ha.master, ha.armed, ha.disarm_mode, ha.node_status, ha.node_request, alive)
    services = [vars(each) | {"uid": ""} for each in ha.services.values()]
    return _bytes(ours, lrms, services)


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
    osds = [vars(osd) | {"down_since": 0} for osd in ceph.osds.values()]
    return _bytes(ceph.flags, ceph.crush_node_flags, osds, _all(ceph.pools.values()))


def _pgs(laws: Laws, cluster: Cluster, _: str) -> object:
    beside = [laws._frozen.get(cluster.name), sorted(laws._moving.get(cluster.name, ()))]
    return _bytes(_all(_ceph(cluster).pgs.values()), beside)


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
    "faults": _faults, "up": _up, "nodes": _nodes, "boots": _boots, "notes": _notes, "guests": _guests, "here": _here,
    "places": _places, "published": _published, "ha": _ha, "wishes": _wishes, "tasks": _tasks, "options": _options,
    "clock": _clock, "mons": _mons, "mgrs": _mgrs, "osds": _osds, "pgs": _pgs, "mds": _mds, "bmc": _bmc, "fans": _fans,
}  # fmt: skip
FLEETING = frozenset({"published", "ha", "clock", "mons", "bmc", "fans"})
