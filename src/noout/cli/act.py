"""Commands that answer a maintenance or stop it; they leave a message, which its run takes up."""

from __future__ import annotations

from typing import Annotated

import typer

from noout.app.maintain import Maintenances
from noout.app.technician import same_serial
from noout.cli.options import ConfigOption, IdArgument, opened, operator, out, wait
from noout.cli.workorder import work_order_of
from noout.domain.errors import Refused, UsageError
from noout.domain.journal import EXTEND_H_MAX, MessageKind
from noout.domain.maintenance import Json, Maintenance


def _tell(maintenance: str, kind: MessageKind, said: str, config: ConfigOption, **data: Json) -> None:
    async def work() -> None:
        async with opened(config) as found:
            await Maintenances(found).tell(maintenance, kind, operator(), data)
        out.print(f"{maintenance}: {said}", markup=False)

    wait(work())


def approve(maintenance: IdArgument, config: ConfigOption = None) -> None:
    """Say yes to what a maintenance asks: its plan, or in step mode its next effect."""

    async def work() -> None:
        async with opened(config) as found:
            maintenances = Maintenances(found)
            kind, data, said = _asked(await maintenances.get(maintenance))
            await maintenances.tell(maintenance, kind, operator(), data)
        out.print(f"{maintenance}: {said}", markup=False)

    wait(work())


def _asked(state: Maintenance) -> tuple[MessageKind, dict[str, Json], str]:
    """The answer to what it asks now; Refused when it asks nothing that can be approved."""
    if state.needs == "confirmation":
        action = state.facts["to_confirm"]
        return MessageKind.CONFIRM, {"action": action}, f"confirmed: {state.waiting_for.partition(': ')[2] or action}"
    if state.approved_by is None:
        return MessageKind.APPROVE, {}, "the plan is approved"
    raise Refused(f"{state.id} asks for no approval now", remedy=f"see what it waits for: noout status {state.id}")


def hands_on(
    maintenance: IdArgument,
    serial: Annotated[
        str, typer.Option("--serial", metavar="SERIAL", help="The serial number, read from the node's label.")
    ] = "",
    config: ConfigOption = None,
) -> None:
    """Say that the technician stands at the rack: redundancy is given up only after this."""

    async def work() -> None:
        async with opened(config) as found:
            maintenances = Maintenances(found)
            state = await maintenances.get(maintenance)
            order = work_order_of(state)
            if state.open and state.hands_on_by is not None:
                raise Refused(
                    f"{state.hands_on_by} is at {state.node.name} already", remedy=f"noout status {maintenance}"
                )
            read = same_serial(serial, order.location.serial, state.node.name) if state.open else ""
            await maintenances.tell(maintenance, MessageKind.HANDS_ON, operator(), {"serial": read})
        out.print(f"{maintenance}: hands-on; data is held next, then {state.node.name} is shut down", markup=False)

    wait(work())


def force_off(
    maintenance: IdArgument,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="What its console shows; kept for good.")],
    config: ConfigOption = None,
) -> None:
    """Cut the power of a node whose system went down and whose BMC still says On: your decision, never noout's.

    Only when its shutdown was seen to fail, the cluster no longer sees it, and its data is held; good for ten minutes.
    """
    _tell(maintenance, MessageKind.FORCE_OFF, "the power is cut if every check still holds", config, reason=reason)


def pause(maintenance: IdArgument, config: ConfigOption = None) -> None:
    """Start no new effect of this maintenance; what is under way ends."""
    _tell(maintenance, MessageKind.PAUSE, "paused: no new effect is started, what is under way ends", config)


def resume(
    maintenance: IdArgument,
    accept_differences: Annotated[
        bool,
        typer.Option(
            "--accept-differences",
            help="What the acceptance names as different from before (a new kernel, one DIMM fewer) is meant so.",
        ),
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Go on after a pause, or after a blocker that you have dealt with.

    A failed acceptance is judged anew, and fails again where nothing was mended.
    """
    data = {"accept_differences": True} if accept_differences else {}
    _tell(maintenance, MessageKind.RESUME, "goes on", config, **data)


def abort(
    maintenance: IdArgument,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; kept in the journal.")] = "",
    config: ConfigOption = None,
) -> None:
    """Undo what was done, in reverse, as far as that is safe; what remains is said."""
    _tell(maintenance, MessageKind.ABORT, "is being undone", config, reason=reason)


def close_up(
    maintenance: IdArgument,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; the technician reads it.")] = "",
    config: ConfigOption = None,
) -> None:
    """End the work at the rack: the node goes back as it was, not repaired."""
    _tell(maintenance, MessageKind.CLOSE_UP, "the technician is told to close up", config, reason=reason)


def extend(
    maintenance: IdArgument,
    hours: Annotated[float, typer.Option("--hours", metavar="H", help="From now, at most 24.")],
    config: ConfigOption = None,
) -> None:
    """Hold the data of a node that is away longer than the limit; `noout status` says what is at stake."""
    if not 0 < hours <= EXTEND_H_MAX:
        raise UsageError(f"--hours {hours:g}: more than 0 and at most {EXTEND_H_MAX:g}")
    _tell(maintenance, MessageKind.EXTEND, f"its data is held for {hours:g} h from now", config, hours=hours)


def let_heal(maintenance: IdArgument, config: ConfigOption = None) -> None:
    """Let Ceph copy the data of a node that is away to the others, once they are seen to have room for it."""
    _tell(maintenance, MessageKind.LET_HEAL, "noout is released when the others have room", config)
