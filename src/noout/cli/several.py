"""``noout plan`` for more than one node: ``--all``, and ``--with``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import typer

from noout.app.rolling import group_now, group_of_snapshot, roll_now, roll_snapshot
from noout.app.snapshot import load_snapshot
from noout.cli.options import opened, out, print_json, wait, working
from noout.cli.pictures import plan_picture
from noout.cli.pictures_rolling import rolling_picture
from noout.codec import encode
from noout.domain.errors import UsageError
from noout.domain.maintenance import Plan
from noout.domain.rolling import Rolling


@dataclass(frozen=True, slots=True)
class Which:
    """The nodes that a plan was asked for, as the options say."""

    node: str | None
    every: bool
    cluster: str | None
    hours: float | None
    beside: tuple[str, ...]
    done: tuple[str, ...]

    def several(self, as_runbook: bool) -> bool:
        """Whether it is more than one; UsageError for options that contradict each other."""
        if (self.node is None) != self.every or (self.every and self.beside):
            raise UsageError(
                "a plan needs either a 'NODE' or --all", remedy="noout plan NODE, or --all; see noout plan --help"
            )
        if (self.cluster is not None or self.hours is not None or self.done) and not self.every:
            raise UsageError("--cluster, --done and --hours go with --all", remedy="name the node as CLUSTER/NODE")
        if as_runbook and (self.every or self.beside):
            raise UsageError("--runbook is for one node", remedy="ask for it when that node's turn comes")
        return self.every or bool(self.beside)


def plan_several(which: Which, consents: list[str], snapshot: Path | None, as_json: bool, config: Path | None) -> None:
    """Print the plans; exit code 3 when a node is among them that cannot be taken out."""
    if which.node is None:
        feasible = _all(which, consents, snapshot, as_json, config)
    else:
        feasible = _group([which.node, *which.beside], consents, snapshot, as_json, config)
    if not feasible:
        raise typer.Exit(3)


def _all(which: Which, consents: list[str], snapshot: Path | None, as_json: bool, config: Path | None) -> bool:
    async def live() -> Rolling:
        async with opened(config) as found:
            with working("planning every node"):
                return await roll_now(found, which.cluster, consents, which.hours, which.done)

    if snapshot is None:
        made = wait(live())
    else:
        made = roll_snapshot(load_snapshot(snapshot), which.cluster, consents, which.hours, which.done)
    if as_json:
        print_json({"format": "noout.rolling", "version": 1, "rolling": encode(made)})
    else:
        out.print(rolling_picture(made))
    return made.feasible


def _group(names: list[str], consents: list[str], snapshot: Path | None, as_json: bool, config: Path | None) -> bool:
    async def live() -> tuple[Plan, ...]:
        async with opened(config) as found:
            with working(f"looking at {', '.join(names)}"):
                return await group_now(found, names, consents)

    made = wait(live()) if snapshot is None else group_of_snapshot(load_snapshot(snapshot), names, consents)
    if as_json:
        print_json({"format": "noout.plans", "version": 1, "plans": [encode(each) for each in made]})
    else:
        for each in made:
            out.print(plan_picture(each))
            out.print()
    return all(each.feasible for each in made)
