"""The command: sets the stage, plays the story, prints it and its checks."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

import httpx2
import typer
from rich.markup import escape
from rich.table import Table

from noout.app.carrying import carrying
from noout.app.compose import installation
from noout.cli.demo.accounts import clients
from noout.cli.demo.director import Director, Script, Told
from noout.cli.demo.hands import LabHands
from noout.cli.demo.stage import lab_process, real_lab_process
from noout.cli.demo.technician import Pace
from noout.cli.live import Teller
from noout.cli.options import join, out, wait
from noout.cli.pictures import plan_picture
from noout.cli.webapp import web_served
from noout.domain.cluster import NodeId
from noout.domain.errors import Refused, UsageError
from noout.lab.real.box import folder
from noout.lab.real.needs import lacking_for_ceph, lacking_for_lab
from noout.lab.real.network import guest_address
from noout.settings import Settings, load

CLUSTER, NODE = "ams1", "pve3"
PATIENCE_S = 60.0  # of those who play people, with a machine that does all of this at once
SCRIPT = Script(NodeId(CLUSTER, NODE))
REAL_SCRIPT = Script(
    NodeId(CLUSTER, NODE),
    fan="FAN3",
    stop_s=4.0,
    past_stops=4,
    pace=Pace(look_every_s=2.0, walk_s=5.0, check_s=0.5),
    order_every_s=1.0,
)


def demo(
    seed: Annotated[int, typer.Option(help="Another seed, another world.")] = 1,
    speed: Annotated[float, typer.Option(min=1, max=600, help="Virtual seconds per second.")] = 60,
    out_dir: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where the reports go.")] = Path("demo-out"),
    keep: Annotated[bool, typer.Option("--keep", help="Keep the configuration and the journal beside them.")] = False,
    real: Annotated[
        bool, typer.Option("--real", help="On real QEMU guests, IPMI and Ceph, at their own pace; needs root.")
    ] = False,
) -> None:
    """The whole story on an embedded lab: a failing fan, noticed, repaired in office hours, told to each customer.

    Exit code 0 only if every check at the end holds.
    """
    if out_dir.exists() and not out_dir.is_dir():
        raise UsageError(f"--out {out_dir} is not a folder", remedy="name a folder, existing or new")
    started = time.monotonic()
    with folder() if real else tempfile.TemporaryDirectory(prefix="noout-demo-") as work:
        config = Path(work) / "noout.toml"
        told = wait(_play_real(config, out_dir) if real else _play(config, out_dir, seed, speed))
        if keep:
            shutil.copytree(work, out_dir / "work", dirs_exist_ok=True)
    _print_end(told, out_dir, time.monotonic() - started)
    if not told.ok:
        raise typer.Exit(1)


async def _play(config: Path, out_dir: Path, seed: int, speed: float) -> Told:
    out.print(f"[bold]noout demo[/]: a six-node cluster of its own, {speed:g} times as fast as the clock, seed {seed}")
    async with lab_process(config, seed=seed, speed=speed), _directed(load(config), SCRIPT) as director:
        return await director.tell(out_dir)


async def _play_real(config: Path, out_dir: Path) -> Told:
    """The same on real parts, at their own pace, beside clients that share nothing with noout's prober."""
    if why := lacking_for_lab() or lacking_for_ceph():
        raise Refused(f"no demo with real parts here: {why}", remedy="`noout demo` simulates them anywhere")
    out.print("[bold]noout demo[/]: real QEMU guests, IPMI and Ceph, in namespaces of its own; minutes")
    async with real_lab_process(config):
        settings = load(config)
        assert settings.lab is not None
        join(settings.lab.namespace)
        async with _directed(settings, REAL_SCRIPT) as director:
            vmids = [int(guest.rpartition("/")[2]) for guest in settings.probes.services]
            addresses = {vmid: guest_address(vmid) for vmid in vmids}
            async with clients(config.with_name("clients.json"), addresses, director.found.measurements) as beside:
                director.more = beside.checks
                return await director.tell(out_dir)


@asynccontextmanager
async def _directed(settings: Settings, script: Script) -> AsyncIterator[Director]:
    """A whole noout on that lab, and who directs the story on it."""
    assert settings.lab is not None
    control = settings.lab.control.removesuffix("/lab/v1")
    async with (
        installation(settings) as found,
        carrying(found) as carrier,
        web_served(found) as (phone, token),
        httpx2.AsyncClient(base_url=control, trust_env=False, timeout=PATIENCE_S) as lab,
    ):
        phone.timeout = httpx2.Timeout(PATIENCE_S)
        assert carrier is not None, "the demo's store is its own"
        yield Director(
            found=found,
            lab=LabHands(lab, CLUSTER),
            phone=phone,
            operator_token=token,
            script=script,
            begin=carrier.begin,
            say=Teller(found.clock).say,
            show_plan=lambda plan: out.print(plan_picture(plan)),
        )


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
