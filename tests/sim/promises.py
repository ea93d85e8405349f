"""What must hold in the world whatever happens to the run; looked at from outside, never through noout's own eyes."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field

from noout.domain.journal import Event, Kind, chain_error
from noout.domain.maintenance import Maintenance
from tests.sim.story import NODE, Sim


@dataclass
class Before:
    """The world before anything was touched."""

    homes: dict[int, str]
    running: set[int]
    flags: set[str]
    host_flags: dict[str, set[str]]
    settings: dict[str, object]

    @classmethod
    def of(cls, sim: Sim) -> Before:
        cluster = sim.lab.cluster
        assert cluster.ceph is not None
        return cls(
            {guest.vmid: guest.node for guest in cluster.guests.values()},
            {guest.vmid for guest in cluster.guests.values() if guest.status == "running"},
            set(cluster.ceph.flags),
            {host: set(flags) for host, flags in cluster.ceph.crush_node_flags.items() if flags},
            settings(sim),
        )


def settings(sim: Sim) -> dict[str, object]:
    """What HA and the guests are told to do by themselves."""
    cluster = sim.lab.cluster
    return {
        "rules": {name: str(rule) for name, rule in cluster.ha.rules.items()},
        "failback": {sid: resource.failback for sid, resource in cluster.ha.resources.items()},
        "onboot": {guest.vmid: guest.onboot for guest in cluster.guests.values()},
        "crs": cluster.options.get("crs", ""),
        "media": {guest.vmid: [disk.volid for disk in guest.disks if disk.cdrom] for guest in cluster.guests.values()},
    }


@dataclass
class Safety:
    """Looks at the world every second: redundancy is given up only for a node that is empty and held."""

    sim: Sim
    broken: list[str] = field(default_factory=list)

    async def watch(self) -> None:
        while True:
            self.look()
            await asyncio.sleep(1)

    def look(self) -> None:
        laws, cluster = self.sim.lab.laws, self.sim.lab.cluster
        laws.advance()
        node, ceph = cluster.nodes[NODE.name], cluster.ceph
        assert ceph is not None
        here = [guest for guest in cluster.guests.values() if guest.node == NODE.name and guest.status == "running"]
        if not node.power and here:
            self.broken.append(f"{here[0].vmid} runs on {NODE.name}, which is off")
        osds = [osd for osd in ceph.osds.values() if osd.host == NODE.name]
        held = "noout" in ceph.flags or "noout" in ceph.crush_node_flags.get(NODE.name, set())
        if any(not osd.up for osd in osds) and not held:
            self.broken.append(f"OSDs of {NODE.name} are down and not held")
        if any(text.startswith("ceph I/O blocked") for _, _, text in self.sim.lab.world.happened):
            self.broken.append("clients' writes waited for Ceph")
        if any(not osd.in_ for osd in osds):
            self.broken.append(f"an OSD of {NODE.name} was marked out")


def nothing_left_behind(sim: Sim, before: Before, m: Maintenance) -> None:
    """After a finished maintenance: all is as it was."""
    laws, cluster = sim.lab.laws, sim.lab.cluster
    laws.advance()
    ceph = cluster.ceph
    assert ceph is not None
    assert m.owned == () and m.pending == ()
    assert {guest.vmid: guest.node for guest in cluster.guests.values()} == before.homes
    assert {guest.vmid for guest in cluster.guests.values() if guest.status == "running"} == before.running
    assert ceph.flags == before.flags
    assert {host: set(flags) for host, flags in ceph.crush_node_flags.items() if flags} == before.host_flags
    assert all(osd.up and osd.in_ for osd in ceph.osds.values())
    assert all("clean" in state.split("+") for state, n in laws.pg_states(cluster).items() if n)
    assert not cluster.bmcs[NODE.name].led
    assert not cluster.ha.node_request.get(NODE.name, {}).get("maintenance")
    assert cluster.nodes[NODE.name].online
    assert settings(sim) == before.settings


def honest_journal(events: list[Event]) -> None:
    """One unbroken chain; no effect without its intent, and none left open."""
    assert chain_error(events) is None
    open_intents: set[str] = set()
    for event in events:
        key = event.data.get("key")
        if event.kind == Kind.INTENT:
            assert key not in open_intents, f"{key} was intended twice at once"
            open_intents.add(key)
        elif event.kind == Kind.STARTED:
            assert key in open_intents, f"{key} was started without an intent"
        elif event.kind in (Kind.DONE, Kind.FAILED):
            assert key in open_intents, f"{key} ended without an intent"
            open_intents.discard(key)


def no_guest_moved_for_nothing(sim: Sim, events: list[Event]) -> None:
    """Every move the world saw was ordered: as often as intents of it were verified, and never more."""
    ordered: Counter[tuple[int, str]] = Counter()
    for event in events:
        if event.kind == Kind.MOVED and (target := event.data["moved"]["target"]) is not None:
            ordered[(event.data["moved"]["guest"]["vmid"], target["name"])] += 1
    happened: Counter[tuple[int, str]] = Counter()
    for _, _, text in sim.lab.world.happened:
        if (move := arrival(text)) is not None:
            happened[move] += 1
    assert happened == ordered, f"moved without order: {happened - ordered}; ordered, not moved: {ordered - happened}"


def only_ordered_migrations(sim: Sim, events: list[Event]) -> None:
    """Every migration task of the cluster, by whomever, is one of the plan's moves or returns, and each ran once.

    For stories in which nothing fails and nobody else moves anything: a task more is a guest moved without order.
    """
    plan = next(event.data["plan"] for event in events if event.kind == Kind.PLANNED)
    ordered = Counter(
        (move["guest"]["vmid"], move["source"]["name"])
        for move in (*plan["moves"], *plan["returns"])
        if move["target"] is not None
    )
    tasks = sim.lab.cluster.tasks.values()
    ran = Counter((int(task.id), task.node) for task in tasks if task.type in ("qmigrate", "vzmigrate"))
    assert ran == ordered, f"without order: {ran - ordered}; ordered, not seen: {ordered - ran}"


def arrival(text: str) -> tuple[int, str] | None:
    """``guest 101 moved pve3 -> pve1`` -> (101, "pve1")."""
    words = text.split()
    if len(words) >= 6 and words[0] == "guest" and words[2] == "moved":
        return int(words[1]), words[5]
    return None
