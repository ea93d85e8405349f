"""What goes between control and public, and the signatures on it (HMAC-SHA256 with the key that both have).

One exchange: control posts documents, and the outcomes of what it was asked before; public answers with what people
want done since, and which documents they look at. Each request bears the nonce that public gave last, so none counts
twice and none is older than that nonce; each answer is signed together with its request.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from noout import codec
from noout.domain.errors import Refused, UsageError
from noout.domain.maintenance import Json
from noout.tell.field import Phrase

PATH = "/channel/v1/exchange"
SIGNATURE = "x-noout-signature"
KEY_CHARS_MIN = 32
BODY_BYTES_MAX = 64 << 20
_CONTROL, _PUBLIC = b"noout control 1\n", b"noout public 1\n"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an operation. ``error``: the error's class, "" where there was none; ``phrases``: what a
    technician reads in their own language (why, and what to do)."""

    value: Json = None
    error: str = ""
    message: str = ""
    remedy: str = ""
    phrases: tuple[Phrase, ...] = ()


@dataclass(frozen=True, slots=True)
class Operation:
    """Something that a technician, or a customer, wants done. ``token`` and ``device``: the secrets that they have;
    control checks both as if they had come to it."""

    id: str
    what: str
    token: str = field(repr=False)
    device: str = field(default="", repr=False)
    told: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Push:
    """``at``: control's time; ``speed``: how fast that runs (1, but for a lab). ``documents``: None for one that is
    gone; ``whole``: there are no others. ``wait_s``: how long to wait with the answer where nothing is wanted."""

    nonce: str
    at: datetime
    speed: float
    wait_s: float
    whole: bool = False
    documents: Mapping[str, Json] = field(default_factory=dict)
    outcomes: Mapping[str, Outcome] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pull:
    """``began``: which run of the public process this is; a new one holds nothing. ``wanted``: documents that somebody
    looked at lately."""

    nonce: str
    began: str
    operations: tuple[Operation, ...] = ()
    wanted: tuple[str, ...] = ()


def seal(key: bytes, push: Push) -> tuple[bytes, str]:
    """The request's body, and its signature."""
    body = _bytes(push)
    return body, _mark(key, _CONTROL, body)


def open_push(key: bytes, body: bytes, signature: str) -> Push:
    """Refused for what control has not signed."""
    if not hmac.compare_digest(_mark(key, _CONTROL, body).encode(), signature.encode()):
        raise Refused("that is not signed by control", remedy="both need the same key_file")
    return codec.decode(Push, _json(body), what="push")


def seal_pull(key: bytes, pull: Pull, asked: str) -> tuple[bytes, str]:
    """``asked``: the signature of the request that it answers."""
    body = _bytes(pull)
    return body, _mark(key, _PUBLIC + asked.encode() + b"\n", body)


def open_pull(key: bytes, body: bytes, signature: str, asked: str) -> Pull:
    """Refused for what public has not signed, or not in answer to this request."""
    if not hmac.compare_digest(_mark(key, _PUBLIC + asked.encode() + b"\n", body).encode(), signature.encode()):
        raise Refused("that is not signed by the public process", remedy="both need the same key_file")
    return codec.decode(Pull, _json(body), what="pull")


def key_of(text: str, key: str) -> bytes:
    """The key in a file's text. UsageError when it is too short to be one."""
    if len(text) < KEY_CHARS_MIN:
        raise UsageError(
            f"key {key}: {len(text)} characters are too few", remedy="openssl rand -hex 32, the same on both sides"
        )
    return text.encode()


def _bytes(value: Push | Pull) -> bytes:
    return json.dumps(codec.encode(value), ensure_ascii=False, separators=(",", ":")).encode()


def _json(body: bytes) -> object:
    try:
        return json.loads(body)
    except ValueError:
        raise Refused("that is no JSON") from None


def _mark(key: bytes, purpose: bytes, body: bytes) -> str:
    return hmac.new(key, purpose + body, hashlib.sha256).hexdigest()
