"""Commands that look and change nothing: snapshot, plan, status, schema."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from noout.app.compose import Installation
from noout.app.maintain import Maintenances
from noout.app.planning import plan_from_snapshot, plan_now
from noout.app.schemas import SCHEMAS
from noout.app.snapshot import load_snapshot, take_snapshot
from noout.cli.options import ConfigOption, JsonOption, NodeArgument, opened, out, print_json, wait
from noout.cli.pictures import plan_picture
from noout.cli.standing import standing
from noout.codec import encode
from noout.codec import schema as schema_of
from noout.domain.errors import UsageError
from noout.domain.maintenance import Maintenance, Plan


def snapshot(
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="Where to write it.")] = None,
    config: ConfigOption = None,
) -> None:
    """The clusters as one versioned JSON document; changes nothing."""

    async def work() -> None:
        async with opened(config) as found:
            document = await take_snapshot(found.hypervisors, found.cephs, found.bmcs, found.clock)
        text = json.dumps(document, indent=2, ensure_ascii=False)
        if output is None:
            typer.echo(text)
            return
        try:
            output.write_text(text + "\n", encoding="utf-8")
        except OSError as error:
            raise UsageError(f"{output} cannot be written: {error.strerror}", remedy="choose another file") from None
        out.print(f"wrote {output}")

    wait(work())


def plan(
    node: NodeArgument,
    snapshot: Annotated[
        Path | None, typer.Option("--snapshot", metavar="FILE", help="Plan on a snapshot instead of the live cluster.")
    ] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """How NODE can be emptied so that nobody notices; exit code 3 when it cannot, with the reasons."""

    async def live() -> Plan:
        async with opened(config) as found:
            return await plan_now(found, await found.resolve(node))

    made = plan_from_snapshot(load_snapshot(snapshot), node) if snapshot is not None else wait(live())
    if as_json:
        print_json({"format": "noout.plan", "version": 1, "plan": encode(made)})
    else:
        out.print(plan_picture(made))
    if not made.feasible:
        raise typer.Exit(3)


def status(
    maintenance: Annotated[str | None, typer.Argument(metavar="[ID]", help="One maintenance; all without.")] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Where the maintenances stand, what each waits for, and how to finish or undo one by hand."""

    async def work() -> list[Maintenance]:
        async with opened(config) as found:
            return await _asked(found, maintenance)

    found = wait(work())
    if as_json:
        print_json({"format": "noout.status", "version": 1, "maintenances": [encode(each) for each in found]})
        return
    if not found:
        out.print("no maintenance yet: `noout health` shows the nodes, `noout plan NODE` what it would take")
    for each in found:
        out.print(standing(each, in_full=maintenance is not None))


async def _asked(found: Installation, maintenance: str | None) -> list[Maintenance]:
    maintenances = Maintenances(found)
    return await maintenances.all() if maintenance is None else [await maintenances.get(maintenance)]


def schema(
    name: Annotated[str, typer.Argument(metavar="NAME", help="snapshot, plan, status, health, report or journal.")],
) -> None:
    """The JSON Schema of a document that noout writes."""
    if name not in SCHEMAS:
        raise UsageError(f"there is no document {name}", remedy=f"known: {', '.join(sorted(SCHEMAS))}")
    print_json(schema_of(SCHEMAS[name]))
