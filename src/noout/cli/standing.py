"""One maintenance as text: where it stands, what it waits for, what it holds, and the way out by hand."""

from __future__ import annotations

from datetime import datetime

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table

from noout.app.byhand import finish, undo
from noout.domain.maintenance import Maintenance


def _clock(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC" if at is not None else ""


def standing(state: Maintenance, *, in_full: bool) -> RenderableType:
    """A head line for each maintenance; everything a person needs to take over when ``in_full``."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    phase = state.outcome or state.phase.value
    if state.paused and state.open:
        phase += ", paused"
    table.add_row(state.id, f"[bold]{escape(phase)}[/]  {state.node}  {escape(state.reason)}")
    if state.open and state.waiting_for:
        until = f", looks again {_clock(state.waiting_until)}" if state.waiting_until else ""
        table.add_row("", f"waits for {escape(state.waiting_for)}{until}")
    for blocker in state.blockers:
        table.add_row("", f"[red]⛔[/] {escape(blocker.message)}\n  → {escape(blocker.remedy)}")
    if not in_full:
        return table
    for caution in state.cautions:
        table.add_row("", f"[yellow]▲[/] {escape(caution.message)}")
    for step, at in state.steps_done:
        table.add_row("done", f"{step}  {_clock(at)}")
    for owned in state.owned:
        table.add_row("holds", f"{owned.kind} {owned.subject} since {_clock(owned.since)}")
    away = [move for move in state.moved if not move.homeward]
    if away:
        table.add_row("moved", f"{len(away)} away, {sum(1 for move in state.moved if move.homeward)} home again")
    if state.probation_until is not None:
        table.add_row("probation", f"until {_clock(state.probation_until)}")
    parts: list[RenderableType] = [table]
    for title, commands in (("Begun, to be looked at:", finish(state)), ("To undo by hand:", undo(state))):
        if commands:
            parts += ["", title, Padding("\n".join(escape(each) for each in commands), (0, 2))]
    return Group(*parts)
