"""A story that went well, as its checks look at it: what there was before, and what there is after."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from noout.cli.demo.checks import After, Before
from noout.domain.ceph import CephState, Osd
from noout.domain.cluster import ClusterState, Guest, GuestId, GuestKind, GuestStatus, Node, NodeId
from noout.domain.hardware import HardwareState, Power, Reading, SensorKind, Unit
from noout.domain.impact import Cause, Experience, Interruption
from noout.domain.journal import GENESIS, Event, Kind, digest
from noout.domain.maintenance import Json, Maintenance, Mode, Moved, MoveKind

NODE, OTHER = NodeId("ams1", "pve3"), NodeId("ams1", "pve1")
OPENED = datetime(2026, 11, 30, 10, 0, tzinfo=UTC)
ON = OPENED + timedelta(minutes=30)
END = OPENED + timedelta(minutes=60)
WEB, DNS, THEIRS = (GuestId("ams1", each) for each in (107, 200, 110))


def guest(id: GuestId, name: str, node: NodeId, kind: GuestKind = GuestKind.QEMU) -> Guest:
    return Guest(id, name, kind, node, GuestStatus.RUNNING, 1 << 30, 2)


def cluster(*changed: Guest, without: GuestId | None = None, **fields: Any) -> ClusterState:
    own = {
        WEB: guest(WEB, "web", NODE),
        DNS: guest(DNS, "dns", NODE, GuestKind.LXC),
        THEIRS: guest(THEIRS, "theirs", OTHER),
    }
    own |= {each.id: each for each in changed}
    guests = tuple(each for id, each in own.items() if id != without)
    nodes = tuple(Node(each, True, 64 << 30, 0, 16) for each in (OTHER, NODE))
    return replace(ClusterState("ams1", END, True, "9.0", nodes, guests), **fields)


def ceph(**fields: Any) -> CephState:
    osds = tuple(Osd(number, f"pve{1 + number // 2}", True, True) for number in range(6))
    mons = ("pve1", "pve2", "pve3")
    state = CephState(
        END, "f", "HEALTH_OK", {}, mons, mons, "pve1", ("pve2",), osds, (), {"active+clean": 129}, frozenset(), {}
    )
    return replace(state, **fields)


def hardware(at: datetime = END, rpm: float = 8000.0, **fields: Any) -> HardwareState:
    fans = tuple(
        Reading(f"FAN{number}", SensorKind.FAN, rpm if number == 1 else 8000.0, Unit.RPM, lower_critical=500.0)
        for number in range(1, 5)
    )
    return replace(HardwareState(NODE, at, True, Power.ON, False, fans), **fields)


def polls(rpm: float = 8000.0) -> list[HardwareState]:
    return [hardware(ON + timedelta(minutes=each), rpm if each % 5 == 4 else 8000.0) for each in range(25)]


def moved(id: GuestId, name: str, kind: MoveKind) -> Moved:
    return Moved(id, name, kind, NODE, OTHER, OPENED, OPENED + timedelta(seconds=20), 80, False)


def cut(id: GuestId, seconds: float | None, cause: Cause) -> Interruption:
    start = OPENED + timedelta(seconds=10)
    return Interruption(id, start, None if seconds is None else start + timedelta(seconds=seconds), 0.2, 3, cause)


def experience(id: GuestId, name: str, *cuts: Interruption, resolution_s: float = 1.0) -> Experience:
    return Experience(id, name, OPENED, END, 3600, 3600, resolution_s, 1.2, cuts, 80, 0.2)


def events(*more: tuple[Kind, dict[str, Json]]) -> list[Event]:
    told: list[tuple[Kind, dict[str, Json]]] = [
        (Kind.OPENED, {"node": str(NODE)}),
        (Kind.INTENT, {"key": "evacuate/migrate/ams1/107"}),
        (Kind.STARTED, {"key": "evacuate/migrate/ams1/107"}),
        (Kind.DONE, {"key": "evacuate/migrate/ams1/107"}),
        *more,
    ]
    chain: list[Event] = []
    for seq, (kind, data) in enumerate(told, start=1):
        before = chain[-1].digest if chain else GENESIS
        made = digest(before, "m", seq, OPENED, kind, data, "noout")
        chain.append(Event("m", seq, OPENED, kind, data, "noout", made))
    return chain


def before(**fields: Any) -> Before:
    return replace(Before(cluster(), ceph()), **fields)


def state(**fields: Any) -> Maintenance:
    m = Maintenance("m", NODE, "a fan", Mode.AUTO, OPENED, "operator:demo", 5, closed_at=END, outcome="done")
    moves = (moved(WEB, "web", MoveKind.LIVE), moved(DNS, "dns", MoveKind.RELOCATE))
    return replace(replace(m, moved=moves, node_on_at=ON), **fields)


def after(**fields: Any) -> After:
    told = (experience(WEB, "web"), experience(DNS, "dns", cut(DNS, 4.0, Cause.RELOCATION)))
    return replace(
        After(cluster(), ceph(), hardware(), polls(), state(), events(), told, END),
        **fields,
    )
