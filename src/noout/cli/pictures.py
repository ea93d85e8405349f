"""A plan as a picture for the terminal: the verdict, what stands in the way, who moves when and what they feel, whose
guests they are, memory per node before and after. Drawn for 80 columns; a wider terminal gives the bars more room."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from noout.domain.maintenance import Move, MoveKind, NodeLoad, Plan
from noout.domain.reasons import Blocker, Caution
from noout.plan import outlook
from noout.plan.outlook import Touched

NAME = 18  # cells at most for a guest's name
WIDEST = 140  # beyond it, bars are long enough
BAR_MIN, GANTT_MIN = 12, 10
MANY = 60  # moves shown; whoever wants more takes --json or --svg
_STYLE = {
    MoveKind.LIVE: ("→", "cyan"),
    MoveKind.OFFLINE: ("→", "dim"),
    MoveKind.RELOCATE: ("↻", "yellow"),
    MoveKind.SHUTDOWN: ("■", "yellow"),
}


def plan_picture(plan: Plan, touched: Sequence[Touched] = ()) -> RenderableType:
    """The whole plan, top to bottom: first what it means, then the evidence. ``touched``: whose guests it moves."""
    parts: list[RenderableType] = [_verdict(plan), _figures(plan)]
    if plan.blockers:
        parts += [_head("What stands in the way, and what helps"), *_reasons(plan.blockers)]
    if plan.moves:
        title = "Who moves, and when" if plan.feasible else "Who could move (nothing moves while something blocks)"
        parts += [_head(title), _Wide(plan, _moves)]
        if rest := plan.moves[MANY:]:
            parts.append(Text(f"  and {outlook.count(len(rest), 'more move')}: --json or --svg shows all", "dim"))
    if touched:
        parts += [_head("Customers touched"), _customers(touched)]
    if plan.loads:
        parts += [_head("Memory before and after"), _Wide(plan, _loads)]
        if said := outlook.of_the_others(outlook.nodes(plan).others):
            parts.append(Text(f"  {said}", "dim"))
        parts.append(_legend())
    if plan.cautions:
        parts += [_head("Good to know"), *_reasons(plan.cautions)]
    return Group(*parts)


@dataclass(frozen=True)
class _Wide:
    """A table that is drawn once it is known how wide the terminal is."""

    plan: Plan
    draw: Callable[[Plan, int], Table]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield self.draw(self.plan, min(options.max_width, WIDEST))


def _verdict(plan: Plan) -> Text:
    said = outlook.verdict(plan)
    text = Text()
    text.append("✓ " if said.good else "⛔ ", "green" if said.good else "red")
    text.append(said.main, "bold")
    text.append(f" {said.more}" if said.more else "")
    return text


def _figures(plan: Plan) -> Text:
    lines = [
        *outlook.figures(plan),
        f"{plan.id}, made {plan.made_at:%H:%M:%S} UTC from what was seen at {plan.observed_at:%H:%M:%S}",
    ]
    return Text("\n".join(f"  {line}" for line in lines), style="dim")


def _moves(plan: Plan, width: int) -> Table:
    """A row each, with its bar in time; those that are shut down have none."""
    times = outlook.times_s(plan)
    end = max((last for _, last in times.values()), default=0.0) or 1.0
    shown = plan.moves[:MANY]
    aside = any(move.source != plan.node for move in shown)  # else all leave the same node
    rows = [_row(move, plan, aside) for move in shown]
    heads = ["guest", "", *(["from"] if aside else []), "to", "how", "RAM", "pause ~"]
    taken = [max(len(head), *(row[i].cell_len for row in rows)) for i, head in enumerate(heads)]
    left = max(GANTT_MIN, width - sum(taken) - 2 * len(heads))
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for head in heads:
        right = head in ("RAM", "pause ~")
        table.add_column(head, no_wrap=True, justify="right" if right else "left")
    stop = outlook.minutes(end)
    table.add_column(f"0:00{stop:>{left - 4}}" if left >= len(stop) + 5 else f"{stop:>{left}}", no_wrap=True)
    for move, row in zip(shown, rows, strict=True):
        table.add_row(*row, _stretch(times.get(move.guest), end, left, move))
    return table


def _row(move: Move, plan: Plan, aside: bool) -> list[Text]:
    glyph, style = _STYLE[move.kind]
    stepping = move.source != plan.node
    name = Text(move.name)
    name.truncate(NAME, overflow="ellipsis")
    how = outlook.way_of(move, plan).replace("live, steps aside", "steps aside")
    return [
        Text(str(move.guest.vmid)),
        name,
        *([Text(move.source.name)] if aside else []),
        Text(move.target.name if move.target else "stays"),
        Text(f"{glyph} {how}", style="magenta" if stepping else style),
        Text(outlook.gib(move.ram_bytes)),
        Text(outlook.feels(move) or "–"),
    ]


def _stretch(time: tuple[float, float] | None, end: float, width: int, move: Move) -> Text:
    if time is None:
        return Text("at the rack", style="dim", overflow="ellipsis")
    first = min(width - 1, int(width * time[0] / end))
    last = max(first + 1, round(width * time[1] / end))
    bar = Text(" " * first, overflow="ellipsis")
    bar.append("━" * (last - first), _STYLE[move.kind][1])
    if move.after:
        who = ", ".join(str(each.vmid) for each in move.after[:2])
        note = f"after {who}" + (f" +{len(move.after) - 2}" if len(move.after) > 2 else "")
        if len(note) < first:  # it says why the bar begins so late, in the gap before it
            bar = Text(f"{note:>{first - 1}} ", style="dim")
            bar.append("━" * (last - first), _STYLE[move.kind][1])
        elif last + 1 + len(note) <= width:
            bar.append(f" {note}", "dim")
    return bar


def _customers(touched: Sequence[Touched]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    for each in touched:
        who = Text(each.name or "nobody's", style="" if each.name else "dim", overflow="fold")
        table.add_row(who, Text(outlook.count(len(each.guests), "guest"), "dim"), Text(outlook.in_words(each)))
    return table


def _loads(plan: Plan, width: int) -> Table:
    loads = outlook.nodes(plan).shown
    texts = [_load_texts(load) for load in loads]
    columns = [max((len(row[i]) for row in texts), default=0) for i in range(3)]
    names = max((len(load.node.name) for load in loads), default=0)
    left = max(BAR_MIN, width - names - sum(columns) - 2 * (2 + sum(size > 0 for size in columns)))
    most = max((load.capacity_bytes for load in loads), default=0) or 1
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    for load, (change, whole, cpu) in zip(loads, texts, strict=True):
        name = Text(load.node.name, style="bold" if load.node == plan.node else "")
        full = load.after_bytes > load.capacity_bytes - load.reserve_bytes
        cells = [name, _bar(load, most, left), Text(change, style="red" if full else ""), Text(whole, style="dim")]
        table.add_row(*cells, *([Text(cpu, style="yellow" if load.cpu_after > load.cpus else "dim")] if cpu else []))
    return table


def _load_texts(load: NodeLoad) -> tuple[str, str, str]:
    before, after = (outlook.gib(size) for size in (load.before_bytes, load.after_bytes))
    change = f"{before.removesuffix(' GiB')} → {after}" if before != after else after
    return change, f"of {outlook.gib(load.capacity_bytes)}", outlook.cpu(load)


def _bar(load: NodeLoad, most: int, width: int) -> Text:
    """Full: stays or was there; light: arrives; hollow: leaves; then free; then the reserve."""

    def cells(size: float) -> int:
        return max(0, round(width * size / most))

    whole = cells(load.capacity_bytes)
    kept = min(cells(min(load.before_bytes, load.after_bytes)), whole)
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


def _reasons(reasons: Iterable[Blocker | Caution]) -> Iterator[RenderableType]:
    """Title, then the remedy after an arrow; text from the cluster is never read as markup."""
    for reason in reasons:
        blocks = isinstance(reason, Blocker)
        text = Text("⛔ " if blocks else "▲ ", style="red" if blocks else "yellow")
        text.append(reason.message, "default")
        text.append(f"  [{reason.code}]", "dim")
        yield Padding(text, (0, 0, 0, 2))
        if reason.remedy:
            yield Padding(Text(f"→ {reason.remedy}", style="green" if blocks else "dim"), (0, 0, 0, 5))


def _head(title: str) -> Text:
    return Text(f"\n{title}", style="bold")
