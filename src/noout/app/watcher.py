"""Step 0, notice: look at the BMCs, keep what they said, judge it, and propose a maintenance once per fault."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from noout.app.probation import Probation
from noout.app.proposals import Proposals
from noout.app.watching.boardless import NoBoard
from noout.app.watching.keeping import RAW, Keeper, states_since
from noout.app.watching.poller import AT_ONCE, Poller, look
from noout.app.watching.upkeep import Upkeep
from noout.domain.cluster import NodeId
from noout.domain.errors import NooutError, Retryable
from noout.domain.hardware import Alert, Fault, HardwareState, LogEntry, Verdict
from noout.domain.maintenance import Json
from noout.ports import Bmc, Clock, Exporters, Journal, Measurements
from noout.watch.memory import memory, recall
from noout.watch.node import NodeWatch
from noout.watch.policy import faults
from noout.watch.verdict import verdicts

log = logging.getLogger(__name__)

REFRESH_S = 15.0  # how old what is known of the maintenances may be
JUDGE_EVERY = timedelta(minutes=5)  # a node of which nothing new is known: time alone changes little
REMEMBER_EVERY = timedelta(minutes=10)
TELL_WALL_S = 8.0  # how long somebody who tells something waits until it is kept


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
class Mind:
    """What is known of one node since ``since`` (the last repair)."""

    since: datetime | None
    watch: NodeWatch
    latest: HardwareState | None = None
    judged_at: datetime | None = None
    health: Health | None = None  # as judged then
    remembered_at: datetime | None = None


@dataclass(slots=True)
class Watcher:
    """Watches the BMCs of one installation, and what ``exporters`` (by what they are called) say of its nodes.

    ``boardless``: nodes without a BMC in the configuration of which something may be told all the same.
    """

    bmcs: Mapping[NodeId, Bmc]
    measurements: Measurements
    journal: Journal
    clock: Clock
    every_s: float
    on_proposal: Callable[[Fault], Awaitable[None]] | None = None
    proposals: Proposals | None = None  # None: by the default policy
    exporters: Mapping[str, Exporters] = field(default_factory=dict)
    boardless: frozenset[NodeId] = frozenset()
    upkeep: Upkeep | None = None  # of the BMCs' subscriptions
    keeper: Keeper = field(init=False)
    minds: dict[NodeId, Mind] = field(default_factory=dict)
    kept_at: datetime | None = None  # when the last look at any node was kept
    watching_since: datetime | None = None  # None: not now
    _poller: Poller | None = None
    _refreshed: datetime | None = None

    def __post_init__(self) -> None:
        self.keeper = Keeper(self.measurements, self.clock, self.every_s, self.boardless)

    @property
    def proposing(self) -> Proposals:
        if self.proposals is None:
            self.proposals = Proposals(self.journal, self.clock)
        return self.proposals

    @property
    def probation(self) -> Probation:
        return Probation(self.journal, self.measurements, self.clock, self.proposing)

    @property
    def boards(self) -> dict[NodeId, Bmc]:
        """Every node that is looked at."""
        return {**self.bmcs, **{node: NoBoard(node, self.clock) for node in sorted(self.boardless)}}

    # --- once ----------------------------------------------------------------------------------------------

    async def poll(self) -> list[Health]:
        """Ask every BMC once, keep the answers, judge each node, and record a new proposal where one is due."""
        places = asyncio.Semaphore(AT_ONCE)

        async def one(bmc: Bmc) -> HardwareState:
            async with places:
                return await look(bmc, self.clock)

        states, _ = await asyncio.gather(
            asyncio.gather(*(one(bmc) for bmc in self.boards.values())),
            asyncio.gather(*(self._ask(name) for name in self.exporters)),
        )
        await self._refresh(at_once=True)
        found = []
        for state in states:
            await self._take_in(state)
            health = await self._judged(state.node)
            await self._consider(health)
            found.append(health)
        return found

    async def health(self, node: NodeId) -> Health:
        """Judge one node from what is kept of it."""
        await self._refresh(at_once=True)
        return await self._judged(node)

    async def known(self, node: NodeId) -> Health:
        """As it was judged last."""
        await self._refresh()
        return (await self._mind(node)).health or await self._judged(node)

    # --- all the time --------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Watch until cancelled. Whatever fails is logged and tried again: the watch never stops."""
        self._poller = Poller(self.boards, self.clock, self.every_s, self._take, self._in_maintenance)
        self.watching_since = self.clock.now()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._poller.run())
                for name in self.exporters:
                    group.create_task(self._follow(name))
                if self.upkeep is not None:
                    group.create_task(self.upkeep.run())
        finally:
            self._poller = self.watching_since = None

    def forget(self) -> None:
        """Know nothing but what the store knows: another process has watched meanwhile."""
        self.keeper = Keeper(self.measurements, self.clock, self.every_s, self.boardless)
        self.minds.clear()
        self._refreshed = None

    async def tell(self, node: NodeId, alerts: Sequence[Alert] = (), entries: Sequence[LogEntry] = ()) -> None:
        """Take in what somebody says of a node, look at it at once, and return when both are kept.

        Raises Retryable where that cannot be now: whoever told it tells it again.
        """
        if self._poller is None or node not in self.boards:
            raise Retryable(f"{node} is not watched", remedy="start `noout serve`, or name its BMC")
        kept = self.keeper.tell(node, alerts, entries)
        self._poller.call(node)
        try:
            async with asyncio.timeout(TELL_WALL_S):
                await asyncio.shield(kept)
        except TimeoutError:
            raise Retryable(f"the look at {node} takes its time", remedy="tell it again") from None

    def call(self, cluster: str) -> None:
        """Look at every node of a cluster as soon as may be."""
        for node in self.boards if self._poller is not None else ():
            if node.cluster == cluster and self._poller is not None:
                self._poller.call(node)

    async def until_next(self, began: datetime) -> None:
        """Wait until a round that began then is ``every_s`` old: slow BMCs make no round later than it must be."""
        await self.clock.sleep(max(0.0, self.every_s - (self.clock.now() - began).total_seconds()))

    # --- inside --------------------------------------------------------------------------------------------

    async def _take(self, state: HardwareState) -> None:
        """One look, as it comes."""
        await self._refresh()
        changed = await self._take_in(state)
        mind, now = await self._mind(state.node), self.clock.now()
        if changed or mind.judged_at is None or now - mind.judged_at >= JUDGE_EVERY:
            await self._consider(await self._judged(state.node))
        if mind.remembered_at is None or now - mind.remembered_at >= REMEMBER_EVERY:
            await self._remember(mind)
        await self.keeper.thin(state.node)

    async def _take_in(self, state: HardwareState) -> bool:
        """Keep it first, then know it: True when it may change what is to be said of the node."""
        mind = await self._mind(state.node)
        mind.latest = await self.keeper.keep(state)
        self.kept_at = self.clock.now()
        return mind.watch.feed(mind.latest)

    async def _consider(self, health: Health) -> None:
        back = await self.probation.mind(health.node, health.verdicts)
        if back is not None and back[1] is not None and self.on_proposal is not None:
            await self.on_proposal(back[0])
        for fault in health.faults:
            if await self.proposing.consider(fault) is not None and self.on_proposal is not None:
                await self.on_proposal(fault)

    async def _judged(self, node: NodeId) -> Health:
        mind, now = await self._mind(node), self.clock.now()
        mind.judged_at = now
        found = verdicts(mind.watch, now)
        due = faults(node, found, self.proposing.actions)
        mind.health = Health(node, mind.latest, found, due[0] if due else None, due)
        return mind.health

    async def _mind(self, node: NodeId) -> Mind:
        repaired = self.proposing.past(node).since
        mind = self.minds.get(node)
        if mind is None or mind.since != repaired:
            mind = self.minds[node] = await self._recalled(node, repaired)
        return mind

    async def _recalled(self, node: NodeId, repaired: datetime | None) -> Mind:
        """As it was before a restart: what was remembered, and the looks since; else all the looks that are kept."""
        watch, since = NodeWatch(node), self.clock.now() - RAW
        stored = await self.measurements.memory(node)
        if stored is not None:
            at, document = stored
            try:
                if isinstance(document, dict) and document["since"] == _said(repaired):
                    watch, since = recall(node, document["watch"]), at
            except (KeyError, TypeError, ValueError):  # another version wrote it
                log.info("watch: what was remembered of %s is not understood: its looks are read again", node)
        latest: HardwareState | None = None
        for latest in states_since(await self.measurements.hardware(node, since), repaired):
            watch.feed(latest)  # one that was remembered counts once
        return Mind(repaired, watch, latest, remembered_at=self.clock.now())

    async def _remember(self, mind: Mind) -> None:
        mind.remembered_at = self.clock.now()
        if mind.latest is not None:
            document: dict[str, Json] = {"since": _said(mind.since), "watch": memory(mind.watch)}
            await self.measurements.keep_memory(mind.latest.node, mind.latest.at, document)

    async def _refresh(self, at_once: bool = False) -> None:
        now = self.clock.now()
        if at_once or self._refreshed is None or now - self._refreshed >= timedelta(seconds=REFRESH_S):
            self._refreshed = now
            await self.proposing.refresh()

    def _in_maintenance(self, node: NodeId) -> bool:
        return self.proposing.past(node).running is not None

    async def _follow(self, name: str) -> None:
        while True:
            began = self.clock.now()
            await self._ask(name)
            await self.until_next(began)

    async def _ask(self, name: str) -> None:
        try:
            reports = await self.exporters[name].observe()
        except NooutError as error:
            log.warning("watch: %s: %s", name, error)
            return
        at = self.clock.now()
        for node, report in reports.items():
            self.keeper.reports.setdefault(node, {})[name] = (at, report)


def _said(at: datetime | None) -> str:
    return at.isoformat() if at is not None else ""
