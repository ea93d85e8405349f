"""Connections that are kept open, as customers' clients keep theirs: counted is when one breaks.

Nothing is said over them. The kernel asks the other side whether it still knows the connection (TCP keepalive); a
reset, an end that the server makes, or no word for some 20 s, is a break. A server ends a connection that says nothing
after a time of its own: so each is made anew, of our own accord, before that (``renew``).
"""

from __future__ import annotations

import asyncio
import socket

from noout.adapters.probe.asking import Cancel, Settle
from noout.adapters.probe.tcp import Dial
from noout.domain.cluster import GuestId
from noout.domain.probes import Question

KEEPALIVE_S, KEEPALIVES = 5, 3
FORGOTTEN_S = 120.0  # not asked about for so long: let go

_OPTIONS = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_S),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, KEEPALIVE_S),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, KEEPALIVES),
)

Key = tuple[GuestId, str, int]


class Kept:
    """The connections held, by guest and address; times are the event loop's (s)."""

    def __init__(self) -> None:
        self._held: dict[Key, tuple[socket.socket, float]] = {}
        self._dialling: dict[Key, Cancel] = {}
        self._asked: dict[Key, float] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    def ask(self, guest: GuestId, question: Question, settle: Settle) -> None:
        """Settles at once: True while it stands, False when it was found broken, None while there is none to lose."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self.close()
            self._loop = loop
        key, now = (guest, question.host, question.port), loop.time()
        self._asked[key] = now
        held = self._held.get(key)
        if held is None:
            self._dial(key, question)
            settle(None)
            return
        sock, since = held
        stands = _stands(sock)
        if not stands:
            del self._held[key]
            sock.close()
        if not stands or now - since >= question.renew_s:
            self._dial(key, question)
        settle(stands)

    def forget(self, now: float) -> None:
        """Let go of what nobody asks about any more."""
        for key in [key for key, at in self._asked.items() if now - at > FORGOTTEN_S]:
            del self._asked[key]
            self._end(key)

    def close(self) -> None:
        for key in {*self._held, *self._dialling}:
            self._end(key)
        self._asked.clear()

    def _end(self, key: Key) -> None:
        held, dialling = self._held.pop(key, None), self._dialling.pop(key, None)
        if held is not None:
            held[0].close()
        if dialling is not None and self._loop is not None and not self._loop.is_closed():
            dialling()

    def _dial(self, key: Key, question: Question) -> None:
        """Make a new connection; it takes the place of the old one, if that still stands, only once it is there."""
        if key in self._dialling or self._loop is None:
            return
        loop = self._loop

        def settled(_: bool | None) -> None:
            self._dialling.pop(key, None)

        def connected(sock: socket.socket) -> None:
            for level, option, value in _OPTIONS:
                sock.setsockopt(level, option, value)
            before = self._held.pop(key, None)
            if before is not None:
                before[0].close()
            self._held[key] = sock, loop.time()

        dial = Dial(loop, question, settled, "", keep=connected)
        self._dialling[key] = dial.cancel
        dial.start()


def _stands(sock: socket.socket) -> bool:
    """Whether nobody has ended it. What the server says meanwhile (a greeting) is read and thrown away."""
    while True:
        try:
            if not sock.recv(65536):
                return False
        except BlockingIOError:
            return True
        except OSError:
            return False
