"""One maintenance as text: where it stands, what it waits for, what it holds, and the way out by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.markup import escape
from rich.table import Table

from noout.app.byhand import begun, finish, undo
from noout.app.compose import Installation
from noout.app.runbook import runbook
from noout.app.waiting import clock, how_long, what_now
from noout.cli.options import out, print_plain
from noout.domain.errors import NooutError
from noout.domain.maintenance import Maintenance, Phase
from noout.plan.remaining import pace, remaining_s


@dataclass(frozen=True, slots=True)
class ByHand:
    """Commands for a person. ``unknown``: why those to finish it cannot be said now."""

    begun: Sequence[str] = ()
    finish: Sequence[str] = ()
    undo: Sequence[str] = ()
    unknown: str = ""


async def by_hand(found: Installation, state: Maintenance) -> ByHand:
    """Looks at the cluster to leave out what is so already; one that does not answer costs only that."""
    if not state.open:
        return ByHand(undo=undo(state))
    if state.plan is None or not state.plan.feasible or state.aborting:
        return ByHand(begun(state), (), undo(state))
    known = found.cephs.get(state.node.cluster)
    try:
        cluster = await found.hypervisor(state.node).observe()
        ceph = await known.observe() if known is not None else None
    except NooutError as error:
        return ByHand(begun(state), (), undo(state), error.message)
    sections = runbook(state.plan, cluster, ceph, found.crush_host(state.node))
    events = await found.journal.read(state.id)
    return ByHand(begun(state), finish(state, sections, events, cluster), undo(state, cluster))


def probation(state: Maintenance) -> str | None:
    """What is known of the repair since; it is called repaired only when its probation is over."""
    if state.probation_failed:
        again = f"noout maintain {state.node} takes this maintenance up again"
        return f"[yellow]▲[/] {escape(state.probation_failed)}\n  → {again}"
    if state.probation_until is None:
        return None
    if state.probation_over_at is not None:
        return f"[green]✓[/] repaired: the fault stayed away until {clock(state.probation_over_at)}"
    return f"under observation until {clock(state.probation_until)}, not called repaired before"


def headline(state: Maintenance) -> Table:
    """What it is, what it waits for, and what blocks it."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    phase = state.outcome or state.phase.value
    if state.paused and state.open:
        phase += ", paused"
    table.add_row(state.id, f"[bold]{escape(phase)}[/]  {state.node}  {escape(state.reason)}")
    if state.open and state.waiting_for:
        table.add_row("", f"waits for {escape(state.waiting_for)}{how_long(state)}")
        if action := what_now(state):
            table.add_row("", f"  → {escape(action)}")
    for pending in (each for each in state.pending if not each.unknown):
        table.add_row("", f"under way since {clock(pending.since)}: {escape(pending.action.says)}")
    if (word := probation(state)) is not None:
        table.add_row("", word)
    for pending in state.unknown:
        said = f"nobody knows whether this was taken up: {pending.action.says} ({pending.unknown})"
        table.add_row("", f"[red]?[/] {escape(said)}\n  → look before you act; the run looks too, and decides by that")
    for blocker in state.blockers:
        table.add_row("", f"[red]⛔[/] {escape(blocker.message)}\n  → {escape(blocker.remedy)}")
    return table


def _until_empty(state: Maintenance) -> str:
    """How long the evacuation still takes; "" when it is over or not begun."""
    if state.plan is None or state.phase is not Phase.EVACUATING:
        return ""
    ratio = pace(state.plan, state.moved)
    low, high = remaining_s(state.plan, {move.guest for move in state.moved}, ratio)
    by = "at the rate measured so far" if ratio is not None else "as planned"
    return f"about {low / 60:.0f} to {high / 60:.0f} min until {state.node.name} is empty, {by}" if high else ""


def show_standing(state: Maintenance, hand: ByHand | None = None) -> None:
    """The head line alone, or with ``hand`` everything a person needs to take over."""
    table = headline(state)
    if hand is None:
        out.print(table)
        return
    for caution in state.cautions:
        table.add_row("", f"[yellow]▲[/] {escape(caution.message)}")
    for step, at in state.steps_done:
        table.add_row("done", f"{step}  {clock(at)}")
    for owned in state.owned:
        table.add_row("holds", f"{owned.kind} {owned.subject} since {clock(owned.since)}")
    if state.node_off_at is not None and state.node_on_at is None:
        for sentence in state.facts.get("exposure") or ():
            table.add_row("at stake", escape(str(sentence)))
    away = [move for move in state.moved if not move.homeward]
    if left := _until_empty(state):
        table.add_row("left", left)
    if away:
        table.add_row("moved", f"{len(away)} away, {sum(1 for move in state.moved if move.homeward)} home again")
    if (chance := (state.facts.get("acceptance") or {}).get("chance")) is not None:
        table.add_row("accepted", escape(str(chance)))
    out.print(table)
    if hand.unknown:
        out.print(f"\nWhat is left to do cannot be said while the cluster does not answer: {escape(hand.unknown)}")
    parts = (
        ("Begun; look before you do it again:", hand.begun),
        (f"To finish by hand (`noout pause {state.id}` first):", hand.finish),
        ("To undo by hand:", hand.undo),
    )
    for title, commands in parts:
        if commands:
            out.print(f"\n{title}")
            print_plain([f"  {each}" for each in commands])
