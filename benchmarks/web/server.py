"""The server that is measured: noout's own application over a large installation that is made up.

Clusters, Ceph and BMCs answer at once, from memory; journal and sessions are in SQLite, the watch polls as it does. An
evacuation is played into the journal, with the time of each line in it.

    python -m benchmarks.web.server FOLDER CLUSTERS NODES GUESTS     prints {"url", "cookie", "maintenance"}
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from argon2 import PasswordHasher
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from noout.adapters.clock import SystemClock
from noout.adapters.people import Passwords
from noout.adapters.store.papers import SqlPapers
from noout.adapters.store.sittings import SqlSittings
from noout.adapters.store.sql import SqlStore
from noout.app.access import Access, SignedIn
from noout.app.compose import Installation
from noout.app.console import Showing
from noout.app.maintain import Maintenances
from noout.app.notice import watcher_of
from noout.cli.webapp import listening
from noout.codec import encode
from noout.domain.ceph import CephState, Osd
from noout.domain.cluster import ClusterState, Guest, GuestId, GuestKind, GuestStatus, MigrationProgress, Node, NodeId
from noout.domain.hardware import HardwareState, Power, Reading, SensorKind, Unit
from noout.domain.journal import Kind
from noout.domain.maintenance import Json, Moved, MoveKind
from noout.plan.plan import make_plan
from noout.ports import Description
from noout.settings import parse
from noout.settings_access import AccessSettings
from noout.web.app import WebServices, create_app
from noout.web.services import Console

GIB = 1024**3
PASSWORD = "a password of the benchmark"
TICK_S = 0.5
FANS = 6


def _guests(cluster: str, nodes: int, guests: int) -> tuple[Guest, ...]:
    return tuple(
        Guest(
            GuestId(cluster, 100 + each), f"{cluster}-customer-{each:04d}", GuestKind.QEMU,
            NodeId(cluster, f"pve{each % nodes + 1:02d}"), GuestStatus.RUNNING, 4 * GIB, 2,
        )
        for each in range(guests)
    )  # fmt: skip


class Cluster:
    """Proxmox VE and Ceph of one cluster, from memory."""

    has_shell = True

    def __init__(self, name: str, nodes: int, guests: int) -> None:
        self.name = name
        names = [NodeId(name, f"pve{each + 1:02d}") for each in range(nodes)]
        made = tuple(_node(each) for each in names)
        self.state = ClusterState(name, datetime.now(UTC), True, "9.1.4", made, _guests(name, nodes, guests))
        osds = tuple(Osd(each, f"pve{each % nodes + 1:02d}", True, True) for each in range(4 * nodes))
        mons = ("pve01", "pve02", "pve03")
        self.data = CephState(
            datetime.now(UTC), f"fsid-{name}", "HEALTH_OK", {}, mons, mons, "pve01", ("pve02",), osds, (),
            {"active+clean": 2048}, frozenset(), {},
        )  # fmt: skip

    async def observe(self, *, keep_s: float | None = None) -> ClusterState:
        return replace(self.state, at=datetime.now(UTC))

    async def describe(self, node: NodeId) -> Description:
        return Description()

    async def progress(self, upid: str) -> MigrationProgress | None:
        return None

    def move(self, guest: GuestId, target: NodeId) -> None:
        moved = tuple(replace(each, node=target) if each.id == guest else each for each in self.state.guests)
        self.state = replace(self.state, guests=moved)


class Ceph:
    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def observe(self) -> CephState:
        return replace(self._cluster.data, at=datetime.now(UTC))


class Board:
    """A BMC whose fans are well."""

    def __init__(self, node: NodeId) -> None:
        self.node = node

    async def observe(self, *, log: bool = True) -> HardwareState:
        now = datetime.now(UTC)
        fans = tuple(Reading(f"FAN{each}", SensorKind.FAN, 8000.0, Unit.RPM) for each in range(FANS))
        return HardwareState(self.node, now, True, Power.ON, False, fans)


class Timed:
    """Around the application: says of each answer what it took here, on the wall and of the processor (ms)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        wall, cpu = time.monotonic(), time.process_time()

        async def timed(message: Message) -> None:
            if message["type"] == "http.response.start":
                took = f"{(time.monotonic() - wall) * 1e3:.3f},{(time.process_time() - cpu) * 1e3:.3f}"
                message["headers"] = [*message["headers"], (b"x-took-ms", took.encode())]
            await send(message)

        await self._app(scope, receive, timed)


def _node(node: NodeId) -> Node:
    return Node(node, True, 512 * GIB, 96 * GIB, 64, ha_state="online", storages=frozenset({"ceph"}))


async def evacuation(found: Installation, cluster: Cluster) -> str:
    """A maintenance of the first node, as far as its evacuation has begun."""
    node = cluster.state.nodes[0].id
    mid, now = f"{node.cluster}-{node.name}-1", datetime.now(UTC)
    plan = make_plan(cluster.state, None, node, now=now, crush_host=lambda each: None)
    opening: list[tuple[str, dict[str, Json]]] = [
        (Kind.OPENED, {"node": str(node), "reason": "a fan stops", "mode": "auto", "fsid": "", "fault": None}),
        (Kind.PLANNED, {"plan": encode(plan)}),
        (Kind.APPROVED, {"by": "operator:anna"}),
        (Kind.STEP_ENTERED, {"step": "evacuate"}),
    ]
    for seq, (kind, data) in enumerate(opening):
        await found.journal.append(mid, seq, kind, data, "operator:anna")
    return mid


async def play(found: Installation, cluster: Cluster, mid: str) -> None:
    """Twice a second something happens, and a line says when; a guest moves every other second, there and back."""
    m = await Maintenances(found).get(mid)
    assert m.plan is not None and m.plan.moves, "an empty node is no evacuation"
    seq, tick = m.seq, 0
    while True:
        await asyncio.sleep(TICK_S)
        tick += 1
        said = {"what": f"tick {time.monotonic():.4f}"}
        await found.journal.append(mid, seq, Kind.OBSERVED, said)
        seq += 1
        if tick % 4 == 0:
            move = m.plan.moves[tick // 4 % len(m.plan.moves)]
            there = (tick // 4 // len(m.plan.moves)) % 2 == 0
            source, target = (move.source, move.target) if there else (move.target, move.source)
            if target is None or source is None:
                continue
            cluster.move(move.guest, target)
            now = datetime.now(UTC)
            moved = Moved(move.guest, move.name, MoveKind.LIVE, source, target, now, now, 12, not there)
            await found.journal.append(mid, seq, Kind.MOVED, {"moved": encode(moved)})
            seq += 1


async def main(folder: Path, clusters: int, nodes: int, guests: int) -> None:
    clock = SystemClock()
    each_nodes, each_guests = nodes // clusters, guests // clusters
    made = [Cluster(f"c{number + 1:02d}", each_nodes, each_guests) for number in range(clusters)]
    login = {"entrypoints": ["https://127.0.0.1:1"], "token": "u@pve!t=s", "fingerprint": "0" * 64}
    lab = {"epoch": 0.0, "started": 0.0, "speed": 1.0, "control": "http://127.0.0.1:1"}  # literal secrets may stand
    settings = parse({"clusters": {each.name: login for each in made}, "lab": lab}, folder / "noout.toml")
    store = await SqlStore.open(f"sqlite:///{folder}/noout.db", clock)
    boards = {node.id: Board(node.id) for each in made for node in each.state.nodes}
    found = Installation(
        settings, clock, store, store, cast(Any, {each.name: each for each in made}),
        cast(Any, {each.name: Ceph(each) for each in made}), cast(Any, boards), cast(Any, None),
        sittings=SqlSittings(store), papers=SqlPapers(store),
    )  # fmt: skip
    hashed = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    told = {"users": {"anna": {"hash": hashed}}, "grants": [{"who": "anna", "role": "admin"}]}
    access = Access(AccessSettings.model_validate(told), store, found.sittings, clock, Passwords({"anna": hashed}), {})
    signed = await access.sign_in("anna", PASSWORD, "127.0.0.1")
    assert isinstance(signed, SignedIn)
    watcher = watcher_of(found)
    mid = await evacuation(found, made[0])
    maintenances = Maintenances(found)

    async def nobody(_: str) -> None:
        return None

    services = WebServices(
        maintenances.field_work(), maintenances.all, nobody, console=Console(access, Showing(found, watcher))
    )
    app = create_app(services)
    app.add_middleware(Timed)
    async with listening(app, "127.0.0.1:0", "127.0.0.1") as url, asyncio.TaskGroup() as group:
        group.create_task(watcher.run())
        group.create_task(play(found, made[0], mid))
        sys.stdout.write(json.dumps({"url": url, "cookie": signed.secret, "maintenance": mid}) + "\n")
        sys.stdout.flush()


def _counts(said: Sequence[str]) -> tuple[int, int, int]:
    clusters, nodes, guests = (int(each) for each in said)
    return clusters, nodes, guests


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), *_counts(sys.argv[2:5])))
