"""The command: sets the stage, plays the story, prints it and its checks."""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path
from typing import Annotated

import httpx2
import typer
from rich.markup import escape
from rich.table import Table

from noout.app.carrying import carrying
from noout.app.compose import installation
from noout.cli.demo.director import Director, Script, Told
from noout.cli.demo.hands import LabHands
from noout.cli.demo.stage import lab_process
from noout.cli.live import Teller
from noout.cli.options import out, wait
from noout.cli.pictures import plan_picture
from noout.cli.webapp import web_served
from noout.domain.cluster import NodeId
from noout.domain.errors import UsageError
from noout.settings import load

CLUSTER, NODE = "ams1", "pve3"


def demo(
    seed: Annotated[int, typer.Option(help="Another seed, another world.")] = 1,
    speed: Annotated[float, typer.Option(min=1, max=600, help="Virtual seconds per second.")] = 60,
    out_dir: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where the reports go.")] = Path("demo-out"),
    keep: Annotated[bool, typer.Option("--keep", help="Keep the configuration and the journal beside them.")] = False,
) -> None:
    """The whole story on an embedded lab: a failing fan, noticed, repaired in office hours, told to each customer.

    Exit code 0 only if every check at the end holds.
    """
    if out_dir.exists() and not out_dir.is_dir():
        raise UsageError(f"--out {out_dir} is not a folder", remedy="name a folder, existing or new")
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="noout-demo-") as folder:
        config = Path(folder) / "noout.toml"
        told = wait(_play(config, out_dir, seed, speed))
        if keep:
            shutil.copytree(folder, out_dir / "work", dirs_exist_ok=True)
    _print_end(told, out_dir, time.monotonic() - started)
    if not told.ok:
        raise typer.Exit(1)


async def _play(config: Path, out_dir: Path, seed: int, speed: float) -> Told:
    out.print(f"[bold]noout demo[/]: a six-node cluster of its own, {speed:g} times as fast as the clock, seed {seed}")
    async with lab_process(config, seed=seed, speed=speed):
        settings = load(config)
        assert settings.lab is not None
        control = settings.lab.control.removesuffix("/lab/v1")
        async with (
            installation(settings) as found,
            carrying(found) as carrier,
            web_served(found) as (phone, token),
            httpx2.AsyncClient(base_url=control, trust_env=False) as lab,
        ):
            assert carrier is not None, "the demo's store is its own"
            director = Director(
                found=found,
                lab=LabHands(lab, CLUSTER),
                phone=phone,
                operator_token=token,
                script=Script(NodeId(CLUSTER, NODE)),
                begin=carrier.begin,
                say=Teller(found.clock).say,
                show_plan=lambda plan: out.print(plan_picture(plan)),
            )
            return await director.tell(out_dir)


def _print_end(told: Told, out_dir: Path, wall_s: float) -> None:
    table = Table(box=None, show_header=False, pad_edge=False)
    for check in told.checks:
        mark = "[green]✓[/]" if check.ok else "[red]✗[/]"
        table.add_row(mark, escape(check.name), f"[dim]{escape(check.evidence)}[/]")
    out.print()
    out.print(table)
    reports = [path for path in told.files if path.name.startswith("report-") and path.suffix == ".html"]
    out.print()
    if told.ok:
        out.print(
            f"[bold]Done[/]: {told.virtual_s / 60:.0f} minutes of maintenance in {wall_s:.0f} s."
            f" The customers' reports are in [bold]{out_dir}[/]:"
        )
    else:
        failed = sum(1 for check in told.checks if not check.ok)
        count = f"{failed} check{'s' * (failed > 1)} failed"
        out.print(f"[red]The story did not hold[/]: {count}. What there is, is in [bold]{out_dir}[/]:")
    for path in reports:
        out.print(f"  {path}  [dim](also .pdf and .json)[/]")
