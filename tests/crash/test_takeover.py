"""Two real noout processes on a real PostgreSQL, against a lab on sockets: one dies or sleeps, the other one goes on.

None of these plays the whole maintenance: ``test_kill_nine`` does, with a death at each kind of effect.
"""

from __future__ import annotations

import asyncio
import re
import signal
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from itertools import groupby, pairwise
from pathlib import Path

import pytest

from noout.domain.journal import Kind, chain_error
from noout.domain.maintenance import Maintenance, Phase
from tests.crash.house import House, Middle, Replica, honest, house
from tests.support.postgres import Postgres, postgres

pytestmark = pytest.mark.real
tell = print

TAKEOVER_S = 15.0  # as it is by default


@pytest.fixture
def server() -> Iterator[Postgres]:
    with postgres() as running:
        yield running


def moving(m: Maintenance) -> bool:
    """A migration is under way: asked for, and not yet seen to have happened."""
    return any("migrate" in p.action.verb and p.upid for p in m.pending)


def moved(count: int) -> Middle:
    return lambda m: len(m.moved) >= count


def evacuated(m: Maintenance) -> bool:
    return m.phase is Phase.EVACUATED


async def two(it: House) -> tuple[Replica, Replica]:
    one, other = await it.replica(), await it.replica()
    await it.joined(2)
    return one, other


async def check_moves(it: House, mid: str) -> None:
    """Every guest left once, by the world's own log; the journal is whole."""
    events = await it.store.read(mid)
    assert chain_error(events) is None
    honest(events)
    m = await it.until(mid, lambda m: True)
    happened = [row["text"] for row in await it.lab.happened()]
    left = Counter(int(found[1]) for text in happened if (found := re.match(r"guest (\d+) moved ", text)))
    assert dict(left) == {each.guest.vmid: 1 for each in m.moved if each.target is not None}, happened


async def test_a_dead_ones_run_is_taken_over_within_fifteen_seconds(tmp_path: Path, server: Postgres) -> None:
    async with house(tmp_path, url=server.url, takeover_s=TAKEOVER_S) as it:
        await two(it)
        mid = await it.open()
        await it.until(mid, moving)
        dead = await it.carrier(mid)
        seq = len(await it.store.read(mid))
        dead.signal(signal.SIGKILL)
        assert await dead.ended() == -signal.SIGKILL
        loop = asyncio.get_running_loop()
        died_at = loop.time()
        heir = await it.heir(mid, dead)
        leads_s = loop.time() - died_at
        await it.written(mid, seq)
        goes_on_s = loop.time() - died_at
        tell(f"after kill -9 the run was led again within {leads_s:.1f} s, and went on within {goes_on_s:.1f} s")
        assert leads_s <= TAKEOVER_S
        assert await it.holder("watch") == heir.pid
        await it.until(mid, evacuated)
        await check_moves(it, mid)


async def test_one_that_sleeps_in_the_middle_of_an_effect_does_nothing_when_it_wakes(
    tmp_path: Path, server: Postgres
) -> None:
    """SIGSTOP between the intent and the effect; another one takes over and does it; SIGCONT."""
    async with house(tmp_path, url=server.url) as it:
        await two(it)
        it.arm("stop.intended.migrate")
        mid = await it.open()
        await it.until_true(lambda: _met(it), "nobody came to the place")
        zombie = await it.carrier(mid)
        heir = await it.heir(mid, zombie)
        await it.until(mid, moved(2))
        zombie.signal(signal.SIGCONT)
        await it.until_true(lambda: _said(zombie, "another process may carry it now"), "the zombie noticed nothing")
        await it.until(mid, evacuated)
        assert await it.carrier(mid) is heir
        await check_moves(it, mid)
        # And it is as good as any other: when the heir dies, it goes on itself.
        seq = len(await it.store.read(mid))
        heir.signal(signal.SIGKILL)
        assert await it.heir(mid, heir) is zombie
        await it.hands_on(mid)
        await it.written(mid, seq)


async def test_the_database_is_restarted_under_it(tmp_path: Path, server: Postgres) -> None:
    """In the middle of a migration the server is gone for some seconds, longer than a lease lasts, and comes back."""
    async with house(tmp_path, url=server.url) as it:
        one, other = await two(it)
        mid = await it.open()
        await it.until(mid, moving)
        before = len(await it.store.read(mid))
        await asyncio.to_thread(server.stop)
        for each in (one, other):
            await it.until_true(lambda each=each: _said(each, "nothing new is begun here"), "it noticed nothing")
        await asyncio.to_thread(server.start)
        await it.written(mid, before)
        await it.until(mid, evacuated)
        await check_moves(it, mid)
        assert one.process is not None and other.process is not None
        assert one.process.returncode is None and other.process.returncode is None, "both went on"
        gone = [event for event in await it.store.read(mid) if event.kind == Kind.BLOCKED]
        assert not any("store" in str(event.data) for event in gone)


async def test_every_bmc_and_every_service_is_asked_by_one_of_them(tmp_path: Path, server: Postgres) -> None:
    """As the lab counts it, also across the death of the one that asks: never the two in turn."""
    async with house(tmp_path, url=server.url) as it:
        await two(it)
        mid = await it.open()
        await it.until_true(lambda: _looks(it, 3), "nobody watches")
        watching = await it.holder("watch")
        await it.until(mid, moved(1))
        dead = next(each for each in it.replicas if each.pid == watching)
        dead.signal(signal.SIGKILL)
        heir = next(each for each in it.replicas if each is not dead)
        looks = min(map(len, bmc_looks(it).values()))
        await it.until_true(lambda: _looks(it, looks + 3), "nobody watches any more")
        assert await it.holder("watch") == heir.pid
        await it.until(mid, moved(2))

        for whom, asked in bmc_looks(it).items():
            assert turns(asked) == [str(dead.pid), str(heir.pid)], whom
        prober = turns(pid for whom, path, pid in it.asked() if whom == "control" and path.endswith("/probe"))
        assert prober[-1] == str(heir.pid) and len(prober) <= 2, prober
        instants: defaultdict[str, set[float]] = defaultdict(set)
        for whom, vmid, at in it.asked():
            if whom == "instant":
                instants[vmid].add(float(at))
        assert instants
        for vmid, each in instants.items():
            closest = min(b - a for a, b in pairwise(sorted(each)))
            assert closest > 0.9 * it.settings.probes.every_s, (vmid, closest)


async def test_of_two_commands_at_once_one_is_refused_by_name(tmp_path: Path, server: Postgres) -> None:
    """The lock of a cluster is in the store they share: two nodes of one cluster are never away at once."""
    async with house(tmp_path, url=server.url) as it:
        commands = [await it.replica("maintain", node, "--mode", "auto", "--yes") for node in ("pve3", "pve4")]
        ends = [asyncio.create_task(each.ended()) for each in commands]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED, timeout=120)
        refused = [each for each, end in zip(commands, ends, strict=True) if end.done()]
        assert [each.exits for each in refused] == [[3]], [each.told() for each in commands]
        taken = "pve4" if refused[0] is commands[0] else "pve3"
        assert re.search(rf"ams1[/-]{taken}\b", refused[0].told()), refused[0].told()
        opened = [each for each in await it.store.streams() if each.startswith("ams1-")]
        assert opened == [f"ams1-{taken}-1"]
        for end in ends:
            end.cancel()


# --- what is looked for ---------------------------------------------------------------------------------------


async def _met(it: House) -> bool:
    return bool(it.met())


async def _said(replica: Replica, words: str) -> bool:
    return words in replica.told()


async def _looks(it: House, count: int) -> bool:
    looks = bmc_looks(it)
    return len(looks) >= 3 and min(map(len, looks.values())) >= count


def bmc_looks(it: House) -> dict[str, list[str]]:
    """Who made the watch's looks at each BMC: those at its log, which no run reads. The node in maintenance apart."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for whom, path, pid in it.asked():
        if whom.startswith("bmc-") and path.endswith("/LogServices/SEL/Entries") and whom != "bmc-pve3":
            found[f"{whom} {path}"].append(pid)
    return found


def turns(asked: Iterable[str]) -> list[str]:
    """Who asked, one after the other."""
    return [who for who, _ in groupby(asked)]
