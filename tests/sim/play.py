"""The demo's own Director in one process under virtual time: the same story, without a socket, a thread or a file.

    play, told = run_virtual(played(seed=2))

The lab's world answers over its own wire (PVE, Redfish, its control API), noout's web application serves the
technician; only the transport, the store and the engine are in memory. Time runs as fast as in the demo, so that what
counts in wall seconds comes as seldom as there.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx2

from noout.adapters.http import Server
from noout.adapters.probe.instants import InstantProber
from noout.adapters.store.memory import MemoryStore
from noout.app.carrying import Carrier
from noout.app.compose import Installation, policy_of
from noout.app.sentences import sentence
from noout.cli.demo.director import Director, Script, Told
from noout.cli.demo.hands import LabHands
from noout.cli.webapp import web_services
from noout.domain.cluster import NodeId
from noout.domain.journal import Event
from noout.domain.maintenance import Json
from noout.lab.wire import config
from noout.lab.wire.control import control_app
from noout.lab.world.build import build_world
from noout.settings import Settings, parse
from noout.web.app import create_app
from tests.sim.engine import MemoryEngine
from tests.support.labsite import LabSite, lab_site

NODE = NodeId("ams1", "pve3")
SPEED = 60.0
KEEP_S = 600.0  # configurations, which are read anew in any case when something of their guest changed
TOKEN = "an-operator's-token"
CONTROL = "http://control.lab"


class WatchedStore(MemoryStore):
    """A store that tells of each event as it is written, so that a script can act at that very instant."""

    def __init__(self, clock: Any) -> None:
        super().__init__(clock)
        self.written: list[Callable[[Event], None]] = []

    async def append(
        self, stream: str, expected_seq: int, kind: str, data: Mapping[str, Json], actor: str = "noout"
    ) -> Event:
        event = await super().append(stream, expected_seq, kind, data, actor)
        for each in self.written:
            each(event)
        return event


@dataclass
class Play:
    """One stage with its director; what was said is kept with its time."""

    lab: LabSite
    store: WatchedStore
    found: Installation
    director: Director
    carrier: Carrier
    said: list[tuple[datetime, str]] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)  # of every stream, as they were written

    def log(self) -> str:
        """Everything told, each line with the time since the first; the journal's sentences at their own time."""
        told = [(event.at, text) for event in self.events if (text := sentence(event)) is not None]
        known = {text for _, text in told}
        lines = sorted([*told, *(each for each in self.said if each[1] not in known)], key=lambda line: line[0])
        return "".join(f"{_since(at, lines[0][0])} {text}\n" for at, text in lines)


def _since(at: datetime, start: datetime) -> str:
    seconds = int((at - start).total_seconds())
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def settings_of(lab: LabSite, **tables: Any) -> Settings:
    """What `noout lab` writes for its clients, but for addresses and keys; ``tables`` are laid over it."""
    clusters = lab.world.clusters
    address = config.Address(8006, 443, 22, "00" * 32, "00" * 32, "noout", "secret", "")
    table = config.cluster_table(lab.cluster, dict.fromkeys(lab.cluster.nodes, address), "key", "known_hosts")
    document: dict[str, Any] = {
        "lab": {"epoch": lab.clock.epoch, "started": lab.clock.started, "speed": lab.clock.speed, "control": CONTROL},
        "clusters": {lab.cluster.name: table},
        "customers": config.customers(clusters),
        "probes": {"via": CONTROL, "services": config.services(clusters)},
        "serve": {"provider": "Lab Hosting"},
    }
    for name, each in tables.items():
        document[name] = {**document.get(name, {}), **each}
    return parse(document, Path("noout.toml"))


def installation(lab: LabSite, settings: Settings) -> tuple[Installation, WatchedStore]:
    store = WatchedStore(lab.clock)
    prober = InstantProber(Server(f"{CONTROL}/lab/v1", transport=lab.network), lab.clock)
    name = lab.cluster.name
    found = Installation(
        settings, lab.clock, store, store, {name: lab.hypervisor}, {name: lab.ceph}, lab.bmcs, prober,
        policy_of(settings),
    )  # fmt: skip
    return found, store


@asynccontextmanager
async def staged(
    *, seed: int = 1, guests: int = 24, script: Script | None = None, speed: float = SPEED, **tables: Any
) -> AsyncIterator[Play]:
    """Build the stage inside a running (virtual) loop. ``tables``: of noout.toml, laid over the lab's own."""
    lab = lab_site(build_world(seed=seed, guests=guests), speed=speed, keep_s=KEEP_S)
    lab.network.apps["control.lab", 80] = control_app(lab.laws, speed)
    found, store = installation(lab, settings_of(lab, **tables))
    carrier = Carrier(found)
    carrier.inboxes.engine = MemoryEngine(lab.clock, carrier.carry)
    lab.network.apps["noout.lab", 80] = create_app(web_services(found, TOKEN))
    said: list[tuple[datetime, str]] = []
    async with (
        httpx2.AsyncClient(base_url=CONTROL, transport=lab.network) as control,
        httpx2.AsyncClient(base_url="http://noout.lab", transport=lab.network) as phone,
    ):
        director = Director(
            found=found,
            lab=LabHands(control, lab.cluster.name),
            phone=phone,
            operator_token=TOKEN,
            script=script or Script(NODE),
            begin=carrier.begin,
            say=lambda text: said.append((lab.clock.now(), text)),
        )
        play = Play(lab, store, found, director, carrier, said)
        store.written.append(play.events.append)
        try:
            yield play
        finally:
            await carrier.end()


async def played(prepare: Callable[[Play], None] = lambda play: None, **staging: Any) -> tuple[Play, Told]:
    """The whole story, played to its end or to where it sticks. ``prepare`` sees the stage before it begins."""
    async with staged(**staging) as play:
        prepare(play)
        return play, await play.director.play()
