"""A lab process for the crash tests: four nodes, few guests, one of every kind, on sockets of its own.

python -m tests.crash.world CONFIG SEED SPEED [CLUSTERS]
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from starlette.applications import Starlette

from noout.cli.lab import run
from noout.lab.scenarios import build
from noout.lab.wire import serve
from noout.lab.wire.redfish import BmcLogin
from noout.lab.wire.serve import LabServer
from noout.lab.world.laws import Laws
from noout.lab.world.model import Cluster, World
from tests.crash.victim import PID

NODES, GUESTS = 4, 8


def small_world(seed: int) -> World:
    world, _ = build(seed=seed, nodes=NODES, guests=GUESTS)
    for cluster in world.clusters.values():
        with_a_local_iso(cluster)
    return world


def with_a_local_iso(cluster: Cluster) -> None:
    """One guest of the node has an ISO of the node's own store in its drive, and may be parted from it."""
    there = (each for each in cluster.guests.values() if each.node == "pve3" and each.type == "qemu")
    guest = min((each for each in there if each.status == "running" and not each.local_resources), key=lambda g: g.vmid)
    drive = next(disk for disk in guest.disks if disk.cdrom)
    drive.volid, drive.size = "local:iso/debian-13.1.0-amd64-netinst.iso", 700 * 1024**2
    guest.tags = [*guest.tags, "eject-ok"]


class Noted:
    """An application, and what it is asked."""

    def __init__(self, app: Starlette, note: Callable[..., None], name: str) -> None:
        self.app, self.state, self.note, self.name = app, app.state, note, name

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            pid = dict(scope["headers"]).get(PID.lower().encode(), b"nobody").decode()
            self.note(self.name, scope["path"], pid)
        await self.app(scope, receive, send)


def count(file: Path) -> None:
    """Write down what is asked, on the lab's side of the wire."""
    log = file.open("a", buffering=1)
    bmc, control, probe = serve.redfish_app, serve.control_app, Laws.probe

    def note(*words: object) -> None:
        log.write(" ".join(map(str, words)) + "\n")

    def board(laws: Laws, cluster: Cluster, node: str, login: BmcLogin) -> Noted:
        return Noted(bmc(laws, cluster, node, login), note, f"bmc-{node}")

    def hands(laws: Laws, speed: float) -> Noted:
        return Noted(control(laws, speed), note, "control")

    def answered(self: Laws, cluster: Cluster, vmid: int, at: float) -> bool:
        note("instant", vmid, at)
        return probe(self, cluster, vmid, at)

    serve.redfish_app, serve.control_app = board, hands  # type: ignore[assignment]
    Laws.probe = answered  # type: ignore[method-assign]


if __name__ == "__main__":
    config, seed, speed = sys.argv[1:]
    count(Path(config).with_name("asked.log"))
    asyncio.run(run(LabServer(small_world(int(seed)), port=0, speed=float(speed)), Path(config), Console()))
