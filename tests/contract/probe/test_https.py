"""HTTPS: nobody's certificate is trusted silently."""

from __future__ import annotations

import asyncio
import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from noout.adapters.clock import SystemClock
from noout.adapters.probe import DirectProber
from noout.domain.impact import Service
from noout.lab.wire.tls import self_signed
from tests.contract.probe.test_direct import WEB, asked, page, verdicts

BORN = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("knows", "words", "good", "heard"),
    [
        (True, "host=127.0.0.1 text=pong", True, True),
        (True, "host=127.0.0.1 text=ping", False, True),
        (True, "host=shop.example.net", False, False),  # a certificate for another name
        (False, "", False, False),
        (False, "insecure", True, True),
    ],
)
async def test_who_is_trusted(tmp_path: Path, caplog: Any, knows: bool, words: str, good: bool, heard: bool) -> None:
    certificate = self_signed("pve1", BORN)
    ca = tmp_path / "ca.pem"
    ca.write_bytes(certificate.pem)
    told: list[str] = []
    server = await asyncio.start_server(
        page("200 OK", "pong", asked=told), "127.0.0.1", 0, ssl=certificate.server_context()
    )
    async with server:
        port = server.sockets[0].getsockname()[1]
        prober = DirectProber(SystemClock(), ca=ca if knows else None)
        samples = await asked(prober, [Service(WEB, "web", f"https://127.0.0.1:{port}/ {words}")], 2, 0.5)
    assert verdicts(samples) == {good}
    assert bool(told) == heard
    assert ("not trusted" in caplog.text) == (not heard)
