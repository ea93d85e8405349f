"""Webhooks signed as Standard Webhooks 1.0 says (HMAC-SHA256 over id, time and body): any library of it checks them.

The time is the machine's own, whatever a lab's clock says: the receiver holds it against its own.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from datetime import datetime

from noout.adapters.clock import SystemClock
from noout.adapters.http import AnswerLost, Channel, NotSent, Server
from noout.domain.errors import Retryable, UsageError
from noout.ports import Clock

PREFIX = "whsec_"
SECRET_BYTES = 32
WHOLE_S = 20.0
ANSWER_BYTES_MAX = 1 << 20


def make_secret() -> str:
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def keys_of(text: str) -> tuple[bytes, ...]:
    """The keys of a secret's text, one a line. UsageError for what is none."""
    try:
        keys = tuple(base64.b64decode(line.removeprefix(PREFIX), validate=True) for line in text.split())
    except binascii.Error:
        keys = ()
    if not keys or not all(16 <= len(key) <= 64 for key in keys):
        raise UsageError("a webhook's secret is whsec_ and base64", remedy="make one: `noout webhook secret`")
    return keys


def headers_of(keys: tuple[bytes, ...], id: str, at: datetime, body: bytes) -> dict[str, str]:
    """What goes beside the body: one signature for each key, so that a receiver may change its own first."""
    time = str(int(at.timestamp()))
    signed = f"{id}.{time}.".encode() + body
    said = [base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode() for key in keys]
    return {
        "content-type": "application/json",
        "webhook-id": id,
        "webhook-timestamp": time,
        "webhook-signature": " ".join(f"v1,{each}" for each in said),
    }


class Hook:
    """One receiver."""

    def __init__(self, server: Server, target: str, keys: tuple[bytes, ...], clock: Clock | None = None) -> None:
        """``target``: path and query at the server."""
        self._channel, self._target, self._keys = Channel(server), target or "/", keys
        self._clock = clock or SystemClock()

    async def send(self, id: str, body: bytes) -> None:
        """Once. Retryable, saying why, unless it was taken (2xx): the same ``id`` may be sent again."""
        headers = headers_of(self._keys, id, self._clock.now(), body)
        try:
            answer = await self._channel.ask(
                "POST", self._target, body=body, headers=headers, whole_s=WHOLE_S, body_bytes_max=ANSWER_BYTES_MAX
            )
        except (NotSent, AnswerLost) as error:
            raise Retryable(str(error)) from None
        if not 200 <= answer.status < 300:
            raise Retryable(f"it answered {answer.status} {answer.reason}".rstrip())

    async def close(self) -> None:
        await self._channel.close()
