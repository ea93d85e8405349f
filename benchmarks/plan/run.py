"""The parts of the benchmark, each over its own instances."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from itertools import product

from benchmarks.plan.instances import MIXES, make
from benchmarks.plan.measure import BANDS, NOOUT, Played, Row, band_of, compared, planned, played
from benchmarks.plan.others import Others
from benchmarks.plan.rolled import Rolled, rolled

LARGE = ("hosting", 0.46)  # with 1,000 nodes: about 30,000 guests
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many instances of what."""

    hosts: tuple[int, ...]
    grid: int  # of each number of hosts, mix and band
    solver: int  # instances that the solver gets, at up to ``solver_s`` each
    solver_s: float
    networks: int  # of each mix
    bound: int  # instances with third parties for which the least is proved, at up to ``bound_s`` each
    bound_s: float
    timed: tuple[tuple[int, int], ...]  # (hosts, instances)
    rolling: tuple[tuple[int, int], ...]


FULL = Sizes(
    hosts=(5, 8, 16, 32),
    grid=24,
    solver=12,
    solver_s=30.0,
    networks=16,
    bound=24,
    bound_s=10.0,
    timed=((5, 60), (8, 60), (16, 60), (32, 60), (64, 40), (100, 40), (1000, 3)),
    rolling=((5, 6), (16, 4), (32, 2), (100, 1)),
)
QUICK = Sizes(
    hosts=(5, 16),
    grid=2,
    solver=1,
    solver_s=2.0,
    networks=1,
    bound=2,
    bound_s=2.0,
    timed=((5, 4), (32, 3), (100, 1)),
    rolling=((5, 1),),
)


@dataclass(frozen=True, slots=True)
class Timed:
    """One plan's CPU seconds."""

    hosts: int
    guests: int
    seconds: float
    feasible: bool


@dataclass(frozen=True, slots=True)
class Proved:
    """noout's third parties beside the proven least [GiB]; ``least_gib`` None: not proved within the limit."""

    instance: str
    leaving_gib: float
    aside_gib: float
    least_gib: float | None


@dataclass(slots=True)
class Results:
    absent: str  # why the others' programs are missing; "" if they ran
    seed: int
    rows: list[Row] = field(default_factory=list)
    played: list[Played] = field(default_factory=list)
    proved: list[Proved] = field(default_factory=list)
    timed: list[Timed] = field(default_factory=list)
    rolled: list[Rolled] = field(default_factory=list)
    took_s: float = 0.0


@dataclass(frozen=True, slots=True)
class _Task:
    seed: int
    hosts: int
    mix: str
    band: str
    solver_s: float = 0.0
    bound_s: float = 0.0


_OTHERS: Others | None = None


def _begin(with_others: bool) -> None:
    """Each worker has its own process of the others."""
    global _OTHERS
    _OTHERS = Others() if with_others else None


def _compare(task: _Task) -> list[Row]:
    return compared(task.seed, task.hosts, task.mix, task.band, _OTHERS, task.solver_s)


def _play(task: _Task) -> list[Played]:
    return played(task.seed, task.hosts, task.mix, _OTHERS)


def _prove(task: _Task) -> Proved:
    instance = make(task.seed, task.hosts, task.mix, band_of(task.seed, task.band))
    plan, _ = planned(instance)
    leaving = sum(move.ram_bytes for move in plan.moves if move.source == instance.leaving) / 2**30
    aside = sum(move.ram_bytes for move in plan.moves if move.source != instance.leaving) / 2**30
    assert _OTHERS is not None
    least = _OTHERS.least_aside_bytes(instance, task.bound_s)
    return Proved(instance.name, leaving, aside, None if least is None else least / 2**30)


def everything(sizes: Sizes, absent: str, workers: int, seed: int, say: Say) -> Results:
    """All parts; what others' programs are needed for is left out where they are ``absent``."""
    results = Results(absent, seed)
    began = time.monotonic()

    def told(part: str) -> None:
        say(f"{time.monotonic() - began:6.0f} s  {part}")

    tasks = list(_grid(sizes, seed))
    with ProcessPoolExecutor(workers, initializer=_begin, initargs=(not absent,)) as pool:
        told(f"{len(tasks)} clusters, every planner on each")
        for rows in pool.map(_compare, tasks, chunksize=1):
            results.rows += rows
        told(f"{sizes.networks * len(MIXES)} evacuations on every network")
        mixes = [_Task(seed + n, (8, 16)[n % 2], mix, "") for mix in MIXES for n in range(sizes.networks)]
        for some in pool.map(_play, mixes):
            results.played += some
        if not absent:
            needy = _with_third_parties(results.rows, tasks, sizes)
            told(f"{len(needy)} clusters: the least that has to move")
            results.proved = list(pool.map(_prove, needy))
    told("how long planning takes")  # alone: nothing else runs beside it
    results.timed = [each for hosts, count in sizes.timed for each in timed(hosts, count, seed)]
    if importlib.util.find_spec("noout.plan.rolling") is not None:
        told("every node in turn")
        results.rolled = [rolled(seed + n, hosts) for hosts, count in sizes.rolling for n in range(count)]
    told("done")
    return results


def _grid(sizes: Sizes, seed: int) -> Iterator[_Task]:
    """The solver gets the first instances of the middle band, spread over mixes and numbers of hosts."""
    kinds = list(product(sizes.hosts, MIXES))
    solved = {kinds[(i * 5) % len(kinds)]: i // len(kinds) + 1 for i in range(sizes.solver)}
    for band in BANDS:
        for hosts, mix in kinds:
            for n in range(sizes.grid):
                solves = band == "85-95 %" and n < solved.get((hosts, mix), 0)
                yield _Task(seed + n, hosts, mix, band, sizes.solver_s if solves else 0.0)


def _with_third_parties(rows: Iterable[Row], tasks: list[_Task], sizes: Sizes) -> list[_Task]:
    """Of at most 16 nodes; those where nobody stepped aside need no proof. Spread evenly over all of them."""
    mine = [row for row in rows if row.planner == NOOUT]
    found = [
        _Task(task.seed, task.hosts, task.mix, task.band, bound_s=sizes.bound_s)
        for task, row in zip(tasks, mine, strict=True)
        if task.hosts <= 16 and row.sound and row.aside_gib > 0
    ]
    step = max(1, len(found) // max(1, sizes.bound))
    return found[::step][: sizes.bound]


def timed(hosts: int, count: int, seed: int) -> list[Timed]:
    """Plans of clusters from 86 to 94 % full, of all mixes; the very large ones as ``LARGE`` says."""
    found = []
    for n in range(count):
        mix = list(MIXES)[n % len(MIXES)]
        kind = LARGE if hosts >= 1000 else (mix, band_of(n, "85-95 %"))
        instance = make(seed + n, hosts, *kind)
        plan, seconds = planned(instance)
        found.append(Timed(hosts, len(instance.state.guests), seconds, plan.feasible))
    return found
