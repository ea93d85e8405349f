"""The witness asks without a gap, keeps every answer, and tells a silence from a guest on its way."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from noout.adapters.store.memory import MemoryStore
from noout.app.witnessing import SLICE_S, Witness, services_of
from noout.domain.cluster import Guest, GuestId, GuestKind, GuestStatus, NodeId
from noout.domain.errors import Retryable
from noout.domain.impact import SILENT_S, Sample, Service
from noout.domain.maintenance import Action, Maintenance, Mode, Moved, MoveKind, Owned, Pending
from noout.settings_probes import ProbeSettings

T0 = datetime(2026, 11, 17, 9, 0, tzinfo=UTC)
WEB = GuestId("ams1", 101)
NODE = NodeId("ams1", "pve3")
OPEN = Maintenance("ams1-pve3-1", NODE, "fan", Mode.AUTO, T0, "operator:anna", 1)


class Moments:
    """A clock that only sleeping moves, as fast as asked."""

    def __init__(self, speed: float = 1.0) -> None:
        self.at, self.speed = T0, speed

    def now(self) -> datetime:
        return self.at

    async def sleep(self, seconds: float) -> None:
        self.at += timedelta(seconds=max(0.0, seconds))

    def wall_s(self, seconds: float) -> float:
        return seconds / self.speed


class Answers:
    """A prober that asks at each instant and knows when the service is dark."""

    def __init__(self, clock: Moments, dark: tuple[datetime, datetime] | None = None) -> None:
        self.clock, self.dark, self.refuses = clock, dark, 0

    async def collect(
        self, services: Sequence[Service], since: datetime, until: datetime, every_s: float
    ) -> Sequence[Sample]:
        if self.refuses:
            self.refuses -= 1
            raise Retryable("the prober does not answer")
        await self.clock.sleep((until - self.clock.now()).total_seconds())
        every = timedelta(seconds=every_s)
        instants = [since + every * n for n in range(1, (until - since) // every + 1)]
        return [
            Sample(service.guest, at, self.dark is None or not self.dark[0] <= at < self.dark[1])
            for at in instants
            for service in services
        ]


def witness(states: list[Maintenance], clock: Moments, prober: Answers, **probes: float) -> Witness:
    async def state() -> Maintenance:
        return states.pop(0) if len(states) > 1 else states[0]

    settings = ProbeSettings(every_s=probes.get("every_s", 1.0), every_moving_s=probes.get("every_moving_s", 0.3))
    services = (Service(WEB, "web", "tcp:443"),)
    return Witness("ams1-pve3-1", lambda state: services, prober, MemoryStore(clock), clock, settings, state)


def moving(subject: GuestId = WEB) -> Maintenance:
    return replace(OPEN, pending=(Pending(Action("evacuate", "migrate", str(subject), ""), T0, 1),))


@pytest.mark.parametrize("speed", [1.0, 60.0])
async def test_no_question_is_left_out_between_two_slices(speed: float) -> None:
    clock = Moments(speed)
    closed = replace(OPEN, closed_at=T0)
    seen = witness([OPEN, OPEN, moving(), moving(), OPEN, closed], clock, Answers(clock))
    await seen.run()
    asked = [each.at for each in await seen.measurements.samples("ams1-pve3-1")]
    gaps = {(later - earlier).total_seconds() for earlier, later in pairwise(asked)}
    assert gaps == {0.25, 1.0}, "as often as asked for, and so that the slower is a whole number of it"


async def test_a_prober_in_trouble_leaves_a_gap_and_goes_on() -> None:
    clock = Moments()
    prober = Answers(clock)
    prober.refuses = 2
    seen = witness([OPEN, OPEN, OPEN, replace(OPEN, closed_at=T0)], clock, prober)
    await seen.run()
    assert await seen.measurements.samples("ams1-pve3-1")
    assert await seen.silent(OPEN) == frozenset()


async def test_who_answered_before_and_does_not_now_is_silent() -> None:
    clock = Moments()
    dark_for = timedelta(seconds=SILENT_S + 2)
    seen = witness(
        [OPEN, OPEN, OPEN, replace(OPEN, closed_at=T0)],
        clock,
        Answers(clock, (T0 + timedelta(seconds=8), T0 + dark_for * 9)),
    )
    await seen.run()
    assert await seen.silent(OPEN) == {WEB}
    assert await seen.silent(moving()) == frozenset(), "a guest on its way is not expected to answer all the time"
    down = replace(OPEN, owned=(Owned("guest-down", str(WEB), T0),))
    assert await seen.silent(down) == frozenset(), "it is down by its owner's consent"


async def test_a_service_that_never_answered_is_not_called_silent() -> None:
    clock = Moments()
    seen = witness([OPEN, OPEN, replace(OPEN, closed_at=T0)], clock, Answers(clock, (T0, T0 + timedelta(hours=1))))
    await seen.run()
    assert await seen.silent(OPEN) == frozenset()


def test_services_are_opt_in_by_guest_or_tag() -> None:
    def guest(vmid: int, *tags: str, template: bool = False) -> Guest:
        return Guest(
            GuestId("ams1", vmid), f"g{vmid}", GuestKind.QEMU, NODE, GuestStatus.RUNNING, 1, 1,
            tags=frozenset(tags), template=template,
        )  # fmt: skip

    settings = ProbeSettings(services={"ams1/1": "tcp:1"}, tags={"web": "tcp:443"})
    found = services_of([guest(3), guest(2, "web"), guest(1, "web"), guest(4, "web", template=True)], settings)
    assert [(each.guest.vmid, each.probe) for each in found] == [(1, "tcp:1"), (2, "tcp:443")]


def test_a_pool_is_probed_too_and_a_held_connection_stands_before_the_question_that_is_answered() -> None:
    pooled = Guest(WEB, "web", GuestKind.QEMU, NODE, GuestStatus.RUNNING, 1, 1, pool="shop", addresses=("192.0.2.10",))
    found = services_of([pooled], ProbeSettings(pools={"shop": ["tcp:443", "held:443"]}))
    assert found == (
        Service(WEB, "web", "held:443", ("192.0.2.10",)),
        Service(WEB, "web", "tcp:443", ("192.0.2.10",)),
    )


class Noting(Answers):
    """Also keeps at what interval each service was asked."""

    def __init__(self, clock: Moments) -> None:
        super().__init__(clock)
        self.at: dict[str, set[float]] = {}

    async def collect(
        self, services: Sequence[Service], since: datetime, until: datetime, every_s: float
    ) -> Sequence[Sample]:
        for service in services:
            self.at.setdefault(service.name, set()).add(every_s)
        return await super().collect(services, since, until, every_s)


async def test_only_the_guest_that_moves_is_asked_more_often() -> None:
    clock = Moments()
    prober = Noting(clock)
    seen = witness([moving(), moving(), replace(OPEN, closed_at=T0)], clock, prober)
    seen.services = lambda state: (Service(WEB, "web", "tcp:443"), Service(GuestId("ams1", 102), "db", "tcp:1"))
    await seen.run()
    assert prober.at == {"web": {0.25, 1.0}, "db": {1.0}}


def was_moved() -> Maintenance:
    there = Moved(WEB, "web", MoveKind.LIVE, NODE, NodeId("ams1", "pve2"), T0, T0, 80, False)
    return replace(OPEN, moved=(there,))


@pytest.mark.parametrize(
    ("state", "alarms"),
    [(was_moved(), 1), (OPEN, 0), (replace(was_moved(), silence_accepted=frozenset({WEB})), 0)],
)
async def test_a_guest_that_was_moved_and_fell_silent_wakes_somebody_once(state: Maintenance, alarms: int) -> None:
    clock = Moments()
    woken: list[str] = []

    async def alarm(m: Maintenance, why: str) -> None:
        woken.append(why)

    dark = (T0 + timedelta(seconds=8), T0 + timedelta(hours=1))
    seen = witness([state] * 12 + [replace(state, closed_at=T0)], clock, Answers(clock, dark))
    seen.alarm = alarm
    await seen.run()
    await asyncio.sleep(0)
    assert len(woken) == alarms
    assert all("customer down" in why for why in woken)


async def test_a_prober_that_was_late_itself_calls_nobody_silent() -> None:
    clock = Moments()
    seen = witness([OPEN], clock, Answers(clock))
    seen._note([Sample(WEB, T0, True)])
    seen._note([Sample(WEB, T0 + timedelta(seconds=n), False, 0.9) for n in range(1, 60)])
    assert await seen.silent(OPEN) == frozenset()
    seen._note([Sample(WEB, T0 + timedelta(seconds=n), False, 0.1) for n in range(60, 62)])
    assert await seen.silent(OPEN) == {WEB}


async def test_nobody_is_judged_before_all_have_been_asked_once() -> None:
    clock = Moments()
    seen = witness([OPEN, replace(OPEN, closed_at=T0)], clock, Answers(clock))
    asking = asyncio.create_task(seen.answered())
    for _ in range(5):
        await asyncio.sleep(0)
    assert not asking.done()
    await seen.run()
    assert (await asking)[WEB] == T0 + timedelta(seconds=SLICE_S), "of the first slice: nobody waits for more"


async def test_who_is_asked_and_has_not_answered_is_known_too() -> None:
    clock = Moments()
    seen = witness([OPEN, replace(OPEN, closed_at=T0)], clock, Answers(clock, (T0, T0 + timedelta(hours=1))))
    await seen.run()
    assert await seen.answered() == {WEB: None}


async def test_a_prober_in_trouble_keeps_nobody_waiting_for_ever() -> None:
    clock = Moments()
    prober = Answers(clock)
    prober.refuses = 2
    seen = witness([OPEN, replace(OPEN, closed_at=T0)], clock, prober)
    await seen.run()
    assert await seen.answered() == {WEB: None}
