"""HTTP as far as a probe needs it: one GET that says who asks, and whether the answer is the one expected.

Redirects are answers and are not followed; what is expected is in the question. HTTPS is spoken over asyncio's streams:
a handshake costs far more than the task that carries it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import ssl
from pathlib import Path

from noout.adapters.probe.asking import Cancel, Settle, blamed
from noout.adapters.tls import trusting
from noout.domain.probes import Question

log = logging.getLogger(__name__)

BODY_BYTES_MAX = 256 * 1024
BELOW_ERRORS = 400
_STATUS = re.compile(rb"HTTP/1\.[01] (\d\d\d)[ \r]")
_CHUNK = re.compile(rb"(?:\A|\r\n)[0-9a-fA-F]+(?:;[^\r\n]*)?\r\n")
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:[^\r\n]*chunked", re.IGNORECASE)


def agent_of(version: str, contact: str) -> str:
    """The User-Agent: who asks, and whom to ask why. Only what a header may hold."""
    plain = "".join(each for each in contact if " " <= each <= "~" and each not in "()\\")
    return f"noout-witness/{version}" + (f" (+{plain})" if plain else "")


def request(question: Question, agent: str) -> bytes:
    name = question.name or question.host
    shown = f"[{name}]" if ":" in name else name
    usual = {"http": 80, "https": 443}[question.ask]
    where = shown if question.port == usual else f"{shown}:{question.port}"
    lines = [
        f"GET {question.path} HTTP/1.1", f"Host: {where}", f"User-Agent: {agent}", "Accept: */*",
        "Accept-Encoding: identity", "Connection: close", "", "",
    ]  # fmt: skip
    return "\r\n".join(lines).encode()


class Reply:
    """An answer as it comes in."""

    __slots__ = ("_body_at", "_got", "_question", "_text")

    def __init__(self, question: Question) -> None:
        self._question = question
        self._text = question.text.encode()
        self._got = bytearray()
        self._body_at = 0

    def feed(self, part: bytes) -> bool | None:
        """What it is worth so far; None: more has to come. b"" is the end."""
        self._got += part
        if not self._body_at:
            end = self._got.find(b"\r\n\r\n")
            if end < 0:
                return False if not part or len(self._got) > BODY_BYTES_MAX else None
            self._body_at = end + 4
            if not self._status_fits():
                return False
        if not self._text or self._text in self._body():
            return True
        return False if not part or len(self._got) > BODY_BYTES_MAX else None

    def _status_fits(self) -> bool:
        told = _STATUS.match(self._got)
        status = int(told[1]) if told else 0
        if self._question.statuses:
            return status in self._question.statuses
        return 200 <= status < BELOW_ERRORS

    def _body(self) -> bytes:
        head, body = bytes(self._got[: self._body_at]), bytes(self._got[self._body_at :])
        return _CHUNK.sub(b"", body) if _CHUNKED.search(head) else body


class Https:
    """Questions over TLS. ``ca``: who vouches for the servers, besides nobody; None: the system's authorities."""

    def __init__(self, agent: str, ca: Path | None = None) -> None:
        self._agent, self._ca = agent, ca
        self._contexts: dict[bool, ssl.SSLContext] = {}
        self._told: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, question: Question, settle: Settle) -> Cancel:
        task = asyncio.get_running_loop().create_task(self._ask(question, settle))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

        def cancel() -> None:
            task.cancel()

        return cancel

    def _context(self, insecure: bool) -> ssl.SSLContext:
        found = self._contexts.get(insecure)
        if found is None:
            if insecure:
                found = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
                found.check_hostname = False
                found.verify_mode = ssl.CERT_NONE
            else:
                found = trusting(self._ca)
            self._contexts[insecure] = found
        return found

    async def _ask(self, question: Question, settle: Settle) -> None:
        name = question.name or question.host
        try:
            reader, writer = await asyncio.open_connection(
                question.host, question.port, ssl=self._context(question.insecure), server_hostname=name
            )
        except ssl.SSLCertVerificationError as error:
            self._untrusted(question, name, error.verify_message)
            settle(False)
            return
        except ssl.SSLError:  # its numbers are OpenSSL's own, not the system's
            settle(False)
            return
        except OSError as error:
            settle(blamed(error.errno, at_once=False))
            return
        try:
            writer.write(request(question, self._agent))
            reply, verdict = Reply(question), None
            while verdict is None:
                verdict = reply.feed(await reader.read(65536))
        except OSError:
            verdict = False
        finally:
            with contextlib.suppress(OSError):
                writer.transport.abort()
        settle(verdict)

    def _untrusted(self, question: Question, name: str, why: str) -> None:
        if name not in self._told:
            self._told.add(name)
            log.warning(
                "%s at %s:%d shows a certificate that is not trusted (%s): that counts as no answer; say host=NAME, "
                "name the authority ([probes] ca), or allow it (insecure)",
                name, question.host, question.port, why,
            )  # fmt: skip
