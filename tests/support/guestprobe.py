"""The prober of a real migration: a process of its own, so that its lag is its own, run where the clients would be.

    ip netns exec NAME python -m tests.support.guestprobe ADDRESS FILE

It says "ready", obeys lines on stdin ("get /PATH" asks the guest's HTTP and prints the answer; "stop", or the end of
stdin, ends it), then writes FILE: what it asked and when, by three kinds of client. Times are Unix seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from noout.adapters.clock import SystemClock
from noout.adapters.probe import DirectProber
from noout.domain.cluster import GuestId
from noout.domain.impact import Sample, Service

UDP_EVERY_S, STREAM_EVERY_S, CONNECT_EVERY_S = 0.010, 0.020, 0.050
GUEST = GuestId("real", 100)
CHUNK = timedelta(seconds=1)


@dataclass
class Talk:
    """Numbered questions to one service: when each was asked, how late, and when and how it was answered."""

    asked: list[float] = field(default_factory=list)
    lag_s: list[float] = field(default_factory=list)
    answers: list[tuple[float, int, int, str]] = field(default_factory=list)  # at, question, counter, boot
    reconnects: int = 0

    def ask(self, at: float, lag_s: float) -> bytes:
        self.asked.append(at)
        self.lag_s.append(lag_s)
        return b"%d" % (len(self.asked) - 1)

    def answered(self, at: float, line: bytes) -> None:
        question, counter, boot = line.decode().split()
        self.answers.append((at, int(question), int(counter), boot))


class Datagrams(asyncio.DatagramProtocol):
    def __init__(self, talk: Talk) -> None:
        self.talk = talk

    def datagram_received(self, data: bytes, addr: object) -> None:
        self.talk.answered(now(), data)


def now() -> float:
    return SystemClock().now().timestamp()


async def instants(every_s: float) -> Any:
    """How late each instant comes; one that is over is skipped, never made up."""
    loop = asyncio.get_running_loop()
    due = loop.time()
    while True:
        due += every_s
        await asyncio.sleep(due - loop.time())
        lag = loop.time() - due
        yield lag
        due += int(lag / every_s) * every_s


async def ask_datagrams(address: str, talk: Talk) -> None:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: Datagrams(talk), remote_addr=(address, 7))
    async for lag in instants(UDP_EVERY_S):
        transport.sendto(talk.ask(now(), lag))


async def ask_stream(address: str, talk: Talk) -> None:
    """One connection for good; it is opened again when it breaks, and that is counted."""
    while True:
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection(address, 7)
            reading = asyncio.create_task(read_stream(reader, talk))
            async for lag in instants(STREAM_EVERY_S):
                if reading.done():
                    break
                writer.write(talk.ask(now(), lag) + b"\n")
        talk.reconnects += 1
        await asyncio.sleep(STREAM_EVERY_S)


async def read_stream(reader: asyncio.StreamReader, talk: Talk) -> None:
    with contextlib.suppress(OSError):
        while line := await reader.readline():
            talk.answered(now(), line)


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


async def get(address: str, path: str) -> str:
    async with asyncio.timeout(30):
        reader, writer = await asyncio.open_connection(address, 80)
        writer.write(f"GET {path} HTTP/1.0\r\n\r\n".encode())
        answer = await reader.read()
        writer.close()
    return answer.decode().split("\r\n\r\n", 1)[1].strip()


async def main(address: str, file: Path) -> None:
    datagrams, stream, samples = Talk(), Talk(), list[Sample]()
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    asking = [
        asyncio.create_task(ask_datagrams(address, datagrams)),
        asyncio.create_task(ask_stream(address, stream)),
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
