"""What maintenances that wait cost one noout process: real clusters to look at (a lab on sockets), the real store, the
real engine, and as many runs as asked for, each of a cluster of its own, each waiting for hands-on at the rack.

A cluster is one PVE cluster of six nodes, 24 guests, a Ceph and a BMC; all of them are the same lab, which lives in a
process of its own. No service is probed: what probes cost is ``make bench-witness``'s to say.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from noout.adapters.store.sql import SqlStore
from noout.app.carrying import carrying
from noout.app.compose import Installation, installation
from noout.codec import encode
from noout.domain.cluster import NodeId
from noout.domain.journal import Kind
from noout.domain.workorder import Location
from noout.plan.plan import make_plan
from noout.ports import Clock
from noout.settings import parse
from noout.tell.checklist import make_work_order

NODE = "pve3"
SETTLED_S = 5.0
AGE = timedelta(hours=6)  # since when each has waited
RACK = "the technician to stand at the rack and say hands-on"
LAB = """
import asyncio, json, sys
from pathlib import Path
from noout.lab.wire.serve import LabServer
from noout.lab.world.build import build_world

async def main():
    world = build_world(nodes=6, guests=24)
    (cluster,) = world.clusters.values()
    for guest in cluster.guests.values():
        if guest.node == "pve3":
            guest.node = "pve4"
    for sid, service in cluster.ha.services.items():
        service.node = cluster.guests[int(sid.partition(":")[2])].node
    for node in cluster.nodes.values():
        node.maxmem *= 2
    async with LabServer(world, port=0) as lab:
        lab.write_config(Path(sys.argv[1]))
        print(json.dumps(lab.config(Path(sys.argv[1]))), flush=True)
        await lab.serve_forever()

asyncio.run(main())
"""


@dataclass(frozen=True)
class Waiting:
    """``cpu_share``: of one core, while all wait; ``idle_share``: of the same process with no maintenance at all."""

    maintenances: int
    seconds: float
    cpu_share: float
    idle_share: float
    rss_mib: float
    base_mib: float
    looks: int  # at a cluster, in that time

    @property
    def look_ms(self) -> float:
        """CPU of one look, if all beyond the idle process were looks."""
        return 1000 * (self.cpu_share - self.idle_share) * self.seconds / self.looks if self.looks else 0.0


def rss_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096 / 1024**2


@contextmanager
def lab(folder: Path) -> Iterator[dict[str, Any]]:
    """A lab in a process of its own; its configuration."""
    process = subprocess.Popen(
        [sys.executable, "-c", LAB, str(folder / "noout.toml")], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())
    finally:
        process.terminate()
        process.wait()


def many(config: dict[str, Any], count: int, store_url: str) -> dict[str, Any]:
    """The lab's one cluster under ``count`` names; nobody is probed, no time runs fast."""
    (cluster,) = config["clusters"].values()
    return {
        "lab": config["lab"],
        "clusters": {f"c{number}": cluster for number in range(count)},
        "store": {"url": store_url},
    }


class Ago:
    """The installation's clock, as it was when the waits began."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def now(self) -> datetime:
        return self._clock.now() - AGE

    async def sleep(self, seconds: float) -> None:
        await self._clock.sleep(seconds)

    def wall_s(self, seconds: float) -> float:
        return self._clock.wall_s(seconds)


async def open_all(found: Installation, store_url: str) -> None:
    """Each as it is when its node is empty, the work order has gone out, and nobody has come."""
    store = await SqlStore.open(store_url, Ago(found.clock))
    try:
        await _open_all(found, store)
    finally:
        await store.close()


async def _open_all(found: Installation, store: SqlStore) -> None:
    for name in found.hypervisors:
        node = NodeId(name, NODE)
        hypervisor, ceph = found.hypervisor(node), found.cephs[name]
        if name == "c0":
            cluster, data = await hypervisor.observe(), await ceph.observe()
            plan = make_plan(cluster, data, NodeId(cluster.name, NODE), now=found.clock.now())
            assert plan.feasible and not plan.moves, plan
        mid = f"{name}-{NODE}-1"
        told: list[tuple[Kind, dict[str, Any]]] = [
            (Kind.OPENED, {"node": str(node), "reason": "a fan", "mode": "auto", "fsid": ""}),
            (Kind.PLANNED, {"plan": encode(plan)}),
            (Kind.APPROVED, {"by": "operator:anna"}),
            (Kind.FACT, {"name": "crush_host", "value": NODE}),
            (Kind.STEP_ENTERED, {"step": "evacuate"}),
            (Kind.STEP_DONE, {"step": "evacuate", "evidence": {}}),
            (Kind.STEP_ENTERED, {"step": "dispatch"}),
        ]
        for seq, (kind, event) in enumerate(told):
            await store.append(mid, seq, kind, event, "operator:anna")
        order = make_work_order(await found.known.get(mid), Location(), f"WO-{mid}")
        until = found.clock.now().isoformat()
        wait = {"why": RACK, "until": until, "needs": "technician", "code": "hands-on", "limit": None}
        await store.append(mid, len(told), Kind.WORK_ORDER, {"work_order": encode(order)})
        await store.append(mid, len(told) + 1, Kind.WAITING, wait)


async def _cpu_share(seconds: float) -> float:
    began, cpu = time.monotonic(), time.process_time()
    await asyncio.sleep(seconds)
    return (time.process_time() - cpu) / (time.monotonic() - began)


async def _measure(config: dict[str, Any], count: int, seconds: float, folder: Path, store_url: str) -> Waiting:
    settings = parse(many(config, count, store_url), folder / "noout.toml")
    async with installation(settings) as found:
        await found.journal.streams()
        looks = 0

        def counted(observe: Any) -> Any:
            async def counting(**how: Any) -> Any:
                nonlocal looks
                looks += 1
                return await observe(**how)

            return counting

        for hypervisor in found.hypervisors.values():
            hypervisor.observe = counted(hypervisor.observe)  # type: ignore[method-assign]
        async with carrying(found, serves=True) as carrier:
            assert carrier is not None
            await asyncio.sleep(SETTLED_S)
            base = rss_mib()
            idle = await _cpu_share(min(seconds, 20.0))
            await open_all(found, store_url)
            stop = asyncio.Event()
            minding = asyncio.create_task(_mind(found, carrier, stop))
            while looks < count or not await _all_wait(found, count):  # noqa: ASYNC110 - each has looked once
                await asyncio.sleep(1)
            await asyncio.sleep(SETTLED_S)
            looks = 0
            share = await _cpu_share(seconds)
            found_looks, rss = looks, rss_mib()
            stop.set()
            await minding
        return Waiting(count, seconds, share, idle, rss, base, found_looks)


async def _all_wait(found: Installation, count: int) -> bool:
    states = await found.news.open_ones()
    if blocked := [each for each in states if each.blockers]:
        raise RuntimeError(f"{blocked[0].id}: {blocked[0].blockers[0].message}")
    return sum(each.waiting_code == "hands-on" and not each.pending for each in states) == count


async def _mind(found: Installation, carrier: Any, stop: asyncio.Event) -> None:
    """As ``noout serve`` does."""
    while not stop.is_set():
        await carrier.mind(await found.news.open_ones())
        await asyncio.sleep(1.0)


def wait_for_hands(count: int, seconds: float, store_url: str | None = None) -> Waiting:
    """So many at once, measured for so long. The store is SQLite unless a URL says otherwise."""
    with tempfile.TemporaryDirectory(prefix="noout-bench-") as name:
        folder = Path(name)
        with lab(folder) as config:
            url = store_url or f"sqlite:///{folder / 'noout.db'}"
            return asyncio.run(_measure(config, count, seconds, folder, url))
