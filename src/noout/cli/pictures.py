"""A plan as a picture for the terminal: the verdict, memory per node before and after, who moves when, what stands
in the way, and what is left to spare."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from noout.domain.maintenance import Move, MoveKind, NodeLoad, Plan
from noout.domain.reasons import Blocker, Caution
from noout.plan.schedule import timeline_s

BAR, GANTT = 36, 22  # cells; a row of moves fits into 80 columns
GIB = 1024**3
_HOW = {
    MoveKind.LIVE: ("→", "live", "cyan"),
    MoveKind.OFFLINE: ("→", "offline", "dim"),
    MoveKind.RELOCATE: ("↻", "restarts", "yellow"),
    MoveKind.SHUTDOWN: ("■", "shut down", "yellow"),
}


def plan_picture(plan: Plan) -> RenderableType:
    """The whole plan, top to bottom: first what it means, then the evidence."""
    parts: list[RenderableType] = [_verdict(plan), _figures(plan)]
    if plan.blockers:
        parts += [_head("What stands in the way"), *_reasons(plan.blockers)]
    if plan.moves:
        parts += [_head("Who moves, and when"), _moves(plan)]
    if plan.loads:
        parts += [_head("Memory before and after"), _loads(plan), _legend()]
    if plan.cautions:
        parts += [_head("Good to know"), *_reasons(plan.cautions)]
    return Group(*parts)


def _verdict(plan: Plan) -> Text:
    node = plan.node.name
    leaving = [move for move in plan.moves if move.source == plan.node]
    running = [move for move in leaving if move.kind is not MoveKind.OFFLINE]
    live = sum(move.kind is MoveKind.LIVE for move in running)
    text = Text()
    if not plan.feasible:
        count = len(plan.blockers)
        text.append("⛔ ", "red")
        text.append(f"{node} cannot be taken out now: {_count(count, 'blocker')}.", "bold")
        return text
    text.append("✓ ", "green")
    if not running:
        text.append(f"{node} can be taken out: no guest runs on it.", "bold")
        return text
    keep = "all of its guests" if live == len(running) else f"{live} of its {len(running)} guests"
    text.append(
        f"{node} can be emptied, and {keep} {'keeps' if live == 1 < len(running) else 'keep'} running throughout.",
        "bold",
    )
    if rest := len(running) - live:
        text.append(f" {_count(rest, 'guest')} will be interrupted, as agreed.")
    return text


def _figures(plan: Plan) -> Text:
    low, high = plan.estimate_s
    sent = sum(move.ram_bytes for move in plan.moves if move.kind is MoveKind.LIVE)
    pauses = [move.expected_blackout_ms for move in plan.moves if move.kind is MoveKind.LIVE]
    lines = []
    if plan.moves:
        bound = _minutes(plan.lower_bound_s)
        lines.append(f"{_minutes(low)} to {_minutes(high)} estimated; it cannot be under {bound}")
        lines.append(f"{_gib(sent)} of memory moves live, {plan.streams} at once")
    if pauses:
        lines.append(f"pauses of {min(pauses)} to {max(pauses)} ms expected for each live move (an estimate)")
    if plan.survives_another_node is not None:
        said = (
            "has room to lose one more node"
            if plan.survives_another_node
            else "could not absorb the loss of one more node"
        )
        lines.append(f"afterwards the cluster {said}")
    lines.append(f"{plan.id}, made {plan.made_at:%H:%M:%S} UTC from what was seen at {plan.observed_at:%H:%M:%S}")
    return Text("\n".join(f"  {line}" for line in lines), style="dim")


def _moves(plan: Plan) -> Table:
    """A row each, with its bar in time; those that are shut down have none."""
    times = timeline_s(plan.moves, plan.streams)
    end = max((last for _, last in times.values()), default=0.0) or 1.0
    table = Table(box=None, pad_edge=False, padding=(0, 1), header_style="dim")
    aside = any(move.source != plan.node for move in plan.moves)  # else all leave the same node
    for name in ("guest", "", *(("from",) if aside else ()), "to", "how"):
        table.add_column(name, no_wrap=True)
    table.add_column("RAM", justify="right", no_wrap=True)
    table.add_column(f"0:00{_minutes(end):>{GANTT - 4}}", no_wrap=True)
    for move in plan.moves:
        glyph, word, style = _HOW[move.kind]
        if move.source != plan.node:
            word, style = f"{word}, steps aside", "magenta"
        target = move.target.name if move.target else "stays"
        table.add_row(
            str(move.guest.vmid),
            Text(move.name),
            *((move.source.name,) if aside else ()),
            target,
            Text(f"{glyph} {word}{' HA' if move.ha else ''}", style=style),
            _gib(move.ram_bytes),
            _stretch(times.get(move.guest), end, style, move),
        )
    return table


def _stretch(time: tuple[float, float] | None, end: float, style: str, move: Move) -> Text:
    if time is None:
        return Text(f"at the rack, ~{_minutes(move.expected_blackout_ms / 1000)}", style="dim")
    first = min(GANTT - 1, int(GANTT * time[0] / end))
    last = max(first + 1, round(GANTT * time[1] / end))
    bar = Text(" " * first)
    bar.append("━" * (last - first), style)
    if move.after:
        bar.append(f" after {', '.join(str(each.vmid) for each in move.after)}", "dim")
    return bar


def _loads(plan: Plan) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1), show_header=False)
    most = max((load.capacity_bytes for load in plan.loads), default=0) or 1
    for load in plan.loads:
        name = Text(load.node.name, style="bold" if load.node == plan.node else "")
        before, after = load.before_bytes, load.after_bytes
        change = f"{_gib(before)} → {_gib(after)}" if before != after else _gib(before)
        table.add_row(name, _bar(load, most), Text(change), Text(f"of {_gib(load.capacity_bytes)}", style="dim"))
    return table


def _bar(load: NodeLoad, most: int) -> Text:
    """Full: stays or was there; light: arrives; hollow: leaves; then free; then the reserve."""

    def cells(size: float) -> int:
        return max(0, round(BAR * size / most))

    stays = min(load.before_bytes, load.after_bytes)
    whole = cells(load.capacity_bytes)
    kept = min(cells(stays), whole)
    changed = min(cells(max(load.before_bytes, load.after_bytes)), whole) - kept
    reserve = min(cells(load.reserve_bytes), whole - kept - changed)
    bar = Text("█" * kept)
    arrives = load.after_bytes > load.before_bytes
    bar.append(("▓" if arrives else "░") * changed, "green" if arrives else "dim")
    bar.append("·" * (whole - kept - changed - reserve), "dim")
    bar.append("▒" * reserve, "blue")
    return bar


def _legend() -> Text:
    text = Text("  █ stays  ", style="dim")
    text.append("▓ arrives", "green")
    text.append("  ░ leaves  · free  ")
    text.append("▒ kept for the system and the OSDs", "blue")
    return text


def _reasons(reasons: Iterable[Blocker | Caution]) -> list[RenderableType]:
    """Title, then the remedy after an arrow; text from the cluster is never read as markup."""
    lines: list[RenderableType] = []
    for reason in reasons:
        blocks = isinstance(reason, Blocker)
        text = Text("⛔ " if blocks else "▲ ", style="red" if blocks else "yellow")
        text.append(reason.message, "default")
        text.append(f"  [{reason.code}]", "dim")
        lines.append(Padding(text, (0, 0, 0, 2)))
        if reason.remedy:
            lines.append(Padding(Text(f"→ {reason.remedy}", style="green" if blocks else "dim"), (0, 0, 0, 5)))
    return lines


def _head(title: str) -> Text:
    return Text(f"\n{title}", style="bold")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _minutes(seconds: float) -> str:
    """ "3:18" minutes and seconds, "1:02:05" with hours."""
    whole = round(seconds)
    if whole >= 3600:
        return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"
    return f"{whole // 60}:{whole % 60:02d}"


def _gib(size: float) -> str:
    return f"{size / GIB:.1f}".removesuffix(".0") + " GiB"
