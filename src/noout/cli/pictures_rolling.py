"""All nodes one after the other, as a picture: the verdict, whose turn is when, and what it saves."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from noout.domain.rolling import Cost, Rolling, Stage

GIB = 1024**3


def rolling_picture(rolling: Rolling) -> RenderableType:
    """First what it means, then turn by turn, then what cannot be done and why."""
    parts: list[RenderableType] = [_verdict(rolling), _assumed(rolling)]
    if rolling.stages:
        parts += [_head("Whose turn is when"), _stages(rolling), _head("What it costs"), _costs(rolling)]
    if rolling.blocked:
        parts.append(_head("Whose turn cannot be"))
        for plan in rolling.blocked:
            for blocker in plan.blockers:
                line = Text("⛔ ", style="red").append(f"{plan.node.name}: {blocker.message}", "default")
                parts += [Padding(line, (0, 0, 0, 2)), Padding(Text(f"→ {blocker.remedy}", "green"), (0, 0, 0, 5))]
    return Group(*parts)


def _verdict(rolling: Rolling) -> Text:
    count, all_of = len(rolling.stages), len(rolling.stages) + len(rolling.blocked)
    text = Text("✓ ", style="green") if rolling.feasible else Text("▲ " if count else "⛔ ", style="yellow")
    said = f"all {count} nodes" if rolling.feasible else f"{count} of {all_of} nodes"
    text.append(f"{said} of {rolling.cluster} can be done, one after the other.", "bold")
    if rolling.guests:
        each = rolling.cost.moves / rolling.guests
        text.append(f" {rolling.cost.moves} moves for {rolling.guests} guests: {each:.2f} each.", "bold")
    return text


def _assumed(rolling: Rolling) -> Text:
    when = "at any hour" if not rolling.windows else f"only in {', '.join(rolling.windows)} ({rolling.timezone})"
    lines = [
        f"a turn may begin {when}",
        f"the work on a node is taken to last {rolling.node_s / 3600:g} h, beside the moves",
        "what changes meanwhile changes the plan: make it anew before each turn",
    ]
    return Text("\n".join(f"  {line}" for line in lines), style="dim")


def _stages(rolling: Rolling) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1), header_style="dim")
    for name in ("", "node", "begins"):
        table.add_column(name, no_wrap=True)
    for name in ("moves", "again", "memory", "moving"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("one more lost", no_wrap=True)
    zone = ZoneInfo(rolling.timezone)
    for stage in rolling.stages:
        moves = [move for move in (*stage.plan.moves, *stage.plan.returns) if move.target is not None]
        table.add_row(
            str(stage.number),
            stage.plan.node.name,
            f"{stage.begins.astimezone(zone):%a %d %b %H:%M}",
            str(len(moves)),
            str(stage.again) if stage.again else Text("–", "dim"),
            f"{sum(move.ram_bytes for move in moves) / GIB:.0f} GiB",
            f"{stage.plan.estimate_s[0] / 60:.0f}–{stage.plan.estimate_s[1] / 60:.0f} min",
            _spare(stage),
        )
    return table


def _spare(stage: Stage) -> Text:
    if stage.plan.survives_another_node is None:
        return Text("not computed", "dim")
    if stage.plan.survives_another_node:
        return Text("has room", "green")
    return Text("no room", "yellow")


def _costs(rolling: Rolling) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1), header_style="dim")
    table.add_column("", no_wrap=True)
    for name in ("moves", "each", "sent", "moving", "room for one more"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_row("this way", *_row(rolling.cost, rolling.guests))
    there = rolling.there_and_back
    table.add_row("each emptied and refilled", *_row(there, there.moves // 2), style="dim")
    note = f"{rolling.bound_moves}"
    each = f"{rolling.bound_moves / rolling.guests:.2f}" if rolling.guests else "–"
    table.add_row("it cannot be under", note, each, "", "", "", style="dim")
    if rolling.refill_moves:
        table.add_row("of them to refill the last", str(rolling.refill_moves), "", "", "", "", style="dim")
    return table


def _row(cost: Cost, guests: int) -> tuple[str, ...]:
    return (
        str(cost.moves),
        f"{cost.moves / guests:.2f}" if guests else "–",
        f"{cost.sent_bytes / GIB:.0f} GiB",
        f"{cost.moving_s / 60:.0f} min",
        f"{cost.spare_kept} of {cost.stages}",
    )


def _head(title: str) -> Text:
    return Text(f"\n{title}", style="bold")
