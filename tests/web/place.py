"""A console over a world in memory, for tests of its pages: who is there, what they see, what they decide."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, cast

import httpx2

from noout.app.desk import Desk, Way
from noout.app.ledger import Ledger
from noout.app.overview import Overview, Seen
from noout.app.planning import Planned
from noout.app.showing import Spark
from noout.app.standstill import Standstill
from noout.app.watcher import Health
from noout.domain.access import Role
from noout.domain.cluster import GuestId, MigrationProgress, NodeId
from noout.domain.customers import Customer
from noout.domain.errors import NooutError
from noout.domain.hardware import Condition, Verdict
from noout.domain.journal import Event, Message, MessageKind
from noout.domain.maintenance import Maintenance, Phase
from noout.domain.ownership import Oddity
from noout.domain.proposals import Proposal, Standing
from noout.web.app import create_app
from noout.web.services import Console
from noout.witness.tally import Heard
from tests.unit.access.test_sign_in import PASSWORD, House
from tests.unit.steps.scene import ceph, cluster, guest, move, plan
from tests.web.world import FAULT, NODE, START, World

HASH = House().access.settings.users["anna"].hash
PROPOSAL = Proposal(NODE, FAULT, START, 1, ("FAN3B",), FAULT.urgency, Standing.OPEN)
HEALTH = Health(NODE, None, (Verdict(NODE, "FAN3B", Condition.FLAPPING, "it stops and <starts>", ()),), None)
HERE = {"sec-fetch-site": "same-origin"}


class Looks(Overview):
    def __init__(self) -> None:
        self.looked = 0

    async def cluster(self, name: str) -> Seen:
        self.looked += 1
        return Seen(name, cluster(guest(104), guest(107)), ceph())


class AtDesk:
    """What operators decided, written down."""

    def __init__(self) -> None:
        self.begun: list[dict[str, Any]] = []
        self.put_aside: list[tuple[Any, ...]] = []
        self.released: list[tuple[str, ...]] = []
        self.refuses: NooutError | None = None
        self.plan_ = plan(move(104))
        self.oddities: tuple[Oddity, ...] = ()

    async def plan(self, node: NodeId, way: Way) -> Planned:
        return Planned(self.plan_, cluster(guest(104), guest(107)), ceph(), "pve3")

    async def begin(self, node: NodeId, **how: Any) -> str:
        if self.refuses is not None:
            raise self.refuses
        self.begun.append({"node": node, **how})
        return "m-0001"

    async def proposals(self) -> Sequence[Proposal]:
        return [PROPOSAL]

    async def snooze(self, node: NodeId, until: datetime, reason: str, actor: str, address: str) -> Sequence[Proposal]:
        self.put_aside.append((node, until, reason, actor))
        return ()

    async def decline(self, node: NodeId, reason: str, actor: str, address: str) -> Sequence[Proposal]:
        self.put_aside.append((node, None, reason, actor))
        return ()

    async def ledger(self, clusters: Sequence[str]) -> Ledger:
        return Ledger((), tuple(odd for odd in self.oddities if odd.cluster in clusters))

    async def release(self, *what: str) -> None:
        self.released.append(what)

    async def record(self) -> Sequence[Event]:
        data = {"name": "anna", "from": "192.0.2.7"}
        declined = {"about": "ams1/pve3", "reason": "its spare is ordered", "from": "192.0.2.8"}
        return [
            Event("access", 1, START, "signed.in", data, "operator:anna", "0" * 64),
            Event("access", 2, START, "declined", declined, "operator:piet", "0" * 64),
        ]


class Stand:
    """What the pages show and do, over ``Place``."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.clusters = ("ams1", "rtm1")
        self.overview = place.overview
        self.desk = cast(Desk, place.desk)
        self.customers: Sequence[Customer] = ()
        self.stopped: Standstill | None = None

    async def health(self, clusters: Sequence[str]) -> Sequence[Health]:
        return [HEALTH] if NODE.cluster in clusters else []

    async def judged(self, node: NodeId) -> Health | None:
        return HEALTH if node == NODE else None

    async def picture(self, health: Health | None) -> str:
        return "<svg></svg>"

    async def spark(self, node: NodeId, sensor: str) -> Spark:
        return Spark(((0.0, 1.0), (0.5, 0.0), (1.0, 1.0)), (0.5,))

    async def oddities(self) -> Sequence[Oddity]:
        return self.place.desk.oddities

    async def standstill(self) -> Standstill | None:
        return self.place.stopped

    async def stop_all(self, actor: str, reason: str, address: str) -> None:
        self.place.stopped = Standstill(self.place.now(), actor, reason)

    async def allow_all(self, actor: str, address: str) -> None:
        self.place.stopped = None

    async def state(self, maintenance: str) -> Maintenance:
        return self.place.m

    async def events(self, maintenance: str, after: int = 0) -> Sequence[Event]:
        return [each for each in self.place.events if each.seq > after]

    async def progress(self, m: Maintenance) -> Mapping[GuestId, MigrationProgress]:
        return self.place.progress

    async def heard(self, m: Maintenance) -> Sequence[Heard]:
        return self.place.heard

    async def tell(self, maintenance: str, kind: MessageKind, actor: str, data: Mapping[str, Any], key: str) -> None:
        message = Message(f"{actor}/{key}", kind, actor, self.place.now(), data)
        await self.place.post(maintenance, message)


class Place(World):
    """The world with a console; ``anna`` has the role in ``clusters``."""

    def __init__(self, role: Role = Role.ADMIN, clusters: list[str] | None = None) -> None:
        super().__init__()
        self.m = replace(self.m, phase=Phase.EVACUATING, step="evacuate", plan=plan(move(104)), needs="approval")
        grants = [{"who": "anna", "role": role.value} | ({"clusters": clusters} if clusters else {})]
        self.house = House(users={"anna": {"hash": HASH}}, grants=grants)
        self.overview = Looks()
        self.desk = AtDesk()
        self.stopped: Standstill | None = None
        self.events: list[Event] = []
        self.progress: dict[GuestId, MigrationProgress] = {}
        self.heard: list[Heard] = []

    def services(self) -> Any:
        return replace(super().services(), console=Console(self.house.access, Stand(self)))

    def browser(self) -> httpx2.AsyncClient:
        transport = httpx2.ASGITransport(create_app(self.services()))
        return httpx2.AsyncClient(transport=transport, base_url="http://noout.test", headers=HERE)


async def come_in(browser: httpx2.AsyncClient) -> str:
    """Signs anna in; what her forms carry."""
    answer = await browser.post("/sign-in", data={"name": "anna", "password": PASSWORD})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    page = await browser.get("/")
    found = re.search(r'name="csrf" value="([^"]+)"', page.text)
    assert found is not None
    return found[1]
