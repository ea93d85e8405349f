"""The Shell port over SSH: one connection a node, kept; host keys only from the given file; no user configuration.

``argv`` is quoted word by word, so that the remote shell interprets nothing of it. Every command runs under
``timeout`` on the node: what hangs there (a ``ceph`` that no mon or mgr answers) ends there, also when the connection
is gone. When a connection breaks or time runs out after a command was sent, it may have run: UnknownOutcome. Before
that, Retryable.
"""

from __future__ import annotations

import asyncio
import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from weakref import WeakKeyDictionary

import asyncssh

from noout.domain.cluster import NodeId
from noout.domain.errors import Broken, Retryable, UnknownOutcome, Untrusted
from noout.ports import Completed

CONNECT_TIMEOUT_S = 10.0
KEEPALIVE_S = 15
KILL_AFTER_S = 5  # between the remote SIGTERM and SIGKILL
ANSWER_S = 2.0  # for the remote time-out's own answer to arrive
TIMED_OUT, KILLED = 124, 137  # exit codes of timeout(1)


@dataclass(frozen=True)
class SshHost:
    """Where a node's SSH server is."""

    address: str
    port: int = 22


class SshShell:
    """Runs commands as ``user`` on the nodes of ``hosts``, with one private key and one known_hosts file."""

    def __init__(
        self,
        hosts: Mapping[NodeId, SshHost],
        *,
        key_file: Path,
        known_hosts_file: Path,
        user: str = "root",
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
    ) -> None:
        self._hosts = dict(hosts)
        self._key_file = key_file
        self._known_hosts_file = known_hosts_file
        self._user = user
        self._connect_timeout_s = connect_timeout_s
        self._loops: WeakKeyDictionary[asyncio.AbstractEventLoop, _Connections] = WeakKeyDictionary()

    async def run(self, node: NodeId, argv: Sequence[str], *, timeout_s: float = 30.0) -> Completed:
        if not argv:
            raise ValueError("no command")
        limit_s = max(1, math.ceil(timeout_s))
        command = shlex.join(["timeout", f"--kill-after={KILL_AFTER_S}", str(limit_s), *argv])
        # A kept connection may have died unnoticed; opening a channel shows it before anything ran: connect anew.
        for fresh in (False, True):
            connection = await self._connection(node, fresh)
            try:
                async with asyncio.timeout(self._connect_timeout_s):
                    process = await connection.create_process(command, encoding="utf-8", errors="replace")
            except asyncssh.ChannelOpenError as error:
                if error.code == asyncssh.OPEN_REQUEST_SESSION_FAILED and connection.is_closed():
                    raise _unknown(node, argv, "the connection broke as it was sent") from None
                if fresh:
                    raise Retryable(f"{node} opens no SSH session: {_words(error)}") from None
            except (asyncssh.ConnectionLost, asyncssh.DisconnectError, TimeoutError) as error:
                connection.abort()
                raise _unknown(node, argv, _words(error)) from None
            else:
                return await self._finish(node, argv, process, limit_s)
        raise AssertionError("unreachable")

    async def close(self) -> None:
        """Close this loop's connections."""
        kept = self._loops.pop(asyncio.get_running_loop(), None)
        for connection in kept.open.values() if kept else ():
            connection.close()

    # --- inside ------------------------------------------------------------------------------------------

    async def _finish(
        self, node: NodeId, argv: Sequence[str], process: asyncssh.SSHClientProcess[str], limit_s: int
    ) -> Completed:
        late = f"not finished within {limit_s} s"
        try:
            done = await process.wait(check=False, timeout=limit_s + KILL_AFTER_S + ANSWER_S)
        except (asyncssh.TimeoutError, TimeoutError):
            process.close()
            raise _unknown(node, argv, f"{late}, and the node does not say that it was ended") from None
        except (asyncssh.ConnectionLost, asyncssh.DisconnectError, OSError) as error:
            raise _unknown(node, argv, f"the connection broke while it ran ({_words(error)})") from None
        if done.exit_status is None or done.exit_status < 0:
            raise _unknown(node, argv, "it ended without an exit code")
        if done.exit_status in (TIMED_OUT, KILLED):
            raise _unknown(node, argv, f"{late}: it was ended there")
        return Completed(done.exit_status, str(done.stdout or ""), str(done.stderr or ""))

    async def _connection(self, node: NodeId, fresh: bool) -> asyncssh.SSHClientConnection:
        kept = self._loops.setdefault(asyncio.get_running_loop(), _Connections())
        async with kept.lock(node):
            connection = kept.open.get(node)
            if connection is not None and not fresh and not connection.is_closed():
                return connection
            if connection is not None:
                connection.abort()
            kept.open[node] = await self._connect(node)
            return kept.open[node]

    async def _connect(self, node: NodeId) -> asyncssh.SSHClientConnection:
        host = self._hosts.get(node)
        if host is None:
            raise Broken(f"no SSH address is known for {node}", remedy="set it under [clusters.NAME.shell.hosts]")
        where = f"{host.address}:{host.port}"
        try:
            return await asyncssh.connect(
                host.address,
                host.port,
                username=self._user,
                client_keys=[str(self._key_file)],
                known_hosts=str(self._known_hosts_file),
                config=None,
                agent_path=None,
                password_auth=False,
                kbdint_auth=False,
                connect_timeout=self._connect_timeout_s,
                login_timeout=self._connect_timeout_s,
                keepalive_interval=KEEPALIVE_S,
            )
        except asyncssh.HostKeyNotVerifiable as error:
            raise Untrusted(
                f"the SSH host key of {node} ({where}) is not the one in {self._known_hosts_file}: {error.reason}",
                remedy="find out why; if it is right, put the new key into that file",
            ) from None
        except asyncssh.PermissionDenied:
            raise Broken(
                f"{node} ({where}) refused the SSH key of {self._user}",
                remedy=f"put the public key of {self._key_file.name} into {self._user}'s authorized_keys there",
            ) from None
        except (asyncssh.KeyImportError, FileNotFoundError, PermissionError) as error:
            raise Broken(
                f"the SSH key or known_hosts file cannot be used: {error}", remedy="check key_file and known_hosts_file"
            ) from None
        except (asyncssh.Error, OSError, TimeoutError) as error:
            raise Retryable(f"no SSH connection to {node} ({where}): {_words(error)}") from None


class _Connections:
    """The connections of one event loop."""

    def __init__(self) -> None:
        self.open: dict[NodeId, asyncssh.SSHClientConnection] = {}
        self._locks: dict[NodeId, asyncio.Lock] = {}

    def lock(self, node: NodeId) -> asyncio.Lock:
        return self._locks.setdefault(node, asyncio.Lock())


def _unknown(node: NodeId, argv: Sequence[str], why: str) -> UnknownOutcome:
    return UnknownOutcome(f"`{argv[0]}` on {node}: {why}", remedy="look before doing it again")


def _words(error: BaseException) -> str:
    return str(error) or type(error).__name__
