"""Plays migrations: every planner's guests are copied by the same rules, each started when its own executor says so.

Between two events nothing changes, so time jumps from event to event. All streams that leave a node share its link
evenly, none faster than a single stream is (one encrypted by SSH is bound by one core) or than its own limit. The rules
of pre-copy, of QEMU's auto-converge and of PVE's doubled limit are those that the lab follows, with their constants
(docs/explanation/migration-model.md says where they come from); chance is left out: the rest that is sent while the
guest stands still is the middle of what was measured.

The network of the targets and the disks of the nodes are taken to be fast enough. All memory of a guest is in use.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from benchmarks.plan.validator import Executed
from noout.domain.cluster import ClusterState, Guest, GuestId, NodeId

MIB = 1024.0**2
SETUP_S, CLEANUP_S = 5.0, 4.0
DOWNTIME_LIMIT_S, PASSES_BEFORE_DOUBLING = 0.1, 5
FIRST_THROTTLE, MORE_THROTTLE, MOST_THROTTLE = 0.20, 0.10, 0.99
REST_SHARE, SWITCH_S = 0.455, 0.002
EPSILON_S = 1e-9


@dataclass(frozen=True, slots=True)
class Network:
    """What a node's link carries, and what one stream does at most [bytes/s]."""

    name: str
    nic_bytes_s: float
    stream_bytes_s: float
    encrypted: bool


TEN = Network("10G", 1100 * MIB, 1100 * MIB, encrypted=False)
TWENTY_FIVE_SSH = Network("25G over SSH", 2750 * MIB, 400 * MIB, encrypted=True)


@dataclass(frozen=True, slots=True)
class Job:
    """One migration to be started. ``limit_bytes_s``: what PVE is told to keep it to; 0: nothing."""

    guest: GuestId
    source: NodeId
    target: NodeId
    limit_bytes_s: float = 0.0


@dataclass(slots=True)
class Flying:
    """A migration under way, as an executor may see it: what was sent, and how fast it goes."""

    job: Job
    memory: float
    dirty_bytes_s: float
    start_s: float
    phase: str = "setup"  # setup, copy, cleanup
    phase_left_s: float = SETUP_S
    remaining: float = 0.0  # of this pass
    sent: float = 0.0
    rate: float = 0.0
    dirtied: float = 0.0
    sent_in_pass: float = 0.0
    throttle: float = 0.0
    poor_passes: int = 0
    downtime_limit_s: float = DOWNTIME_LIMIT_S
    blackout_s: float = 0.0

    def pass_ends(self) -> None:
        """The lab's law: either what is left can be sent within the limit, or another pass begins."""
        left = min(self.dirtied, 0.9 * self.memory)
        if left <= self.rate * self.downtime_limit_s:
            self.blackout_s = max(left / self.rate, REST_SHARE * self.downtime_limit_s) + SWITCH_S
            self.sent += left
            self.phase, self.phase_left_s = "cleanup", self.blackout_s + CLEANUP_S
            return
        if left > 0.5 * self.sent_in_pass:
            self.poor_passes += 1
            if self.poor_passes >= 2:
                more = MORE_THROTTLE if self.throttle else FIRST_THROTTLE
                self.throttle = min(self.throttle + more, MOST_THROTTLE)
            if self.poor_passes % PASSES_BEFORE_DOUBLING == 0:
                self.downtime_limit_s *= 2
        self.remaining, self.dirtied, self.sent_in_pass = left, 0.0, 0.0

    def next_event_s(self) -> float:
        return self.remaining / self.rate if self.phase == "copy" else self.phase_left_s

    def go_on(self, seconds: float) -> bool:
        """Let time pass; whether it is over."""
        if self.phase == "copy":
            amount = min(seconds * self.rate, self.remaining)
            self.remaining -= amount
            self.sent += amount
            self.sent_in_pass += amount
            self.dirtied += seconds * self.dirty_bytes_s * (1 - self.throttle)
            if self.remaining <= EPSILON_S * self.rate:
                self.pass_ends()
            return False
        self.phase_left_s -= seconds
        if self.phase_left_s > EPSILON_S:
            return False
        if self.phase == "cleanup":
            return True
        self.phase, self.remaining = "copy", self.memory
        return False


class Executor(Protocol):
    """Says what to start now. ``poll_s``: it looks only so often; 0: whenever something happens."""

    poll_s: float

    def start(self, now_s: float, flying: Sequence[Flying]) -> Iterable[Job]: ...


@dataclass(frozen=True, slots=True)
class Felt:
    """What one guest went through."""

    executed: Executed
    sent_bytes: float
    throttled: bool
    blackout_s: float
    alone_s: float  # what the same migration takes with the network to itself

    @property
    def seconds(self) -> float:
        return self.executed.end_s - self.executed.start_s


@dataclass(slots=True)
class Player:
    """One cluster and its network; ``dirty``: by what every guest's own rate of rewriting is multiplied."""

    state: ClusterState
    network: Network
    dirty: float = 1.0
    guests: dict[GuestId, Guest] = field(default_factory=dict)
    lone: dict[GuestId, Felt] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.guests = {guest.id: guest for guest in self.state.guests}

    def play(self, executor: Executor, limit_s: float = 7 * 86400.0) -> list[Felt]:
        """All migrations, until the executor starts no more and none is under way."""
        flying: list[Flying] = []
        done: list[Felt] = []
        now = next_look = 0.0
        while now < limit_s:
            if now >= next_look - EPSILON_S:
                for job in executor.start(now, flying):
                    guest = self.guests[job.guest]
                    flying.append(Flying(job, float(guest.ram_bytes), (guest.dirty_bytes_s or 0) * self.dirty, now))
                if not flying:
                    return done
                next_look = now + executor.poll_s
            self._share(flying)
            step = max(min((each.next_event_s() for each in flying), default=next_look - now), 0.0)
            if executor.poll_s:
                step = min(step, max(next_look - now, EPSILON_S))
            now += step
            for each in list(flying):
                if each.go_on(step):
                    flying.remove(each)
                    done.append(self._felt(each, now))
            if not executor.poll_s:
                next_look = now
        raise AssertionError("migrations without end")

    def _share(self, flying: Sequence[Flying]) -> None:
        """Each source's link, shared evenly among what is copied from it."""
        copying: dict[NodeId, int] = {}
        for each in flying:
            if each.phase == "copy":
                copying[each.job.source] = copying.get(each.job.source, 0) + 1
        for each in flying:
            limit = each.job.limit_bytes_s or self.network.stream_bytes_s
            fair = self.network.nic_bytes_s / copying.get(each.job.source, 1)
            each.rate = min(limit, self.network.stream_bytes_s, fair)

    def _felt(self, flown: Flying, now: float) -> Felt:
        job = flown.job
        executed = Executed(job.guest, job.source, job.target, flown.start_s, now)
        alone_s = self.alone(self.guests[job.guest]).seconds
        return Felt(executed, flown.sent, flown.throttle > 0, flown.blackout_s, alone_s)

    def alone(self, guest: Guest) -> Felt:
        """The same guest's migration with the link to itself, from where it is."""
        if guest.id not in self.lone:
            job = Job(guest.id, guest.node, guest.node)
            rate = min(self.network.stream_bytes_s, self.network.nic_bytes_s)
            flown = Flying(job, float(guest.ram_bytes), (guest.dirty_bytes_s or 0) * self.dirty, 0.0, rate=rate)
            now, over = 0.0, False
            while not over:
                step = flown.next_event_s()
                now += step
                over = flown.go_on(step)
            executed = Executed(guest.id, guest.node, guest.node, 0.0, now)
            self.lone[guest.id] = Felt(executed, flown.sent, flown.throttle > 0, flown.blackout_s, now)
        return self.lone[guest.id]


def totals(felt: Sequence[Felt]) -> Mapping[str, float]:
    """Of one evacuation: its length, the mean single migration [s], beside alone, throttled guests, worst blackout."""
    if not felt:
        return {"seconds": 0.0, "single_s": 0.0, "single_to_alone": 1.0, "throttled": 0.0, "blackout_s": 0.0}
    return {
        "seconds": max(each.executed.end_s for each in felt),
        "single_s": sum(each.seconds for each in felt) / len(felt),
        "single_to_alone": sum(each.seconds for each in felt) / sum(each.alone_s for each in felt),
        "throttled": float(sum(each.throttled for each in felt)),
        "blackout_s": max(each.blackout_s for each in felt),
    }
