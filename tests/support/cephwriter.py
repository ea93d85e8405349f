"""A client that writes all the time: small writes, one after the other, each waited for; how long the longest took.

Runs under Debian's own Python, which alone has librados' binding (python3-rados, that ``ceph`` itself is written with).

    async with Writer(real) as writer:
        ...
        print((await writer.so_far()).worst_s)
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
from dataclasses import dataclass
from typing import Self

from noout.lab.real.ceph import POOL
from tests.support.realceph import RealCeph

PYTHON = "/usr/bin/python3"
SIZE_BYTES = 4096
OBJECTS = 256  # enough that nearly every placement group of the pool has some
ANSWER_S = 60.0

# Writes for ever; for each line of stdin prints one line: how many writes since the last line, and the longest [s].
# A write that is under way at that moment counts with what it has taken so far.
PROGRAM = """
import json, queue, rados, sys, threading, time
pool, size, objects = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
cluster = rados.Rados(conffile="", rados_id="admin")
cluster.connect(timeout=30)
io = cluster.open_ioctx(pool)
lock, state = threading.Lock(), {"count": 0, "worst": 0.0, "at": 0.0, "since": None}

def write():
    number, data = 0, b"x" * size
    while True:
        state["since"] = started = time.monotonic()
        io.write_full(f"writer-{number % objects}", data)
        with lock:
            took = time.monotonic() - started
            state["since"] = None
            state["count"] += 1
            if took > state["worst"]:
                state["worst"], state["at"] = took, time.time()
        number += 1
        time.sleep(0.03)

threading.Thread(target=write, daemon=True).start()
for line in sys.stdin:
    with lock:
        since = state["since"]
        waiting = time.monotonic() - since if since else 0.0
        print(json.dumps([state["count"], max(state["worst"], waiting), state["at"]]), flush=True)
        state.update(count=0, worst=0.0, at=0.0)
"""


def lacking() -> str:
    """The sentence to skip with; empty where the binding is there."""
    found = subprocess.run([PYTHON, "-c", "import rados"], capture_output=True, check=False) if _has_python() else None
    if found is not None and found.returncode == 0:
        return ""
    return "a client that writes all the time needs python3-rados (scripts/install-real-parts)"


def _has_python() -> bool:
    return os.access(PYTHON, os.X_OK)


@dataclass(frozen=True)
class Writes:
    """Since the last look."""

    count: int
    worst_s: float
    at: float  # Unix time at which the worst one ended; 0 when it has not


class Writer:
    def __init__(self, real: RealCeph) -> None:
        self._real = real
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            PYTHON, "-c", PROGRAM, POOL, str(SIZE_BYTES), str(OBJECTS),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=os.environ | {"CEPH_CONF": str(self._real.conf)},
        )  # fmt: skip
        return self

    async def __aexit__(self, *exc: object) -> None:
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()

    async def so_far(self) -> Writes:
        """What was written since the last look, and begin anew."""
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(b"\n")
        async with asyncio.timeout(ANSWER_S):
            line = await self._process.stdout.readline()
        count, worst_s, at = json.loads(line)
        return Writes(count, worst_s, at)
