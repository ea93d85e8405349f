"""Whom a connection may speak to: a server with the pinned certificate, or one that a CA vouches for.

Proxmox VE nodes and BMCs come with self-signed certificates. A pinned context compares the SHA-256 of the server's
certificate at the end of the handshake, before one byte of HTTP (and so any token) is sent.
"""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from collections.abc import Callable
from functools import partial
from pathlib import Path

from noout.domain.errors import Broken, Retryable, Untrusted

COLONS = 2  # hex digits between two colons


def plain(fingerprint: str) -> str:
    """``AA:BB:..`` -> ``aabb..``"""
    return fingerprint.replace(":", "").strip().lower()


def shown(fingerprint: str) -> str:
    """``aabb..`` -> ``AA:BB:..``, as openssl and Proxmox VE print it."""
    text = plain(fingerprint).upper()
    return ":".join(text[i : i + COLONS] for i in range(0, len(text), COLONS))


class PinnedContext(ssl.SSLContext):
    """Accepts exactly one certificate. ``pin`` sets it; ``host`` is for the error's sentence."""

    def pin(self, fingerprint: str, host: str) -> None:
        self.check_hostname = False
        self.verify_mode = ssl.CERT_NONE  # the pin below is stricter than any chain
        self.minimum_version = ssl.TLSVersion.TLSv1_2

        def check(certificate: bytes | None) -> None:
            found = hashlib.sha256(certificate or b"").hexdigest()
            if found != plain(fingerprint):
                raise Untrusted(
                    f"{host} showed another certificate than the pinned one: expected {shown(fingerprint)}, "
                    f"found {shown(found)}; nothing was sent",
                    remedy="find out why it changed (renewed, reinstalled, or somebody in between?); if it is right, "
                    "set the new fingerprint in the configuration",
                )

        class PinnedObject(ssl.SSLObject):
            def do_handshake(self) -> None:
                super().do_handshake()
                check(self.getpeercert(binary_form=True))

        class PinnedSocket(ssl.SSLSocket):
            def do_handshake(self, block: bool = False) -> None:
                super().do_handshake(block)
                check(self.getpeercert(binary_form=True))

        self.sslobject_class = PinnedObject
        self.sslsocket_class = PinnedSocket


def pinned(fingerprint: str, host: str) -> ssl.SSLContext:
    """A client context for the one server at ``host`` whose certificate has this SHA-256 ``fingerprint``."""
    context = PinnedContext(ssl.PROTOCOL_TLS_CLIENT)
    context.pin(fingerprint, host)
    return context


def trusting(ca: Path | None = None) -> ssl.SSLContext:
    """A client context that trusts the CA in ``ca`` (PEM), or the system's CAs; Broken when the file is no good."""
    try:
        return ssl.create_default_context(cafile=str(ca) if ca else None)
    except (OSError, ssl.SSLError) as error:
        raise Broken(f"the CA file {ca} cannot be used: {error}", remedy="name a PEM file with the CA") from None


def when_needed(host: str, fingerprint: str | None, ca: Path | None) -> ssl.SSLContext | Callable[[], ssl.SSLContext]:
    """The same as ``context_for``; one with a pin is made when it is first needed: it cannot be wrong, and of the many
    entry points and BMCs of an installation few are spoken to."""
    return partial(pinned, fingerprint, host) if fingerprint else trusting(ca)


def context_for(host: str, fingerprint: str | None, ca: Path | None) -> ssl.SSLContext:
    """The context that a configuration asks for: the pin if there is one, else the CA, else the system's CAs."""
    return pinned(fingerprint, host) if fingerprint else trusting(ca)


async def shown_by(host: str, port: int, timeout_s: float = 5.0) -> str:
    """The SHA-256 fingerprint of the certificate that a server shows now: a handshake, and nothing is sent after it.

    Trusts anybody: it is for a person to compare, or to compare with what a trusted server says. Raises Retryable.
    """
    anybody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    anybody.check_hostname = False
    anybody.verify_mode = ssl.CERT_NONE
    try:
        async with asyncio.timeout(timeout_s):
            _, writer = await asyncio.open_connection(host, port, ssl=anybody)
    except (OSError, TimeoutError) as error:
        raise Retryable(
            f"{host}:{port} shows no certificate: {error or 'no answer'}", remedy="check the address and the network"
        ) from None
    certificate = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.transport.abort()
    return hashlib.sha256(certificate or b"").hexdigest()
