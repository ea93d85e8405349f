"""Real hosts leave nothing behind: not when something fails in them, and not when the test process is killed."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from pathlib import Path

import pytest

from noout.lab.real.needs import lacking
from tests.support.realqemu import TwoHosts

pytestmark = [pytest.mark.real, pytest.mark.skipif(bool(lacking()), reason=lacking() or "all there")]

KILLED = """
import asyncio, os, pathlib, signal, sys
from tests.support.realqemu import TwoHosts

async def main(template):
    async with TwoHosts(template.parent, template) as hosts:
        await hosts.start("a", restored=True)
        await hosts.start("b", incoming=True)
        async with hosts.probing():
            print(hosts.folder, *hosts.names.values(), flush=True)
            os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main(pathlib.Path(sys.argv[1])))
"""


def left_behind(folder: Path, namespaces: list[str]) -> list[str]:
    """The folder and the namespaces that are still there, and command lines of processes on them."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found.append(path.read_text(errors="replace").replace("\0", " "))
    there = [str(path) for path in (folder, *(Path("/run/netns") / name for name in namespaces)) if path.exists()]
    return there + [line for line in found if str(folder) in line]


async def test_a_failure_among_the_hosts_leaves_no_process_no_namespace_and_no_folder(template: Path) -> None:
    hosts = TwoHosts(template.parent, template)
    with pytest.raises(RuntimeError, match="could not be laid"):
        async with hosts:
            await hosts.start("a", restored=True)
            assert len(left_behind(hosts.folder, list(hosts.names.values()))) >= 5
            await hosts._ip(["link set nothing up"], hosts.names["a"])
    assert left_behind(hosts.folder, list(hosts.names.values())) == []


async def test_everything_ends_with_a_test_process_that_is_killed(template: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", KILLED, str(template)),
        cwd=Path(__file__).parents[3],
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdout is not None
    async with asyncio.timeout(60):
        told = (await process.stdout.readline()).decode().split()
        await process.wait()
    assert process.returncode == -signal.SIGKILL
    folder, namespaces = Path(told[0]), told[1:]
    assert len(namespaces) == 3
    for _ in range(200):
        if not left_behind(folder, namespaces):
            break
        await asyncio.sleep(0.1)
    assert left_behind(folder, namespaces) == []
