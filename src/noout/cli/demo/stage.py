"""The stage: a separate `noout lab` process, started, waited for and ended with the demo."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from noout.domain.errors import Broken

READY_S_MAX = 60.0


@asynccontextmanager
async def lab_process(
    config: Path, *, seed: int, speed: float, nodes: int = 6, guests: int = 24
) -> AsyncIterator[None]:
    """Run a lab on free ports until the block ends; ``config`` is complete for every other command."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "noout", "lab", "--port", "0", "--seed", str(seed), "--speed", str(speed)),
        *("--nodes", str(nodes), "--guests", str(guests), "--write-config", str(config)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        await asyncio.wait_for(_ready(process, config), READY_S_MAX)
        yield
    except TimeoutError:
        raise Broken(f"the lab did not start within {READY_S_MAX:.0f} s", remedy="try `noout lab` by itself") from None
    finally:
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
