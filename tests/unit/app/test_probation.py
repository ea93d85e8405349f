"""After a repair: the fault that comes back is not cured, the one that stays away is repaired once it was watched."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from noout.adapters.store.memory import MemoryStore
from noout.app.probation import Probation
from noout.app.proposals import Proposals
from noout.app.sentences import sentence
from noout.app.watcher import Watcher
from noout.codec import encode
from noout.domain.hardware import Condition, Episode, SensorKind, Verdict
from noout.domain.journal import Kind
from noout.domain.maintenance import Maintenance, Phase
from noout.run.fold import fold
from tests.unit.app.test_proposals import Hands, fault
from tests.unit.watch.traces import PVE3, START, poll, still

MID = "ams1-pve3-1"


def say(sensor: str, condition: Condition, *hours: float, what: str = "stall") -> Verdict:
    """Episodes so many hours after the maintenance was closed."""
    closed = START + timedelta(hours=2)
    starts = [closed + timedelta(hours=each) for each in hours]
    some = tuple(Episode(sensor, at, at + timedelta(seconds=4), what) for at in starts)
    return Verdict(PVE3, sensor, condition, None, f"{sensor} again.", some)


class World:
    """pve3 was repaired for FAN3B and is on probation for seven days."""

    def __init__(self) -> None:
        self.clock = Hands()
        self.store = MemoryStore(self.clock)  # type: ignore[arg-type]
        self.proposals = Proposals(self.store, self.clock)  # type: ignore[arg-type]
        self.probation = Probation(self.store, self.store, self.clock, self.proposals)  # type: ignore[arg-type]

    async def repaired(self) -> World:
        await self.proposals.consider(fault("FAN3B"))
        data = {"node": str(PVE3), "reason": "fans", "fsid": "F", "fault": encode(fault("FAN3B"))}
        await self.store.append(MID, 0, Kind.OPENED, data)
        self.clock.later(hours=1)
        await self.store.append(MID, 1, Kind.FACT, {"name": "node-on", "value": None})
        self.clock.later(hours=1)
        until = self.clock.now() + timedelta(days=7)
        await self.store.append(MID, 2, Kind.CLOSED, {"outcome": "done", "probation_until": until.isoformat()})
        await self.proposals.refresh()
        return self

    async def watch(self, hours: int) -> None:
        for _ in range(hours):
            self.clock.later(hours=1)
            await self.store.add_hardware(replace(poll(0), at=self.clock.now()))

    async def m(self) -> Maintenance:
        return fold(await self.store.read(MID))


async def test_one_episode_of_the_repaired_fan_is_not_cured_and_says_which_to_take_up_again() -> None:
    world = await World().repaired()
    back = await world.probation.mind(PVE3, (say("FAN3B", Condition.OK, 30.0),))
    assert back is not None and back[1] is not None and back[1].reopens == MID
    m = await world.m()
    assert "not cured: FAN3B again" in m.probation_failed and m.probation_over_at is not None and not m.open
    events = await world.store.read(MID)
    assert events[-1].kind == Kind.PROBATION_FAILED and "not cured" in str(sentence(events[-1]))
    assert await world.probation.mind(PVE3, (say("FAN3B", Condition.FLAPPING, 30.0, 31.0),)) is None, "said once"
    assert len(await world.store.read(MID)) == len(events)
    assert [each.times for each in await world.proposals.all()] == [1]


async def test_what_is_no_recurrence() -> None:
    world = await World().repaired()
    for quiet in (
        say("FAN3B", Condition.OK),
        say("FAN3B", Condition.OK, -0.5),  # before it was closed: the acceptance saw it
        say("FAN3B", Condition.HUNTING, 5.0, what="hunting"),
        say("FAN3B", Condition.LOST_TELEMETRY),
        say("FAN1A", Condition.FLAPPING, 5.0, 6.0),  # another part: a fault of its own
        replace(say("FAN3B", Condition.FAILED), kind=SensorKind.POWER_SUPPLY),
    ):
        assert await world.probation.mind(PVE3, (quiet,)) is None, quiet
    assert (await world.m()).probation_failed == ""


async def test_it_is_repaired_when_the_time_is_over_and_it_was_watched() -> None:
    world = await World().repaired()
    await world.watch(24 * 7 - 1)
    assert await world.probation.mind(PVE3, ()) is None and (await world.m()).probation_over_at is None
    await world.watch(2)
    await world.probation.mind(PVE3, ())
    m = await world.m()
    assert m.probation_over_at == world.clock.now() and not m.probation_failed
    assert await world.probation.mind(PVE3, (say("FAN3B", Condition.FLAPPING, 200.0, 201.0),)) is None, "a new fault"


async def test_days_that_nobody_watched_are_made_up_for() -> None:
    world = await World().repaired()
    await world.watch(24 * 4)
    world.clock.later(days=4)
    await world.watch(1)
    await world.probation.mind(PVE3, ())
    assert (await world.m()).probation_over_at is None, "four days of seven were watched"
    await world.watch(24 * 3)
    await world.probation.mind(PVE3, ())
    assert (await world.m()).probation_over_at is not None


async def test_while_the_node_is_in_another_maintenance_nothing_is_held_against_the_repair() -> None:
    world = await World().repaired()
    await world.store.append("ams1-pve3-2", 0, Kind.OPENED, {"node": str(PVE3), "reason": "firmware"})
    await world.proposals.refresh()
    assert await world.probation.mind(PVE3, (say("FAN3B", Condition.FAILED, 30.0),)) is None


async def test_taken_up_again_it_begins_anew_in_the_same_journal() -> None:
    world = await World().repaired()
    await world.probation.mind(PVE3, (say("FAN3B", Condition.OK, 30.0),))
    before = await world.m()
    data = {"node": str(PVE3), "reason": "not cured", "fault": encode(fault("FAN3B")), "fsid": "F"}
    await world.store.append(MID, before.seq, Kind.REOPENED, data, "operator:anna")
    m = await world.m()
    assert m.open and (m.id, m.reopened, m.phase, m.opened_by) == (MID, 1, Phase.PROPOSED, "operator:anna")
    assert (m.node_on_at, m.steps_done, m.probation_until, m.probation_failed) == (None, (), None, "")
    await world.proposals.refresh()
    assert world.proposals.past(PVE3).running is not None


async def test_the_watch_itself_finds_the_fan_that_stops_again() -> None:
    world = await World().repaired()
    seen: list[str] = []

    class Board:
        node = PVE3

        async def observe(self, *, log: bool = True):  # type: ignore[no-untyped-def]
            dead = 20 <= len(seen) < 22
            seen.append("look")
            return replace(poll(0, still("FAN3B") if dead else None), at=world.clock.now())

    told: list[str] = []

    async def tell(found) -> None:  # type: ignore[no-untyped-def]
        told.append(found.summary)

    watcher = Watcher({PVE3: Board()}, world.store, world.store, world.clock, 60.0, tell)  # type: ignore[dict-item, arg-type]
    for _ in range(40):
        world.clock.later(minutes=1)
        await watcher.poll()
    assert "FAN3B" in (await world.m()).probation_failed and len(told) == 1
