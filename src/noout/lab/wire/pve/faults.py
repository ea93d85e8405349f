"""Faults of the wire, as the world has them switched on: slow, failing, lost, dropped and stale answers."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response

from noout.lab.wire.http import NoResponse, ReasonedResponse
from noout.lab.world.laws import Laws
from noout.lab.world.model import Cluster, WireFault

_REASONS = {500: "got no worker upid - start worker failed", 595: "Connection timed out", 596: "Broken pipe"}


class Faults:
    """Stands around every request; ``WireFault.pattern`` is searched in "METHOD /path"."""

    def __init__(self, laws: Laws, cluster: Cluster) -> None:
        self.laws, self.cluster = laws, cluster
        self._last: dict[str, Response] = {}  # the last good answer to each GET, for stale ones

    async def around(self, request: Request, subject: str, perform: Callable[[], Response]) -> Response:
        fault = self._take(subject)
        kind = fault.kind if fault is not None else ""
        if fault is not None and kind == "slow":
            await asyncio.sleep(self._wall(fault.seconds))
        if fault is not None and kind == "error":
            return _error(fault.status)
        if kind == "drop":
            return NoResponse()
        key = f"{subject}?{request.url.query}#{request.headers.get('authorization', '')}"
        if kind == "stale" and key in self._last:
            return self._last[key]
        response = perform()
        if kind == "lost-answer":
            return NoResponse(wait=True)
        if request.method == "GET" and response.status_code == 200:
            self._last[key] = response
        return response

    def _take(self, subject: str) -> WireFault | None:
        """The first fault that fits; each use counts, and a fault used up is gone."""
        for fault in self.cluster.wire_faults:
            if re.search(fault.pattern, subject):
                fault.times -= 1
                if fault.times <= 0:
                    self.cluster.wire_faults.remove(fault)
                return fault
        return None

    def _wall(self, seconds: float) -> float:
        """Seconds of the world in seconds of the event loop."""
        to_wall: Callable[[float], float] | None = getattr(self.laws.clock, "wall_seconds", None)
        return seconds if to_wall is None else to_wall(seconds)


def _error(status: int) -> Response:
    reason = _REASONS.get(status, "the lab was told to fail")
    if status >= 595 or status == 401:
        return ReasonedResponse(b"", status, None, reason)
    body = f'{{"data":null,"message":"{reason}\\n"}}'.encode()
    return ReasonedResponse(body, status, {"Content-Type": "application/json;charset=UTF-8"}, reason)
