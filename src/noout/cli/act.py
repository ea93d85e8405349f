"""Commands that act on a maintenance: begin one, answer it, stop it."""

from __future__ import annotations

import getpass
from typing import Annotated

import typer

from noout.app.maintain import Maintenances
from noout.app.planning import plan_now
from noout.cli.live import follow
from noout.cli.options import ConfigOption, IdArgument, JsonOption, NodeArgument, err, opened, out, print_json, wait
from noout.cli.pictures import plan_picture
from noout.cli.standing import standing
from noout.codec import encode
from noout.domain.errors import Refused, UsageError
from noout.domain.journal import MessageKind
from noout.domain.maintenance import Mode


def _operator() -> str:
    return f"operator:{getpass.getuser()}"


def maintain(
    node: NodeArgument,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; customers read it.")] = "",
    mode: Annotated[str, typer.Option("--mode", help="advise (no effect), step (each effect confirmed) or auto.")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Approve the plan without asking.")] = False,
    config: ConfigOption = None,
) -> None:
    """Carry NODE through a maintenance, or take up again the one that runs; follow it until it is over.

    The default mode is step; on a lab it is auto. Stopping this command stops no maintenance: the same command
    goes on with it.
    """
    if mode not in ("", *Mode):
        raise UsageError(f"--mode {mode} is not known", remedy="advise, step or auto")

    async def work() -> int:
        async with opened(config) as found:
            wanted = await found.resolve(node)
            maintenances = Maintenances(found)
            chosen = Mode(mode) if mode else (Mode.AUTO if found.settings.lab else Mode.STEP)
            running = await maintenances.running(wanted)
            if running is None:
                plan = await plan_now(found, wanted)
                out.print(plan_picture(plan))
                if not plan.feasible:
                    return 3
                if chosen is Mode.ADVISE:
                    return 0
                if not yes and not typer.confirm(f"Begin the maintenance of {wanted}?"):
                    raise Refused("not begun: the plan was not approved", remedy="")
                opened_now = await maintenances.open(wanted, reason=reason, mode=chosen, actor=_operator(), plan=plan)
                running = await maintenances.get(opened_now)
            else:
                err.print(f"going on with {running.id}: {running.reason}")
            state = await follow(found, running.id)
            out.print(standing(state, in_full=True))
            return 0 if state.outcome == "done" else 1

    code = wait(work())
    if code:
        raise typer.Exit(code)


def _tell(maintenance: str, kind: MessageKind, said: str, config: ConfigOption, **data: str) -> None:
    async def work() -> None:
        async with opened(config) as found:
            await Maintenances(found).tell(maintenance, kind, _operator(), data)
        out.print(f"{maintenance}: {said}")

    wait(work())


def approve(maintenance: IdArgument, config: ConfigOption = None) -> None:
    """Approve a maintenance's plan; in step mode also the effect it asks about."""
    _tell(maintenance, MessageKind.APPROVE, "approved", config)


def hands_on(
    maintenance: IdArgument,
    serial: Annotated[str, typer.Option("--serial", help="The serial number read from the node's label.")] = "",
    config: ConfigOption = None,
) -> None:
    """Say that the technician stands at the rack: redundancy is given up only after this."""
    _tell(
        maintenance,
        MessageKind.HANDS_ON,
        "hands-on: data is held next, then the node is shut down",
        config,
        serial=serial,
    )


def pause(maintenance: IdArgument, config: ConfigOption = None) -> None:
    """Start no new effect of this maintenance; what is under way ends."""
    _tell(maintenance, MessageKind.PAUSE, "paused: no new effect is started", config)


def resume(maintenance: IdArgument, config: ConfigOption = None) -> None:
    """Go on after a pause."""
    _tell(maintenance, MessageKind.RESUME, "goes on", config)


def abort(
    maintenance: IdArgument,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT")] = "",
    config: ConfigOption = None,
) -> None:
    """Undo what was done, in reverse, as far as that is safe; what remains is said."""
    _tell(maintenance, MessageKind.ABORT, "is being undone", config, reason=reason)


def workorder(
    maintenance: IdArgument,
    link: Annotated[bool, typer.Option("--link", help="Issue a single-use link for the technician's phone.")] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """The work order of a maintenance: where to go, what to do."""

    async def work() -> None:
        async with opened(config) as found:
            state = await Maintenances(found).get(maintenance)
            order = state.work_order
            if order is None:
                raise Refused(
                    f"{maintenance} has no work order yet", remedy="it is issued once the node is empty of guests"
                )
            if link:
                token, expires = await Maintenances(found).field_work().make_link(maintenance, "technician")
                base = found.settings.serve.base_url or f"http://{found.settings.serve.listen}"
                out.print(f"{base.rstrip('/')}/w/{token}", soft_wrap=True)
                err.print(f"opens on one device, until {expires:%Y-%m-%d %H:%M} UTC, while noout serves it")
                return
            if as_json:
                print_json({"format": "noout.workorder", "version": 1, "work_order": encode(order)})
                return
            place = order.location
            out.print(f"[bold]{order.number}[/]  {order.node}  {order.reason}")
            out.print(f"room {place.room}  rack {place.rack}  unit {place.unit}  serial {place.serial}")
            for check in order.checks:
                out.print(f"  ☐ [dim]{check.section}[/]  {check.text}")

    wait(work())
