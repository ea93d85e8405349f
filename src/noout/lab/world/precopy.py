"""Pre-copy live migration as arithmetic: what one second does to a stream, with no tasks and no clock.

A pass sends every page once; what the guest rewrote meanwhile is the next pass. When a pass is short enough to be
sent within the downtime limit, the guest is stopped, the rest sent, and it goes on at the target. QEMU's
auto-converge takes CPU from a guest that rewrites too much (20 % first, then 10 % more a pass); PVE doubles the
limit when passes do not get shorter.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from noout.lab.world.model import Guest, Migration

FIRST_THROTTLE, MORE_THROTTLE, MOST_THROTTLE = 0.20, 0.10, 0.99
PASSES_BEFORE_DOUBLING = 5


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
