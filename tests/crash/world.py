"""A lab process for the crash tests: four nodes, few guests, one of every kind, on sockets of its own.

python -m tests.crash.world CONFIG SEED SPEED [CLUSTERS]
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from rich.console import Console

from noout.cli.lab import run
from noout.lab.scenarios import build
from noout.lab.wire.serve import LabServer
from noout.lab.world.model import Cluster, World

NODES, GUESTS = 4, 8


def small_world(seed: int, clusters: int = 1) -> World:
    world, _ = build(seed=seed, nodes=NODES, guests=GUESTS, clusters=clusters)
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


if __name__ == "__main__":
    config, seed, speed, *more = sys.argv[1:]
    world = small_world(int(seed), int(more[0]) if more else 1)
    asyncio.run(run(LabServer(world, port=0, speed=float(speed)), Path(config), Console()))
