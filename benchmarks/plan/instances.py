"""Clusters of which it is known that one node can be emptied, because they were made backwards.

How an instance is made, from nothing but its seed:

1. The end first. Every node but one is filled with guests drawn from the mix, until ``fill`` of the RAM that guests may
   use on these nodes is taken. In half of the instances every node keeps the same share of the room that is left, in
   the other half each its own.
2. Rules. 15 % of the guests are put into groups of two to four whose members strictly stay apart, in such a way that
   the end obeys them.
3. Backwards to the beginning. Guests are taken, one at a time, from random nodes to the empty one until it is about as
   full as the others; in half of the instances large ones with preference. In between and afterwards some guests of
   other nodes go where most room is left, as a balancer would send them: none, or a quarter, half or as many as there
   are nodes, none of them twice. Each step leads from one valid state into another.
   This is what makes it hard: the holes that the evacuated guests would fit into are gone, and to get them back
   somebody has to step aside.

Played forwards, the steps are moves one after another: while a guest moves it counts on both nodes, which the state
before it and the state after it together allow. So every instance has an executable plan in which each guest moves at
most once; ``planted`` is one, and not a secret recipe: what has to step aside for it may well be avoided.

Nodes have 384, 512 or 768 GiB, of which 48 are kept for the system and its OSDs. Seeds below 1000 are for tuning;
what is reported uses seeds from 100000 on.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random

from noout.domain.cluster import (
    Affinity,
    ClusterState,
    Disk,
    Guest,
    GuestId,
    GuestKind,
    GuestStatus,
    Node,
    NodeId,
    Rule,
)

GIB, MIB = 1024**3, 1024**2
NAME = "bench"
AT = datetime(2026, 1, 12, 9, 0, tzinfo=UTC)
TUNING_SEEDS, REPORT_SEEDS = range(1000), 100_000

HOST_GIB = (384, 512, 768)
RESERVE_GIB = 48
APART_SHARE = 0.15
# Size of a guest in GiB -> its weight in the mix.
MIXES: dict[str, dict[int, int]] = {
    "hosting": {1: 10, 2: 20, 4: 25, 8: 20, 12: 5, 16: 10, 24: 3, 32: 4, 64: 2, 128: 1},
    "enterprise": {4: 10, 8: 20, 12: 8, 16: 20, 24: 8, 32: 16, 48: 5, 64: 8, 96: 3, 128: 1, 192: 1},
    "large": {16: 15, 24: 10, 32: 25, 48: 12, 64: 20, 96: 8, 128: 7, 192: 3},
}
# What a guest rewrites: median and spread (sigma of the logarithm) of MiB/s, never more than a tenth of its RAM.
DIRTY_MEDIAN_MIB_S, DIRTY_SIGMA = 5.0, 1.5


@dataclass(frozen=True, slots=True)
class Step:
    """One guest's move in the planted plan."""

    guest: GuestId
    source: NodeId
    target: NodeId


@dataclass(frozen=True, slots=True)
class Instance:
    """``limits``: RAM in bytes that guests may take on each node. ``fill``: what is taken of it when ``leaving`` is
    empty, really. ``planted``: moves that can be carried out one after another."""

    seed: int
    mix: str
    fill: float
    state: ClusterState
    leaving: NodeId
    limits: dict[NodeId, int]
    planted: tuple[Step, ...]

    @property
    def name(self) -> str:
        return f"{self.mix}-{len(self.state.nodes)}-{self.fill:.3f}-{self.seed}"


class _World:
    """Where every guest is, while the instance is made. Sizes in GiB, nodes and guests by index."""

    def __init__(self, room: list[int], chance: Random) -> None:
        self.room = room  # what guests may take on each node
        self.free = list(room)
        self.chance = chance
        self.size: list[int] = []
        self.at: list[int] = []
        self.on: list[set[int]] = [set() for _ in room]
        self.group: dict[int, int] = {}
        self.taken_by_group: set[tuple[int, int]] = set()  # (group, node)

    def add(self, size: int, node: int) -> None:
        self.on[node].add(len(self.size))
        self.size.append(size)
        self.at.append(node)
        self.free[node] -= size

    def may(self, guest: int, node: int) -> bool:
        apart = guest in self.group and (self.group[guest], node) in self.taken_by_group
        return self.free[node] >= self.size[guest] and not apart

    def shift(self, guest: int, node: int) -> None:
        here = self.at[guest]
        self.free[here] += self.size[guest]
        self.free[node] -= self.size[guest]
        self.on[here].discard(guest)
        self.on[node].add(guest)
        self.at[guest] = node
        if guest in self.group:
            self.taken_by_group.discard((self.group[guest], here))
            self.taken_by_group.add((self.group[guest], node))


def make(seed: int, hosts: int, mix: str, fill: float) -> Instance:
    """The instance of this seed. ``fill``: wanted share of the usable RAM taken once the node is empty (0..1)."""
    chance = Random(f"{seed}/{hosts}/{mix}/{fill}")
    ram = [chance.choice(HOST_GIB) for _ in range(hosts)]
    world = _World([each - RESERVE_GIB for each in ram], chance)
    leaving = chance.randrange(hosts)
    others = [node for node in range(hosts) if node != leaving]
    _populate(world, others, MIXES[mix], fill)
    groups = _group(world, others)
    fill = 1 - sum(world.free[node] for node in others) / sum(world.room[node] for node in others)
    steps = _backwards(world, leaving, others)
    return _instance(seed, mix, fill, world, ram, leaving, groups, steps)


def _populate(world: _World, nodes: Sequence[int], mix: dict[int, int], fill: float) -> None:
    """Fill each node to its share of the room that is to be left, as nearly as the mix allows."""
    chance = world.chance
    even = chance.random() < 0.5
    shares = [(1.0 if even else chance.expovariate(1.0)) * world.room[node] for node in nodes]
    to_leave = (1 - fill) * sum(world.room[node] for node in nodes)
    sizes, weights = list(mix), list(mix.values())
    carried = 0.0  # what the nodes before left beyond their share
    for node, share in zip(nodes, shares, strict=True):
        keep = min(to_leave * share / sum(shares) - carried, 0.6 * world.room[node])
        while True:
            spare = world.free[node] - max(keep, 0.0)
            size = chance.choices(sizes, weights)[0]
            if size > spare:
                smaller = [each for each in sizes if each <= spare]
                if not smaller:
                    break
                size = max(smaller) if chance.random() < 0.5 else chance.choice(smaller)
            world.add(size, node)
        carried = world.free[node] - keep


def _group(world: _World, nodes: Sequence[int]) -> list[list[int]]:
    """Groups that stay apart, each with at most one member on a node."""
    wanted = APART_SHARE * len(world.size)
    order = list(range(len(world.size)))
    world.chance.shuffle(order)
    groups: list[list[int]] = []
    grouped, position = 0, 0
    while grouped < wanted and position < len(order):
        count = min(world.chance.choice((2, 2, 3, 4)), len(nodes) - 1)
        members: list[int] = []
        while len(members) < count and position < len(order):
            guest = order[position]
            position += 1
            if all(world.at[guest] != world.at[each] for each in members):
                members.append(guest)
        if len(members) < 2:
            break
        for guest in members:
            world.group[guest] = len(groups)
            world.taken_by_group.add((len(groups), world.at[guest]))
        groups.append(members)
        grouped += len(members)
    return groups


def _backwards(world: _World, leaving: int, others: Sequence[int]) -> list[tuple[int, int, int]]:
    """Take guests to the empty node until it is as full as the rest; (guest, from, to) as they move forwards."""
    chance = world.chance
    share = 1 - sum(world.free) / sum(world.room)
    wanted = share * world.room[leaving]
    liking = chance.choice((0.0, 0.0, 0.5, 1.0))
    weight = {guest: chance.random() * size**liking for guest, size in enumerate(world.size)}
    budget = round(chance.choice((0.0, 0.25, 0.5, 1.0)) * len(others))
    steps: list[tuple[int, int, int]] = []
    moved: set[int] = set()
    for guest in sorted(weight, key=lambda each: (-weight[each], each)):
        taken = world.room[leaving] - world.free[leaving]
        if guest in moved or taken + world.size[guest] > wanted + 2 or not world.may(guest, leaving):
            continue
        steps.append((guest, leaving, world.at[guest]))
        world.shift(guest, leaving)
        moved.add(guest)
        if budget > 0 and chance.random() < 0.3:
            budget -= 1
            steps += _change_places(world, moved, others)
    for _ in range(budget):
        steps += _change_places(world, moved, others)
    return steps[::-1]


def _change_places(world: _World, moved: set[int], others: Sequence[int]) -> list[tuple[int, int, int]]:
    """One guest of a fuller node goes where most room is left, if that leaves the two more alike; none if none can."""
    target = max(others, key=lambda node: (world.free[node] / world.room[node], node))
    for _ in range(60):
        here = world.chance.choice(others)
        guest = world.chance.choice(sorted(world.on[here]) or [-1])
        if here == target or guest < 0 or guest in moved or not world.may(guest, target):
            continue
        if world.size[guest] < world.free[target] - world.free[here]:
            world.shift(guest, target)
            moved.add(guest)
            return [(guest, target, here)]
    return []


def _instance(
    seed: int,
    mix: str,
    fill: float,
    world: _World,
    ram: list[int],
    leaving: int,
    groups: list[list[int]],
    steps: list[tuple[int, int, int]],
) -> Instance:
    chance = world.chance
    nodes = [NodeId(NAME, f"n{index:04d}") for index in range(len(ram))]
    vmids = list(range(100, 100 + len(world.size)))
    chance.shuffle(vmids)  # the order in which guests are listed tells nothing
    ids = [GuestId(NAME, vmid) for vmid in vmids]
    guests = [_guest(ids[g], world.size[g], nodes[world.at[g]], chance) for g in range(len(ids))]
    rules = tuple(
        Rule(f"apart-{number}", Affinity.APART, frozenset(ids[guest] for guest in group))
        for number, group in enumerate(groups)
    )
    state = ClusterState(
        name=NAME,
        at=AT,
        quorate=True,
        version="9.2.11",
        nodes=tuple(
            Node(
                id=node,
                online=True,
                ram_bytes=size * GIB,
                ram_used_bytes=0,
                cpus=size // 4,
                cpu_used=sum(guests[g].cpu_used for g in world.on[index]),
                bridges=frozenset({"vmbr0"}),
                storages=frozenset({"rbd"}),
            )
            for index, (node, size) in enumerate(zip(nodes, ram, strict=True))
        ),
        guests=tuple(sorted(guests, key=lambda guest: guest.id)),
        rules=rules,
    )
    limits = {node: (size - RESERVE_GIB) * GIB for node, size in zip(nodes, ram, strict=True)}
    planted = tuple(Step(ids[guest], nodes[source], nodes[target]) for guest, source, target in steps)
    return Instance(seed, mix, fill, state, nodes[leaving], limits, planted)


def _guest(id: GuestId, size_gib: int, node: NodeId, chance: Random) -> Guest:
    dirty = DIRTY_MEDIAN_MIB_S * math.exp(DIRTY_SIGMA * chance.gauss(0.0, 1.0))
    cpus = max(1, min(size_gib // 4, 32))
    return Guest(
        id=id,
        name=f"guest-{id.vmid}",
        kind=GuestKind.QEMU,
        node=node,
        status=GuestStatus.RUNNING,
        ram_bytes=size_gib * GIB,
        cpus=cpus,
        cpu_used=round(cpus * chance.betavariate(1.5, 6.0), 2),
        dirty_bytes_s=int(min(dirty * MIB, size_gib * GIB / 10)),
        bridges=("vmbr0",),
        disks=(Disk("scsi0", f"rbd:vm-{id.vmid}-disk-0", "rbd", 32 * GIB, True),),
    )
