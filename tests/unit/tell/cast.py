"""A maintenance with three customers, for tests of what is told: everything happens, at known times."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from noout.domain.cluster import Guest, GuestId, GuestKind, GuestStatus, NodeId
from noout.domain.customers import Customer
from noout.domain.hardware import Condition, Episode, Fault, Urgency, Verdict
from noout.domain.impact import Cause, Confidence, Experience, Interruption
from noout.domain.journal import GENESIS, Event, Kind, digest
from noout.domain.maintenance import Maintenance, Mode, Moved, MoveKind, Phase
from noout.domain.workorder import Answer, Finding, Location
from noout.tell.checklist import make_work_order

NODE, AWAY = NodeId("ams1", "pve3"), NodeId("ams1", "pve5")
DAY = datetime(2026, 11, 17, tzinfo=UTC)


def at(hour: int, minute: int, second: float = 0) -> datetime:
    """UTC on the day of the work; Amsterdam is one hour ahead."""
    return DAY + timedelta(hours=hour, minutes=minute, seconds=second)


BOEKHUIS = Customer("boekhuis", "Boekhuis Van Dam", frozenset({"boekhuis"}), language="nl", timezone="Europe/Amsterdam")
LIBRERIA = Customer("libreria", "Librería Sol", tags=frozenset({"sol"}), language="es", timezone="Europe/Madrid")
KADE = Customer("kade", "Kade Studio", frozenset({"kade"}), language="en", timezone="Europe/Amsterdam")
CUSTOMERS = (BOEKHUIS, LIBRERIA, KADE)


def guest(vmid: int, name: str, pool: str | None, kind: GuestKind = GuestKind.QEMU, *tags: str) -> Guest:
    return Guest(
        GuestId("ams1", vmid), name, kind, NODE, GuestStatus.RUNNING, 4 << 30, 2, tags=frozenset(tags), pool=pool
    )


GUESTS = (
    guest(101, "shop-db", "boekhuis"),
    guest(102, "shop-web-1", "boekhuis"),
    guest(103, "shop-web-2", "boekhuis"),
    guest(104, "shop-search", "boekhuis"),
    guest(201, "wiki", None, GuestKind.LXC, "sol", "relocate-ok"),
    guest(202, "tienda", None, GuestKind.QEMU, "sol"),
    guest(301, "render-gpu", "kade", GuestKind.QEMU, "shutdown-ok"),
    guest(302, "files", "kade"),
    guest(999, "nobodys-machine", None),
)
_BY_ID = {each.id.vmid: each for each in GUESTS}


def moved(vmid: int, kind: MoveKind, start: datetime, seconds: float, blackout_ms: int | None, home: bool) -> Moved:
    source, target = (AWAY, NODE) if home else (NODE, AWAY)
    if kind is MoveKind.SHUTDOWN:
        source, target = NODE, None  # type: ignore[assignment]
    each = _BY_ID[vmid]
    return Moved(each.id, each.name, kind, source, target, start, start + timedelta(seconds=seconds), blackout_ms, home)


MOVES = (
    moved(101, MoveKind.LIVE, at(9, 0), 90, 212, False),
    moved(102, MoveKind.LIVE, at(9, 1), 60, 64, False),
    moved(103, MoveKind.LIVE, at(9, 2), 55, 71, False),
    moved(201, MoveKind.RELOCATE, at(9, 3), 14, None, False),
    moved(202, MoveKind.LIVE, at(9, 3), 40, 80, False),
    moved(301, MoveKind.SHUTDOWN, at(9, 4), 20, None, False),
    moved(101, MoveKind.LIVE, at(9, 47), 88, 180, True),
    moved(102, MoveKind.LIVE, at(9, 48), 58, 60, True),
    moved(103, MoveKind.LIVE, at(9, 49), 50, 66, True),
    moved(201, MoveKind.RELOCATE, at(9, 49), 13, None, True),
    moved(202, MoveKind.LIVE, at(9, 50), 40, 90, True),
    moved(301, MoveKind.SHUTDOWN, at(9, 50), 15, None, True),
)


def _stall(n: int) -> Episode:
    """Fourteen on five days, the first the longest: 48 s."""
    since = DAY - timedelta(days=5 - n // 3) + timedelta(hours=9)
    return Episode("FAN3B", since, since + timedelta(seconds=48 - n), "stall")


_EPISODES = tuple(_stall(n) for n in range(14))
FAULT = Fault(
    NODE,
    "fans",
    ("FAN3B",),
    Urgency.SCHEDULE,
    "FAN3B of pve3 in rack B07 stops and restarts",
    (Verdict(NODE, "FAN3B", Condition.FLAPPING, _EPISODES[0].since, "14 stalls", _EPISODES),),
)


def make_maintenance() -> Maintenance:
    m = Maintenance("m-0014", NODE, "fans of pve3", Mode.AUTO, at(8, 55), "anna", 60, fault=FAULT)
    order = make_work_order(m, Location("R2", "B07", "U14", "CZ2D5007K41"), "WO-ams1-0014")
    said = {"fans.replace": Answer.NOT_NEEDED, "connectors.reseat": Answer.PROBLEM}
    findings = tuple(
        Finding(check.key, said.get(check.key, Answer.DONE), "J36 of pve3 was not home", at(9, 30), "ruben")
        for check in order.checks
    )
    return replace(
        m,
        phase=Phase.DONE,
        work_order=order,
        moved=MOVES,
        hands_on_at=at(9, 4, 30),
        node_off_at=at(9, 6),
        findings=findings,
        signed_off_at=at(9, 35),
        node_on_at=at(9, 36),
        acceptance_until=at(9, 46),
        closed_at=at(9, 51),
        probation_until=at(9, 51) + timedelta(days=7),
        outcome="done",
    )


def interruption(vmid: int, start: datetime, seconds: float, cause: Cause, missed: int = 3) -> Interruption:
    end = start + timedelta(seconds=seconds)
    how = Confidence.REPEATED if missed > 1 else Confidence.SINGLE
    return Interruption(_BY_ID[vmid].id, start, end, 0.1, missed, cause, probe="tcp:443", confidence=how)


def seen(vmid: int, longest_s: float, *gaps: Interruption, blackout_ms: int | None = None) -> Experience:
    each = _BY_ID[vmid]
    return Experience(
        each.id, each.name, at(8, 55), at(9, 51), 33_600, 33_590, 0.1, longest_s, gaps, blackout_ms, 0.1, "tcp:443"
    )


EXPERIENCES = (
    seen(101, 0.4, interruption(101, at(9, 1, 28), 0.4, Cause.MOVE), blackout_ms=212),
    seen(102, 0.1, blackout_ms=64),
    seen(103, 0.21, blackout_ms=71),
    seen(104, 48, interruption(104, at(9, 12), 48, Cause.UNRELATED)),
    seen(
        201,
        11.4,
        interruption(201, at(9, 3, 2), 11.4, Cause.RELOCATION),
        interruption(201, at(9, 49, 2), 10.9, Cause.RELOCATION),
    ),
    seen(202, 0.2, blackout_ms=90),
)


def journal(m: Maintenance) -> tuple[Event, ...]:
    """A short, really chained journal."""
    lines: list[tuple[datetime, str, dict[str, object]]] = [
        (at(8, 55), Kind.OPENED, {}),
        (at(9, 5), Kind.OWNED, {"kind": "noout", "subject": "pve3"}),
        (at(9, 46), Kind.RELEASED, {"kind": "noout", "subject": "pve3"}),
        (at(9, 51), Kind.CLOSED, {"outcome": "done"}),
    ]
    events: list[Event] = []
    for seq, (when, kind, data) in enumerate(lines, start=1):
        previous = events[-1].digest if events else GENESIS
        chained = digest(previous, m.id, seq, when, kind, data, "noout")
        events.append(Event(m.id, seq, when, kind, data, "noout", chained))
    return tuple(events)
