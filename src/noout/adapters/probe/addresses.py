"""Names of hosts to addresses, looked up beside the asking: a slow resolver delays no question, blames no service."""

from __future__ import annotations

import asyncio
import logging
import socket

from noout.adapters.probe.asking import is_address

log = logging.getLogger(__name__)

KEPT_S = 60.0
FIRST_S = 1.0


class Addresses:
    """The last address known of each name; it is looked up anew once a minute."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}
        self._looked: dict[str, float] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def prepare(self, hosts: set[str]) -> None:
        """Look up those never looked up before, for a second at most; the others in their own time."""
        loop = asyncio.get_running_loop()
        fresh = []
        for host in sorted(host for host in hosts if not is_address(host)):
            last = self._looked.get(host)
            if host not in self._tasks and (last is None or loop.time() - last >= KEPT_S):
                self._looked[host] = loop.time()
                self._tasks[host] = loop.create_task(self._look(host))
                fresh += [self._tasks[host]] if last is None else []
        if fresh:
            await asyncio.wait(fresh, timeout=FIRST_S)

    def of(self, host: str) -> str | None:
        return host if is_address(host) else self._known.get(host)

    def close(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        self._tasks.clear()

    async def _look(self, host: str) -> None:
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
            self._known[host] = str(found[0][4][0])
        except (OSError, UnicodeError) as error:
            log.warning("%s has no address that is known here (%s): what is asked there is not measured", host, error)
        finally:
            self._tasks.pop(host, None)
