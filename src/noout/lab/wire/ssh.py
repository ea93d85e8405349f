"""An SSH server per node. It runs only what ``shell`` knows, for whoever holds the lab's key.

While its node is off, or under the fault "ssh-refused", it closes every connection before a word is said.
"""

from __future__ import annotations

import asyncio
import hashlib
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import asyncssh
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from noout.lab.wire.outcome import Outcome
from noout.lab.wire.shell import run_command, split
from noout.lab.world.laws import Laws
from noout.lab.world.model import Cluster

USER = "root"


def private_key(run_secret: bytes, *name: str) -> asyncssh.SSHKey:
    """An Ed25519 key that follows from the run's secret and a name: the same for all of one run."""
    seed = hashlib.sha256(run_secret + "/".join(name).encode()).digest()
    pem = Ed25519PrivateKey.from_private_bytes(seed).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    return asyncssh.import_private_key(pem)


# Runs a command on a node for real; None: not this one.
Elsewhere = Callable[[str, list[str]], Awaitable[Outcome | None]]


@dataclass(frozen=True)
class Place:
    """The node behind one SSH port, and how long a virtual second takes on the wall."""

    laws: Laws
    cluster: Cluster
    node: str
    wall_seconds: Callable[[float], float]
    connections: set[asyncssh.SSHServerConnection] = field(default_factory=set)
    elsewhere: Elsewhere | None = None

    async def run(self, argv: list[str]) -> Outcome:
        outcome = None if self.elsewhere is None else await self.elsewhere(self.node, argv)
        return outcome or run_command(self.laws, self.cluster, self.node, argv)

    def answers(self) -> bool:
        self.laws.advance()
        return self.cluster.nodes[self.node].online and not self.laws.ssh_refused(self.cluster, self.node)

    def drop_if_dark(self) -> None:
        """Connections do not outlive their machine."""
        if self.connections and not self.answers():
            for connection in list(self.connections):
                connection.abort()


class _Server(asyncssh.SSHServer):
    def __init__(self, place: Place) -> None:
        self.place = place
        self.connection: asyncssh.SSHServerConnection | None = None

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self.connection = conn
        self.place.connections.add(conn)
        if not self.place.answers():
            conn.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.connection is not None:
            self.place.connections.discard(self.connection)

    def begin_auth(self, username: str) -> bool:
        return True

    def password_auth_supported(self) -> bool:
        return False

    def kbdint_auth_supported(self) -> bool:
        return False


async def _run(place: Place, process: asyncssh.SSHServerProcess[str]) -> None:
    """One exec request. A login shell is not simulated and says so."""
    if process.command is None:
        process.stderr.write("The lab's nodes run single commands, such as: ceph -s\n")
        process.exit(1)
        return
    if not place.answers():
        process.channel.get_connection().abort()
        return
    argv = split(process.command)
    if argv is None:
        outcome = Outcome(2, "", "bash: -c: unexpected EOF while looking for matching quote\n")
    else:
        outcome = await place.run(argv)
    if outcome.after_s is None:
        await process.stdin.channel.wait_closed()
        return
    if outcome.after_s:
        await asyncio.sleep(place.wall_seconds(outcome.after_s))
    if not place.answers():  # the node died under the command
        process.channel.get_connection().abort()
        return
    process.stdout.write(outcome.stdout)
    process.stderr.write(outcome.stderr)
    process.exit(outcome.exit)


async def serve_ssh(
    place: Place, sock: socket.socket, host_key: asyncssh.SSHKey, client_keys: asyncssh.SSHAuthorizedKeys
) -> asyncssh.SSHAcceptor:
    """Start the server of one node on a bound socket; close the acceptor to stop it."""

    async def handle(process: asyncssh.SSHServerProcess[str]) -> None:
        await _run(place, process)

    return await asyncssh.listen(
        sock=sock,
        server_factory=lambda: _Server(place),
        server_host_keys=[host_key],
        authorized_client_keys=client_keys,
        process_factory=handle,
        allow_scp=False,
        agent_forwarding=False,
        x11_forwarding=False,
        encoding="utf-8",
        line_editor=False,
        server_version="OpenSSH_10.0p2 Debian-7",
    )
