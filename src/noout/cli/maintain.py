"""``noout maintain``: carry a node through a maintenance and follow it to its end."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from noout.app.compose import Installation
from noout.app.desk import Desk, Way
from noout.app.hours import shut_now
from noout.app.maintain import Maintenances
from noout.app.notice import watcher_of
from noout.app.planning import Planned
from noout.app.privileges import LOOK, acts_of, require
from noout.app.runbook import as_shell
from noout.cli.live import follow
from noout.cli.options import ConfigOption, ConsentOption, NodeArgument, err, opened, operator, out, wait, working
from noout.cli.pictures import plan_picture
from noout.cli.standing import by_hand, show_standing
from noout.domain.errors import Refused, UnknownOutcome, UsageError
from noout.domain.maintenance import Maintenance, Mode

MODES = ", ".join(Mode)


def maintain(
    node: NodeArgument,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; the technician reads it.")] = "",
    mode: Annotated[
        str, typer.Option("--mode", metavar="MODE", help="advise (no effect), step (each effect confirmed) or auto.")
    ] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Approve the plan without asking.")] = False,
    stay: Annotated[
        bool, typer.Option("--stay", help="Its guests stay where they go: its turn, when every node has one.")
    ] = False,
    toward: Annotated[
        list[str] | None, typer.Option("--toward", metavar="NODE", help="To be taken before others; may be repeated.")
    ] = None,
    consent: ConsentOption = None,
    config: ConfigOption = None,
) -> None:
    """Carry NODE through a maintenance, or take up again the one that runs; follow it until it is over.

    The default mode is step; on a lab it is auto. A fault that `noout health` has found goes with it, to the work
    order and the acceptance. Stopping this command stops no maintenance: the same command goes on with it. Exit code 0
    only when it was carried through; 4 while nobody knows whether an effect was taken up: look before you act.
    """
    if mode not in ("", *Mode):
        raise UsageError(f"--mode {mode} is not known", remedy=f"one of {MODES}")
    way = Way(tuple(consent or ()), stay, tuple(toward or ()))
    code = wait(_maintain(node, reason, Mode(mode) if mode else None, yes, way, config), lasting=True)
    if code:
        raise typer.Exit(code)


async def _maintain(node: str, reason: str, mode: Mode | None, yes: bool, way: Way, config: Path | None) -> int:
    async with opened(config) as found:
        with working(f"looking at {node}"):
            wanted = await found.resolve(node)
            maintenances = Maintenances(found)
            running = await maintenances.running(wanted)
            desk = Desk(found, watcher_of(found))
            fault = await desk.fault(wanted)
            planned = await desk.plan(wanted, way) if running is None else None
        chosen = mode or (Mode.AUTO if found.settings.lab else Mode.STEP)
        if running is not None:
            err.print(f"going on with {running.id}: {running.reason}", markup=False)
        if planned is not None:
            out.print(plan_picture(planned.plan, planned.touched()))
            if not planned.plan.feasible:
                return 3
            if chosen is Mode.ADVISE:
                out.print()
                typer.echo(as_shell(planned.plan, planned.runbook()), nl=False)
                return 0
            if fault is not None:
                out.print(f"What the watch has seen goes with it: {fault.summary}", markup=False)
            await require(found.hypervisor(wanted), LOOK, *acts_of(planned.plan))
            if (closed := shut_now(found, wanted, found.clock.now())) is not None:
                out.print(f"[yellow]▲[/] It will not begin at once: it waits for {escape(closed.why)}")
            _ask(planned, yes)
            actor = operator()
            opened_now = await maintenances.open(
                wanted, reason=reason, mode=chosen, actor=actor, plan=planned.plan, fault=fault
            )
            running = await maintenances.get(opened_now)
        assert running is not None
        state = await _followed(found, running.id)
        show_standing(state, await by_hand(found, state))
        return exit_code(state)


def exit_code(state: Maintenance) -> int:
    """Of a maintenance that is over."""
    if state.unknown:
        return UnknownOutcome.exit_code
    return 0 if state.outcome == "done" else 1


async def _followed(found: Installation, maintenance: str) -> Maintenance:
    """Its last state. Stopped before: UnknownOutcome while nobody knows whether an effect was taken up."""
    try:
        return await follow(found, maintenance)
    except asyncio.CancelledError:
        state = await Maintenances(found).get(maintenance)
        if not state.unknown:
            raise
        says = state.unknown[0].action.says
        raise UnknownOutcome(
            f"stopped here, and nobody knows whether this was taken up: {says}",
            remedy=f"look before you act: noout status {maintenance}",
        ) from None


def _ask(planned: Planned, yes: bool) -> None:
    """The approval of the plan; Refused without one."""
    if yes:
        return
    try:
        approved = typer.confirm(f"Begin the maintenance of {planned.plan.node}?")
    except typer.Abort:
        raise Refused("not begun: nobody answered", remedy="approve the plan with --yes") from None
    if not approved:
        raise Refused("not begun: the plan was not approved", remedy="`noout plan` shows it again at any time")
