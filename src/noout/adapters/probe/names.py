"""A query to a DNS server as a question: one datagram there, one back with at least one record."""

from __future__ import annotations

import asyncio
import secrets
import socket
import struct

from noout.adapters.probe.asking import Cancel, Settle, blamed, family_of, nothing
from noout.domain.probes import DNS_TYPES, Question

_HEADER = struct.Struct("!HHHHHH")
RECURSION_DESIRED = 0x0100
RESPONSE, TRUNCATED, RCODE = 0x8000, 0x0200, 0x000F


def query(question: Question, number: int) -> bytes:
    labels = b"".join(bytes([len(each)]) + each.encode() for each in question.name.split("."))
    asked = labels + b"\0" + struct.pack("!HH", DNS_TYPES[question.record], 1)
    return _HEADER.pack(number, RECURSION_DESIRED, 1, 0, 0, 0) + asked


def answers(sent: bytes, got: bytes) -> bool | None:
    """Whether ``got`` is a good answer to ``sent``; None when it is no answer to it at all."""
    if len(got) < _HEADER.size:
        return None
    number, flags, questions, records, _, _ = _HEADER.unpack_from(got)
    same = got[_HEADER.size : len(sent)].lower() == sent[_HEADER.size :].lower()
    if number != _HEADER.unpack_from(sent)[0] or not flags & RESPONSE or questions != 1 or not same:
        return None
    return not flags & RCODE and (records > 0 or bool(flags & TRUNCATED))


class Query:
    """One datagram from a port of its own, with a number of its own: nobody can answer in the server's stead unseen."""

    __slots__ = ("_loop", "_question", "_sent", "_settle", "_sock")

    def __init__(self, loop: asyncio.AbstractEventLoop, question: Question, settle: Settle) -> None:
        self._loop, self._question, self._settle = loop, question, settle
        self._sent = query(question, secrets.randbelow(1 << 16))
        self._sock: socket.socket | None = None

    def start(self) -> Cancel:
        host, port = self._question.host, self._question.port
        try:
            self._sock = socket.socket(family_of(host), socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
            self._sock.connect((host, port))
            self._sock.send(self._sent)
        except OSError as error:
            self._end(blamed(error.errno, at_once=True))
            return nothing
        self._loop.add_reader(self._sock.fileno(), self._read)
        return self._close

    def _read(self) -> None:
        assert self._sock is not None
        try:
            got = self._sock.recv(65536)
        except BlockingIOError:
            return
        except OSError:  # port unreachable, as the guest's kernel says
            self._end(False)
            return
        verdict = answers(self._sent, got)
        if verdict is not None:
            self._end(verdict)

    def _end(self, verdict: bool | None) -> None:
        self._close()
        self._settle(verdict)

    def _close(self) -> None:
        if self._sock is not None:
            self._loop.remove_reader(self._sock.fileno())
            self._sock.close()
            self._sock = None
