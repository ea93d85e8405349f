"""What the console costs on one core: the fleet page of a large installation, and many who watch one evacuation.

    make bench-web                    1,000 nodes, 20,000 guests, 50 viewers for a minute: two minutes in all
    make bench-web BENCH=--quick      100 nodes, 2,000 guests, 10 viewers: figures that mean little

The server has one core to itself, the viewers another: they are real HTTP clients in this process, and read the time
that is in each line of the journal on the page. ``--tables FILE`` writes the tables into a page.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx2

MARK = ("<!-- tables of make bench-web -->", "<!-- end of the tables -->")
P95_MS_MAX, PAGE_KB_MAX, BEHIND_S_MAX = 150.0, 400.0, 1.0
TICK = re.compile(rb"tick (\d+\.\d+)")
PAGES, PAUSE_S = 120, 0.25


@dataclass(frozen=True)
class Size:
    clusters: int
    nodes: int
    guests: int
    viewers: int
    seconds: float


@dataclass(frozen=True)
class Server:
    url: str
    cookie: str
    maintenance: str
    pid: int


@dataclass(frozen=True)
class Fleet:
    p50_ms: float
    p95_ms: float
    cpu_p95_ms: float
    kb: float
    zipped_kb: float


@dataclass(frozen=True)
class Watched:
    """``behind_s``: of all viewers and lines the worst; ``p99_s``: of all; ``lines``: as many as the slowest saw."""

    viewers: int
    lines: int
    p50_s: float
    p99_s: float
    behind_s: float
    cpu_share: float


@contextmanager
def serving(size: Size, core: int | None) -> Iterator[Server]:
    """The server as a process of its own, on that core alone."""
    with tempfile.TemporaryDirectory() as folder:
        argv = [sys.executable, "-m", "benchmarks.web.server", folder]
        argv += [str(each) for each in (size.clusters, size.nodes, size.guests)]
        process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
        try:
            if core is not None:
                os.sched_setaffinity(process.pid, {core})
            assert process.stdout is not None
            told = json.loads(process.stdout.readline())
            yield Server(told["url"], told["cookie"], told["maintenance"], process.pid)
        finally:
            process.terminate()
            process.wait(30)


def cpu_s(pid: int) -> float:
    """Seconds of the processor that a process has had."""
    after = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(after[11]) + int(after[12])) / os.sysconf("SC_CLK_TCK")


def quantile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def client(server: Server) -> httpx2.AsyncClient:
    cookies = {"noout_session": server.cookie}
    limits = httpx2.Limits(max_connections=None)
    return httpx2.AsyncClient(base_url=server.url, cookies=cookies, trust_env=False, timeout=60, limits=limits)


async def fleet(server: Server) -> Fleet:
    """As one who looks again and again, every look at the clusters included."""
    took: list[tuple[float, float]] = []
    async with client(server) as browser:
        body = b""
        for number in range(PAGES):
            answer = await browser.get("/")
            assert answer.status_code == 200, answer.status_code
            body = answer.content
            wall, cpu = (float(each) for each in answer.headers["x-took-ms"].split(","))
            if number >= 5:  # the first ones compile templates
                took.append((wall, cpu))
            await asyncio.sleep(PAUSE_S)
    walls, cpus = [wall for wall, _ in took], [cpu for _, cpu in took]
    return Fleet(
        quantile(walls, 0.5),
        quantile(walls, 0.95),
        quantile(cpus, 0.95),
        len(body) / 1e3,
        len(gzip.compress(body)) / 1e3,
    )


async def watch(server: Server, viewers: int, seconds: float) -> Watched:
    """So many who watch the same maintenance; each notes when it first saw each line that is newer than its look."""
    behind: list[list[float]] = [[] for _ in range(viewers)]

    async def one(mine: list[float]) -> None:
        newest, asked = b"", time.monotonic()
        async with (
            client(server) as browser,
            browser.stream("GET", f"/maintenances/{server.maintenance}/stream", timeout=None) as answer,
        ):
            assert answer.status_code == 200, answer.status_code
            async for part in answer.aiter_bytes():
                now = time.monotonic()
                for said in sorted(set(TICK.findall(part))):
                    if said > newest:
                        if float(said) > asked:  # the page begins with the lines of before: nobody is late with those
                            mine.append(now - float(said))
                        newest = said

    before, began = cpu_s(server.pid), time.monotonic()
    tasks = [asyncio.create_task(one(each)) for each in behind]
    await asyncio.sleep(seconds)
    share = (cpu_s(server.pid) - before) / (time.monotonic() - began)
    for task in tasks:
        task.cancel()
    for result in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(result, Exception):
            raise result
    every = [each for mine in behind for each in mine]
    least = min(len(mine) for mine in behind)
    assert least, "somebody saw nothing"
    return Watched(viewers, least, quantile(every, 0.5), quantile(every, 0.99), max(every), share)


def verdict(met: bool) -> str:
    return "met" if met else "**missed**"


def page(size: Size, shown: Fleet, seen: Watched) -> list[str]:
    when, load = f"{datetime.now(UTC):%Y-%m-%d}", os.getloadavg()[0]
    python = f"Python {platform.python_version()}"
    return [
        f"{when}, {python}, {os.cpu_count()} cores, load {load:.1f}: one core for the server, another for who looks.",
        "",
        f"| fleet page, {size.nodes:,} nodes, {size.guests:,} guests | measured | aim | |",
        "|---|---|---|---|",
        f"| server time, 50 % | {shown.p50_ms:.0f} ms | | |",
        f"| server time, 95 % | {shown.p95_ms:.0f} ms | {P95_MS_MAX:.0f} ms | {verdict(shown.p95_ms <= P95_MS_MAX)} |",
        f"| of it processor, 95 % | {shown.cpu_p95_ms:.0f} ms | | |",
        f"| the page | {shown.kb:.0f} kB ({shown.zipped_kb:.0f} kB gzipped) | {PAGE_KB_MAX:.0f} kB "
        f"| {verdict(shown.kb <= PAGE_KB_MAX)} |",
        "",
        f"| {seen.viewers} who watch one evacuation | measured | aim | |",
        "|---|---|---|---|",
        f"| lines that the slowest saw | {seen.lines} | | |",
        f"| behind the journal, 50 % | {seen.p50_s:.2f} s | | |",
        f"| behind the journal, 99 % | {seen.p99_s:.2f} s | | |",
        f"| behind the journal, the worst | {seen.behind_s:.2f} s | {BEHIND_S_MAX:.0f} s "
        f"| {verdict(seen.behind_s <= BEHIND_S_MAX)} |",
        f"| the server's core | {seen.cpu_share:.0%} | | |",
    ]


def into(path: Path, lines: list[str]) -> None:
    text = path.read_text()
    begin, end = text.index(MARK[0]) + len(MARK[0]), text.index(MARK[1])
    path.write_text("\n".join([text[:begin], *lines, text[end:]]))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--tables", type=Path)
    chosen = parser.parse_args()
    size = Size(4, 100, 2_000, 10, 15) if chosen.quick else Size(20, 1_000, 20_000, 50, 60)
    cores = sorted(os.sched_getaffinity(0))
    with serving(size, cores[0] if len(cores) > 1 else None) as server:
        if len(cores) > 1:
            os.sched_setaffinity(0, set(cores[1:]))
        shown = asyncio.run(fleet(server))
        seen = asyncio.run(watch(server, size.viewers, size.seconds))
    lines = page(size, shown, seen)
    sys.stdout.write("\n".join(lines) + "\n")
    if chosen.tables is not None:
        into(chosen.tables, lines)
    met = shown.p95_ms <= P95_MS_MAX and shown.kb <= PAGE_KB_MAX and seen.behind_s <= BEHIND_S_MAX
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
