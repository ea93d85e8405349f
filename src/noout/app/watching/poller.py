"""A look at every BMC in its own time: spread over the period, so many at once and no more, a sick one less often."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from noout.domain.cluster import NodeId
from noout.domain.errors import NooutError
from noout.domain.hardware import HardwareState
from noout.ports import Bmc, Clock

log = logging.getLogger(__name__)

AT_ONCE = 50  # looks under way: a dead BMC takes its time-out, and 2,000 of them must not all do so at once
LOOK_WALL_S = 90.0  # the longest a look takes; the adapters' own limits are shorter
SPREAD_S = 0.03  # between the first looks at two BMCs
PATIENCE = 2  # looks without an answer before it is asked less often
BACK_OFF_S_MAX = 600.0
JITTER = 0.1  # share of a longer wait, so that BMCs that went silent together are not asked together
LEAST_S = 5.0  # between two looks at one BMC, however often it calls


@dataclass(slots=True)
class Poller:
    """``take`` gets what each look saw, one at a time for a node; what it raises as NooutError is logged.

    ``hurried`` says whether a node must be looked at every ``every_s`` though its BMC is sick: one in maintenance.
    """

    bmcs: Mapping[NodeId, Bmc]
    clock: Clock
    every_s: float
    take: Callable[[HardwareState], Awaitable[object]]
    hurried: Callable[[NodeId], bool] = lambda node: False
    at_once: int = AT_ONCE
    _calls: dict[NodeId, asyncio.Event] = field(default_factory=dict)

    async def run(self) -> None:
        """Look until cancelled."""
        places = asyncio.Semaphore(self.at_once)
        self._calls = {node: asyncio.Event() for node in self.bmcs}
        spread_s = min(self.every_s, SPREAD_S * len(self.bmcs))
        try:
            async with asyncio.TaskGroup() as group:
                for number, node in enumerate(self.bmcs):
                    group.create_task(self._follow(node, places, spread_s * number / len(self.bmcs)))
        finally:
            self._calls = {}

    def call(self, node: NodeId) -> bool:
        """Look at this node as soon as may be; False when nobody looks at it."""
        if node not in self._calls:
            return False
        self._calls[node].set()
        return True

    async def _follow(self, node: NodeId, places: asyncio.Semaphore, first_s: float) -> None:
        silent = 0
        await self.clock.sleep(first_s)
        while True:
            async with places:
                began = self.clock.now()
                self._calls[node].clear()
                state = await look(self.bmcs[node], self.clock)
            silent = 0 if state.reachable else silent + 1
            try:
                await self.take(state)
            except NooutError as error:
                log.warning("watch: %s: %s", node, error)
            wait_s = self.every_s if self.hurried(node) else back_off_s(node, silent, self.every_s)
            await self._until(node, wait_s - (self.clock.now() - began).total_seconds(), LEAST_S)

    async def _until(self, node: NodeId, wait_s: float, least_s: float) -> None:
        """Until the next look is due, somebody calls for it, or the node has come to be in a hurry."""
        await self.clock.sleep(max(0.0, min(wait_s, least_s)))
        left_s = wait_s - least_s
        while left_s > 0 and not self._calls[node].is_set():
            part_s = min(left_s, self.every_s)
            with suppress(TimeoutError):
                async with asyncio.timeout(self.clock.wall_s(part_s)):
                    await self._calls[node].wait()
            left_s -= part_s
            if self.hurried(node):
                return


def back_off_s(node: NodeId, silent: int, every_s: float) -> float:
    """How long after a look the next one is due, when the last ``silent`` looks had no answer: twice as long with
    each, up to ten minutes, a little different for each node."""
    if silent <= PATIENCE or every_s >= BACK_OFF_S_MAX:
        return every_s
    share = hashlib.sha256(f"{node} {silent}".encode()).digest()[0] / 255
    doubled = every_s * 2.0 ** min(silent - PATIENCE, 20)
    return max(every_s, min(doubled, BACK_OFF_S_MAX) * (1 - JITTER * share))


async def look(bmc: Bmc, clock: Clock) -> HardwareState:
    """One look, which ends and never raises: whatever a BMC does, the watch of the others goes on."""
    try:
        async with asyncio.timeout(LOOK_WALL_S):
            return await bmc.observe()
    except TimeoutError:
        trouble = f"the look did not end within {LOOK_WALL_S:.0f} s"
    except NooutError as error:
        trouble = str(error)
    except Exception:  # the one door for what no adapter foresaw: it is logged whole, and the BMC counts as silent
        log.exception("watch: %s: the look failed", bmc.node)
        trouble = "noout could not read what it says (the log has the details)"
    return HardwareState(bmc.node, clock.now(), reachable=False, trouble=trouble)
