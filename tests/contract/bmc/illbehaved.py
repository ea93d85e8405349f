"""A small HTTP server on loopback that answers like a BMC, or in the ways in which BMCs misbehave."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

V1 = "/redfish/v1"
Say = Callable[[str, dict[str, str]], "bytes | None"]  # (path, query) -> the whole answer; None: say nothing, for ever


def ok(document: Any) -> bytes:
    return raw(document if isinstance(document, bytes) else json.dumps(document).encode())


def raw(body: bytes, status: str = "200 OK", kind: str = "application/json", length: int | None = None) -> bytes:
    length = len(body) if length is None else length
    return f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n".encode() + body


def link(path: str) -> dict[str, str]:
    return {"@odata.id": f"{V1}{path}"}


def tree(fan: Any = 6000, log: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """A machine with three fans, the first of which reads ``fan``."""
    fans = [
        {"Name": f"FAN{n}", "Reading": fan if n == 1 else 6000, "ReadingUnits": "RPM", "LowerThresholdCritical": 600,
         "Status": {"State": "Enabled", "Health": "OK"}}
        for n in (1, 2, 3)
    ]  # fmt: skip
    return {
        "/": {"Systems": link("/Systems"), "Managers": link("/Managers"), "Chassis": link("/Chassis")},
        "/Systems": {"Members": [link("/Systems/1")]},
        "/Systems/1": {
            "PowerState": "On", "SerialNumber": "S1", "LogServices": link("/Systems/1/LogServices"),
            "Links": {"Chassis": [link("/Chassis/1")], "ManagedBy": [link("/Managers/1")]},
        },
        "/Chassis/1": {"Thermal": link("/Chassis/1/Thermal"), "Power": link("/Chassis/1/Power")},
        "/Chassis/1/Thermal": {"Fans": fans, "Temperatures": []},
        "/Chassis/1/Power": {"PowerSupplies": []},
        "/Systems/1/LogServices": {"Members": [link("/Systems/1/LogServices/SEL")]},
        "/Systems/1/LogServices/SEL": {"Entries": link("/Systems/1/LogServices/SEL/Entries")},
        "/Systems/1/LogServices/SEL/Entries": {"Members": log or [], "Members@odata.count": len(log or [])},
    }  # fmt: skip


def well(documents: dict[str, Any]) -> Say:
    """Answers as it should."""

    def say(path: str, query: dict[str, str]) -> bytes:
        document = documents.get(path.removeprefix(V1) or "/")
        return ok(document) if document is not None else raw(b"{}", "404 Not Found")

    return say


@asynccontextmanager
async def bmc_that(say: Say) -> AsyncIterator[str]:
    """Its URL."""
    open_ones: set[asyncio.StreamWriter] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_ones.add(writer)
        try:
            while head := (await reader.readuntil(b"\r\n\r\n")).decode():
                url = urlsplit(head.split()[1])
                answer = say(url.path.rstrip("/"), {key: each[0] for key, each in parse_qs(url.query).items()})
                if answer is None:
                    await reader.read()  # until the other side has had enough
                    return
                writer.write(answer)
                await writer.drain()
                if b"Content-Length" not in answer or len(answer.split(b"\r\n\r\n", 1)[1]) != _told(answer):
                    return  # hangs up in the middle
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            open_ones.discard(writer)
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for writer in open_ones:
            writer.close()


def _told(answer: bytes) -> int:
    head = answer.split(b"\r\n\r\n", 1)[0].lower()
    return int(head.split(b"content-length:")[1].split()[0])
