"""Step 0, notice: poll the BMCs, keep what they said, judge it, and propose a maintenance once per fault."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from noout.app.proposals import Proposals
from noout.domain.cluster import NodeId
from noout.domain.errors import NooutError
from noout.domain.hardware import Fault, HardwareState, Verdict
from noout.ports import Bmc, Clock, Journal, Measurements
from noout.watch.policy import faults
from noout.watch.verdict import judge

log = logging.getLogger(__name__)

WINDOW = timedelta(hours=48)  # twice the half-life of the flapping score: older episodes weigh next to nothing


@dataclass(frozen=True, slots=True)
class Health:
    """One node's hardware as judged from what its BMC said; ``latest`` None = it never answered.

    ``fault``: the most urgent of what its verdicts call for beside watching, all of which are in ``faults``.
    """

    node: NodeId
    latest: HardwareState | None
    verdicts: tuple[Verdict, ...]
    fault: Fault | None
    faults: tuple[Fault, ...] = ()


@dataclass(slots=True)
class Watcher:
    """Watches the BMCs of one installation."""

    bmcs: Mapping[NodeId, Bmc]
    measurements: Measurements
    journal: Journal
    clock: Clock
    every_s: float
    on_proposal: Callable[[Fault], Awaitable[None]] | None = None
    proposals: Proposals | None = None  # None: by the default policy
    kept: dict[NodeId, list[HardwareState]] = field(default_factory=dict)  # what was read back or polled so far

    async def poll(self) -> list[Health]:
        """Ask every BMC once, keep the answers, judge each node, and record a new proposal where one is due."""
        states = await asyncio.gather(*(bmc.observe() for bmc in self.bmcs.values()))
        await self.proposing.refresh()
        found = []
        for state in states:
            await self._keep(state)
            health = await self._judged(state.node)
            for fault in health.faults:
                if await self.proposing.consider(fault) is not None and self.on_proposal is not None:
                    await self.on_proposal(fault)
            found.append(health)
        return found

    @property
    def proposing(self) -> Proposals:
        if self.proposals is None:
            self.proposals = Proposals(self.journal, self.clock)
        return self.proposals

    async def health(self, node: NodeId) -> Health:
        """Judge one node from what is kept of it."""
        await self.proposing.refresh()
        return await self._judged(node)

    async def _judged(self, node: NodeId) -> Health:
        now = self.clock.now()
        states = [state for state in await self._known(node) if state.at >= now - WINDOW]
        self.kept[node] = states
        verdicts = judge(since(states, self.proposing.past(node).since), now)
        found = faults(node, verdicts, self.proposing.actions)
        return Health(node, states[-1] if states else None, verdicts, found[0] if found else None, found)

    async def _known(self, node: NodeId) -> list[HardwareState]:
        if node not in self.kept:
            self.kept[node] = list(await self.measurements.hardware(node, self.clock.now() - WINDOW))
        return self.kept[node]

    async def _keep(self, state: HardwareState) -> None:
        """Keep what this poll said; of the log only what was not kept before."""
        known = await self._known(state.node)
        logged = {(entry.id, entry.at) for each in known for entry in each.log}
        fresh = tuple(entry for entry in state.log if (entry.id, entry.at) not in logged)
        state = replace(state, log=fresh)
        known.append(state)
        await self.measurements.add_hardware(state)

    async def run(self) -> None:
        """Poll until cancelled. One failed round is logged and the next one tried: the watch never stops."""
        while True:
            began = self.clock.now()
            try:
                await self.poll()
            except NooutError as error:
                log.warning("watch: %s", error)
            await self.until_next(began)

    async def until_next(self, began: datetime) -> None:
        """Wait until a round that began then is ``every_s`` old: slow BMCs make no round later than it must be."""
        await self.clock.sleep(max(0.0, self.every_s - (self.clock.now() - began).total_seconds()))


def since(states: Sequence[HardwareState], repaired: datetime | None) -> list[HardwareState]:
    """What was seen since the repair: what was before it says nothing about the node any more."""
    if repaired is None:
        return list(states)
    return [
        replace(state, log=tuple(entry for entry in state.log if entry.at.tzinfo is None or entry.at >= repaired))
        for state in states
        if state.at >= repaired
    ]
