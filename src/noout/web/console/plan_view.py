"""A plan as its page draws it: bars of time, memory before and after, and what saying yes means for whom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from noout.app.planning import Planned
from noout.domain.maintenance import Move, MoveKind, NodeLoad, Plan
from noout.plan import outlook
from noout.plan.lanes import lanes, ticks_s
from noout.web.console.view import count

WIDE = 1000.0  # of the picture's own units
LEFT, LANE_H, TOP = 74.0, 32.0, 8.0
LETTER = 6.6  # an average letter of 12 px, on the wide side


@dataclass(frozen=True, slots=True)
class Drawn:
    """One move as a rectangle. ``label``: as much as fits into it."""

    move: Move
    x: float
    y: float
    wide: float
    label: str
    says: str
    look: str


@dataclass(frozen=True, slots=True)
class Schedule:
    """``ticks``: (x, label). ``bound``: where the lower bound lies; None where nothing moves."""

    lanes: int
    bars: tuple[Drawn, ...]
    ticks: tuple[tuple[float, str], ...]
    bound: float | None
    high: float


def schedule(plan: Plan) -> Schedule:
    found = lanes(plan)
    end = max([plan.lower_bound_s, 1.0, *(bar.until_s for lane in found for bar in lane)])
    scale = (WIDE - LEFT - 12) / end
    bars = []
    for row, lane in enumerate(found):
        for bar in lane:
            wide = max(3.0, (bar.until_s - bar.since_s) * scale)
            bars.append(
                Drawn(
                    bar.move, LEFT + bar.since_s * scale, TOP + row * LANE_H, wide, _label(bar.move, wide),
                    f"{bar.move.guest.vmid} {bar.move.name}: {outlook.way_of(bar.move, plan)} to "
                    f"{bar.move.target.name if bar.move.target else 'nowhere'}, {outlook.minutes(bar.since_s)} to "
                    f"{outlook.minutes(bar.until_s)}",
                    "caution" if bar.move.kind is MoveKind.RELOCATE else
                    "peer" if bar.move.kind is MoveKind.OFFLINE else "move",
                )
            )  # fmt: skip
    return Schedule(
        len(found), tuple(bars), tuple((LEFT + tick * scale, outlook.minutes(tick)) for tick in ticks_s(end)),
        LEFT + plan.lower_bound_s * scale if found else None, TOP + len(found) * LANE_H,
    )  # fmt: skip


def _label(move: Move, wide: float) -> str:
    for text in (f"{move.guest.vmid} {move.name}", str(move.guest.vmid)):
        if len(text) * LETTER + 10 <= wide:
            return text
    return ""


def figures(plan: Plan) -> list[tuple[str, str, str]]:
    """Value, what it is, and its range or its ground."""
    low, high = plan.estimate_s
    live = [move for move in plan.moves if move.kind is MoveKind.LIVE]
    found = []
    if plan.moves:
        bound = f"Cannot be under {outlook.minutes(plan.lower_bound_s)}"
        found.append(
            (f"{outlook.minutes(low)}–{outlook.minutes(high)}", f"to empty {plan.node.name}, estimated", bound)
        )
    if live:
        pauses = [move.expected_blackout_ms for move in live]
        value = outlook.lasting(max(pauses))
        found.append((value, "longest expected pause", "An estimate, for each live move, out and back"))
        sent = outlook.gib(sum(move.ram_bytes for move in live))
        found.append((sent, f"moved live, {count(len(live), 'guest')}", f"At most {plan.streams} at once"))
    stopped = sum(move.kind in (MoveKind.RELOCATE, MoveKind.SHUTDOWN) for move in plan.moves)
    found.append((str(stopped), "interrupted by consent", "Restarted, or down during the repair"))
    if plan.survives_another_node is not None:
        value = "Yes" if plan.survives_another_node else "No"
        found.append((value, "room to lose one more node", f"While {plan.node.name} is away"))
    return found


@dataclass(frozen=True, slots=True)
class Room:
    """One node's memory, as widths of 100. ``kept``: for the system and the OSDs, at the right end."""

    name: str
    leaving: bool
    stays: float
    arrives: float
    leaves: float
    kept: float
    says: str


def room(plan: Plan) -> list[Room]:
    found = outlook.nodes(plan).shown
    return [_room(load, load.node == plan.node) for load in found if load.capacity_bytes > 0]


def _room(load: NodeLoad, leaving: bool) -> Room:
    share = 100.0 / load.capacity_bytes
    before, after = load.before_bytes * share, load.after_bytes * share
    change = f"{outlook.gib(load.before_bytes).removesuffix(' GiB')} → {outlook.gib(load.after_bytes)}"
    return Room(
        load.node.name, leaving, min(before, after), max(0.0, after - before), max(0.0, before - after),
        min(100.0, load.reserve_bytes * share),
        f"{change if load.before_bytes != load.after_bytes else outlook.gib(load.after_bytes)} of "
        f"{outlook.gib(load.capacity_bytes)}, {after:.0f} %",
    )  # fmt: skip


def meaning(planned: Planned) -> list[str]:
    """What happens to whom when somebody says yes, in the order in which it does."""
    plan, node = planned.plan, planned.plan.node.name
    said = [_leave(plan)]
    said += [_interrupted(move) for move in plan.moves if move.kind in (MoveKind.RELOCATE, MoveKind.SHUTDOWN)]
    if planned.ceph is not None and planned.host is not None:
        osds = [str(osd.id) for osd in planned.ceph.osds_of(planned.host)]
        said.append(
            f"Its data stays where it is: noout is set for host {planned.host} alone and {_osds(osds)} stopped, only "
            f"when a technician has confirmed to stand at {node}. Then {node} is switched off for the repair."
        )
    else:
        said.append(f"{node} is switched off for the repair, only when a technician has confirmed to stand at it.")
    said.append(
        f"After the repair {node} is tested, gets its data and {count(len(plan.returns), 'guest')} back, and all "
        "that noout has set is given back. It can be paused or aborted at every point."
    )
    return said


def _leave(plan: Plan) -> str:
    live = [move for move in plan.moves if move.kind is MoveKind.LIVE]
    if not live:
        return f"No guest has to move live from {plan.node.name}."
    longest = outlook.lasting(max(move.expected_blackout_ms for move in live))
    return (
        f"{count(len(live), 'guest')} move{'s' if len(live) == 1 else ''} live to other nodes, from now on; each pauses"
        f" for {longest} at most (an estimate), out and back."
    )


def _interrupted(move: Move) -> str:
    long = outlook.feels(move)
    if move.kind is MoveKind.RELOCATE:
        return f"{move.guest.vmid} {move.name} is stopped, moved and started: about {long}, by its owner's consent."
    return f"{move.guest.vmid} {move.name} is shut down for the repair: about {long}, by its owner's consent."


def _osds(numbers: Sequence[str]) -> str:
    if not numbers:
        return "nothing is"
    return f"{'OSD' if len(numbers) == 1 else 'OSDs'} {', '.join(numbers)} {'is' if len(numbers) == 1 else 'are'}"
