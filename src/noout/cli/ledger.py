"""``noout ledger``: everything that noout owns on the clusters, and the one way to give back what was left."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from noout.app.ledger import Ledger, read_ledger, release
from noout.cli.options import (
    ConfigOption,
    JsonOption,
    err,
    opened,
    operator,
    out,
    print_json,
    print_plain,
    wait,
    working,
)
from noout.codec import encode
from noout.domain.errors import UsageError
from noout.domain.ownership import Now

WORDS = {Now.SET: "set", Now.GONE: "[yellow]not set[/]", Now.UNKNOWN: "[yellow]nobody says[/]"}


def ledger(
    release_it: Annotated[
        tuple[str, str],
        typer.Option("--release", metavar="KIND SUBJECT", help="Give this back: ours, of a maintenance that is over."),
    ] = ("", ""),
    cluster: Annotated[str | None, typer.Option("--cluster", metavar="NAME", help="One cluster; all without.")] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """What noout has set on the clusters, for which maintenance, since when, and what the clusters say of it now.

    Exit code 0 when all is as it should be, 3 when something is left, was taken away or looks like ours and is not;
    1 when a cluster could not be read.
    """
    if as_json and release_it[0]:
        raise UsageError("--json and --release are two things", remedy="ask for one of them")
    code = wait(_release(release_it, cluster, config) if release_it[0] else _show(cluster, as_json, config))
    if code:
        raise typer.Exit(code)


async def _release(what: tuple[str, str], cluster: str | None, config: ConfigOption) -> int:
    async with opened(config) as found:
        with working(f"releasing {' '.join(what)}"):
            holding = await release(found, *what, operator(), cluster)
    out.print(f"released: {holding.kind} {holding.subject}, left by {holding.maintenance}", markup=False)
    return 0


async def _show(cluster: str | None, as_json: bool, config: ConfigOption) -> int:
    async with opened(config) as found:
        if cluster is not None and cluster not in found.hypervisors:
            raise UsageError(f"there is no cluster {cluster}", remedy=f"known: {', '.join(found.hypervisors)}")
        with working("looking at what is owned"):
            read = await read_ledger(found, only=cluster)
    if as_json:
        print_json({"format": "noout.ledger", "version": 1, "ledger": encode(read)})
    else:
        _print(read)
    return 1 if read.unread else 3 if read.oddities else 0


def _print(read: Ledger) -> None:
    if not read.lines:
        out.print("Nothing on any cluster is noout's now.")
    else:
        table = Table(box=None, pad_edge=False, header_style="dim")
        for title in ("cluster", "what", "of", "maintenance", "begun by", "since (UTC)", "by the journal", "now"):
            table.add_column(title)
        for line in read.lines:
            each = line.holding
            mid = each.maintenance if line.live else f"{each.maintenance}, over"
            by_journal = "being released" if each.releasing else each.hold.value
            table.add_row(
                each.cluster, each.kind, escape(each.subject), mid, escape(each.by), f"{each.since:%Y-%m-%d %H:%M:%S}",
                by_journal, WORDS[line.now],
            )  # fmt: skip
        out.print(table)
    for odd in read.oddities:
        out.print(f"[red]⛔[/] {escape(odd.message)}")
        print_plain([f"  → {odd.command}"])
    for name, why in read.unread.items():
        err.print(f"{name} could not be asked: {why}", markup=False)
