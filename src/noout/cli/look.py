"""Commands that look and change nothing: snapshot, plan, status, schema."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from noout.app.hours import shut_now
from noout.app.maintain import Maintenances
from noout.app.older import compare
from noout.app.planning import Planned, look_and_plan, plan_from_snapshot
from noout.app.runbook import as_shell
from noout.app.schemas import SCHEMAS, PlanDocument
from noout.app.snapshot import load_snapshot, take_snapshot
from noout.app.standstill import standstill
from noout.cli.comparing import show_differences, show_others, show_stopped
from noout.cli.options import (
    ConfigOption,
    ConsentOption,
    JsonOption,
    err,
    opened,
    out,
    print_json,
    wait,
    working,
)
from noout.cli.pictures import plan_picture
from noout.cli.several import Which, plan_several
from noout.cli.standing import by_hand, show_standing
from noout.codec import encode
from noout.codec import schema as schema_of
from noout.domain.errors import NooutError, UnknownOutcome, UsageError
from noout.domain.windows import Shut
from noout.plan.picture import plan_svg

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def snapshot(
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Where to write it; else it is printed.")
    ] = None,
    config: ConfigOption = None,
) -> None:
    """The clusters as one versioned JSON document, which holds no secrets; changes nothing.

    What cannot be read is named in it and on stderr. Exit code 1 when a cluster could not be read.
    """

    async def work() -> None:
        troubles: list[NooutError] = []
        async with opened(config) as found:
            with working("reading the clusters and their BMCs"):
                document = await take_snapshot(found.hypervisors, found.cephs, found.bmcs, found.clock, troubles)
        if not document["clusters"]:
            raise troubles[0]
        _write(json.dumps(document, indent=2, ensure_ascii=False), output)
        for each in document["unreadable"]:
            err.print(f"not read: {each['part']}: {each['why']}", markup=False, soft_wrap=True)
        if len(document["clusters"]) < len(found.hypervisors):
            raise typer.Exit(1)

    wait(work())


def _write(text: str, output: Path | None) -> None:
    if output is None:
        typer.echo(text)
        return
    write_file(text + "\n", output)
    out.print(f"wrote {output}", markup=False, soft_wrap=True)


def write_file(text: str, output: Path) -> None:
    """UsageError where it cannot be written."""
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{output} cannot be written: {error.strerror}", remedy="choose another file") from None


def plan(
    node: Annotated[
        str | None, typer.Argument(metavar="[NODE]", help="CLUSTER/NODE, or NODE alone where unique.")
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Every node of a cluster, one after the other, with as few moves as can be.")
    ] = False,
    cluster: Annotated[
        str | None, typer.Option("--cluster", metavar="NAME", help="With --all: which, where there are several.")
    ] = None,
    hours: Annotated[
        float | None,
        typer.Option("--hours", metavar="H", min=0, help="With --all: for the work on a node, else as configured."),
    ] = None,
    done: Annotated[
        list[str] | None,
        typer.Option("--done", metavar="NODE", help="With --all: its turn has been; may be repeated."),
    ] = None,
    beside: Annotated[
        list[str] | None,
        typer.Option("--with", metavar="NODE", help="To be away at the same time as NODE; may be repeated."),
    ] = None,
    snapshot: Annotated[
        Path | None, typer.Option("--snapshot", metavar="FILE", help="Plan on a snapshot instead of the live cluster.")
    ] = None,
    as_json: JsonOption = False,
    as_runbook: Annotated[
        bool, typer.Option("--runbook", help="Print the whole maintenance as commands to type by hand.")
    ] = False,
    svg: Annotated[
        Path | None, typer.Option("--svg", metavar="FILE", help="Also write the plan as a picture, an SVG file.")
    ] = None,
    consent: ConsentOption = None,
    config: ConfigOption = None,
) -> None:
    """How NODE can be emptied so that nobody notices; exit code 3 when it cannot, with the reasons.

    With --all: in which order every node of a cluster can be, who moves when, and how often.
    """
    if as_json and as_runbook:
        raise UsageError("--json and --runbook are two documents", remedy="ask for one of them")
    which = Which(node, every, cluster, hours, tuple(beside or ()), tuple(done or ()))
    if which.several(as_runbook):
        if svg is not None:
            raise UsageError("--svg draws the plan of one node", remedy="name one NODE, without --all")
        plan_several(which, consent or [], snapshot, as_json, config)
        return
    assert node is not None

    closed: Shut | None = None
    if snapshot is not None:
        made = plan_from_snapshot(load_snapshot(snapshot), node, consent or ())
    else:
        made, closed = wait(_live(node, consent or [], config))
    if svg is not None:
        write_file(plan_svg(made.plan, made.touched()), svg)
    if as_json:
        print_json(encode(PlanDocument("noout.plan", 1, made.plan, made.touched(), closed)))
    elif as_runbook and made.plan.feasible:
        typer.echo(as_shell(made.plan, made.runbook()), nl=False)
    else:
        out.print(plan_picture(made.plan, made.touched()))
        if closed is not None:
            out.print(f"[yellow]▲[/] It cannot begin now: it waits for {escape(closed.why)}")
    if not made.plan.feasible:
        raise typer.Exit(3)


async def _live(node: str, consent: list[str], config: Path | None) -> tuple[Planned, Shut | None]:
    """The plan from the cluster itself, and why it could not begin at this moment."""
    async with opened(config) as found:
        with working(f"looking at {node}"):
            wanted = await found.resolve(node)
            planned = await look_and_plan(found, wanted, consent)
            return planned, shut_now(found, wanted, found.clock.now())


def status(
    maintenance: Annotated[
        str | None, typer.Argument(metavar="ID", help="One maintenance in full; all in short without.")
    ] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Where the maintenances stand, what each waits for, and how to finish or undo one by hand.

    With ID, exit code 4 while nobody knows whether an effect of it was taken up: look before you act.
    """

    async def work() -> None:
        async with opened(config) as found:
            maintenances = Maintenances(found)
            stopped = await standstill(found.journal)
            asked = await maintenances.all() if maintenance is None else [await maintenances.get(maintenance)]
            open_ones = [each for each in asked if each.open]
            doubted = stopped is not None and stopped.doubted
            compared = await compare(found, open_ones) if doubted else None
            if as_json:
                document = {"format": "noout.status", "version": 1, "maintenances": [encode(each) for each in asked]}
                document |= {"standstill": encode(stopped) if stopped is not None else None}
                print_json(document | {"compared": encode(compared) if compared is not None else None})
                return
            if stopped is not None:
                show_stopped(stopped)
            if not asked:
                out.print("No maintenance yet. `noout health` shows the nodes, `noout plan NODE` what one would take.")
            for each in asked:
                if maintenance is None:
                    show_standing(each)
                else:
                    with working(f"looking at {each.node}"):
                        hand = await by_hand(found, each)
                    show_standing(each, hand)
                if compared is not None and each.open:
                    show_differences(each, compared)
            if compared is not None:
                show_others(open_ones, compared)
            if maintenance is not None and any(each.unknown for each in asked):
                raise typer.Exit(UnknownOutcome.exit_code)

    wait(work())


def schema(
    name: Annotated[str, typer.Argument(metavar="NAME", help=", ".join(sorted(SCHEMAS)) + ".")],
) -> None:
    """The JSON Schema of a document that noout writes."""
    if name not in SCHEMAS:
        raise UsageError(f"there is no document {name}", remedy=f"known: {', '.join(sorted(SCHEMAS))}")
    print_json({"$schema": DIALECT, **schema_of(SCHEMAS[name])})
