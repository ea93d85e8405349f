"""A real cluster leaves nothing behind: not when its start fails, and not when the test process is killed."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from pathlib import Path

import pytest

from noout.lab.real.ceph import MGRS, MONS
from noout.lab.real.needs import lacking_for_ceph as lacking
from tests.support.realceph import RealCeph

pytestmark = [pytest.mark.real, pytest.mark.skipif(bool(lacking()), reason=lacking() or "all there")]

KILLED = """
import asyncio, os, signal
from tests.support.realceph import RealCeph

class Killed(RealCeph):
    async def _introduce(self):
        for name in self.daemons:
            print(name, self.folder, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(Killed().__aenter__())
"""


class Unlucky(RealCeph):
    """Its start fails when mons and mgrs run already."""

    async def _introduce(self) -> None:
        raise RuntimeError("the mons would not listen")


def left_behind(folder: Path) -> list[str]:
    """The folder, if it is there, and command lines of processes whose files are in it."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found.append(path.read_text(errors="replace").replace("\0", " "))
    return [str(folder)] * folder.exists() + [line for line in found if str(folder) in line]


async def test_a_start_that_fails_leaves_no_process_and_no_folder() -> None:
    unlucky = Unlucky()
    with pytest.raises(RuntimeError, match="would not listen"):
        await unlucky.__aenter__()
    assert len(unlucky.daemons) == len(MONS) + len(MGRS)
    assert not [name for name, process in unlucky.daemons.items() if process.poll() is None]
    assert left_behind(unlucky.folder) == []  # not even the making of OSDs goes on


async def test_daemons_end_with_a_test_process_that_is_killed() -> None:
    root = Path(__file__).parents[3]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", KILLED, cwd=root, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    async with asyncio.timeout(60):
        told, _ = await process.communicate()
    assert process.returncode == -signal.SIGKILL, told.decode()
    lines = [line.split() for line in told.decode().splitlines()]
    names = {name for name, _ in lines}
    assert names == {*(f"mon.{host}" for host in MONS), *(f"mgr.{host}" for host in MGRS)}
    folder = Path(lines[0][1])
    for _ in range(300):
        if not left_behind(folder):
            break
        await asyncio.sleep(0.1)
    assert left_behind(folder) == []
