"""Real servers that stop answering for times that are known: the ledger's error stays within one sample.

What this machine was too busy for is in the samples' own lag and in the resolution, so nothing here asks for speed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest

from noout.adapters.clock import SystemClock
from noout.adapters.probe import DirectProber
from noout.domain.cluster import GuestId
from noout.domain.impact import Sample, Service
from noout.witness.ledger import experience

WEB = GuestId("ams1", 101)
EVERY_S, TIMEOUT_S = 0.05, 0.3
MS = timedelta(milliseconds=1)


class Moody:
    """An HTTP server that can be away (nobody listens) or mute (it listens, and says nothing)."""

    def __init__(self) -> None:
        self.mute = False
        self.port = 0
        self.server: asyncio.Server | None = None

    async def up(self) -> None:
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, reuse_address=True)
        self.port = self.server.sockets[0].getsockname()[1]

    def down(self) -> None:
        assert self.server is not None
        self.server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if not await reader.read(1024) or self.mute:
                await reader.read()  # until the other side gives up
                return
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\npong")
        except OSError:
            return  # a probe by TCP alone hangs up at once
        finally:
            writer.close()


async def measured(probe: str, *, mute: bool) -> tuple[Service, Sequence[Sample], datetime, datetime, datetime]:
    """The samples of two seconds, with when the server was gone from and until."""
    clock, server = SystemClock(), Moody()
    await server.up()
    prober = DirectProber(clock, timeout_s=TIMEOUT_S)
    texts = {"http": f"http://127.0.0.1:{server.port}/ text=pong", "tcp": f"tcp:127.0.0.1:{server.port}"}
    service = Service(WEB, "web", texts[probe])
    since = clock.now()
    asking = asyncio.create_task(prober.collect([service], since, since + timedelta(seconds=1.8), EVERY_S))
    await clock.sleep(0.6)
    begun = clock.now()
    if mute:
        server.mute = True
    else:
        server.down()
    await clock.sleep(0.5)
    if mute:
        server.mute = False
    else:
        await server.up()
    ended = clock.now()
    samples = await asking
    server.down()
    await prober.close()
    return service, samples, since, begun, ended


@pytest.mark.parametrize(("probe", "mute"), [("tcp", False), ("http", False), ("http", True)])
async def test_an_outage_is_found_with_its_length(probe: str, mute: bool) -> None:
    service, samples, since, begun, ended = await measured(probe, mute=mute)
    account = experience(service, samples, since, since + timedelta(seconds=3), EVERY_S, [])
    found = [each for each in account.interruptions if each.last_good <= ended and (each.next_good or ended) >= begun]
    assert len(found) == 1, account.interruptions
    told = found[0]
    assert told.next_good is not None and told.length is not None
    one = timedelta(seconds=told.resolution_s)
    # A question that was under way when the server went, or came back, may have had either answer.
    assert begun - one - MS <= told.last_good <= begun + MS
    slack = timedelta(seconds=TIMEOUT_S) if mute else timedelta(0)
    assert ended - slack - MS <= told.next_good <= ended + one + MS
    assert abs(told.length - (ended - begun)) <= 2 * one + slack
