"""The watch: its rhythm, its patience, what it keeps, and that nothing a BMC does stops it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from noout.adapters.store.memory import MemoryStore
from noout.app.proposals import Past, Proposals
from noout.app.watcher import Watcher
from noout.app.watching.poller import BACK_OFF_S_MAX, LOOK_WALL_S, Poller, back_off_s
from noout.domain.cluster import NodeId
from noout.domain.errors import Broken, Retryable
from noout.domain.hardware import Alert, Condition, HardwareState, LogEntry, Power, Reading, SensorKind, Unit
from noout.ports import Clock, HostReport
from tests.support.board import NODE, OTHER, Board, during, fans, silent, virtually


@pytest.mark.parametrize(("takes_s", "apart_s"), [(0.0, 60.0), (40.0, 60.0), (75.0, 75.0)])
def test_a_slow_bmc_makes_no_round_later_than_it_must_be(takes_s: float, apart_s: float) -> None:
    async def main(clock: Clock, store: MemoryStore) -> None:
        board = Board(clock, takes_s=takes_s)
        await during(Watcher({NODE: board}, store, store, clock, 60.0), 400)
        assert board.apart_s[:4] == [pytest.approx(apart_s, abs=0.01)] * 4

    virtually(main)


def test_one_that_hangs_or_breaks_keeps_nobody_waiting() -> None:
    async def main(clock: Clock, store: MemoryStore) -> None:
        def breaks(now: datetime) -> HardwareState:
            raise ZeroDivisionError

        well, hangs, broken = Board(clock), Board(clock, OTHER, takes_s=1e6), NodeId(NODE.cluster, "pve2")
        boards = {OTHER: hangs, broken: Board(clock, broken, say=breaks), NODE: well}
        await during(Watcher(boards, store, store, clock, 60.0), 1000)
        assert len(well.began) == 17
        assert max(well.apart_s) == pytest.approx(60.0, abs=0.01)
        [first, *_] = await store.hardware(OTHER, clock.now() - timedelta(hours=1))
        assert (first.reachable, first.trouble) == (False, f"the look did not end within {LOOK_WALL_S:.0f} s")
        assert not any(state.reachable for state in await store.hardware(broken, clock.now() - timedelta(hours=1)))

    virtually(main)


def test_many_are_not_asked_at_the_same_moment_nor_too_many_at_once() -> None:
    async def main(clock: Clock, store: MemoryStore) -> None:
        under_way, most = 0, 0

        @dataclass
        class Counted(Board):
            async def observe(self, *, log: bool = True) -> HardwareState:
                nonlocal under_way, most
                under_way += 1
                most = max(most, under_way)
                found = await Board.observe(self)
                under_way -= 1
                return found

        async def take(state: HardwareState) -> None: ...

        nodes = [NodeId("ams1", f"n{number}") for number in range(400)]
        boards = {node: Counted(clock, node, takes_s=5.0) for node in nodes}
        await during(Poller(boards, clock, 60.0, take, at_once=30), 600)
        assert most == 30
        assert all(len(board.began) >= 7 for board in boards.values())
        firsts = sorted(board.began[0] for board in boards.values())
        assert firsts[-1] - firsts[0] > timedelta(seconds=10)

    virtually(main)


def test_a_bmc_that_is_silent_is_asked_less_and_less_often_but_not_while_its_node_is_in_maintenance() -> None:
    async def main(clock: Clock, store: MemoryStore) -> None:
        async def take(state: HardwareState) -> None: ...

        board, hurried = Board(clock, say=silent), False
        poller = Poller({NODE: board}, clock, 60.0, take, hurried=lambda node: hurried)

        async def hurry() -> None:
            nonlocal hurried
            hurried, before = True, len(board.began)
            await asyncio.sleep(1200)
            assert len(board.began) - before >= 19

        await during(poller, 7200, hurry())
        board.began = [at for at in board.began if at <= board.began[0] + timedelta(seconds=7200)]
        assert board.apart_s[:2] == [60.0, 60.0]
        assert all(later > earlier for earlier, later in pairwise(board.apart_s[1:5]))
        assert min(board.apart_s[6:]) >= BACK_OFF_S_MAX * 0.9
        assert max(board.apart_s) <= BACK_OFF_S_MAX

    virtually(main)


def test_those_that_fell_silent_together_are_not_asked_together() -> None:
    waits = {back_off_s(NodeId("ams1", f"n{number}"), 9, 60.0) for number in range(50)}
    assert len(waits) > 25
    assert all(0.9 * BACK_OFF_S_MAX <= each <= BACK_OFF_S_MAX for each in waits)


def test_what_is_told_is_kept_with_a_look_made_at_once() -> None:
    async def main(clock: Clock, store: MemoryStore) -> None:
        board = Board(clock, takes_s=2.0)
        watcher = Watcher({NODE: board}, store, store, clock, 60.0)
        alert = Alert("c0ffee", "FanStopped", clock.now(), kind=SensorKind.FAN, sensor="FAN1")
        entry = LogEntry("event 1", datetime(1970, 1, 1, tzinfo=UTC), "Critical", "FAN1 stopped", "FAN1")

        async def tell() -> None:
            before = len(board.began)
            await watcher.tell(NODE, [alert], [entry])
            assert len(board.began) == before + 1
            kept = (await store.hardware(NODE, clock.now() - timedelta(hours=1)))[-1]
            assert (kept.alerts, [each.at for each in kept.log]) == ((alert,), [kept.at])
            with pytest.raises(Retryable, match="not watched"):
                await watcher.tell(OTHER, [alert])

        await during(watcher, 20.0, tell())
        with pytest.raises(Retryable, match="not watched"):
            await watcher.tell(NODE, [alert])

    virtually(main)


def test_what_cannot_be_kept_is_told_again() -> None:
    async def main(clock: Clock, store: MemoryStore) -> None:
        board, full = Board(clock), True

        class Full(MemoryStore):
            async def add_hardware(self, state: HardwareState) -> None:
                if full:
                    raise Broken("the disk is full")
                await super().add_hardware(state)

        store = Full(clock)
        watcher = Watcher({NODE: board}, store, store, clock, 60.0)
        alert = Alert("c0ffee", "FanStopped", clock.now())

        async def tell() -> None:
            nonlocal full
            with pytest.raises(Broken):
                await watcher.tell(NODE, [alert])
            full = False
            await watcher.tell(NODE, [alert])

        await during(watcher, 200.0, tell())
        [kept, *_] = await store.hardware(NODE, clock.now() - timedelta(hours=1))
        assert kept.alerts == (alert,)

    virtually(main)


def _log(*entries: LogEntry) -> Callable[[datetime], HardwareState]:
    return lambda now: HardwareState(NODE, now, True, Power.ON, readings=fans(), log=entries)


def test_an_entry_is_kept_once_whoever_reads_it_and_an_impossible_time_becomes_that_of_the_look() -> None:
    async def main(clock: Clock, store: MemoryStore) -> None:
        epoch = datetime(1970, 1, 1, 0, 5, tzinfo=UTC)
        real, old = LogEntry("1", clock.now(), "OK", "up", ""), LogEntry("2", epoch, "Critical", "FAN1 stopped", "FAN1")
        fresh = LogEntry("3", epoch + timedelta(hours=1), "Critical", "FAN1 stopped", "FAN1")
        board = Board(clock, say=_log(real, old))
        watcher = Watcher({NODE: board}, store, store, clock, 60.0)

        async def kept() -> Sequence[LogEntry]:
            return await store.logged(NODE, clock.now() - timedelta(days=1))

        for _ in range(2):
            await watcher.poll()
        assert await kept() == [real], "what the first look finds in 1970 may be of any time"
        await clock.sleep(60)
        board.say = _log(real, old, fresh)
        for _ in range(2):
            await watcher.poll()
            await clock.sleep(60)
        [_, stamped] = await kept()
        assert (stamped.id, clock.now() - stamped.at) == ("3", timedelta(minutes=2))
        again = Watcher({NODE: board}, store, store, clock, 60.0)  # after a restart
        await again.poll()
        assert len(await kept()) == 2

    virtually(main)


def _stopping(clock: Clock) -> Callable[[datetime], HardwareState]:
    """FAN1 stands still for two minutes in each hour."""
    start = clock.now()

    def say(now: datetime) -> HardwareState:
        stands = 30 <= (now - start).total_seconds() / 60 % 60 < 32
        return HardwareState(NODE, now, True, Power.ON, readings=fans(0.0 if stands else 6000.0))

    return say


@pytest.mark.parametrize("restart_min", [91, 100, 150])
def test_a_restart_loses_no_episode_not_even_one_that_is_going_on(restart_min: int) -> None:
    """The same looks, with and without a restart at that minute (91: while the fan stands still), same verdicts."""

    async def main(clock: Clock, store: MemoryStore) -> None:
        async def story(restarts: bool) -> list[tuple[str, Condition, datetime | None, int]]:
            mine = MemoryStore(clock)
            board = Board(clock, say=_stopping(clock))
            watcher = Watcher({NODE: board}, mine, mine, clock, 60.0)
            for minute in range(220):
                if restarts and minute == restart_min:
                    watcher = Watcher({NODE: board}, mine, mine, clock, 60.0)
                [health] = await watcher.poll()
                await clock.sleep(60)
            return [(v.sensor, v.condition, v.since, len(v.episodes)) for v in health.verdicts]

        began = clock.now()
        plain = await story(restarts=False)
        shift = clock.now() - began
        restarted = await story(restarts=True)
        assert [(s, c, at and at + shift, n) for s, c, at, n in plain] == restarted
        assert restarted[0][1] is Condition.FLAPPING
        assert restarted[0][3] >= 3

    virtually(main)


def test_what_was_remembered_outlives_the_readings_it_came_from() -> None:
    """Mild faults show over days: longer than each reading is kept."""

    async def main(clock: Clock, store: MemoryStore) -> None:
        board = Board(clock, say=_stopping(clock))
        await during(Watcher({NODE: board}, store, store, clock, 60.0), 220 * 60)
        [before, *_] = (await Watcher({}, store, store, clock, 60.0).health(NODE)).verdicts
        await store.thin_hardware(NODE, clock.now() - timedelta(minutes=15), clock.now() - timedelta(days=30))
        assert len(await store.hardware(NODE, clock.now() - timedelta(days=1))) < 30
        health = await Watcher({}, store, store, clock, 60.0).health(NODE)
        [after, *_] = health.verdicts
        assert (after.sensor, after.condition, after.since) == (before.sensor, Condition.FLAPPING, before.since)
        assert len(after.episodes) == len(before.episodes) == 4
        assert health.latest is not None
        at = clock.now()
        await store.keep_memory(NODE, at, {"since": "", "watch": {"version": 0}})  # of another version
        [anew, *_] = (await Watcher({}, store, store, clock, 60.0).health(NODE)).verdicts
        assert anew.condition is not Condition.FLAPPING

    virtually(main)


class Metrics:
    def __init__(self, report: HostReport | None) -> None:
        self.report = report

    async def observe(self) -> dict[NodeId, HostReport]:
        if self.report is None:
            raise Retryable("no answer")
        return {NODE: self.report, OTHER: self.report}


def test_exporters_speak_beside_a_bmc_and_in_the_place_of_one_that_is_not_configured() -> None:
    async def main(clock: Clock, store: MemoryStore) -> None:
        host = (Reading("mc0 correctable", SensorKind.MEMORY, 3.0, Unit.COUNT),)
        metrics = Metrics(HostReport(host, fans(0.0), Power.ON))
        watcher = Watcher(
            {NODE: Board(clock, say=silent)}, store, store, clock, 60.0, exporters={"ams1": metrics},
            boardless=frozenset({OTHER}),
        )  # fmt: skip
        mine, other = await watcher.poll()
        assert mine.latest is not None
        assert other.latest is not None
        assert (mine.latest.reachable, mine.latest.readings, mine.latest.host) == (False, (), host)
        assert (other.latest.reachable, other.latest.power, other.latest.readings) == (True, Power.ON, fans(0.0))
        metrics.report = None
        await clock.sleep(60)
        assert (await watcher.poll())[0].latest.host == host, "one answer that is missing takes nothing away"  # type: ignore[union-attr]
        await clock.sleep(600)
        [_, other] = await watcher.poll()
        assert other.latest is not None
        assert (other.latest.reachable, other.latest.host) == (False, ())

    virtually(main)


def disk(name: str, health: str) -> Reading:
    return Reading(name, SensorKind.DISK, float(health == "OK"), Unit.STATE, health=health)


def test_what_several_sources_say_of_a_node_is_one_word() -> None:
    async def main(clock: Clock, store: MemoryStore) -> None:
        pve = Metrics(HostReport((disk("sda", "OK"), disk("sdb", "OK")), online=False))
        metrics = Metrics(HostReport((disk("sdb", "Critical"), disk("sda", "OK")), (), Power.ON))
        watcher = Watcher(
            {NODE: Board(clock, say=silent)}, store, store, clock, 60.0, exporters={"pve": pve, "metrics": metrics}
        )
        for _ in range(3):
            [health] = await watcher.poll()
            await clock.sleep(60)
        assert health.latest is not None and health.latest.online is False
        assert {(each.sensor, each.health) for each in health.latest.host} == {("sda", "OK"), ("sdb", "Critical")}
        [ill] = [each for each in health.verdicts if each.kind is SensorKind.DISK]
        assert ill.sensor == "sdb" and "its OSD want replacing, the node itself does not" in ill.why
        assert health.faults == (), "that concerns its OSD"
        pve.report = metrics.report = None
        await clock.sleep(25 * 3600)
        [health] = await watcher.poll()
        assert health.latest is not None and health.latest.online is None, "nobody says so any more"
        assert not [each for each in health.verdicts if each.kind is SensorKind.DISK], "it may have been pulled"

    virtually(main)


def test_after_a_repair_the_node_is_judged_anew() -> None:
    async def main(clock: Clock, store: MemoryStore) -> None:
        class Mended(Past):
            @property
            def since(self) -> datetime | None:
                return repaired

        class Proposed(Proposals):
            def past(self, node: NodeId) -> Past:
                return Mended()

        repaired: datetime | None = None
        board = Board(clock, say=lambda now: HardwareState(NODE, now, True, Power.ON, readings=fans(0.0)))
        watcher = Watcher({NODE: board}, store, store, clock, 60.0, proposals=Proposed(store, clock))
        for _ in range(15):
            [health] = await watcher.poll()
            await clock.sleep(60)
        assert health.fault is not None

        repaired = clock.now()
        board.say = None
        for _ in range(10):
            [health] = await watcher.poll()
            await clock.sleep(60)
        assert health.fault is None
        assert not any(verdict.episodes for verdict in health.verdicts)

    virtually(main)


def test_old_readings_are_thinned_out_while_it_runs() -> None:
    async def main(clock: Clock, store: MemoryStore) -> None:
        for hours in (60, 50):
            at = clock.now() - timedelta(hours=hours)
            await store.add_hardware(replace(silent(at), reachable=True, power=Power.ON, readings=fans()))
        await during(Watcher({NODE: Board(clock)}, store, store, clock, 600.0), 2 * 3600)
        start = clock.now() - timedelta(days=5)
        assert len(await store.trends(NODE, start)) == 8
        assert (await store.hardware(NODE, start))[0].at >= clock.now() - timedelta(hours=3)

    virtually(main)
