"""The prober of a real migration: a process of its own, so that its lag is its own, run where the clients would be.

    ip netns exec NAME python -m tests.support.guestprobe ADDRESS FILE

It says "ready", obeys lines on stdin ("get /PATH" asks the guest's HTTP and prints the answer; "stop", or the end of
stdin, ends it), then writes FILE: what it asked and when, by three kinds of client. Times are Unix seconds.
"""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

from noout.adapters.clock import SystemClock
from noout.adapters.probe import DirectProber
from noout.domain.cluster import GuestId
from noout.domain.impact import Sample, Service
from noout.lab.real.clients import Talk, ask_datagrams, ask_stream, get

UDP_EVERY_S, STREAM_EVERY_S, CONNECT_EVERY_S = 0.010, 0.020, 0.050
GUEST = GuestId("real", 100)
CHUNK = timedelta(seconds=1)


async def ask_connections(address: str, samples: list[Sample]) -> None:
    """noout's own prober, stretch by stretch; a stretch waits for its last answers while the next one asks."""
    clock = SystemClock()
    prober = DirectProber(clock)
    service = Service(GUEST, "web", f"tcp:{address}:80")

    async def stretch(since: Any) -> None:
        samples.extend(await prober.collect([service], since, since + CHUNK, CONNECT_EVERY_S))

    since = clock.now()
    async with asyncio.TaskGroup() as stretches:
        while True:
            stretches.create_task(stretch(since))
            since += CHUNK
            await clock.sleep((since - clock.now()).total_seconds())


async def main(address: str, file: Path) -> None:
    datagrams, stream, samples = Talk(), Talk(), list[Sample]()
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    asking = [
        asyncio.create_task(ask_datagrams(address, datagrams, UDP_EVERY_S)),
        asyncio.create_task(ask_stream(address, stream, STREAM_EVERY_S)),
        asyncio.create_task(ask_connections(address, samples)),
    ]
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while (line := (await lines.readline()).decode().split()) and line[0] == "get":
        sys.stdout.write(await get(address, line[1]) + "\n")
        sys.stdout.flush()
    await asyncio.sleep(CHUNK.total_seconds() + 0.2)  # the last stretch of noout's prober hands its samples over
    for task in asking:
        task.cancel()
    told = [each for each in await asyncio.gather(*asking, return_exceptions=True) if isinstance(each, Exception)]
    if told:
        raise told[0]
    write(file, datagrams, stream, samples)


def write(file: Path, datagrams: Talk, stream: Talk, samples: list[Sample]) -> None:
    connections = [(each.at.isoformat(), each.ok, each.lag_s) for each in samples]
    file.write_text(json.dumps({"udp": vars(datagrams), "stream": vars(stream), "connections": connections}))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
