"""The others: what each would move where, and how it carries that out.

``best-fit`` and ``worst-fit`` are the two simple rules, guests as the API lists them, rules and RAM looked at, nobody
else moved; one migration after another, as a script would. ``PVE HA`` is Proxmox VE's own answer to ``ha-manager
crm-command node-maintenance enable``: its scheduler's two ways of scoring (no capacity is checked; rules that keep
services apart are obeyed), four migrations at once, a round every ten seconds. ProxLB and its solver are the real
programs: see ``others``.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks.plan.executors import Queue, Steps
from benchmarks.plan.instances import Instance
from benchmarks.plan.precopy import Executor, Job
from noout.domain.cluster import Affinity, Guest, GuestId, NodeId

HA_WORKERS, HA_ROUND_S = 4, 10.0
# What the static scheduler of PVE minimises, and how much each counts.
WEIGHTS = {"average cpu": 1.0, "highest cpu": 2.0, "average memory": 5.0, "highest memory": 10.0}


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a planner wants. ``steps``: jobs, each step begun when the one before it is over. ``refused``: it knows no
    way and says so. ``seconds``: how long it thought (CPU time, or wall time of another process)."""

    steps: tuple[tuple[Job, ...], ...]
    parallel: int
    poll_s: float
    refused: bool = False
    why: str = ""
    seconds: float = 0.0

    def executor(self) -> Executor:
        if len(self.steps) == 1:
            return Queue(list(self.steps[0]), self.parallel, self.poll_s)
        return Steps([list(step) for step in self.steps], self.parallel, self.poll_s)


@dataclass(slots=True)
class Board:
    """Where everything is while a simple planner decides; one guest after another, nothing is ever taken back."""

    instance: Instance
    free: dict[NodeId, int] = field(default_factory=dict)
    count: dict[NodeId, int] = field(default_factory=lambda: defaultdict(int))
    cpus: dict[NodeId, int] = field(default_factory=lambda: defaultdict(int))
    at: dict[GuestId, NodeId] = field(default_factory=dict)
    apart: dict[GuestId, set[GuestId]] = field(default_factory=lambda: defaultdict(set))

    def __post_init__(self) -> None:
        state = self.instance.state
        self.free = dict(self.instance.limits)
        for guest in state.guests:
            self._count(guest, guest.node, 1)
            self.at[guest.id] = guest.node
        for rule in state.rules:
            if rule.enabled and rule.strict and rule.kind is Affinity.APART:
                for each in rule.guests:
                    self.apart[each] |= rule.guests - {each}

    def may_meet(self, guest: Guest, node: NodeId) -> bool:
        return all(self.at[other] != node for other in self.apart[guest.id])

    def put(self, guest: Guest, node: NodeId) -> Job:
        job = Job(guest.id, self.at[guest.id], node)
        self._count(guest, self.at[guest.id], -1)
        self._count(guest, node, 1)
        self.at[guest.id] = node
        return job

    def _count(self, guest: Guest, node: NodeId, sign: int) -> None:
        self.free[node] -= sign * guest.ram_bytes
        self.count[node] += sign
        self.cpus[node] += sign * guest.cpus

    @property
    def targets(self) -> list[NodeId]:
        return [node.id for node in self.instance.state.nodes if node.id != self.instance.leaving]

    @property
    def leavers(self) -> list[Guest]:
        """As the API lists them: by number."""
        return sorted(self.instance.state.guests_on(self.instance.leaving), key=lambda guest: guest.id)


def greedy(instance: Instance, liking: Callable[[int], int]) -> Proposal:
    """Each guest to the node whose room left after it is liked most, of those where it fits and may be."""
    board = Board(instance)
    jobs: list[Job] = []
    for guest in board.leavers:
        fitting = [n for n in board.targets if board.free[n] >= guest.ram_bytes and board.may_meet(guest, n)]
        if not fitting:
            return Proposal((tuple(jobs),), 1, 0.0, refused=True, why=f"no room for {guest.id}")
        jobs.append(board.put(guest, min(fitting, key=lambda n: (liking(board.free[n]), n))))
    return Proposal((tuple(jobs),), 1, 0.0)


def best_fit(instance: Instance) -> Proposal:
    return greedy(instance, lambda free: free)


def worst_fit(instance: Instance) -> Proposal:
    return greedy(instance, lambda free: -free)


def ha(instance: Instance, score: Callable[[Board, Guest, Sequence[NodeId]], NodeId]) -> Proposal:
    board = Board(instance)
    jobs: list[Job] = []
    for guest in board.leavers:
        allowed = [node for node in board.targets if board.may_meet(guest, node)]
        if allowed:
            jobs.append(board.put(guest, score(board, guest, allowed)))
    return Proposal((tuple(jobs),), HA_WORKERS, HA_ROUND_S)


def ha_basic(instance: Instance) -> Proposal:
    """The node with the fewest services, the default."""
    return ha(instance, lambda board, guest, nodes: min(nodes, key=lambda n: (board.count[n], n)))


def ha_static(instance: Instance) -> Proposal:
    """By what guests are configured to use: TOPSIS over average and highest load of all nodes, as PVE computes it."""
    return ha(instance, _static)


def _static(board: Board, guest: Guest, allowed: Sequence[NodeId]) -> NodeId:
    nodes = board.targets  # all are looked at, whether or not a rule allows them
    has = {node.id: node for node in board.instance.state.nodes}
    rows: list[list[float]] = []
    for target in nodes:
        cpu, memory = [], []
        for node in nodes:
            more = node == target
            taken = board.instance.limits[node] - board.free[node] + (guest.ram_bytes if more else 0)
            memory.append(taken / has[node].ram_bytes)
            cpu.append((board.cpus[node] + (guest.cpus if more else 0)) / has[node].cpus)
        rows.append([1 + each for each in (_square(cpu), max(cpu), _square(memory), max(memory))])
    columns = list(zip(*rows, strict=True))
    norms = [math.sqrt(sum(each * each for each in column)) or 1.0 for column in columns]
    weighted = [[w * v / n for w, v, n in zip(WEIGHTS.values(), row, norms, strict=True)] for row in rows]
    best = [min(column) for column in zip(*weighted, strict=True)]
    worst = [max(column) for column in zip(*weighted, strict=True)]

    def nearness(row: Sequence[float]) -> float:
        far, near = math.dist(row, worst), math.dist(row, best)
        return far / (far + near) if far + near else 0.0

    scores = {node: nearness(row) for node, row in zip(nodes, weighted, strict=True)}
    return max(allowed, key=lambda node: (scores[node], node))


def _square(values: Sequence[float]) -> float:
    return math.sqrt(sum(value * value for value in values) / len(values))


SIMPLE: Mapping[str, Callable[[Instance], Proposal]] = {
    "best-fit": best_fit,
    "worst-fit": worst_fit,
    "PVE HA (basic)": ha_basic,
    "PVE HA (static)": ha_static,
}
