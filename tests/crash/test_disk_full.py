"""A disk that is really full in the middle of an evacuation: a small tmpfs that noout alone has, filled to the end.

Nothing new is done, somebody is woken, and when there is room again the same process goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest

from noout.cli.demo.hands import LabHands
from noout.cli.demo.stage import lab_process
from noout.domain.journal import Event, Kind, chain_error
from noout.domain.maintenance import Maintenance, Phase
from noout.run.fold import fold
from noout.settings import load
from tests.crash.test_kill import MID, NODE
from tests.support.sqlitefile import events_in

SIZE_KIB = 24576
PATIENCE_S = 120.0
BLOCK = bytes(4096)
STILL_S = 6.0  # six minutes of the lab


def own_disk() -> bool:
    """Whether a process may have a file system of its own here."""
    if shutil.which("unshare") is None:
        return False
    tried = ["unshare", "--mount", "mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", "/mnt"]
    return subprocess.run(tried, capture_output=True, check=False).returncode == 0


class Cramped:
    """``noout maintain`` with its store on a disk of its own."""

    def __init__(self, config: Path, process: asyncio.subprocess.Process, lab: LabHands) -> None:
        self.process, self.lab = process, lab
        self.said = config.with_name("maintain.log")
        self.paged = config.with_name("paged")
        self.disk = Path(f"/proc/{process.pid}/root") / config.with_name("disk").relative_to("/")

    def told(self) -> str:
        return self.said.read_text(errors="replace")[-3000:]

    def events(self) -> list[Event]:
        try:
            return events_in(self.disk / "noout.db", MID)
        except FileNotFoundError:  # it is being made
            return []

    async def until(self, reached: Callable[[Maintenance], bool]) -> Maintenance:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                assert self.process.returncode is None, f"it ended early: {self.told()}"
                if (events := self.events()) and reached(state := fold(events)):
                    return state
                await asyncio.sleep(0.3)

    def fill(self) -> None:
        with (self.disk / "fill").open("ab", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(BLOCK)

    async def moved(self) -> Counter[int]:
        """What the world itself saw move."""
        rows = [each["text"] for each in await self.lab.happened()]
        return Counter(int(found[1]) for text in rows if (found := re.match(r"guest (\d+) moved ", text)))


@asynccontextmanager
async def cramped(folder: Path) -> AsyncIterator[Cramped]:
    config, disk, pages = folder / "noout.toml", folder / "disk", folder / "page"
    disk.mkdir()
    pages.write_text(f"#!/bin/sh\ncat >> {folder / 'paged'}\n")
    pages.chmod(0o755)
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(lab_process(config, seed=3, speed=60.0))
        text = re.sub(r"\[store\][^\[]*", "", config.read_text())
        config.write_text(f'{text}\n[store]\nurl = "sqlite:///{disk}/noout.db"\n\n[page]\ncommand = ["{pages}"]\n')
        settings = load(config)
        assert settings.lab is not None
        control = settings.lab.control.removesuffix("/lab/v1")
        client = await stack.enter_async_context(httpx2.AsyncClient(base_url=control, trust_env=False))
        command = [sys.executable, "-m", "noout", "maintain", NODE, "--mode", "auto", "--yes", "--config", str(config)]
        script = 'mount -t tmpfs -o "size=$1k" tmpfs "$2" && shift 2 && exec "$@"'
        with (folder / "maintain.log").open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                "unshare", "--mount", "sh", "-c", script, "sh", str(SIZE_KIB), str(disk), *command,
                stdout=log, stderr=log, stdin=subprocess.DEVNULL,
            )  # fmt: skip
        try:
            yield Cramped(config, process, LabHands(client, "ams1"))
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


@pytest.mark.real
async def test_on_a_full_disk_nothing_new_is_done_and_with_room_it_goes_on(tmp_path: Path) -> None:
    if os.geteuid() != 0 or not own_disk():
        pytest.skip("no process may mount a disk of its own here: run it as root, where unshare works")
    async with cramped(tmp_path) as noout:
        await noout.until(lambda m: len(m.moved) >= 1)
        noout.fill()
        async with asyncio.timeout(PATIENCE_S):
            while not noout.paged.is_file() or "nothing new is done" not in noout.paged.read_text():
                assert noout.process.returncode is None, noout.told()
                await asyncio.sleep(0.1)
        assert "disk is full" in noout.paged.read_text()
        await asyncio.sleep(STILL_S)
        written = [each for each in noout.events() if each.kind == Kind.INTENT]
        asked = {each.data["action"]["subject"].rpartition("/")[2] for each in written}
        assert {str(vmid) for vmid in await noout.moved()} <= asked, "nothing moved without a word of it in the journal"
        assert noout.process.returncode is None, noout.told()

        (noout.disk / "fill").unlink()
        state = await noout.until(lambda m: m.phase is Phase.EVACUATED)
        assert len(state.moved) > 1
        assert set((await noout.moved()).values()) == {1}, "each guest left once"
        assert chain_error(noout.events()) is None
