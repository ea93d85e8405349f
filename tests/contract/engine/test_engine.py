"""One contract for both engines: the durable one on DBOS, and the one that simulations use."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path

import pytest

from noout.adapters import durable
from noout.adapters.clock import SystemClock
from noout.adapters.durable import DurableEngine
from noout.ports import Engine, Wait
from tests.sim.engine import MemoryEngine

MID = "ams1-pve3-1"
PATIENCE_S = 30.0  # how long anything is waited for before the test fails
FAR = timedelta(hours=1)

Loop = Callable[[Engine, str], Awaitable[None]]
Make = Callable[[Loop], Awaitable[Engine]]


@pytest.fixture(params=["memory", "durable"])
async def make(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Make]:
    async with AsyncExitStack() as stack:

        async def build(run: Loop) -> Engine:
            if request.param == "memory":
                return MemoryEngine(SystemClock(), run)
            url = f"sqlite:///{tmp_path / 'engine.db'}"
            return await stack.enter_async_context(DurableEngine(url, SystemClock(), run))

        yield build


class Story:
    """A loop whose steps are counted, and an end that can be waited for."""

    def __init__(self, waits: list[Wait | None]) -> None:
        self.waits = waits
        self.taken = 0
        self.loop = asyncio.get_running_loop()
        self.step_loops: set[asyncio.AbstractEventLoop] = set()
        self.over = asyncio.Event()
        self.progress = asyncio.Condition()

    async def advance(self, mid: str) -> Wait | None:
        self.step_loops.add(asyncio.get_running_loop())
        wait = self.waits[min(self.taken, len(self.waits) - 1)]
        async with self.progress:
            self.taken += 1
            self.progress.notify_all()
        return wait

    async def run(self, engine: Engine, mid: str) -> None:
        while wait := await engine.step(self.advance, mid):
            await engine.inbox(mid, wait.until)
        self.loop.call_soon_threadsafe(self.over.set)

    async def until_taken(self, steps: int) -> None:
        async with asyncio.timeout(PATIENCE_S), self.progress:
            await self.progress.wait_for(lambda: self.taken >= steps)


def soon(seconds: float = 0.05) -> Wait:
    return Wait("a moment", SystemClock().now() + timedelta(seconds=seconds))


def far() -> Wait:
    return Wait("a person", SystemClock().now() + FAR)


async def test_it_steps_until_the_run_is_over(make: Make) -> None:
    story = Story([soon(), Wait("at once"), soon(), None])
    engine = await make(story.run)
    await engine.start(MID)
    async with asyncio.timeout(PATIENCE_S):
        await story.over.wait()
    assert story.taken == 4


async def test_steps_run_in_the_applications_own_loop(make: Make) -> None:
    story = Story([soon(), None])
    engine = await make(story.run)
    await engine.start(MID)
    async with asyncio.timeout(PATIENCE_S):
        await story.over.wait()
    assert story.step_loops == {asyncio.get_running_loop()}


async def test_a_message_wakes_a_run_long_before_its_time(make: Make) -> None:
    story = Story([far(), None])
    engine = await make(story.run)
    await engine.start(MID)
    await story.until_taken(1)
    await engine.wake(MID)
    async with asyncio.timeout(PATIENCE_S):
        await story.over.wait()


async def test_starting_a_run_that_runs_changes_nothing(make: Make) -> None:
    story = Story([far(), far(), None])
    engine = await make(story.run)
    await engine.start(MID)
    await story.until_taken(1)
    await engine.start(MID)
    await engine.wake(MID)
    await story.until_taken(2)
    await engine.wake(MID)
    async with asyncio.timeout(PATIENCE_S):
        await story.over.wait()
    assert story.taken == 3


async def test_waking_a_run_that_nobody_knows_is_harmless(make: Make) -> None:
    engine = await make(Story([None]).run)
    await engine.wake("nobody-1")


async def test_other_people_keep_their_threads_when_the_engine_ends(tmp_path: Path) -> None:
    """DBOS puts its own thread pool under the loop and shuts it down; the store still has to be closed after it."""
    story = Story([None])
    async with DurableEngine(f"sqlite:///{tmp_path / 'engine.db'}", SystemClock(), story.run) as engine:
        await engine.start(MID)
        async with asyncio.timeout(PATIENCE_S):
            await story.over.wait()
    assert await asyncio.to_thread(lambda: "still here") == "still here"


KILLED = """
import asyncio, os, signal, sys
from datetime import timedelta
from pathlib import Path
from noout.adapters import durable
from noout.adapters.clock import SystemClock
from noout.adapters.durable import DurableEngine
from noout.ports import Wait

log, die_at = Path(sys.argv[2]), int(sys.argv[3])

async def advance(mid):
    n = len(log.read_text().splitlines()) + 1 if log.exists() else 1
    with log.open("a") as file:
        file.write(f"{n}\\n")
    if n == die_at:
        os.kill(os.getpid(), signal.SIGKILL)
    return None if n >= 6 else Wait("x", SystemClock().now() + timedelta(seconds=0.05))

async def main():
    over, loop = asyncio.Event(), asyncio.get_running_loop()

    async def run(engine, mid):
        while wait := await engine.step(advance, mid):
            await engine.inbox(mid, wait.until)
        loop.call_soon_threadsafe(over.set)

    async with DurableEngine(f"sqlite:///{sys.argv[1]}", SystemClock(), run) as engine:
        await engine.start("ams1-pve3-1")
        async with asyncio.timeout(30):
            await over.wait()

asyncio.run(main())
"""


@pytest.mark.slow
@pytest.mark.parametrize("lose_tables", [False, True], ids=["tables-kept", "tables-deleted"])
def test_a_killed_run_is_taken_up_again(tmp_path: Path, lose_tables: bool) -> None:
    """kill -9 in the middle of a step: the next process goes on, with the engine's tables or without them."""
    database, log, script = tmp_path / "engine.db", tmp_path / "log", tmp_path / "run.py"
    script.write_text(KILLED)

    def play(die_at: int) -> int:
        return subprocess.run(
            [sys.executable, str(script), str(database), str(log), str(die_at)], check=False, timeout=90
        ).returncode

    assert play(die_at=3) == -9
    if lose_tables:
        for file in tmp_path.glob("engine.db*"):
            file.unlink()
    assert play(die_at=0) == 0
    assert log.read_text().split()[-1] == "6"


async def test_a_run_that_breaks_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Its own log is silent: a fault in a run would otherwise be taken up again and again without a word."""

    async def broken(engine: Engine, mid: str) -> None:
        raise ValueError("nobody thought of this")

    async with DurableEngine(f"sqlite:///{tmp_path / 'engine.db'}", SystemClock(), broken) as engine:
        await engine.start(MID)
        async with asyncio.timeout(PATIENCE_S):
            while f"{MID}: its run stopped" not in caplog.text:  # noqa: ASYNC110 - a log has no event
                await asyncio.sleep(0.05)
    assert "ValueError: nobody thought of this" in caplog.text


async def test_a_run_taken_up_again_waits_for_none_of_the_times_it_has_recorded(tmp_path: Path) -> None:
    """They may have been cut short by messages: an hour that somebody ended is not waited for once more."""
    url, first, second = f"sqlite:///{tmp_path / 'engine.db'}", Story([far()]), Story([None])
    async with DurableEngine(url, SystemClock(), first.run) as engine:
        await engine.start(MID)
        await first.until_taken(1)
        await engine.wake(MID)
        await first.until_taken(2)
    async with DurableEngine(url, SystemClock(), second.run) as engine:
        await engine.start(MID)
        async with asyncio.timeout(PATIENCE_S):
            await second.over.wait()
    assert second.taken == 1


async def test_what_another_version_left_behind_does_not_keep_a_run_from_going_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, first, second = f"sqlite:///{tmp_path / 'engine.db'}", Story([far()]), Story([None])
    with monkeypatch.context() as older:
        older.setattr(durable, "VERSION", "0")
        async with DurableEngine(url, SystemClock(), first.run) as engine:
            await engine.start(MID)
            await first.until_taken(1)
    async with DurableEngine(url, SystemClock(), second.run) as engine:
        await engine.start(MID)
        async with asyncio.timeout(PATIENCE_S):
            await second.over.wait()


async def test_a_run_that_nobody_executes_though_it_is_called_pending_is_begun_anew(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Its end could not be written down either, as the disk was full."""
    story = Story([far()])
    async with DurableEngine(f"sqlite:///{tmp_path / 'engine.db'}", SystemClock(), story.run) as engine:
        await engine.start(MID)
        await story.until_taken(1)
        engine._executed.clear()
        await engine.start(MID)
        assert story.taken == 1, "it may just be being taken up"
        await engine.start(MID)
        await story.until_taken(2)
    assert "its run was lost" in caplog.text
