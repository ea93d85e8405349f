"""The stage: a separate `noout lab` process, started, waited for and ended with the demo."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from noout.domain.errors import Broken

READY_S_MAX, READY_REAL_S_MAX = 60.0, 300.0
# Its lab ends also with a demo that is killed: with real parts it is more than one process.
WITH_US = ("setpriv", "--pdeathsig", "TERM", "--")
LAB = ("-m", "noout", "lab", "--port", "0")


@asynccontextmanager
async def lab_process(
    config: Path, *, seed: int, speed: float, nodes: int = 6, guests: int = 24
) -> AsyncIterator[None]:
    """Run a lab on free ports until the block ends; ``config`` is complete for every other command."""
    options = ["--seed", str(seed), "--speed", str(speed), "--nodes", str(nodes), "--guests", str(guests)]
    async with _lab([sys.executable, *LAB, *options], config, READY_S_MAX):
        yield


@asynccontextmanager
async def real_lab_process(config: Path, *, guests: int = 6, with_ceph: bool = True) -> AsyncIterator[None]:
    """The same with real parts. Broken, with the lab's own sentence, where they are missing."""
    options = ["--real", "--guests", str(guests), *([] if with_ceph else ["--no-ceph"])]
    async with _lab([*WITH_US, sys.executable, *LAB, *options], config, READY_REAL_S_MAX):
        yield


@asynccontextmanager
async def _lab(argv: Sequence[str], config: Path, ready_s_max: float) -> AsyncIterator[None]:
    process = await asyncio.create_subprocess_exec(
        *argv, "--write-config", str(config), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        async with asyncio.timeout(ready_s_max):
            await _ready(process, config)
    except TimeoutError:
        await _end(process)
        raise Broken(f"the lab did not start within {ready_s_max:.0f} s", remedy="try `noout lab` by itself") from None
    except BaseException:
        await _end(process)
        raise
    try:
        yield
    finally:
        await _end(process)


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.terminate()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), 10)
    if process.returncode is None:
        process.kill()
        await process.wait()


async def _ready(process: asyncio.subprocess.Process, config: Path) -> None:
    """Its banner is printed once it serves and the configuration is written; then its output is read and dropped."""
    assert process.stdout is not None
    said = []
    while line := (await process.stdout.readline()).decode(errors="replace").rstrip():
        said.append(line)
        if line.startswith("Stop it with"):
            break
    if process.returncode is not None or not await asyncio.to_thread(config.is_file):
        await process.wait()
        raise Broken(f"the lab did not start: {' '.join(said)[:300]}", remedy="try `noout lab` by itself")
