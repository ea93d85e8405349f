"""When each planner starts its migrations: the order is its plan's, the moment is its own way of carrying plans out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from benchmarks.plan.precopy import Flying, Job
from noout.domain.cluster import GuestId
from noout.domain.maintenance import Move, MoveKind, Plan
from noout.plan.release import CLEANUP_S, Flight, foreseeable, startable

SURPRISE = 1.25  # a guest that has sent so much more than expected: its end is not foreseen


@dataclass(slots=True)
class Queue:
    """In their order, ``parallel`` at once, the next when one is over; looked at every ``poll_s``."""

    jobs: list[Job]
    parallel: int = 1
    poll_s: float = 0.0

    def start(self, now_s: float, flying: Sequence[Flying]) -> Iterable[Job]:
        free = self.parallel - len(flying)
        starting, self.jobs = self.jobs[:free], self.jobs[free:]
        return starting


@dataclass(slots=True)
class Steps:
    """One step after another, each when all of the one before it is over; ``parallel`` at once within a step."""

    steps: list[list[Job]]
    parallel: int = 1
    poll_s: float = 0.0

    def start(self, now_s: float, flying: Sequence[Flying]) -> Iterable[Job]:
        while self.steps and not self.steps[0] and not flying:
            del self.steps[0]
        if not self.steps:
            return ()
        free = max(0, self.parallel - len(flying))
        starting = self.steps[0][:free]
        del self.steps[0][:free]
        return starting


@dataclass(slots=True)
class Carried:
    """noout's own: what a plan says, by the rule that its execution follows."""

    plan: Plan
    poll_s: float = 1.0
    todo: list[Move] = field(default_factory=list)
    moves: dict[GuestId, Move] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.todo = [move for move in self.plan.moves if move.kind is not MoveKind.SHUTDOWN]
        self.moves = {move.guest: move for move in self.todo}

    def start(self, now_s: float, flying: Sequence[Flying]) -> Iterable[Job]:
        starting: list[Job] = []
        flights = [Flight(self.moves[each.job.guest], self._ending(each, now_s)) for each in flying]
        while True:
            unfinished = {move.guest for move in self.todo} | {flight.move.guest for flight in flights}
            ready = [move for move in self.todo if not unfinished.intersection(move.after)]
            chosen = startable(ready, flights, max(1, self.plan.streams))
            if not chosen or (target := chosen[0].target) is None:
                return starting
            move = chosen[0]
            self.todo.remove(move)
            flights.append(Flight(move))
            limit = 0.0 if move.ha or move.alone else self.plan.stream_bytes_s
            starting.append(Job(move.guest, move.source, target, limit))

    def _ending(self, flying: Flying, now_s: float) -> bool:
        """As the execution reckons: by what the task's log says was sent, before that by what was expected."""
        move = self.moves[flying.job.guest]
        if not self.plan.lead_s or not foreseeable(move):
            return False
        if flying.phase == "cleanup":
            return True
        if flying.phase == "setup":
            return move.expected_s - CLEANUP_S - (now_s - flying.start_s) <= self.plan.lead_s
        expected = max(flying.memory, move.wire_bytes)
        if flying.sent > SURPRISE * expected:
            return False
        return (expected - flying.sent) / flying.rate <= self.plan.lead_s if flying.rate else False
