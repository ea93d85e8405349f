"""Find out what can be known of a cluster: its certificate first, and with a token what is in it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from noout.adapters.clock import SystemClock
from noout.adapters.http import Server
from noout.adapters.pve.client import PveClient
from noout.adapters.pve.discover import FoundCluster, discover
from noout.adapters.tls import context_for, plain, shown, shown_by
from noout.domain.errors import NooutError, Refused, Untrusted, UsageError
from noout.ports import Clock

PORT = 8006
TRY_S = 3.0  # how long another node's address is tried


@dataclass(frozen=True, slots=True)
class Connection:
    """What the configuration is written from. ``pins``: "host:port" -> fingerprint, the first entry point first;
    ``untried``: addresses of nodes that did not answer from here, or not with the certificate the cluster knows."""

    name: str
    url: str
    pins: Mapping[str, str]
    cluster: FoundCluster | None = None
    untried: Mapping[str, str] = field(default_factory=dict)
    token_file: str = ""  # where the token lies already

    @property
    def nodes(self) -> tuple[str, ...]:
        return tuple(node.name for node in self.cluster.nodes) if self.cluster else ()

    @property
    def has_ceph(self) -> bool:
        """Believed until it is known."""
        return self.cluster is None or self.cluster.has_ceph


def entry_point(text: str) -> str:
    """``pve1.example.net`` -> ``https://pve1.example.net:8006``; UsageError for what is no address."""
    parts = urlsplit(text if "://" in text else f"https://{text}")
    try:
        host, port = parts.hostname, parts.port or PORT
    except ValueError:
        host, port = None, PORT
    if parts.scheme != "https" or not host or parts.username or parts.path not in ("", "/"):
        raise UsageError(f"{text} is no address of a node", remedy="for example https://pve1.example.net:8006")
    return f"https://{f'[{host}]' if ':' in host else host}:{port}"


def spelt(pin: str) -> str:
    """A fingerprint as Proxmox VE and openssl print it: ``AA:BB:...``"""
    return shown(pin)


async def certificate(url: str, expected: str | None) -> str:
    """The fingerprint that the entry point shows now; Untrusted when another one was expected. Nothing is sent."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    told = await shown_by(parts.hostname, parts.port or PORT)
    if expected is not None and plain(expected) != told:
        raise Untrusted(
            f"{parts.netloc} shows another certificate than you named: {shown(told)}; nothing was sent",
            remedy="find out who answers there before you go on",
        )
    return told


async def connect(url: str, pin: str, token: str, name: str | None, clock: Clock | None = None) -> Connection:
    """Look into the cluster with a token. The other nodes' certificates are those that the cluster itself names."""
    address = urlsplit(url).netloc
    client = PveClient(name or address, [Server(url, context_for(address, pin, None))], token, clock or SystemClock())
    try:
        granted = await client.get("/access/permissions")
        if not granted:
            raise Refused(
                "the token is known and may do nothing there",
                remedy="run the commands of step 1 first; a token with -privsep 1 needs rights of its own",
            )
        cluster = await discover(client)
    finally:
        await client.close()
    pins: dict[str, str] = {address: pin}
    untried: dict[str, str] = {}
    others = [node for node in cluster.nodes if node.ip and plain(node.fingerprint) not in ("", plain(pin))]
    tried = await asyncio.gather(*(_try(node.ip) for node in others))
    for node, told in zip(others, tried, strict=True):
        at = f"[{node.ip}]:{PORT}" if ":" in node.ip else f"{node.ip}:{PORT}"
        (pins if told == plain(node.fingerprint) else untried)[at] = plain(node.fingerprint)
    return Connection(name or cluster.name or address.partition(":")[0], url, pins, cluster, untried)


async def _try(host: str) -> str:
    try:
        return await shown_by(host, PORT, TRY_S)
    except NooutError:
        return ""
