"""kill -9 of a real `noout maintain` against a lab in a process of its own, and then the same command again.

In the middle of the evacuation, of holding the data, and of the way home; once the engine's own tables are deleted as
well. The run finishes, every guest is home, nothing is left set, and nothing was done twice for nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest

from noout.adapters.store.sql import SqlStore
from noout.app.compose import clock_of
from noout.cli.demo.hands import LabHands
from noout.cli.demo.stage import lab_process
from noout.domain.journal import Kind, Message, MessageKind, chain_error
from noout.domain.maintenance import Maintenance, Phase
from noout.run.fold import fold
from noout.settings import Settings, load

MID, NODE = "ams1-pve3-1", "pve3"
SPEED = 60.0
PATIENCE_S = 400.0
LOOK_EVERY_S = 0.05  # a look at the journal, to kill in the very middle of something

Middle = Callable[[Maintenance], bool]


def moving(step: str) -> Middle:
    """A migration of this step is under way: asked for, and not yet seen to have happened."""
    return lambda m: any(p.action.step == step and "migrate" in p.action.verb and p.upid for p in m.pending)


def holding(m: Maintenance) -> bool:
    """The flag is set and some of the node's daemons are stopped, but not all."""
    kinds = {owned.kind for owned in m.owned}
    return "noout" in kinds and bool(kinds & {"mon-stopped", "osd-stopped"}) and "noup" not in kinds


class Played:
    """The maintenance as a person with a shell would carry it through: start the command, kill it, start it again."""

    def __init__(self, config: Path, settings: Settings, store: SqlStore) -> None:
        self.config, self.settings, self.store = config, settings, store
        self.process: asyncio.subprocess.Process | None = None
        self.log = config.with_name("maintain.log").open("ab")

    async def start(self) -> None:
        self.process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "noout", "maintain", NODE, "--reason", "kill test", "--mode", "auto", "--yes"),
            *("--config", str(self.config)),
            stdout=self.log,
            stderr=self.log,
            stdin=subprocess.DEVNULL,
        )

    async def state(self) -> Maintenance | None:
        events = await self.store.read(MID)
        return fold(events) if events else None

    async def until(self, reached: Middle) -> Maintenance:
        assert self.process is not None
        async with asyncio.timeout(PATIENCE_S):
            while True:
                state = await self.state()
                if state is not None and reached(state):
                    return state
                assert self.process.returncode is None, f"it ended early: {self.told()}"
                await asyncio.sleep(LOOK_EVERY_S)

    async def kill(self) -> None:
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGKILL)
        assert await self.process.wait() == -signal.SIGKILL

    def told(self) -> str:
        return self.config.with_name("maintain.log").read_text(errors="replace")[-1500:]

    async def say(self, kind: MessageKind, **data: str) -> None:
        key = f"test/{kind}/{data.get('check', '')}"
        await self.store.post(MID, Message(key, kind, "technician:test", clock_of(self.settings).now(), data))


@asynccontextmanager
async def stage(folder: Path) -> AsyncIterator[tuple[Played, LabHands]]:
    config = folder / "noout.toml"
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(lab_process(config, seed=3, speed=SPEED))
        text = config.read_text() + "\n[policy]\nsoak_s = 300.0\n"
        config.write_text(text)
        settings = load(config)
        assert settings.lab is not None
        store = await SqlStore.open(settings.store.url, clock_of(settings))
        stack.push_async_callback(store.close)
        control = settings.lab.control.removesuffix("/lab/v1")
        client = await stack.enter_async_context(httpx2.AsyncClient(base_url=control, trust_env=False))
        played = Played(config, settings, store)
        try:
            yield played, LabHands(client, "ams1")
        finally:
            if played.process is not None and played.process.returncode is None:
                played.process.kill()
                await played.process.wait()
            played.log.close()


@pytest.mark.slow
async def test_killed_in_every_middle_it_finishes_all_the_same(tmp_path: Path) -> None:
    async with stage(tmp_path) as (played, lab):
        before = await lab.state()
        await played.start()

        await played.until(moving("evacuate"))
        await played.kill()
        await played.start()

        state = await played.until(lambda m: m.phase is Phase.EVACUATED and m.work_order is not None)
        assert state.work_order is not None
        await played.say(MessageKind.HANDS_ON, serial=state.work_order.location.serial)
        await played.until(holding)
        await played.kill()
        gone = [tmp_path / name for name in os.listdir(tmp_path) if ".engine.db" in name]
        assert gone, "the engine keeps its own tables beside the journal"
        for file in gone:
            file.unlink()
        await played.start()

        await played.until(lambda m: m.node_off_at is not None)
        for check in state.work_order.checks:
            await played.say(MessageKind.FINDING, check=check.key, answer="done")
        await played.say(MessageKind.SIGN_OFF)
        await played.until(moving("return"))
        await played.kill()
        await played.start()

        await played.until(lambda m: not m.open)
        assert played.process is not None
        assert await asyncio.wait_for(played.process.wait(), 60) == 0, played.told()
        await check_all(played, lab, before)


async def check_all(played: Played, lab: LabHands, before: dict[str, dict[str, object]]) -> None:
    state, after = await played.state(), await lab.state()
    assert state is not None
    assert state.outcome == "done"
    assert state.owned == ()
    for vmid, guest in before["guests"].items():
        now = after["guests"][vmid]
        assert (now["node"], now["status"]) == (guest["node"], guest["status"]), f"{guest['name']}: {now}"  # type: ignore[index]
    ceph = after["ceph"]
    assert ceph["flags"] == [] and ceph["crush_node_flags"] == {}
    assert all(osd["up"] and osd["in"] for osd in ceph["osds"].values())
    assert after["nodes"][NODE]["ha"] == "online" and not after["nodes"][NODE]["led"]

    events = await played.store.read(MID)
    assert chain_error(events) is None
    intended = {event.data["key"] for event in events if event.kind == Kind.INTENT}
    assert {event.data["key"] for event in events if event.kind in (Kind.STARTED, Kind.DONE)} <= intended

    # The world's own log: every guest left once and came back once, however often we were killed.
    moves = Counter(
        int(found[1]) for row in await lab.happened() if (found := re.match(r"guest (\d+) moved ", row["text"]))
    )
    assert dict(moves) == {move.guest.vmid: 2 for move in state.moved if move.target is not None}
