"""What a plan means to people: whose guests feel it and how, which nodes change, when each move runs.

Both pictures of a plan, the one for the terminal and the SVG, are drawn from this.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from noout.domain.cluster import Guest, GuestId
from noout.domain.customers import Customer, owner
from noout.domain.maintenance import Move, MoveKind, NodeLoad, Plan
from noout.plan.release import timeline_s

GIB = 1024**3
ROOMY = 10  # nodes shown when there is no room, those with the most of it


@dataclass(frozen=True, slots=True)
class Touched:
    """What the guests of one customer will feel, on the way out; most of it again on the way home.

    ``name``: the customer's, "pool shop" where no customer is configured for it, "" for guests that are nobody's.
    ``pause_ms_max``: the longest expected pause of those that pause; likewise for those that restart or are down.
    """

    name: str
    guests: tuple[GuestId, ...]
    pausing: int = 0
    pause_ms_max: int = 0
    slowed: int = 0  # of those that pause
    restarting: int = 0
    restart_ms_max: int = 0
    down: int = 0
    down_ms_max: int = 0
    resting: int = 0  # stopped guests: they feel nothing


def touched(plan: Plan, guests: Iterable[Guest], customers: Sequence[Customer] = ()) -> tuple[Touched, ...]:
    """Whose guests move, restart or are down: customers by name, then pools, then what is nobody's."""
    by_id = {guest.id: guest for guest in guests}
    groups: dict[tuple[int, str], list[Move]] = {}
    for move in plan.moves:
        guest = by_id.get(move.guest)
        whose = owner(customers, guest) if guest is not None else None
        pool = guest.pool if guest is not None else None
        key = (0, whose.name) if whose is not None else (1, f"pool {pool}") if pool else (2, "")
        groups.setdefault(key, []).append(move)
    return tuple(_felt(name, moves) for (_, name), moves in sorted(groups.items()))


def _felt(name: str, moves: Sequence[Move]) -> Touched:
    pauses = [move for move in moves if move.kind is MoveKind.LIVE]
    restarts = [move.expected_blackout_ms for move in moves if move.kind is MoveKind.RELOCATE]
    downs = [move.expected_blackout_ms for move in moves if move.kind is MoveKind.SHUTDOWN]
    return Touched(
        name,
        tuple(move.guest for move in moves),
        pausing=len(pauses),
        pause_ms_max=max((move.expected_blackout_ms for move in pauses), default=0),
        slowed=sum(move.throttled for move in pauses),
        restarting=len(restarts),
        restart_ms_max=max(restarts, default=0),
        down=len(downs),
        down_ms_max=max(downs, default=0),
        resting=sum(move.kind is MoveKind.OFFLINE for move in moves),
    )


def in_words(felt: Touched) -> str:
    """ "2 pause up to 0.1 s, 1 of them slowed; 1 restarts, about 12 s"."""
    parts = []
    if felt.pausing:
        slowed = f", {felt.slowed} of them slowed meanwhile" if felt.slowed else ""
        parts.append(f"{felt.pausing} {_verb(felt.pausing, 'pause')} up to {lasting(felt.pause_ms_max)}{slowed}")
    if felt.restarting:
        parts.append(f"{felt.restarting} {_verb(felt.restarting, 'restart')}, about {lasting(felt.restart_ms_max)}")
    if felt.down:
        parts.append(f"{felt.down} {'is' if felt.down == 1 else 'are'} down, about {lasting(felt.down_ms_max)}")
    if felt.resting:
        parts.append(f"{felt.resting} {'is' if felt.resting == 1 else 'are'} stopped and only moved")
    return "; ".join(parts)


def _verb(number: int, word: str) -> str:
    return word + ("s" if number == 1 else "")


def feels(move: Move) -> str:
    """What one guest notices, an estimate: "80 ms" of pause, "12 s" of restart, "45 min" down; "" if it is stopped."""
    return "" if move.kind is MoveKind.OFFLINE else lasting(move.expected_blackout_ms)


def lasting(ms: float) -> str:
    """A stretch of time in the unit that people would say it in, never rounded down to nothing."""
    if ms < 1000:
        return f"{max(1, round(ms))} ms"
    if ms < 120_000:
        return f"{ms / 1000:.1f}".removesuffix(".0") + " s"
    return f"{round(ms / 60_000)} min"


def minutes(seconds: float) -> str:
    """ "3:18" minutes and seconds, "1:02:05" with hours."""
    whole = round(seconds)
    if whole >= 3600:
        return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"
    return f"{whole // 60}:{whole % 60:02d}"


def gib(size: float) -> str:
    return f"{size / GIB:.1f}".removesuffix(".0") + " GiB"


def count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def times_s(plan: Plan) -> Mapping[GuestId, tuple[float, float]]:
    """Start and end of each move, counted from the first one's start; guests that are shut down have none."""
    if any(move.starts_s for move in plan.moves):
        going = [move for move in plan.moves if move.kind is not MoveKind.SHUTDOWN]
        return {move.guest: (move.starts_s, move.starts_s + move.expected_s) for move in going}
    return timeline_s(plan.moves, plan.streams, plan.lead_s)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The one sentence on top, and what has to be added to it."""

    good: bool
    main: str
    more: str = ""


def verdict(plan: Plan) -> Verdict:
    node = plan.node.name
    if not plan.feasible:
        return Verdict(False, f"{node} cannot be taken out now: {count(len(plan.blockers), 'blocker')}.")
    running = [move for move in plan.moves if move.source == plan.node and move.kind is not MoveKind.OFFLINE]
    live = sum(move.kind is MoveKind.LIVE for move in running)
    if not running:
        return Verdict(True, f"{node} can be taken out: no guest runs on it.")
    keep = "all of its guests" if live == len(running) else f"{live} of its {len(running)} guests"
    verb = "keeps" if live == 1 < len(running) else "keep"
    main = f"{node} can be emptied, and {keep} {verb} running throughout."
    rest = len(running) - live
    return Verdict(True, main, f"{count(rest, 'guest')} will be interrupted, as agreed." if rest else "")


def figures(plan: Plan) -> tuple[str, ...]:
    """The sentences under the verdict, each a figure with its range or its ground."""
    low, high = plan.estimate_s
    live = [move for move in plan.moves if move.kind is MoveKind.LIVE]
    lines = []
    if plan.moves:
        lines.append(f"{minutes(low)} to {minutes(high)} estimated; it cannot be under {minutes(plan.lower_bound_s)}")
    if live:
        sent = sum(move.ram_bytes for move in live)
        lines.append(f"{gib(sent)} of memory {_verb(1, 'move')} live, {plan.streams} at once at most")
        pauses = [move.expected_blackout_ms for move in live]
        low_ms, high_ms = lasting(min(pauses)), lasting(max(pauses))
        if low_ms.split()[-1] == high_ms.split()[-1]:
            low_ms = low_ms.split()[0]
        span = high_ms if min(pauses) == max(pauses) else f"{low_ms} to {high_ms}"
        lines.append(f"each guest that moves live pauses for {span} (an estimate), out and back")
    if plan.survives_another_node is not None:
        room = "has room to lose" if plan.survives_another_node else "could not absorb the loss of"
        lines.append(f"afterwards the cluster {room} one more node")
    return tuple(lines)


@dataclass(frozen=True, slots=True)
class Nodes:
    """``shown``: the node itself and all from or to which somebody moves; of a plan that does not work, also those
    with the most room. ``others``: the rest."""

    shown: tuple[NodeLoad, ...]
    others: tuple[NodeLoad, ...]


def nodes(plan: Plan) -> Nodes:
    involved = {plan.node, *(move.source for move in plan.moves), *(move.target for move in plan.moves)}
    if not plan.feasible:
        roomy = sorted(plan.loads, key=lambda load: -_free(load))
        involved |= {load.node for load in roomy[: max(0, ROOMY - len(involved))]}
    loads = sorted(plan.loads, key=lambda load: _natural(load.node.name))
    return Nodes(
        tuple(each for each in loads if each.node in involved),
        tuple(each for each in loads if each.node not in involved),
    )


def _free(load: NodeLoad) -> int:
    return max(0, load.capacity_bytes - load.reserve_bytes - load.after_bytes)


def _natural(name: str) -> tuple[str | int, ...]:
    """pve2 before pve12."""
    return tuple(part if index % 2 == 0 else int(part) for index, part in enumerate(re.split(r"(\d+)", name)))


def of_the_others(loads: Sequence[NodeLoad]) -> str:
    """One line for nodes on which nothing changes; "" when there are none."""
    if not loads:
        return ""
    free = [_free(load) for load in loads]
    nothing = "node stays as it is" if len(loads) == 1 else "nodes stay as they are"
    low = gib(min(free)).removesuffix(" GiB")
    span = gib(min(free)) if min(free) == max(free) else f"{low} to {gib(max(free))}"
    return f"{len(loads)} more {nothing}, with {span} free"


def cpu(load: NodeLoad) -> str:
    """ "CPU 31 → 48 %" of the node's cores; "" where the plan does not say."""
    if not load.cpus:
        return ""
    before, after = (round(100 * cores / load.cpus) for cores in (load.cpu_before, load.cpu_after))
    return f"CPU {before} → {after} %" if before != after else f"CPU {before} %"


def way_of(move: Move, plan: Plan) -> str:
    """How a guest goes, in words: "live, HA, alone"."""
    words = {
        MoveKind.LIVE: "live",
        MoveKind.OFFLINE: "stopped",
        MoveKind.RELOCATE: "restarts",
        MoveKind.SHUTDOWN: "shut down",
    }
    parts = [words[move.kind]]
    if move.source != plan.node:
        parts.append("steps aside")
    parts += ["HA"] * move.ha + ["alone"] * move.alone + ["slowed"] * move.throttled
    return ", ".join(parts)
