"""``noout lab`` as a process: it says where everything is, serves, and stops cleanly when told to."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from pathlib import Path

import httpx2
import pytest

from noout.settings import load


async def start(*args: str) -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(sys.executable, "-m", "noout", "lab", *args, stdout=pipe, stderr=pipe)


async def greeting(process: asyncio.subprocess.Process) -> list[str]:
    """The banner, up to its last line."""
    assert process.stdout is not None
    lines: list[str] = []
    while not lines or not lines[-1].startswith("Stop it"):
        line = await process.stdout.readline()
        assert line, (await process.communicate())[1].decode()
        lines.append(line.decode().rstrip())
    return lines


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_it_serves_until_it_is_told_to_stop(tmp_path: Path, number: signal.Signals) -> None:
    config = tmp_path / "noout.toml"
    process = await start("--port", "0", "--nodes", "3", "--guests", "6", "--write-config", str(config))
    lines = await greeting(process)
    assert lines[0] == "ams1: 3 nodes (pve1 to pve3), 6 guests running"
    told = load(config).lab
    assert told is not None
    async with httpx2.AsyncClient() as client:
        assert (await client.get(told.control)).json()["clusters"] == ["ams1"]
    process.send_signal(number)
    rest, errors = await process.communicate()
    assert (process.returncode, rest, errors) == (0, b"", b"")


async def test_what_cannot_be_is_said_in_one_sentence(tmp_path: Path) -> None:
    async def outcome(*args: str) -> tuple[int | None, str]:
        process = await start(*args)
        _, errors = await process.communicate()
        return process.returncode, errors.decode()

    with socket.create_server(("127.0.0.1", 0)) as taken:
        (usage, unknown), (used, busy), (failed, unwritten) = await asyncio.gather(
            outcome("--scenario", "no-such-thing", "--port", "0"),
            outcome("--port", str(taken.getsockname()[1])),
            outcome("--port", "0", "--write-config", str(tmp_path / "missing" / "noout.toml")),
        )
    assert (usage, used, failed) == (2, 1, 1)
    assert "no-such-thing" in unknown
    assert "in use" in busy
    assert "cannot be written" in unwritten
    assert "Traceback" not in unknown + busy + unwritten
