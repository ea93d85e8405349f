"""A guest really moves between two QEMU processes on two hosts, while clients ask it from a third place.

Facts are held, not milliseconds: this machine may be busy, and QEMU emulates here.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from noout.adapters.clock import SystemClock
from noout.cli.demo.accounts import apart_s, noout_says
from noout.domain.cluster import MigrationProgress
from noout.domain.impact import Cause
from noout.lab.real.needs import lacking
from noout.lab.real.qemu import Machine
from noout.run import look
from tests.contract.migration.accounts import datagrams_say, lost_ms, silence_ms, witnessed
from tests.support.guestprobe import CONNECT_EVERY_S
from tests.support.realqemu import Prober, TwoHosts

pytestmark = [pytest.mark.real, pytest.mark.skipif(bool(lacking()), reason=lacking() or "all there")]

SLOW_BYTES_PER_S = 8_000_000  # some ten seconds for this guest: time to interfere
GAP_LIMIT_MS = 5000.0
STALL_S = 1.0


async def working(prober: Prober) -> dict[str, Any]:
    """The guest rewrites 8 MiB/s from here on, and some of it has happened."""
    begun = await prober.get("/dirty/8")
    await asyncio.sleep(0.3)
    return begun


async def far_enough(source: Machine) -> dict[str, Any]:
    """Until the migration has sent a part of the guest and is still at it."""
    async with asyncio.timeout(30):
        while True:
            told = await source.migration()
            if told["status"] == "active" and told["ram"]["transferred"] > 4_000_000:
                return told
            await asyncio.sleep(0.05)


async def ended_as(source: Machine) -> str:
    async with asyncio.timeout(20):
        while True:
            status = str((await source.migration())["status"])
            if status not in ("active", "cancelling"):
                return status
            await asyncio.sleep(0.05)


def held_together(prober: Prober, begun: dict[str, Any], ended: dict[str, Any]) -> None:
    """The same guest all along: nothing it wrote was lost, no connection broke, no answer twice."""
    assert ended["lost"] == 0
    assert ended["boot"] == begun["boot"]
    assert ended["pages_written"] > begun["pages_written"]
    assert prober.stream.reconnects == 0
    talks = (prober.datagrams, prober.stream)
    for talk in talks:
        assert {boot for _, _, _, boot in talk.answers} == {begun["boot"]}
        assert len(talk.lag_s) == len(talk.asked) > 50
    counters = [[counter for _, _, counter, _ in talk.answers] for talk in talks]
    assert len({*counters[0], *counters[1]}) == len(counters[0]) + len(counters[1])
    assert all(earlier < later for earlier, later in pairwise(counters[1]))
    answered = [question for _, question, _, _ in prober.stream.answers]
    assert answered == list(range(len(answered)))  # every question of the old connection, in order
    assert max(lost_ms(prober.datagrams), silence_ms(prober.stream)) < GAP_LIMIT_MS


async def test_a_guest_moves_and_noouts_own_witness_sees_at_least_what_qemu_says(template: Path) -> None:
    async with TwoHosts(template.parent, template) as hosts:
        source = await hosts.start("a", restored=True)
        target = await hosts.start("b", incoming=True)
        async with hosts.probing() as prober:
            begun = await working(prober)
            report = await hosts.migrate(source, target)
            await asyncio.sleep(0.3)
            ended = await prober.get("/check")
            await prober.get("/spoil")
            spoiled = await prober.get("/check")
        assert source.process.returncode is not None
        assert await target.status() == "running"
    held_together(prober, begun, ended)
    assert spoiled["lost"] >= 1  # the check sees a lost write
    assert report.downtime_ms >= 1
    assert report.ram["transferred"] > 32 << 20
    told = witnessed(prober, report)
    assert told.blackout_ms == report.downtime_ms
    assert told.longest_gap_s is not None and told.resolution_s is not None
    assert report.downtime_ms <= told.longest_gap_s * 1000 < GAP_LIMIT_MS
    assert told.resolution_s >= CONNECT_EVERY_S * 0.9
    assert any(sample.lag_s > 0 for sample in prober.connections)
    during = [each for each in told.interruptions if report.started <= each.last_good <= report.resumed]
    assert {each.cause for each in during} <= {Cause.MOVE}
    assert all(each.probe == "tcp:80" and each.blackout_ms == report.downtime_ms for each in during)
    theirs = datagrams_say(prober.datagrams, report)
    # Two probers that share no code put the same pause at the same time, as exactly as both could ask. A connection
    # asks more of the guest than a datagram does: an answer that it owed when it stopped comes late or never.
    ours = noout_says(told, prober.connections, theirs)
    assert apart_s(ours, theirs) == 0.0, (ours, theirs)


async def cancelled(hosts: TwoHosts, source: Machine, target: Machine) -> None:
    await source.qmp.execute("migrate_cancel")


async def target_killed(hosts: TwoHosts, source: Machine, target: Machine) -> None:
    target.process.kill()


async def stalled(hosts: TwoHosts, source: Machine, target: Machine) -> None:
    """The migration network is cut: QEMU goes on saying "active". noout's own rule sees it, and cancelling helps."""
    await hosts.cut_migration_network()
    ctx: Any = SimpleNamespace(sightings={}, stall_s=STALL_S)
    clock = SystemClock()
    seen_since, frozen_at = clock.now(), -1
    async with asyncio.timeout(20):
        while True:
            told = await source.migration()
            assert told["status"] == "active"
            found = MigrationProgress(told["ram"]["transferred"], told["ram"]["total"])
            seen: Any = SimpleNamespace(at=clock.now())
            if look._stands_still(ctx, "upid", found, seen):
                break
            if found.transferred_bytes != frozen_at:
                frozen_at, seen_since = found.transferred_bytes, seen.at
            await asyncio.sleep(0.1)
    assert seen.at - seen_since >= timedelta(seconds=STALL_S * 0.9)
    await source.qmp.execute("migrate_cancel")


@pytest.mark.parametrize("fault", [cancelled, target_killed, stalled])
async def test_a_move_that_ends_midway_leaves_the_guest_at_its_source(
    template: Path, fault: Callable[[TwoHosts, Machine, Machine], Awaitable[None]]
) -> None:
    async with TwoHosts(template.parent, template) as hosts:
        source = await hosts.start("a", restored=True)
        target = await hosts.start("b", incoming=True)
        async with hosts.probing() as prober:
            begun = await working(prober)
            await hosts.begin(source, target, bytes_per_s=SLOW_BYTES_PER_S)
            await far_enough(source)
            await fault(hosts, source, target)
            status = await ended_as(source)
            await asyncio.sleep(0.3)
            ended = await prober.get("/check")
        assert status == ("failed" if fault is target_killed else "cancelled")
        assert await source.status() == "running"
        with contextlib.suppress(RuntimeError, OSError, TimeoutError):  # it is gone, or it never ran
            assert await target.status() != "running"
    held_together(prober, begun, ended)
    told = witnessed(prober)
    assert told.longest_gap_s is not None and told.longest_gap_s * 1000 < GAP_LIMIT_MS


async def test_only_clients_see_that_a_finished_move_left_its_guest_unreachable(template: Path) -> None:
    async with TwoHosts(template.parent, template) as hosts:
        source = await hosts.start("a", restored=True)
        target = await hosts.start("b", incoming=True)
        async with hosts.probing() as prober:
            await working(prober)
            await hosts.unplug("b")
            report = await hosts.migrate(source, target)
            assert await target.status() == "running"
            await asyncio.sleep(1.0)
    told = witnessed(prober, report)
    last = told.interruptions[-1]
    assert last.next_good is None and last.cause is Cause.MOVE
    assert last.last_good <= report.resumed
