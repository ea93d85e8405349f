"""Clients of guests that share nothing with noout's prober: numbered datagrams, and one connection kept for good.

    python -m noout.lab.real.clients FILE ADDRESS...

A process of its own, so that its lag is its own. It says "ready"; when its stdin ends it writes FILE, by address what
was asked and answered, and when. Times are Unix seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from noout.lab.clock import wall_now

UDP_EVERY_S, STREAM_EVERY_S = 0.05, 0.1
PORT = 7


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

    def longest(self, since: float, until: float) -> Silence:
        """The longest silence that touches that time, between two questions that were answered."""
        answered = [self.asked[question] for question in sorted({answer[1] for answer in self.answers})]
        during = [pair for pair in pairwise(answered) if pair[0] < until and pair[1] > since]
        last, following = max(during, key=lambda pair: pair[1] - pair[0])
        there = [i for i, at in enumerate(self.asked) if last <= at <= following]
        asked = [self.asked[i] for i in there]
        return Silence(last, following, max(b - a for a, b in pairwise(asked)), max(self.lag_s[i] for i in there))


@dataclass(frozen=True)
class Silence:
    """What one prober makes of a move. Unix seconds: the question before it that was answered, and the one after;
    ``resolution_s``: the widest distance between two questions around it; ``lag_s``: its own, the largest there."""

    last_good: float
    next_good: float
    resolution_s: float
    lag_s: float


class Datagrams(asyncio.DatagramProtocol):
    def __init__(self, talk: Talk) -> None:
        self.talk = talk

    def datagram_received(self, data: bytes, addr: object) -> None:
        self.talk.answered(wall_now(), data)


async def instants(every_s: float) -> AsyncIterator[float]:
    """How late each instant comes; one that is over is skipped, never made up."""
    loop = asyncio.get_running_loop()
    due = loop.time()
    while True:
        due += every_s
        await asyncio.sleep(due - loop.time())
        lag = loop.time() - due
        yield lag
        due += int(lag / every_s) * every_s


async def ask_datagrams(address: str, talk: Talk, every_s: float = UDP_EVERY_S) -> None:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: Datagrams(talk), remote_addr=(address, PORT))
    async for lag in instants(every_s):
        transport.sendto(talk.ask(wall_now(), lag))


async def ask_stream(address: str, talk: Talk, every_s: float = STREAM_EVERY_S) -> None:
    """One connection for good; it is opened again when it breaks, and that is counted."""
    while True:
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection(address, PORT)
            reading = asyncio.create_task(_read_stream(reader, talk))
            async for lag in instants(every_s):
                if reading.done():
                    break
                writer.write(talk.ask(wall_now(), lag) + b"\n")
        talk.reconnects += 1
        await asyncio.sleep(every_s)


async def _read_stream(reader: asyncio.StreamReader, talk: Talk) -> None:
    with contextlib.suppress(OSError):
        while line := await reader.readline():
            talk.answered(wall_now(), line)


async def get(address: str, path: str) -> str:
    """What the guest's HTTP says."""
    async with asyncio.timeout(30):
        reader, writer = await asyncio.open_connection(address, 80)
        writer.write(f"GET {path} HTTP/1.0\r\n\r\n".encode())
        answer = await reader.read()
        writer.close()
    return answer.decode().split("\r\n\r\n", 1)[1].strip()


async def until_stdin_ends() -> None:
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    await lines.read()


async def main(file: Path, addresses: list[str]) -> None:
    talks = {address: {"udp": Talk(), "stream": Talk()} for address in addresses}
    asking = [asyncio.create_task(ask_datagrams(address, told["udp"])) for address, told in talks.items()]
    asking += [asyncio.create_task(ask_stream(address, told["stream"])) for address, told in talks.items()]
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await until_stdin_ends()
    for task in asking:
        task.cancel()
    told = [each for each in await asyncio.gather(*asking, return_exceptions=True) if isinstance(each, Exception)]
    if told:
        raise told[0]
    write(file, talks)


def write(file: Path, talks: dict[str, dict[str, Talk]]) -> None:
    file.write_text(json.dumps({a: {kind: vars(talk) for kind, talk in each.items()} for a, each in talks.items()}))


def read(file: Path) -> dict[str, dict[str, Talk]]:
    """By address: "udp" and "stream"."""
    told = json.loads(file.read_text())
    return {address: {kind: Talk(**talk) for kind, talk in each.items()} for address, each in told.items()}


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2:]))
