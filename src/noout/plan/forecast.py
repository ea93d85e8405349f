"""What one move costs and what its guest feels: bytes on the wire, seconds, the pause, and whether it is slowed down.

Pre-copy as arithmetic, by the rules that QEMU and PVE follow; its constants were measured on real migrations. A pass
sends every page once, the next what was rewritten meanwhile. A guest that rewrites more than half of what a pass sends
is slowed down after two such passes (by 20 %, then 10 % more each); PVE doubles the downtime limit at every fifth.
"""

from __future__ import annotations

from dataclasses import dataclass

from noout.domain.cluster import Guest, NodeId
from noout.domain.maintenance import MoveKind
from noout.plan.policy import Policy

DOWNTIME_LIMIT_S = 0.1  # PVE's default
POOR_PASS, PASSES_BEFORE_DOUBLING = 0.5, 5
FIRST_THROTTLE, MORE_THROTTLE, MOST_THROTTLE = 0.2, 0.1, 0.99
REWRITTEN_MOST = 0.9  # of the memory: some of it nobody writes to
# QEMU stops the guest when what is left takes 10 to 81 % of the limit, evenly spread: this is the middle. The switch
# itself takes 2 ms in the median. At the ninth decile all of it was 1.7 times as long.
REST_SHARE, SWITCH_MS = 0.455, 2.0
NEAR = 0.4  # a guest that rewrites so much of what a stream carries may be slowed down: its rate is an average
GAIN = 1.25  # going alone must make the stream so much faster to be worth the time it takes
SHUTDOWN_S = 30.0


@dataclass(frozen=True, slots=True)
class Copied:
    """The end of a pre-copy: bytes sent, the downtime limit that let it end, and what the last pause had to send."""

    sent_bytes: float
    limit_s: float
    left_s: float
    throttled: bool


def precopy(ram_bytes: float, dirty_bytes_s: float, rate_bytes_s: float) -> Copied:
    """A guest whose whole memory is in use, sent at a steady rate."""
    left, sent, limit_s, throttle, poor = float(ram_bytes), 0.0, DOWNTIME_LIMIT_S, 0.0, 0
    while True:
        sent += left
        rewritten = min(dirty_bytes_s * (1 - throttle) * left / rate_bytes_s, REWRITTEN_MOST * ram_bytes)
        if rewritten <= rate_bytes_s * limit_s:
            return Copied(sent, limit_s, rewritten / rate_bytes_s, throttle > 0)
        if rewritten > POOR_PASS * left:
            poor += 1
            if poor >= 2:
                throttle = min(throttle + (MORE_THROTTLE if throttle else FIRST_THROTTLE), MOST_THROTTLE)
            if poor % PASSES_BEFORE_DOUBLING == 0:
                limit_s *= 2
        left = rewritten


@dataclass(frozen=True, slots=True)
class Forecast:
    """As the fields of ``Move`` that bear these names."""

    wire_bytes: int
    expected_s: float
    blackout_ms: int
    throttled: bool = False
    alone: bool = False


def forecast(guest: Guest, kind: MoveKind, policy: Policy) -> Forecast:
    """One move, set-up and clean-up included, at the rate that the plan gives it."""
    if kind is MoveKind.SHUTDOWN:
        return Forecast(0, SHUTDOWN_S, round(policy.repair_s * 1000))
    disks, latency_s = disk_bytes(guest), policy.ha_latency_s if guest.ha is not None else 0.0
    if kind is not MoveKind.LIVE:
        copy_s = disks / rate_bytes_s(guest, policy)
        expected_s = (policy.relocate_s if kind is MoveKind.RELOCATE else policy.setup_s) + copy_s + latency_s
        away_ms = 0 if kind is MoveKind.OFFLINE else round(1000 * (policy.relocate_s + copy_s))
        return Forecast(disks, round(expected_s, 1), away_ms, alone=_past_the_limit(guest, policy))
    hot = is_hot(guest, policy)
    alone = hot and worth_going_alone(policy)
    rate = rate_bytes_s(guest, policy, alone=alone)
    copied = precopy(guest.ram_bytes, policy.dirty_bytes_s(guest), rate)
    sent = disks + copied.sent_bytes
    expected_s = policy.setup_s + sent / rate + policy.cleanup_s + latency_s
    pause_ms = 1000 * max(copied.left_s, REST_SHARE * copied.limit_s) + SWITCH_MS
    alone = alone or _past_the_limit(guest, policy)
    return Forecast(round(sent), round(expected_s, 1), round(pause_ms), copied.throttled, alone)


def disk_bytes(guest: Guest) -> int:
    """Local volumes that are copied: those that replication has brought already are not."""
    return sum(disk.size_bytes for disk in guest.carried if not (guest.replicas and disk.replicate))


def mirrored(guest: Guest, target: NodeId, target_storage: str | None) -> tuple[str, ...]:
    """The storages that its disks are read from and written to while it moves, each as "node:storage"."""
    copied = [disk for disk in guest.carried if not (guest.replicas and disk.replicate)]
    places = {f"{guest.node.name}:{disk.storage}" for disk in copied}
    places |= {f"{target.name}:{target_storage or disk.storage}" for disk in copied}
    return tuple(sorted(places))


def rate_bytes_s(guest: Guest, policy: Policy, *, alone: bool = False) -> float:
    """What this guest's migration gets."""
    if _past_the_limit(guest, policy):
        return policy.ha_bytes_s
    return policy.single_bytes_s if alone else policy.stream_bytes_s


def _past_the_limit(guest: Guest, policy: Policy) -> bool:
    """HA passes no limit on to its migrations: on a network that is shared, nothing else is sent beside one."""
    return guest.ha is not None and policy.shared is not False


def is_hot(guest: Guest, policy: Policy) -> bool:
    """It rewrites its memory nearly as fast as one of several streams is sent, or faster."""
    rate = rate_bytes_s(guest, policy)
    dirty = policy.dirty_bytes_s(guest)
    return dirty >= NEAR * rate or precopy(guest.ram_bytes, dirty, rate).throttled


def worth_going_alone(policy: Policy) -> bool:
    """Where every stream is bound by its encryption, a guest is no faster alone, and the node empties later."""
    return policy.parallel == 1 or policy.single_bytes_s >= GAIN * policy.stream_bytes_s
