"""Real servers on this machine that fall silent at known times: a process of its own, so that its load is its own.

    python -m benchmarks.witness.servers CALM MOVING

It prints the ports as one line of JSON, then obeys lines on its stdin: ``silence SECONDS LENGTH`` lets each of the
MOVING servers fall silent for LENGTH seconds every two to three seconds, and prints when each did (Unix seconds, as
this process did it, not as it was planned). The end of stdin ends it.

The even ones among the MOVING are silent as a machine without its service is (connections refused), the odd ones as
one that stands still (HTTP: connected to, and answered when the silence is over).
"""

from __future__ import annotations

import heapq
import json
import random
import select
import socket
import sys
import time
from dataclasses import dataclass, field

BACKLOG = 512
ANSWER = b"HTTP/1.0 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\npong"
PAUSE_S = (2.0, 3.0)
MARGIN_S = 1.0  # without silences at both ends, so that each has good answers around it


@dataclass
class Server:
    listener: socket.socket
    http: bool = False
    silent: bool = False
    waiting: list[socket.socket] = field(default_factory=list)


def listen(port: int = 0) -> socket.socket:
    found = socket.socket()
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    found.bind(("127.0.0.1", port))
    found.setblocking(False)
    if port:
        found.listen(BACKLOG)
        return found
    # A port that was asked for by number stays bound while nobody listens at it.
    port = int(found.getsockname()[1])
    found.close()
    return listen(port)


class Servers:
    def __init__(self, calm: int, moving: int) -> None:
        self.poll = select.epoll()
        self.servers = [Server(listen(), http=i >= calm and (i - calm) % 2 == 1) for i in range(calm + moving)]
        self.by_number = {each.listener.fileno(): each for each in self.servers}
        self.talks: dict[int, tuple[socket.socket, Server]] = {}
        self.moving = self.servers[calm:]
        for number in self.by_number:
            self.poll.register(number, select.EPOLLIN)
        self.poll.register(sys.stdin.fileno(), select.EPOLLIN)

    def ports(self) -> list[int]:
        return [int(each.listener.getsockname()[1]) for each in self.servers]

    def turn(self, timeout_s: float) -> bool:
        """Serve what is there; whether somebody wrote on stdin."""
        told = False
        for number, _ in self.poll.poll(timeout_s):
            if number == sys.stdin.fileno():
                told = True
            elif number in self.by_number:
                self._accept(self.by_number[number])
            elif number in self.talks:
                talk, server = self.talks.pop(number)
                self.poll.unregister(number)
                server.waiting.append(talk)
                if not server.silent:
                    answer(server)
        return told

    def _accept(self, server: Server) -> None:
        while True:
            try:
                talk, _ = server.listener.accept()
            except OSError:
                return
            if not server.http:
                talk.close()
                continue
            talk.setblocking(False)
            self.talks[talk.fileno()] = talk, server
            self.poll.register(talk.fileno(), select.EPOLLIN)

    def hush(self, server: Server) -> None:
        server.silent = True
        if not server.http:
            self.poll.unregister(server.listener.fileno())
            server.listener.shutdown(socket.SHUT_RDWR)

    def speak(self, server: Server) -> None:
        server.silent = False
        if not server.http:
            server.listener.listen(BACKLOG)
            self.poll.register(server.listener.fileno(), select.EPOLLIN)
        answer(server)

    def silences(self, seconds: float, length_s: float) -> list[tuple[int, float, float]]:
        """(which of the moving, since, until) for each silence that was kept."""
        rng = random.Random(1)
        began = time.time()
        end = began + seconds - MARGIN_S
        due = [(began + MARGIN_S + rng.uniform(0, PAUSE_S[1]), i) for i in range(len(self.moving))]
        heapq.heapify(due)
        since: dict[int, float] = {}
        told: list[tuple[int, float, float]] = []
        while due:
            at, i = due[0]
            now = time.time()
            if at > now:
                self.turn(min(at - now, 0.05))
                continue
            heapq.heappop(due)
            server = self.moving[i]
            if server.silent:
                self.speak(server)
                told.append((i, since[i], time.time()))
                heapq.heappush(due, (now + rng.uniform(*PAUSE_S), i))
            elif now + length_s < end:
                self.turn(0.0)  # whoever asked before is answered before, however late this process is:
                self.turn(0.0)  # first connected, then answered
                since[i] = time.time()
                self.hush(server)
                heapq.heappush(due, (since[i] + length_s, i))
        while time.time() < began + seconds:
            self.turn(0.05)
        return told


def answer(server: Server) -> None:
    for talk in server.waiting:
        try:
            talk.recv(4096)
            talk.send(ANSWER)
        except OSError:
            pass  # who asked has gone
        talk.close()
    server.waiting.clear()


def main() -> None:
    servers = Servers(int(sys.argv[1]), int(sys.argv[2]))
    sys.stdout.write(json.dumps(servers.ports()) + "\n")
    sys.stdout.flush()
    while True:
        if not servers.turn(1.0):
            continue
        line = sys.stdin.readline().split()
        if not line:
            return
        sys.stdout.write(json.dumps(servers.silences(float(line[1]), float(line[2]))) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
