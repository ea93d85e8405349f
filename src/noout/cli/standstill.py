"""stop-all and allow-all: one switch for every maintenance of the installation."""

from __future__ import annotations

from typing import Annotated

import typer

from noout.app.maintain import Maintenances
from noout.app.older import allow_despite
from noout.app.standstill import standstill, stop_all
from noout.cli.options import ConfigOption, opened, operator, out, wait, working


def stop(
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; whoever looks reads it.")] = "",
    config: ConfigOption = None,
) -> None:
    """Start no new effect anywhere: no maintenance, no cluster, no process on this store is left out.

    What is under way in the clusters ends by itself, and what is held stays held. `noout status ID` gives the commands
    to go on by hand.
    """

    async def work() -> None:
        async with opened(config) as found:
            fresh = await stop_all(found.journal, operator(), reason)
            stopped = await standstill(found.journal)
            states = [state for state in await Maintenances(found).all() if state.open]
        if stopped is None:
            out.print("effects were allowed again at this very moment, by somebody else: see `noout status`")
            return
        said = "stopped" if fresh else f"was stopped already, by {stopped.by}"
        out.print(f"{said} at {stopped.at:%H:%M:%S} UTC: no new effect is started anywhere", markup=False)
        for state in states:
            for pending in state.pending:
                out.print(f"  still under way ({state.id}): {pending.action.says}", markup=False)
            for owned in state.owned:
                out.print(f"  still held ({state.id}): {owned.kind} {owned.subject}", markup=False)
        out.print("to go on: noout allow-all", markup=False)

    wait(work())


def allow(config: ConfigOption = None) -> None:
    """Allow effects again: every maintenance looks at its cluster anew, and goes on.

    After a restore, or where a cluster tells of more than the journal has: say with it that this journal counts all
    the same. Look at `noout status` first, and make sure that no other noout acts on these clusters.
    """

    async def work() -> None:
        async with opened(config) as found:
            with working("looking at the clusters"):
                fresh, ahead = await allow_despite(found, operator())
        out.print("effects are allowed again" if fresh else "nothing was stopped", markup=False)
        for each in ahead:
            out.print(f"  this journal counts all the same: {each.why}", markup=False, soft_wrap=True)

    wait(work())
