"""An installation in memory whose journal holds the maintenance of ``tests.unit.tell.cast``, as a run writes it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from noout.adapters.store.memory import MemoryStore
from noout.app.compose import Installation
from noout.codec import encode
from noout.domain.hardware import Fault
from noout.domain.impact import Sample
from noout.domain.journal import Kind
from noout.domain.maintenance import Move, Moved, MoveKind, Plan
from noout.domain.workorder import Answer
from noout.settings import parse
from tests.unit.tell.cast import AWAY, FAULT, GUESTS, MOVES, NODE, at, make_maintenance

CUSTOMERS = {
    "boekhuis": {"name": "Boekhuis Van Dam", "pools": ["boekhuis"], "language": "nl", "timezone": "Europe/Amsterdam"},
    "libreria": {"name": "Librería Sol", "tags": ["sol"], "language": "es", "timezone": "Europe/Madrid"},
    "kade": {"name": "Kade Studio", "pools": ["kade"], "timezone": "Europe/Amsterdam"},
}
MID = "ams1-pve3-1"
EVERY_S = 4


@dataclass
class Clock:
    """Stands still until it is set."""

    at: datetime = field(default_factory=lambda: at(8, 55))

    def now(self) -> datetime:
        return self.at

    async def sleep(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)

    def wall_s(self, seconds: float) -> float:
        return seconds


def told_settings(folder: Path = Path(), **tables: Any) -> Any:
    document: dict[str, Any] = {
        "clusters": {"ams1": {"entrypoints": ["https://pve1.example:8006"], "token_file": "token"}},
        "customers": CUSTOMERS,
        "probes": {
            "every_s": EVERY_S,
            "every_moving_s": EVERY_S,
            "services": {str(each.id): "tcp:192.0.2.10:443" for each in GUESTS if each.id.vmid < 300},
        },
        "serve": {"provider": "Havenstad Hosting", "base_url": "https://status.havenstad.example"},
    }
    return parse({**document, **tables}, folder / "noout.toml")


@dataclass
class House:
    """``found``: the installation; ``clock``: its time, as the next event will be dated."""

    found: Installation
    clock: Clock

    @classmethod
    def make(cls, folder: Path = Path(), **tables: Any) -> House:
        clock = Clock()
        store = MemoryStore(clock)
        return cls(Installation(told_settings(folder, **tables), clock, store, store, {}, {}, {}, None), clock)  # type: ignore[arg-type]

    async def write(self, when: datetime, kind: str, data: Any, actor: str = "noout", mid: str = MID) -> None:
        self.clock.at = when
        events = await self.found.journal.read(mid)
        await self.found.journal.append(mid, len(events), kind, data, actor)

    async def open(self, mid: str = MID, fault: Fault | None = FAULT, days: int = 0) -> None:
        """Opened and planned; nothing has moved yet."""
        later = timedelta(days=days)
        opening = {
            "node": str(NODE), "reason": "fans of pve3", "mode": "auto", "fsid": "f", "approved_by": "operator:anna",
            "fault": encode(fault) if fault else None,
        }  # fmt: skip
        await self.write(at(8, 55) + later, Kind.OPENED, opening, "operator:anna", mid)
        guests = {"name": "guests", "value": [encode(each) for each in GUESTS]}
        await self.write(at(8, 55) + later, Kind.FACT, guests, mid=mid)
        await self.write(at(8, 55) + later, Kind.PLANNED, {"plan": encode(plan(days))}, mid=mid)

    async def carry_through(self, mid: str = MID, days: int = 0, *, silent_s: float = 0.0) -> None:
        """All of it until it is closed. ``silent_s``: shop-web-1 gives no answer for so long while it moves out."""
        later = timedelta(days=days)
        m = make_maintenance()
        moves = [replace(each, started=each.started + later, finished=each.finished + later) for each in MOVES]
        held = {"name": "baseline", "value": {"nodes": [], "mons": [], "osds": [], "hosts": 6, "copies": 3}}
        order = {"work_order": encode(m.work_order)}
        steps: list[tuple[datetime, str, Any]] = [
            (each.finished, Kind.MOVED, {"moved": encode(each)}) for each in moves if not each.homeward
        ]
        steps += [
            (at(9, 4, 30) + later, Kind.WORK_ORDER, order),
            (at(9, 4, 40) + later, Kind.FACT, held),
            (at(9, 5) + later, Kind.OWNED, {"kind": "noout", "subject": "pve3"}),
            (at(9, 6) + later, Kind.FACT, {"name": "node-off", "value": {}}),
        ]
        steps += [
            (at(9, 30) + later, Kind.MESSAGE, _finding(n, each.check, later)) for n, each in enumerate(m.findings)
        ]
        steps += [
            (at(9, 36) + later, Kind.FACT, {"name": "node-on", "value": {}}),
            (at(9, 46) + later, Kind.RELEASED, {"kind": "noout", "subject": "pve3"}),
        ]
        steps += [(each.finished, Kind.MOVED, {"moved": encode(each)}) for each in moves if each.homeward]
        closed = {
            "outcome": "done",
            "phase": "done",
            "probation_until": (at(9, 51) + later + timedelta(days=7)).isoformat(),
        }
        steps.append((at(9, 51) + later, Kind.CLOSED, closed))
        for when, kind, data in sorted(steps, key=lambda each: each[0]):
            await self.write(when, kind, data, mid=mid)
        await self.found.measurements.add_samples(mid, _samples(moves, later, silent_s))
        self.clock.at = at(10, 0) + later


def plan(days: int = 0) -> Plan:
    kinds = {each.guest: each.kind for each in MOVES}
    moves = tuple(
        Move(
            each.id,
            each.name,
            kinds[each.id],
            NODE,
            None if kinds[each.id] is MoveKind.SHUTDOWN else AWAY,
            each.ram_bytes,
        )
        for each in GUESTS
        if each.id in kinds
    )
    when = at(8, 55) + timedelta(days=days)
    return Plan("p1", NODE, when, when, 8, moves, (), (), (), (), 300.0, (300.0, 600.0))


def _finding(number: int, check: str, later: timedelta) -> dict[str, Any]:
    data = {"check": check, "answer": Answer.DONE.value, "note": "seen"}
    return {
        "key": f"f{number}", "kind": "finding", "at": (at(9, 30) + later).isoformat(), "actor": "technician:ruben",
        "data": data,
    }  # fmt: skip


def _samples(moves: list[Moved], later: timedelta, silent_s: float) -> list[Sample]:
    """Each service asked every four seconds; wiki and the shop's first web server do not answer for a while."""
    wiki = at(9, 3, 2) + later
    web = at(9, 1, 10) + later
    found = []
    for guest in GUESTS:
        if guest.id.vmid >= 300:
            continue
        for second in range(0, 56 * 60, EVERY_S):
            when = at(8, 55) + later + timedelta(seconds=second)
            away = guest.name == "wiki" and wiki < when < wiki + timedelta(seconds=11)
            away |= guest.name == "shop-web-1" and web < when < web + timedelta(seconds=silent_s)
            found.append(Sample(guest.id, when, not away))
    return found
