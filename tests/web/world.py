"""A maintenance, its messages and its node, held in memory, for tests of the web."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import httpx2

from noout.adapters.store.photos import MemoryPhotos
from noout.app.technician import FieldWork
from noout.app.touch import Sight
from noout.domain.access import Grant, Person, Role
from noout.domain.ceph import CephState
from noout.domain.cluster import NodeId
from noout.domain.hardware import Fault, HardwareState, Power, Urgency
from noout.domain.journal import Message
from noout.domain.maintenance import Maintenance, Mode, Owned, Phase
from noout.domain.workorder import Answer, Finding, Location
from noout.tell.checklist import make_work_order
from noout.web.app import create_app
from noout.web.services import WebServices

NODE = NodeId("ams1", "pve3")
START = datetime(2026, 11, 17, 9, 0, tzinfo=UTC)
SERIAL = "CZ2D5007K41"
FAULT = Fault(NODE, "fans", ("FAN3B",), Urgency.SCHEDULE, "FAN3B stops and restarts by itself, 14 times in 5 days", ())
OPERATOR = "an-operator's-token"


@dataclass
class World:
    now_: datetime = START
    power: Power = Power.ON
    reachable: bool = True
    noout: bool = False
    look_age_s: float = 2.0
    gone: tuple[str, ...] = ()
    messages_: list[Message] = field(default_factory=list)
    people: dict[str, Person] = field(default_factory=lambda: {OPERATOR: Person("anna", (Grant(Role.ADMIN),))})
    photos: MemoryPhotos = field(default_factory=MemoryPhotos)
    m: Maintenance = field(init=False)

    def __post_init__(self) -> None:
        self.m = Maintenance("m-0001", NODE, "fans", Mode.AUTO, START, "anna", 1, fault=FAULT)
        order = make_work_order(self.m, Location("R2", "B07", "U14–15", SERIAL), "WO-ams1-0001")
        self.m = replace(self.m, work_order=order, phase=Phase.EVACUATED)

    # the Clock
    def now(self) -> datetime:
        return self.now_

    async def sleep(self, seconds: float) -> None:
        self.now_ += timedelta(seconds=seconds)

    # what FieldWork asks for
    async def maintenance(self, id: str) -> Maintenance | None:
        return self.m if id == self.m.id else None

    async def messages(self, id: str) -> list[Message]:
        return list(self.messages_)

    async def post(self, id: str, message: Message) -> bool:
        if message.key in {each.key for each in self.messages_}:
            return False
        self.messages_.append(message)
        return True

    async def look(self, m: Maintenance) -> Sight:
        at = self.now_ - timedelta(seconds=self.look_age_s)
        flags = {"pve3": frozenset({"noout"})} if self.noout else {}
        ceph = CephState(at, "f", "HEALTH_WARN", {}, (), (), "a", (), (), (), {}, frozenset(), flags)
        return Sight(HardwareState(NODE, at, self.reachable, self.power, True), ceph, "pve3", gone=self.gone)

    def said(self, kind: str) -> list[Message]:
        return [message for message in self.messages_ if message.kind == kind]

    def make_safe(self) -> None:
        """As after hold data and power-off, with the technician at the rack."""
        self.power, self.noout = Power.OFF, True
        self.m = replace(
            self.m,
            phase=Phase.REPAIR,
            hands_on_at=self.now_,
            node_off_at=self.now_,
            owned=(Owned("noout", "pve3", self.now_),),
        )

    def answer_all(self) -> None:
        assert self.m.work_order is not None
        keys = [check.key for check in self.m.work_order.checks]
        self.m = replace(self.m, findings=tuple(Finding(key, Answer.DONE, "", self.now_, "ruben") for key in keys))

    async def person_of(self, token: str) -> Person | None:
        return self.people.get(token)

    def services(self) -> WebServices:
        async def maintenances() -> list[Maintenance]:
            return [self.m]

        return WebServices(
            FieldWork(self, self.maintenance, self.messages, self.post, self.look, self.photos),
            maintenances,
            self.person_of,
        )

    def client(self) -> httpx2.AsyncClient:
        """A new device."""
        transport = httpx2.ASGITransport(create_app(self.services()))
        return httpx2.AsyncClient(transport=transport, base_url="http://noout.test")


async def link(world: World) -> str:
    """A technician's link, as the operator gets it."""
    async with world.client() as operator:
        answer = await operator.post(
            "/api/v1/maintenances/m-0001/workorder/link",
            json={"technician": "ruben"},
            headers={"Authorization": f"Bearer {OPERATOR}"},
        )
    assert answer.status_code == 201, answer.text
    return str(answer.json()["token"])
