"""ICMP echoes over one socket for each family: an unprivileged one where the kernel allows it, else a raw one.

Raises Refused, once, where neither is allowed: the services are then not measured, which is said and not taken for
silence.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import struct

from noout.adapters.probe.asking import Cancel, Settle, blamed, family_of, nothing
from noout.domain.errors import Refused
from noout.domain.probes import Question

_HEADER = struct.Struct("!BBHHH")
_REQUEST = {socket.AF_INET: 8, socket.AF_INET6: 128}
_REPLY = {socket.AF_INET: 0, socket.AF_INET6: 129}
_PROTOCOL = {socket.AF_INET: socket.IPPROTO_ICMP, socket.AF_INET6: socket.IPPROTO_ICMPV6}
TOKEN_BYTES = 16


class Echoes:
    """Each question carries a token of its own, so that an answer is known whatever the kernel makes of its numbers."""

    def __init__(self) -> None:
        self._socks: dict[socket.AddressFamily, tuple[socket.socket, bool]] = {}
        self._waiting: dict[bytes, Settle] = {}
        self._number = 0
        self._own = os.getpid() & 0xFFFF
        self._loop: asyncio.AbstractEventLoop | None = None

    def open_for(self, host: str) -> None:
        """Refused where this process may not send echoes."""
        self._sock(family_of(host))

    def start(self, question: Question, settle: Settle) -> Cancel:
        family = family_of(question.host)
        token = secrets.token_bytes(TOKEN_BYTES)
        self._number = (self._number + 1) & 0xFFFF
        try:
            sock, _ = self._sock(family)
            sock.sendto(_packet(_REQUEST[family], self._own, self._number, token), (question.host, 0))
        except OSError as error:
            settle(blamed(error.errno, at_once=True))
            return nothing
        self._waiting[token] = settle
        return lambda: void(self._waiting.pop(token, None))

    def close(self) -> None:
        for sock, _ in self._socks.values():
            if self._loop is not None and not self._loop.is_closed():
                self._loop.remove_reader(sock.fileno())
            sock.close()
        self._socks.clear()

    def _sock(self, family: socket.AddressFamily) -> tuple[socket.socket, bool]:
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self.close()
            self._loop = loop
        if family not in self._socks:
            sock, raw = _opened(family)
            self._socks[family] = sock, raw
            loop.add_reader(sock.fileno(), self._read, sock, raw and family is socket.AF_INET, _REPLY[family])
        return self._socks[family]

    def _read(self, sock: socket.socket, with_header: bool, reply: int) -> None:
        while True:
            try:
                got = sock.recv(2048)
            except OSError:  # nothing more; or a router's word, which names no question: it times out
                return
            start = (got[0] & 0x0F) * 4 if with_header and got else 0  # a raw IPv4 socket gives the IP header too
            if len(got) >= start + _HEADER.size + TOKEN_BYTES and got[start] == reply:
                settle = self._waiting.pop(got[start + _HEADER.size :][:TOKEN_BYTES], None)
                if settle is not None:
                    settle(True)


def void(_: object) -> None: ...


def _opened(family: socket.AddressFamily) -> tuple[socket.socket, bool]:
    for kind, raw in ((socket.SOCK_DGRAM, False), (socket.SOCK_RAW, True)):
        try:
            return socket.socket(family, kind | socket.SOCK_NONBLOCK, _PROTOCOL[family]), raw
        except PermissionError:
            continue
    raise Refused(
        "this process may not send ICMP echoes: what is probed by icmp: is not measured",
        remedy="let its group send them (sysctl net.ipv4.ping_group_range), give it CAP_NET_RAW, or probe by tcp:",
    )


def _packet(kind: int, own: int, number: int, token: bytes) -> bytes:
    bare = _HEADER.pack(kind, 0, 0, own, number) + token
    return _HEADER.pack(kind, 0, _checksum(bare), own, number) + token  # for IPv6 the kernel fills it in itself


def _checksum(data: bytes) -> int:
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    return 0xFFFF - ((total + (total >> 16)) & 0xFFFF)
