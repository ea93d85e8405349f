"""Crash everywhere, then start again from the journal and the world alone: the run finishes as if nothing had been.

Three ways, all in the slow lane: every fifth point in each of five histories (so that each point is met by a run that
has had some peace); every point of one history; and a fifth of the distinct states, each alone (all of them with
`make crash-points`).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

import pytest

from noout.domain.maintenance import Phase
from tests.crash.points import Crash, CrashingJournal, Point, Points, crashing
from tests.sim.promises import Before, Safety, honest_journal, no_guest_moved_for_nothing, nothing_left_behind
from tests.sim.story import MID, Sim, simulation
from tests.support.virtual import run_virtual

tell = print
HISTORIES = 5
RESTART_S = 5.0
LIMIT_S = 6 * 3600.0  # of virtual time; an undisturbed history takes half an hour


def world(points: Points) -> Sim:
    """A small cluster that still has every kind of guest, and every effect there is."""
    sim = simulation(guests=8, nodes=4)
    with_a_local_iso(sim)
    sim.journal = CrashingJournal(sim.store, points)
    sim.wrap = lambda site: crashing(site, points)
    return sim


def with_a_local_iso(sim: Sim) -> None:
    """One guest of the node has an ISO of the node's own store in its drive, and may be parted from it."""
    there = (each for each in sim.lab.cluster.guests.values() if each.node == "pve3" and each.type == "qemu")
    guest = min((each for each in there if each.status == "running" and not each.local_resources), key=lambda g: g.vmid)
    drive = next(disk for disk in guest.disks if disk.cdrom)
    drive.volid, drive.size = "local:iso/debian-13.1.0-amd64-netinst.iso", 700 * 1024**2
    guest.tags = [*guest.tags, "eject-ok"]


async def carry_through_crashes(sim: Sim) -> int:
    """Start process after process until one reaches the end; how many crashed."""
    crashes = 0
    while True:
        engine = sim.begin()
        await engine.start(MID)
        try:
            await engine.tasks[MID]
            return crashes
        except Crash:
            crashes += 1
            await asyncio.sleep(RESTART_S)


async def play(points: Points) -> None:
    sim = world(points)
    await sim.open()
    before, safety = Before.of(sim), Safety(sim)
    hands = asyncio.create_task(sim.technician())
    watching = asyncio.create_task(safety.watch())
    await carry_through_crashes(sim)
    hands.cancel()
    watching.cancel()
    m = await sim.state()
    assert m.phase is Phase.DONE, m.outcome
    assert safety.broken == []
    nothing_left_behind(sim, before, m)
    events = await sim.events()
    honest_journal(events)
    no_guest_moved_for_nothing(sim, events)


def all_points() -> list[Point]:
    points = Points()
    run_virtual(play(points), limit_s=LIMIT_S)
    return points.passed


def once(chosen: set[Point]) -> Callable[[Point], bool]:
    """Crash at each of these, the first time it is met."""
    left = set(chosen)

    def here(point: Point) -> bool:
        if point in left:
            left.remove(point)
            return True
        return False

    return here


@pytest.mark.slow
def test_a_crash_at_every_point_of_one_history() -> None:
    met: set[tuple[str, str, str]] = set()

    def at_each_place_once(point: Point) -> bool:
        place = (point.when, point.kind, point.what)
        new = place not in met
        met.add(place)
        return new

    points = Points(at_each_place_once)
    run_virtual(play(points), limit_s=LIMIT_S)
    assert len(points.crashed) == len(met)
    assert {"write", "effect"} == {point.kind for point in points.crashed}
    tell(f"crashed at {len(points.crashed)} places of one history: {points.per_kind()}")


@pytest.fixture(scope="module")
def known() -> list[Point]:
    return all_points()


@pytest.mark.slow
@pytest.mark.parametrize("history", range(HISTORIES))
def test_a_crash_at_every_fifth_point(history: int, known: list[Point]) -> None:
    chosen = set(known[history::HISTORIES])
    points = Points(once(chosen))
    run_virtual(play(points), limit_s=LIMIT_S)
    # After a crash the run may find done what it would have asked for: some places are then passed by.
    assert len(points.crashed) >= 0.7 * len(chosen)
    counted = Points(passed=known).per_kind()
    tell(f"{len(known)} crash points {counted}; history {history} crashed at {len(points.crashed)}")


@pytest.mark.slow
def test_a_crash_at_each_point_alone() -> None:
    """After a write nothing but memory changes until the next write or effect: one crash stands for both places.

    Every fifth of these here; all of them by `make crash-points`.
    """
    every = int(os.environ.get("NOOUT_CRASH_ALONE_EVERY", "5"))
    forks = Forks(every)
    points = Points(forks)
    try:
        run_virtual(play(points), limit_s=LIMIT_S)
    except BaseException:  # whatever it is, a child tells it by its exit status
        if forks.child is None:
            raise
        os._exit(1)
    if forks.child is not None:
        os._exit(0 if points.crashed == [forks.child] else 2)
    forks.wait_for_all()
    tell(f"{forks.count} crashes alone, of {len(points.passed)} points: {points.per_kind()}")
    assert forks.failed == []


class Forks:
    """At each point the process forks: the child crashes there and carries on, the parent goes on undisturbed."""

    def __init__(self, every: int) -> None:
        self.every, self.met = every, 0
        self.child: Point | None = None  # in a child: where it crashed
        self.count = 0
        self.failed: list[Point] = []
        self._running: dict[int, Point] = {}

    def __call__(self, point: Point) -> bool:
        if self.child is not None or (point.when == "after" and point.kind == "write"):
            return False
        self.met += 1
        if self.met % self.every:
            return False
        while len(self._running) >= 2:
            self._reap()
        self.count += 1
        loop = asyncio.get_running_loop()
        pid = os.fork()
        if pid == 0:
            asyncio._set_running_loop(loop)  # asyncio knows a loop together with its process
            self.child = point
            return True
        self._running[pid] = point
        return False

    def wait_for_all(self) -> None:
        while self._running:
            self._reap()

    def _reap(self) -> None:
        pid, status = os.wait()
        if status != 0:
            self.failed.append(self._running[pid])
        del self._running[pid]
