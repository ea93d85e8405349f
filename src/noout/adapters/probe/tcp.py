"""A TCP connection as a question; with a few bytes of HTTP said over it when asked for.

Callbacks on bare sockets, no task and no stream for each question: thousands a second are asked from one core.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import struct
from collections.abc import Callable

from noout.adapters.probe.asking import Cancel, Settle, blamed, family_of, nothing
from noout.adapters.probe.web import Reply, request
from noout.domain.probes import Ask, Question

# struct tcp_info (Linux, include/uapi/linux/tcp.h): where its smoothed round trip (us) and its count of packets sent
# again lie.
_U32, _TCPI_RTT, _TCPI_TOTAL_RETRANS = struct.Struct("=I"), 68, 100


class Dial:
    """One connection: ``question.host`` is an address. It is closed when the question is settled, unless ``keep`` takes
    it over. ``sent``: called when a request leaves over it, with what the network took to connect, in seconds; not
    where it had to try twice."""

    __slots__ = ("_keep", "_loop", "_question", "_reply", "_request", "_sent", "_settle", "_sock")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        question: Question,
        settle: Settle,
        agent: str,
        *,
        keep: Callable[[socket.socket], None] | None = None,
        sent: Callable[[float], None] | None = None,
    ) -> None:
        self._loop, self._question, self._settle, self._keep, self._sent = loop, question, settle, keep, sent
        web = question.ask is Ask.HTTP
        self._request = request(question, agent) if web else b""
        self._reply = Reply(question) if web else None
        self._sock: socket.socket | None = None

    def start(self) -> Cancel:
        host, port = self._question.host, self._question.port
        try:
            self._sock = sock = socket.socket(family_of(host), socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        except OSError as error:
            self._settle(blamed(error.errno, at_once=True))
            return nothing
        failed = sock.connect_ex((host, port))
        if failed in (0, errno.EINPROGRESS):
            self._loop.add_writer(sock.fileno(), self._connected)
        else:
            self._end(blamed(failed, at_once=True))
        return self.cancel

    def _connected(self) -> None:
        assert self._sock is not None
        self._loop.remove_writer(self._sock.fileno())
        failed = self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if failed:
            self._end(blamed(failed, at_once=False))
        elif self._keep is not None:
            sock, self._sock = self._sock, None
            self._keep(sock)
            self._settle(True)
        elif self._reply is None:
            self._end(True)
        else:
            try:
                self._tell_sent(self._sock)
                self._sock.send(self._request)  # it fits: nothing was sent before it
            except OSError:
                self._end(False)
                return
            self._loop.add_reader(self._sock.fileno(), self._read)

    def _tell_sent(self, sock: socket.socket) -> None:
        if self._sent is None:
            return
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
        (rtt_us,), (retransmitted,) = _U32.unpack_from(info, _TCPI_RTT), _U32.unpack_from(info, _TCPI_TOTAL_RETRANS)
        if not retransmitted:
            self._sent(rtt_us / 1e6)

    def _read(self) -> None:
        assert self._sock is not None and self._reply is not None
        try:
            part = self._sock.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            self._end(False)
            return
        verdict = self._reply.feed(part)
        if verdict is not None:
            self._end(verdict)

    def _end(self, verdict: bool | None) -> None:
        self.cancel()
        self._settle(verdict)

    def cancel(self) -> None:
        if self._sock is not None:
            fd = self._sock.fileno()
            self._loop.remove_writer(fd)
            self._loop.remove_reader(fd)
            self._sock.close()
            self._sock = None
