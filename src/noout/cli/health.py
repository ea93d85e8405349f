"""``noout health``: what the watch thinks of the nodes' hardware, and why."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from noout.app.notice import watcher_of
from noout.app.showing import picture_of
from noout.app.watcher import Health
from noout.cli.options import ConfigOption, JsonOption, err, opened, out, print_json, wait, working
from noout.codec import encode
from noout.domain.errors import UsageError
from noout.domain.hardware import Condition, Power

GLYPHS = {
    Condition.OK: "[green]✓[/] ok",
    Condition.DEGRADED: "[yellow]▲[/] degraded",
    Condition.FLAPPING: "[yellow]▲[/] flapping",
    Condition.HUNTING: "[cyan]▲[/] hunting",
    Condition.FAILED: "[red]⛔[/] failed",
    Condition.LOST_TELEMETRY: "[dim]?[/] lost telemetry",
}


def health(
    node: Annotated[str | None, typer.Argument(metavar="NODE", help="One node; all without.")] = None,
    as_json: JsonOption = False,
    svg: Annotated[
        Path | None,
        typer.Option("--svg", metavar="FILE", help="Draw NODE's last seven days: readings, peers, episodes, log."),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """What the nodes' hardware says, judged, with the reason.

    Each look is kept, so that what comes and goes is seen. Exit code 1 when the BMC of the NODE asked for is silent.
    """
    if svg is not None and node is None:
        raise UsageError("--svg draws one node", remedy="name it: noout health NODE --svg FILE")

    async def work() -> list[Health]:
        async with opened(config) as found:
            watcher = watcher_of(found)
            wanted = await found.resolve(node) if node is not None else None
            if wanted is not None:
                watcher.bmcs = {wanted: found.bmc(wanted)}
            with working(f"asking {len(watcher.bmcs)} BMCs"):
                health = await watcher.poll()
            if svg is not None:
                asked = next(each for each in health if each.node == wanted)
                now = found.clock.now()
                _write(svg, await picture_of(found.measurements, asked.node, asked.verdicts, now))
            return health

    found = wait(work())
    if as_json:
        print_json({"format": "noout.health", "version": 1, "nodes": [encode(each) for each in found]})
    else:
        _print(found)
    if node is not None and not all(each.latest is not None and each.latest.reachable for each in found):
        raise typer.Exit(1)


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}", remedy="choose another file") from None
    err.print(f"wrote {path}", markup=False, soft_wrap=True)


def _print(found: list[Health]) -> None:
    if not found:
        out.print("No BMC is configured: add \\[clusters.CLUSTER.bmc.NODE] to noout.toml.")
        return
    table = Table("node", "sensor", "condition", "why", box=None, pad_edge=False, header_style="dim")
    for each in found:
        if each.latest is not None and each.latest.online is False:
            table.add_row(str(each.node), "cluster", "[yellow]▲[/] away", _away(each.latest.power))
        if each.latest is None or not each.latest.reachable:
            table.add_row(
                str(each.node), "BMC", "[dim]?[/] no answer", "its BMC does not answer: power steps are blocked"
            )
            continue
        notable = [verdict for verdict in each.verdicts if verdict.condition is not Condition.OK]
        for verdict in notable:
            table.add_row(str(each.node), escape(verdict.sensor), GLYPHS[verdict.condition], escape(verdict.why))
        if not notable:
            table.add_row(str(each.node), f"{len(each.verdicts)} sensors", GLYPHS[Condition.OK], "")
    out.print(table)
    for each in found:
        if each.fault is not None:
            out.print(f"\n[bold]{each.node}[/]: a maintenance is proposed ({each.fault.urgency.value})")
            out.print(f"  → noout plan {each.node}, then noout maintain {each.node}")


def _away(power: Power) -> str:
    """What it means that the cluster does not count a node in."""
    if power is Power.ON:
        return "Proxmox VE does not count it in while its BMC says that it has power: it hangs, boots, or is cut off"
    return "Proxmox VE does not count it in" + ("; it has no power" if power is Power.OFF else "")
