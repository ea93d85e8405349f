"""Pre-copy live migration as arithmetic: what one second does to a stream, with no tasks and no clock.

A pass sends every page once; what the guest rewrote meanwhile is the next pass. When what is left can be sent within
the downtime limit, the guest is stopped, the rest sent, and it goes on at the target. QEMU's auto-converge takes CPU
from a guest that rewrites too much (20 % first, then 10 % more a pass); PVE doubles the limit when passes do not get
shorter.

The figures of the switch are measured, with QEMU 10.0 (emulated guest of 128 MiB, 1 Gbit/s between two hosts in network
namespaces, limit 100 ms, polled and resumed in qemu-server's order, rewriting 0, 8 and 32 MiB/s): 21 of 24 moves, those
whose probers were themselves never later than 30 ms. ``python -m tests.contract.migration.measure`` measures anew.

- QEMU stops the guest as soon as the rest fits the limit, wherever in a pass that is. So the rest was 10 to 81 % of
  what the limit allows, evenly spread, however little the guest rewrites. It scales with the limit, not with memory.
- What stopping and the devices' state cost besides: 2 ms x e^(1.1 z), 42 ms at most. It scales with neither.
- A client loses more than QEMU says, by 97 ms x e^(0.33 z) (47 to 177): the end is noticed by the next poll (100 ms
  apart), the target is told to go on, the network learns the guest's new place. It scales with neither.

QEMU said 48 ms (median; 83 at the ninth decile, 92 at most), clients lost 158 (201, 245). A real cluster tells the
target over SSH, which was not measured and can only take longer.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from noout.lab.world.chance import between, lognormal
from noout.lab.world.model import Guest, Migration

FIRST_THROTTLE, MORE_THROTTLE, MOST_THROTTLE = 0.20, 0.10, 0.99
PASSES_BEFORE_DOUBLING = 5

REST_SHARE = (0.10, 0.81)  # of what the downtime limit allows
SWITCH_MEDIAN_S, SWITCH_SIGMA, SWITCH_S_MAX = 0.002, 1.1, 0.042
BEYOND_MEDIAN_S, BEYOND_SIGMA = 0.097, 0.33
BEYOND_S = (0.047, 0.177)


@dataclass(frozen=True)
class Pause:
    """How long the guest stood still: as QEMU says, and as its clients saw it. Seconds."""

    downtime: float
    interruption: float


def pause(left: int, rate: int, downtime_limit: float, seed: int, *key: object) -> Pause:
    """The switch to the target, when ``left`` bytes were rewritten in a last pass sent at ``rate`` bytes/s.

    ``seed`` and ``key`` fix the chance in it, as everywhere in the world.
    """
    rest = max(left / rate, between(*REST_SHARE, seed, "rest", *key) * downtime_limit)
    own = min(lognormal(SWITCH_MEDIAN_S, SWITCH_SIGMA, seed, "switch", *key), SWITCH_S_MAX)
    low, high = BEYOND_S
    beyond = min(max(lognormal(BEYOND_MEDIAN_S, BEYOND_SIGMA, seed, "beyond", *key), low), high)
    return Pause(rest + own, rest + own + beyond)


@dataclass
class Stream:
    """The moving part of one migration; ``migration`` carries what the wire shows."""

    migration: Migration
    memory: int  # bytes of RAM in use: what the first pass sends
    hopeless: bool = False  # fault: no throttling helps
    dirtied: float = 0.0
    sent: float = 0.0
    poor_passes: int = 0
    log: list[str] = field(default_factory=list)

    def begin(self) -> None:
        self.migration.phase = "precopy"
        self.migration.remaining = self.memory
        self.migration.round = 1

    def run(self, guest: Guest, rate: int, seconds: float) -> float | None:
        """Send for ``seconds`` at ``rate`` bytes/s. If it converges, the seconds after which, else None."""
        m = self.migration
        m.rate = rate
        spent = 0.0
        while spent < seconds:
            step = min(m.remaining / rate, seconds - spent)
            dirty_rate = rate * 1.25 if self.hopeless else guest.dirty_rate * (1 - m.throttle)
            m.transferred += int(step * rate)
            m.remaining = max(m.remaining - int(step * rate + 0.5), 0)
            self.sent += step * rate
            self.dirtied += step * dirty_rate
            spent += max(step, 1e-6)
            if m.remaining > 0:
                continue
            left = min(self.dirtied, self.memory * 0.9)
            if left <= rate * m.downtime_limit:
                m.remaining = int(left)
                return spent
            self._next_pass(left)
        return None

    def _next_pass(self, left: float) -> None:
        m = self.migration
        if left > 0.5 * self.sent:
            self.poor_passes += 1
            if self.poor_passes >= 2:
                more = MORE_THROTTLE if m.throttle else FIRST_THROTTLE
                m.throttle = min(m.throttle + more, MOST_THROTTLE)
            if self.poor_passes % PASSES_BEFORE_DOUBLING == 0 and not (self.hopeless and m.downtime_limit >= 0.4):
                m.downtime_limit *= 2
                self.log.append(f"auto-increased downtime to continue migration: {m.downtime_limit * 1000:.0f} ms")
        m.remaining = int(left)
        m.round += 1
        self.sent = self.dirtied = 0.0


def size(count: float) -> str:
    """Bytes the way PVE writes them: ``82.1 KiB``, ``272.6 MiB``, ``4.0 GiB``."""
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if count < 1024 or unit == "TiB":
            return f"{count:.1f} {unit}"
        count /= 1024
    raise AssertionError("unreachable")


def clock(seconds: float) -> str:
    whole = int(seconds)
    return f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}"
