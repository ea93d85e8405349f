"""A run of noout's own story over a real Ceph: only Proxmox VE and the BMC are stand-ins, with the daemons in hand.

Proxmox VE's part is done as it does it: a service is started and stopped on its node, a node that shuts down takes its
daemons along, and one that boots brings them all back, whatever the state of the repair.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from noout.adapters.ceph import CephCli
from noout.adapters.clock import SystemClock
from noout.adapters.store.memory import MemoryStore
from noout.codec import encode
from noout.domain.cluster import ClusterState, Near, Node, NodeId, Task
from noout.domain.hardware import HardwareState, Power
from noout.domain.journal import Event, Kind, Message, MessageKind
from noout.domain.maintenance import Maintenance, Mode, Observation, Plan
from noout.domain.workorder import Location, WorkOrder
from noout.lab.real.ceph import HOSTS, MGRS, MONS, OSDS
from noout.ports import Description
from noout.run.advance import advance
from noout.run.context import Answer, Context
from noout.run.fold import fold
from noout.steps.site import Site
from tests.support.realceph import RealCeph

CLUSTER = "c1"
GIB = 1024**3
LOOK_S = (0.2, 4.0)  # as long as the run itself wants to wait, within these
MID = "c1-pve2-1"


class Machine:
    """Power and daemons of one host: what Proxmox VE and the BMC have in hand."""

    def __init__(self, real: RealCeph, node: NodeId) -> None:
        self.real = real
        self.node = node
        self.power = Power.ON
        self.ordered: list[str] = []
        self.sick: set[str] = set()  # daemons that do not come up with the node

    def daemons(self) -> list[str]:
        name = self.node.name
        here = [f"mon.{name}"] if name in MONS else []
        return here + ([f"mgr.{name}"] if name in MGRS else []) + [f"osd.{osd}" for osd in OSDS[name]]

    def runs(self, daemon: str) -> bool:
        return self.real.daemons[daemon].poll() is None

    async def off(self) -> None:
        await self.real.stop(*(daemon for daemon in self.daemons() if self.runs(daemon)))
        self.power = Power.OFF

    async def on(self) -> None:
        self.power = Power.ON
        await self.real.start(*(each for each in self.daemons() if not self.runs(each) and each not in self.sick))


class Pve:
    """``ports.Hypervisor`` of a cluster without guests."""

    name = CLUSTER
    has_shell = True

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.description = Description("the oldest of the three")

    async def observe(self, *, keep_s: float | None = None, near: Near | None = None) -> ClusterState:
        nodes = tuple(
            Node(NodeId(CLUSTER, host), host != self.machine.node.name or self._is_on(), 64 * GIB, 0, 32)
            for host in HOSTS
        )
        return ClusterState(CLUSTER, datetime.now(UTC), True, "9.2.11", nodes, ())

    def _is_on(self) -> bool:
        return self.machine.power is Power.ON

    async def ceph_service(self, node: NodeId, action: str, service: str) -> Task:
        assert node == self.machine.node
        assert service in self.machine.daemons()
        self.machine.ordered.append(f"{action} {service}")
        if action == "stop":
            await self.machine.real.stop(service)
        elif not self.machine.runs(service):
            await self.machine.real.start(service)
        return Task(f"UPID:{action}:{service}", node.name, f"srv{action}", service, True, None)

    async def shutdown_node(self, node: NodeId) -> None:
        assert node == self.machine.node
        self.machine.ordered.append("shut down")
        await self.machine.off()

    async def task(self, upid: str) -> Task:
        return Task(upid, self.machine.node.name, "srv", "", False, "OK")

    async def describe(self, node: NodeId) -> Description:
        return self.description

    async def set_description(self, node: NodeId, text: str, digest: str) -> None:
        assert digest == self.description.digest
        self.description = Description(text, str(int(digest or "0") + 1))


class Board:
    """``ports.Bmc``."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.node = machine.node
        self.lit = False

    async def observe(self, *, log: bool = True) -> HardwareState:
        return HardwareState(self.node, datetime.now(UTC), True, self.machine.power, self.lit)

    async def power_on(self) -> None:
        self.machine.ordered.append("power on")
        await self.machine.on()

    async def locate(self, on: bool) -> None:
        self.lit = on


class WholeWay:
    """One maintenance of a host, from the technician at the rack to its end."""

    def __init__(self, real: RealCeph, node: str, asked: Sequence[str]) -> None:
        self.node = NodeId(CLUSTER, node)
        self.clock = SystemClock()
        self.machine = Machine(real, self.node)
        self.ceph = CephCli(real.shell, [NodeId(CLUSTER, each) for each in asked], self.clock)
        self.store = MemoryStore(self.clock)
        site = Site(Pve(self.machine), self.ceph, Board(self.machine), self.clock, lambda each: each.name)  # type: ignore[arg-type]
        self.context = Context(self.store, self.clock, lambda _: site, _no_plan, _order, _well, soak_s=lambda _: 0.0)

    async def open(self) -> None:
        """Opened and approved; its guests have left, and the technician stands at the rack."""
        now = self.clock.now()
        plan = Plan("p1", self.node, now, now, 1, (), (), (), (), (), 0.0, (0.0, 0.0))
        order = WorkOrder("WO-1", MID, self.node, Location(), "a fan", ())
        told: list[tuple[str, dict[str, object]]] = [
            (Kind.OPENED, {"node": str(self.node), "mode": Mode.AUTO.value, "approved_by": "operator:anna"}),
            (Kind.PLANNED, {"plan": encode(plan)}),
            (Kind.STEP_DONE, {"step": "evacuate"}),
            (Kind.WORK_ORDER, {"work_order": encode(order)}),
            (Kind.STEP_DONE, {"step": "dispatch"}),
        ]
        for seq, (kind, data) in enumerate(told):
            await self.store.append(MID, seq, kind, data)
        await self.say(MessageKind.HANDS_ON)

    async def say(self, kind: MessageKind) -> None:
        await self.store.post(MID, Message(f"{kind}-1", kind, "technician:ruben", self.clock.now()))

    async def state(self) -> Maintenance:
        return fold(await self.events())

    async def events(self) -> Sequence[Event]:
        return await self.store.read(MID)

    async def until(self, true: Callable[[Maintenance], bool], *, limit_s: float = 600.0) -> Maintenance:
        """Let the run go on until it says so, or is over. The limit is generous: it is for what never comes."""
        async with asyncio.timeout(limit_s):
            while (wait := await advance(self.context, MID)) is not None:
                if true(m := await self.state()):
                    return m
                wait_s = (wait.until - self.clock.now()).total_seconds() if wait.until else 0.0
                await asyncio.sleep(max(LOOK_S[0], min(LOOK_S[1], wait_s)))
        return await self.state()

    async def verified(self) -> list[str]:
        """The effects in the order in which they were seen to have happened."""
        return [str(event.data["key"]).split("/", 1)[1] for event in await self.events() if event.kind == Kind.DONE]


async def _no_plan(*_: object) -> Plan:
    raise AssertionError("nothing is to be planned anew")


def _order(m: Maintenance) -> WorkOrder:
    raise AssertionError("the work order is there")


async def _well(m: Maintenance, seen: Observation) -> Answer:
    return Answer(True)
