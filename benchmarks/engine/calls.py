"""How many calls of Proxmox VE's API an evacuation makes: counted on the lab's wire, in virtual time."""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from dataclasses import dataclass
from urllib.parse import urlsplit

from tests.sim.story import NODE, Sim
from tests.support.labsite import PVE_PORT, lab_site
from tests.support.virtual import run_virtual

from noout.adapters.store.memory import MemoryStore
from noout.lab.world.build import build_world
from noout.lab.world.model import GiB, World

NODES, ELSEWHERE = 6, 60  # and so many guests on the other nodes
LIMIT_S = 24 * 3600.0
LOOK_S = 0.02  # so soon after its end the counting stops: what the next step asks is not the evacuation's


@dataclass(frozen=True)
class Evacuation:
    """``before``: calls to see the cluster and plan; ``by_kind``: of those made from the run's beginning until the
    node was empty and closed; ``shell``: commands beside them."""

    guests: int
    ha: int
    took_s: float
    before: int
    by_kind: Counter[str]
    shell: int
    cpu_s: float

    @property
    def calls(self) -> int:
        return sum(self.by_kind.values())


def world(count: int, seed: int) -> World:
    """Six nodes; ``count`` guests that can move live on pve3, and some on the others."""
    built = build_world(nodes=NODES, guests=11 + count + ELSEWHERE, seed=seed)
    cluster = next(iter(built.clusters.values()))
    plain = [
        guest
        for guest in cluster.guests.values()
        if guest.type == "qemu" and not guest.local_resources and guest.vmid not in (102, 103, 109, 110)
    ]
    for guest in cluster.guests.values():
        guest.maxmem = min(guest.maxmem, 4 * GiB)
        if guest.node == NODE.name:
            guest.node = "pve4"
    for guest in plain[:count]:
        guest.node = NODE.name
    for sid, service in cluster.ha.services.items():
        service.node = cluster.guests[int(sid.partition(":")[2])].node
    for node in cluster.nodes.values():
        node.maxmem = 1024 * GiB
    return built


def kind_of(method: str, url: str) -> str:
    """A request without its names: ``GET /nodes/N/qemu/ID/config``."""
    path = urlsplit(url).path.removeprefix("/api2/json")
    path = re.sub(r"UPID:[^/]+", "UPID", path)
    path = re.sub(r"/nodes/[^/]+", "/nodes/N", path)
    path = re.sub(r"/(qemu|lxc)/\d+", r"/\1/ID", path)
    return f"{method} {re.sub(r'/(vm|ct):[0-9]+', '/SID', path)}"


async def _play(count: int, seed: int) -> Evacuation:
    lab = lab_site(world(count, seed))
    store = MemoryStore(lab.clock)
    sim = Sim(lab, store, store)
    await sim.open()
    before, shell = len(lab.network.requests), len(lab.shell.ran)
    began, cpu = lab.clock.now(), time.process_time()
    run = asyncio.create_task(sim.carry())
    m = await sim.until(lambda m: any(name == "evacuate" for name, _ in m.steps_done) or bool(m.blockers), LOOK_S)
    run.cancel()
    if m.blockers:
        raise RuntimeError(f"the evacuation was blocked: {m.blockers[0].message}")
    assert m.plan is not None
    left = [guest for guest in lab.cluster.guests.values() if guest.node == NODE.name]
    if left:
        raise RuntimeError(f"guests are left on {NODE.name}: {[guest.vmid for guest in left]}")
    asked = [(method, url) for method, url in lab.network.requests[before:] if urlsplit(url).port == PVE_PORT]
    return Evacuation(
        guests=len(m.plan.moves),
        ha=sum(move.ha for move in m.plan.moves),
        took_s=(lab.clock.now() - began).total_seconds(),
        before=before,
        by_kind=Counter(kind_of(method, url) for method, url in asked),
        shell=len(lab.shell.ran) - shell,
        cpu_s=time.process_time() - cpu,
    )


def evacuate(count: int, seed: int = 1) -> Evacuation:
    """Evacuate a node of so many guests."""
    return run_virtual(_play(count, seed), limit_s=LIMIT_S)
