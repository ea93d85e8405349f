"""A wrong certificate stops everything before one byte of HTTP, over real sockets."""

from __future__ import annotations

import asyncio
import datetime as dt
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from noout.adapters.clock import SystemClock
from noout.adapters.http import Channel, Server
from noout.adapters.pve import PveClient
from noout.adapters.pve.login import TicketLogin
from noout.adapters.tls import context_for, pinned, plain, shown, trusting, when_needed
from noout.domain.errors import Broken, Untrusted
from noout.lab.wire.tls import Certificate, self_signed

BORN = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)


@dataclass
class Heard:
    """What a server got to hear after the handshake."""

    port: int = 0
    connections: int = 0
    data: bytes = b""


@asynccontextmanager
async def tls_server(certificate: Certificate, host: str = "127.0.0.1") -> AsyncIterator[Heard]:
    heard = Heard()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.connections += 1
        try:
            while chunk := await reader.read(4096):
                heard.data += chunk
                if b"\r\n\r\n" in heard.data:
                    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n" + b'{"data":42}')
                    await writer.drain()
        except (ConnectionError, ssl.SSLError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, host, 0, ssl=certificate.server_context())
    heard.port = server.sockets[0].getsockname()[1]
    async with server:
        yield heard


@pytest.fixture(scope="module")
def certificate() -> Certificate:
    return self_signed("pve1", BORN)


@pytest.fixture(scope="module")
def another() -> Certificate:
    return self_signed("pve1", BORN)


def client(heard: Heard, context: ssl.SSLContext) -> PveClient:
    server = Server(f"https://127.0.0.1:{heard.port}", context)
    return PveClient("ams1", [server], "noout@pve!lab=top-secret", SystemClock(), retries=0)


async def test_the_pinned_certificate_is_accepted(certificate: Certificate) -> None:
    async with tls_server(certificate) as heard:
        pve = client(heard, pinned(certificate.fingerprint, "pve1"))
        assert await pve.get("/version") == 42
        await pve.close()
    assert b"top-secret" in heard.data


@pytest.mark.parametrize("effect", [False, True], ids=["reading", "an effect"])
async def test_another_certificate_gets_no_byte(certificate: Certificate, another: Certificate, effect: bool) -> None:
    async with tls_server(another) as heard:
        pve = client(heard, pinned(certificate.fingerprint, "pve1:8006"))
        with pytest.raises(Untrusted) as caught:
            await (pve.effect("POST", "/nodes/pve1/status", command="shutdown") if effect else pve.get("/version"))
        await pve.close()
    assert heard.data == b""
    said = str(caught.value)
    assert "pve1:8006" in said
    assert certificate.fingerprint in said
    assert another.fingerprint in said
    assert caught.value.remedy
    assert caught.value.exit_code == 1


async def test_an_unknown_certificate_without_a_pin_is_not_trusted(certificate: Certificate) -> None:
    async with tls_server(certificate) as heard:
        channel = Channel(Server(f"https://127.0.0.1:{heard.port}", trusting()))
        with pytest.raises(Untrusted, match=r"self-signed") as caught:
            await channel.ask("GET", "/")
        await channel.close()
    assert heard.data == b""
    assert "fingerprint" in caught.value.remedy


async def test_a_password_does_not_reach_a_wrong_server_either(certificate: Certificate, another: Certificate) -> None:
    """Nor does the next entry point get to be asked: somebody should look first."""
    async with tls_server(another) as wrong, tls_server(certificate) as right:
        pin = pinned(certificate.fingerprint, "pve1:8006")
        servers = [Server(f"https://127.0.0.1:{heard.port}", pin) for heard in (wrong, right)]
        login = TicketLogin("ams1", "noout@pve", "top-secret", SystemClock())
        pve = PveClient("ams1", servers, login, SystemClock(), retries=0)
        with pytest.raises(Untrusted):
            await pve.get("/version")
        await pve.close()
    assert (wrong.data, right.data) == (b"", b"")


async def test_a_certificate_of_the_ca_for_another_host_gets_no_byte(certificate: Certificate, tmp_path: Path) -> None:
    """With a CA the name counts too: the certificate of one node (or of anything else that CA signed) is not all."""
    ca = tmp_path / "ca.pem"
    ca.write_bytes(certificate.pem)
    async with tls_server(certificate, "127.0.0.2") as heard:
        pve = PveClient("ams1", [Server(f"https://127.0.0.2:{heard.port}", trusting(ca))], "u@pve!t=s", SystemClock())
        with pytest.raises(Untrusted, match=r"(?i)mismatch"):
            await pve.get("/version")
        await pve.close()
    assert heard.data == b""


async def test_a_ca_file(certificate: Certificate, tmp_path: Path) -> None:
    ca = tmp_path / "ca.pem"
    ca.write_bytes(certificate.pem)
    async with tls_server(certificate) as heard:
        pve = client(heard, context_for("pve1", None, ca))
        assert await pve.get("/version") == 42
        await pve.close()


def test_a_ca_file_that_is_none(tmp_path: Path) -> None:
    bad = tmp_path / "ca.pem"
    bad.write_text("no certificate")
    with pytest.raises(Broken, match=r"ca\.pem"):
        trusting(bad)
    with pytest.raises(Broken, match="missing"):
        trusting(tmp_path / "missing.pem")


def test_fingerprints_are_shown_as_everybody_prints_them(certificate: Certificate) -> None:
    assert shown(plain(certificate.fingerprint)) == certificate.fingerprint


async def test_a_pinned_context_is_made_when_its_server_is_first_spoken_to(certificate: Certificate) -> None:
    made = 0

    def make() -> ssl.SSLContext:
        nonlocal made
        made += 1
        return pinned(certificate.fingerprint, "here")

    async with tls_server(certificate) as heard:
        channel = Channel(Server(f"https://127.0.0.1:{heard.port}", make))
        assert made == 0
        for _ in range(2):
            assert (await channel.ask("GET", "/")).status == 200
        await channel.close()
    assert made == 1
    assert callable(when_needed("here", certificate.fingerprint, None))
    assert isinstance(when_needed("here", None, None), ssl.SSLContext), "a CA that is no good is told at once"
