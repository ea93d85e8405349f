"""What surrounds real migrations, without one: qemu-server's looks and limits, and two accounts of one pause."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from noout.adapters.clock import SystemClock
from noout.adapters.store.memory import MemoryStore
from noout.cli.demo.accounts import apart_s, clients, noout_says
from noout.domain.cluster import GuestId
from noout.domain.impact import Experience, Sample
from noout.lab.real.clients import Silence, Talk
from noout.lab.real.qemu import begin, follow
from tests.support.virtual import run_virtual

MIB = 1 << 20
START = datetime(2026, 11, 23, 12, tzinfo=UTC)
GUEST = GuestId("ams1", 101)


class Source:
    """A QEMU that tells these looks one after the other, and keeps what it was asked."""

    def __init__(self, looks: list[dict[str, Any]]) -> None:
        self.looks, self.asked = looks, list[tuple[str, Any]]()
        self.qmp = self

    async def execute(self, command: str, arguments: dict[str, Any] | None = None) -> None:
        self.asked.append((command, arguments))

    async def migration(self) -> dict[str, Any]:
        return self.looks.pop(0)


def look(sent_mib: int, left_mib: int, seconds: float) -> dict[str, Any]:
    ram = {"transferred": sent_mib * MIB, "remaining": left_mib * MIB, "total": 128 * MIB}
    return {"status": "active", "total-time": int(seconds * 1000), "ram": ram}


def test_a_migration_begins_as_qemu_server_begins_it() -> None:
    source: Any = Source([])
    asyncio.run(begin(source, "tcp:10.78.0.2:60101", bytes_per_s=5))
    assert [command for command, _ in source.asked] == ["migrate-set-capabilities", "migrate-set-parameters", "migrate"]
    capabilities, parameters, go = (arguments for _, arguments in source.asked)
    on = {each["capability"] for each in capabilities["capabilities"] if each["state"]}
    assert on == {"auto-converge", "xbzrle"}
    assert parameters == {"downtime-limit": 100, "max-bandwidth": 5}
    assert go == {"uri": "tcp:10.78.0.2:60101"}


def test_a_guest_left_with_more_at_six_looks_may_be_stopped_for_twice_as_long() -> None:
    """And is looked at once a second, or ten times when less is left than goes in one."""
    worse = [look(10 * n, 20 + n, n) for n in range(1, 9)]  # at the first there is nothing to compare with
    source: Any = Source([*worse, look(100, 1, 9), {"status": "completed"}])
    said: list[str] = []

    async def play() -> float:
        began = asyncio.get_running_loop().time()
        told = await follow(source, lambda each: None, said.append)
        assert told["status"] == "completed"
        return asyncio.get_running_loop().time() - began

    took = run_virtual(play())
    assert source.asked == [("migrate-set-parameters", {"downtime-limit": 200})]
    assert said[6:8] == [
        "migration active, transferred 70.0 MiB of 128.0 MiB VM-state, 10.0 MiB/s",
        "auto-increased downtime to continue migration: 200 ms",
    ]
    assert abs(took - 8.1) < 0.01


def test_datagrams_tell_the_longest_silence_that_touches_a_time() -> None:
    talk = Talk(asked=[0.0, 0.125, 0.25, 0.375, 0.5, 5.0], lag_s=[0.0, 0.0, 0.03, 0.0, 0.0, 0.0])
    talk.answers = [(at, question, 0, "b") for at, question in ((0.0, 0), (0.125, 1), (0.51, 4), (5.1, 5))]
    assert talk.longest(0.15, 0.2) == Silence(0.125, 0.5, 0.125, 0.03)


def test_two_accounts_agree_within_what_both_could_resolve_and_no_further() -> None:
    samples = [Sample(GUEST, START + timedelta(seconds=n / 10), ok=n not in (3, 4), lag_s=0.01) for n in range(10)]
    told = Experience(GUEST, "web", START, START + timedelta(seconds=1), 10, 8, 0.1, 0.3)
    zero = START.timestamp()
    theirs = Silence(zero + 0.22, zero + 0.48, 0.05, 0.0)
    ours = noout_says(told, samples, theirs)
    assert (round(ours.last_good - zero, 3), round(ours.next_good - zero, 3), ours.lag_s) == (0.2, 0.5, 0.01)
    assert apart_s(ours, theirs) == 0.0
    late = Silence(theirs.last_good, theirs.next_good + 2.0, theirs.resolution_s, theirs.lag_s)
    assert 1.4 < apart_s(ours, late) < 2.0


async def test_clients_end_when_they_are_asked_what_they_heard(tmp_path: Path) -> None:
    heard = tmp_path / "clients.json"
    async with asyncio.timeout(60), clients(heard, {}, MemoryStore(SystemClock())) as beside:
        assert await beside.end() == {} and heard.is_file()
        assert beside.process is not None and beside.process.returncode == 0
