"""``noout proposals``, ``snooze`` and ``decline``: what the watch proposes, and what is answered."""

from __future__ import annotations

import getpass
import re
from collections.abc import Callable, Coroutine
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from noout.app.compose import Installation
from noout.app.naming import resolve
from noout.app.notice import proposals_of
from noout.cli.options import ConfigOption, JsonOption, NodeArgument, opened, out, print_json, wait
from noout.codec import encode
from noout.domain.cluster import NodeId
from noout.domain.errors import UsageError
from noout.domain.hardware import Urgency
from noout.domain.proposals import Proposal, ReadyPlan, Standing

ReasonOption = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; kept in the journal.")]
URGENCY = {
    Urgency.EVACUATE_NOW: "[red]⛔ evacuate now[/]",
    Urgency.SCHEDULE: "[yellow]▲ schedule[/]",
    Urgency.WATCH: "[dim]? watch[/]",
}
UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
SNOOZE_MAX = timedelta(days=90)


def proposals(as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """The maintenances that the watch proposes: why, how urgent, the plan that is ready, and what was answered.

    Reads the journal alone: `noout health` looks at the hardware, and a running noout keeps watching it.
    """

    async def work() -> list[Proposal]:
        async with opened(config) as found:
            known = proposals_of(found)
            await known.refresh()
            return await known.all()

    listed = wait(work())
    if as_json:
        print_json({"format": "noout.proposals", "version": 1, "proposals": [encode(each) for each in listed]})
    else:
        _print(listed)


def snooze(
    node: NodeArgument,
    reason: ReasonOption,
    span: Annotated[str, typer.Option("--for", metavar="SPAN", help="30m, 12h, 7d or 2w; at most 90 days.")] = "7d",
    config: ConfigOption = None,
) -> None:
    """Do not speak of what is proposed for NODE for some time, unless it becomes more urgent."""
    length = parse_span(span)

    async def work(found: Installation, wanted: NodeId, actor: str) -> list[Proposal]:
        return await proposals_of(found).snooze(wanted, found.clock.now() + length, reason, actor)

    _answer(node, config, work, lambda each: f"snoozed until {each.until:%Y-%m-%d %H:%M} UTC")


def decline(node: NodeArgument, reason: ReasonOption, config: ConfigOption = None) -> None:
    """No maintenance of NODE for what is proposed; it is proposed again when it becomes more urgent or spreads."""

    async def work(found: Installation, wanted: NodeId, actor: str) -> list[Proposal]:
        return await proposals_of(found).decline(wanted, reason, actor)

    _answer(node, config, work, lambda _: "declined")


def parse_span(text: str) -> timedelta:
    """``7d`` as seven days; UsageError for what is no span, or longer than a snooze may be."""
    match = re.fullmatch(r"(\d{1,4})\s*([mhdw])", text.strip())
    span = timedelta(**{UNITS[match[2]]: int(match[1])}) if match else timedelta()
    if not timedelta() < span <= SNOOZE_MAX:
        raise UsageError(f"--for {text} is not known", remedy="say it as 30m, 12h, 7d or 2w; at most 90 days")
    return span


def _answer(
    node: str,
    config: Path | None,
    work: Callable[[Installation, NodeId, str], Coroutine[object, object, list[Proposal]]],
    said: Callable[[Proposal], str],
) -> None:
    async def doing() -> list[Proposal]:
        async with opened(config) as found:
            # The journal and the configuration know the node: a cluster that does not answer is no hindrance.
            known = {each.node for each in await proposals_of(found).all()} | set(found.bmcs)
            return await work(found, resolve(sorted(known), node), f"operator:{getpass.getuser()}")

    for each in wait(doing()):
        out.print(f"{each.node}: {said(each)}: {each.fault.summary}", markup=False)


def _print(listed: list[Proposal]) -> None:
    if not listed:
        out.print("Nothing is proposed. `noout health` shows what the hardware says.")
        return
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column()
    for each in listed:
        table.add_row(f"[bold]{each.node}[/]", f"{URGENCY[each.urgency]}  {escape(each.fault.summary)}")
        if each.shared:
            shared = ", ".join(node.name for node in each.shared)
            table.add_row("", f"[yellow]▲[/] it shows on {escape(shared)} as well: they share the chassis")
        since = f"proposed {each.proposed_at:%Y-%m-%d %H:%M} UTC"
        table.add_row("", f"[dim]{since}, {_evidence(each)}[/]")
        if each.plan is not None and each.standing is not Standing.TAKEN:
            glyph = "[green]✓[/]" if each.plan.feasible else "[red]⛔[/]"
            table.add_row("", f"{glyph} {escape(_plan(each.plan))}")
        table.add_row("", _standing(each))
    out.print(table)


def _plan(plan: ReadyPlan) -> str:
    return f"plan {plan.id}: {plan.says}" if plan.id else f"plan: {plan.says}"


def _evidence(each: Proposal) -> str:
    episodes = [episode for verdict in each.fault.verdicts for episode in verdict.episodes]
    logged = sum("log" in episode.sources for episode in episodes)
    said = "1 episode" if len(episodes) == 1 else f"{len(episodes)} episodes"
    return f"{said}, {logged} of them in its log" if episodes else f"{len(each.fault.verdicts)} verdicts"


def _standing(each: Proposal) -> str:
    match each.standing:
        case Standing.TAKEN:
            return f"in maintenance: noout status {each.maintenance}"
        case Standing.SNOOZED if each.until is not None:
            return escape(f"snoozed until {each.until:%Y-%m-%d %H:%M} UTC by {each.by}: {each.reason}")
        case Standing.DECLINED:
            return escape(f"declined by {each.by}: {each.reason}")
        case _:
            again = f", which takes {each.reopens} up again" if each.reopens else ""
            return f"→ noout plan {each.node}, then noout maintain {each.node}{again}"
