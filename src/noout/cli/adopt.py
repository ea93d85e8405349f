"""``noout adopt``: what noout left on the clusters, from the clusters alone, and how to take it away by hand."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape

from noout.app.adopt import Traces, traces
from noout.cli.options import ConfigOption, err, opened, out, print_plain, wait, working
from noout.domain.errors import UsageError


def adopt(
    cluster: Annotated[str | None, typer.Option("--cluster", metavar="NAME", help="One cluster; all without.")] = None,
    config: ConfigOption = None,
) -> None:
    """What noout left on the clusters of which this journal knows nothing: when the database was lost, or is older.

    Changes nothing; each trace comes with the command that takes it away, in the order in which that is safe. Exit code
    0 when there is none, 3 when there is one, 1 when a cluster could not be asked.
    """

    async def work() -> Traces:
        async with opened(config) as found:
            if cluster is not None and cluster not in found.hypervisors:
                raise UsageError(f"there is no cluster {cluster}", remedy=f"known: {', '.join(found.hypervisors)}")
            with working("looking at the clusters"):
                return await traces(found, cluster)

    read = wait(work())
    _print(read)
    if read.unread or read.of:
        raise typer.Exit(1 if read.unread else 3)


def _print(read: Traces) -> None:
    if not (read.of or read.unread):
        out.print("Nothing on any cluster looks as if noout had left it.")
    for place, some in read.of.items():
        out.print(f"[bold]{escape(place)}[/]")
        for each in some:
            out.print(f"  {escape(each.what)}{'' if each.sure else ' (look first: people do so too)'}", soft_wrap=True)
            print_plain([f"    {line}" for line in each.command.splitlines()])
    for place in (place for place in read.of if "/" in place):
        node = place.partition("/")[2]
        out.print(f"Guests that left {escape(node)} are where its tasks say; each names who moved it:", soft_wrap=True)
        print_plain([f"    pvesh get /nodes/{node}/tasks --typefilter qmigrate   # and vzmigrate, hamigrate"])
    for name, why in read.unread.items():
        err.print(f"{name} could not be asked: {why}", markup=False, soft_wrap=True)
    if read.of:
        out.print("In this order for each node. When all is as it should be: noout allow-all")
