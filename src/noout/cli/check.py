"""``noout check``: the doctor. What stands in the way of a maintenance, found before one begins; changes nothing."""

from __future__ import annotations

from itertools import groupby
from typing import Annotated

import typer
from rich.markup import escape
from rich.padding import Padding

from noout.app.compose import Installation
from noout.app.doctor import Diagnosis, Finding, Level, diagnose, gather
from noout.cli.options import ConfigOption, JsonOption, err, opened, out, print_json, wait
from noout.codec import encode
from noout.domain.errors import UsageError

GLYPHS = {Level.BLOCKER: "[red]⛔[/] ", Level.CAUTION: "[yellow]▲[/] "}


def check(
    node: Annotated[
        str | None, typer.Argument(metavar="NODE", help="CLUSTER/NODE, or NODE alone where unique; all without.")
    ] = None,
    cluster: Annotated[str | None, typer.Option("--cluster", metavar="NAME", help="One cluster; all without.")] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """What stands in the way of taking a node out, and what to do about it. Changes nothing.

    Looks at every node as if it were to be taken out, and at what noout itself needs. Rights to look are enough.
    Exit code 0 when nothing must stop a maintenance, 3 with blockers, 1 when a cluster could not be read.
    """

    async def work() -> Diagnosis:
        async with opened(config) as found:
            return await examine(found, node, cluster)

    found = wait(work())
    if as_json:
        print_json(encode(found))
    else:
        show(found)
    if found.exit_code:
        raise typer.Exit(found.exit_code)


async def examine(found: Installation, node: str | None, cluster: str | None) -> Diagnosis:
    if cluster is not None and cluster not in found.hypervisors:
        raise UsageError(f"there is no cluster {cluster}", remedy=f"known: {', '.join(found.hypervisors)}")
    only = frozenset({await found.resolve(node)}) if node is not None else frozenset()
    if only and cluster is None:
        cluster = next(iter(only)).cluster
    if not err.is_terminal:
        return diagnose(await gather(found, cluster, only))
    with err.status("looking", spinner="dots") as status:
        return diagnose(await gather(found, cluster, only, lambda what: status.update(f"asking {what}")))


def show(found: Diagnosis) -> None:
    """By place, blockers first, each with its remedy; then what was looked at."""
    for place, findings in groupby(found.findings, key=lambda each: each.place):
        out.print(f"[bold]{escape(place)}[/]")
        for each in findings:
            _print(each)
    blockers = len(found.blockers)
    cautions = len(found.findings) - blockers
    if not found.findings:
        out.print("Nothing to say. Looked at:")
    else:
        out.print(f"[bold]{_count(blockers, 'blocker')}, {_count(cautions, 'caution')}.[/] Looked at:")
    for look in found.looked:
        glyph = "[green]✓[/]" if look.whole else "[yellow]?[/]"
        out.print(Padding.indent(f"{glyph} {escape(look.place)}: {escape(look.what)}", 2))


def _print(each: Finding) -> None:
    out.print(Padding.indent(f"{GLYPHS[each.level]}{escape(each.message)}  [dim]{each.code}[/]", 2))
    out.print(Padding.indent(f"→ {escape(each.remedy)}", 5))


def _count(number: int, what: str) -> str:
    return f"{number or 'no'} {what}{'' if number == 1 else 's'}"
