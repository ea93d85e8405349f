"""What the operators' console shows, kept for some seconds, so that many who look cost no more than one."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from noout.app.access import audit
from noout.app.compose import Installation
from noout.app.desk import Desk
from noout.app.kept import Kept
from noout.app.ledger import Books, read_ledger
from noout.app.maintain import Maintenances
from noout.app.older import allow_despite
from noout.app.overview import Overview
from noout.app.showing import Spark, picture_of, spark_of
from noout.app.standstill import Standstill, standstill, stop_all
from noout.app.watcher import Health, Watcher
from noout.domain.cluster import GuestId, MigrationProgress, NodeId
from noout.domain.customers import Customer
from noout.domain.errors import NooutError
from noout.domain.journal import Event, MessageKind
from noout.domain.maintenance import Json, Maintenance
from noout.domain.ownership import Oddity
from noout.steps.flights import MOVE_VERBS
from noout.steps.guest_effects import MOVING_KINDS
from noout.witness.tally import Heard, Tally

KEEP_WALL_S, SPARK_WALL_S, PROGRESS_WALL_S, HEARD_WALL_S = 10.0, 60.0, 0.9, 2.0
UNASKED = 2.5  # times the usual distance of two questions: as the account at the end has it
FORGET_WALL_S = 60.0  # where another process watches


@dataclass(slots=True)
class Showing:
    """Over one installation; ``watcher``: this process's, which watches or reads what another's has kept."""

    found: Installation
    watcher: Watcher
    overview: Overview = field(init=False)
    _books: Books = field(init=False)
    desk: Desk = field(init=False)
    _oddities: Kept[Sequence[Oddity]] = field(init=False)
    _sparks: Kept[Spark] = field(init=False)
    _progress: Kept[Mapping[GuestId, MigrationProgress]] = field(init=False)
    _heard: Kept[Sequence[Heard]] = field(init=False)
    _tallies: dict[str, Tally] = field(default_factory=dict)
    _forgot: float = 0.0

    def __post_init__(self) -> None:
        self.overview = Overview(self.found)
        self._books = Books(self.found)
        self.desk = Desk(self.found, self.watcher)
        self._sparks = Kept(self._look_for_spark, SPARK_WALL_S)
        self._progress = Kept(self._look_for_progress, PROGRESS_WALL_S)
        self._heard = Kept(self._look_for_heard, HEARD_WALL_S)
        self._oddities = Kept(self._look_for_oddities, KEEP_WALL_S)

    @property
    def clusters(self) -> Sequence[str]:
        return list(self.found.hypervisors)

    async def health(self, clusters: Sequence[str]) -> Sequence[Health]:
        self._forget()
        wanted = set(clusters)
        return [await self.watcher.known(node) for node in self.watcher.boards if node.cluster in wanted]

    async def judged(self, node: NodeId) -> Health | None:
        self._forget()
        return await self.watcher.health(node) if node in self.watcher.boards else None

    async def picture(self, health: Health | None) -> str:
        if health is None or health.latest is None:
            return ""
        return await picture_of(
            self.found.measurements, health.node, health.verdicts, self.found.clock.now(), style=False
        )

    async def spark(self, node: NodeId, sensor: str) -> Spark:
        return await self._sparks.of(f"{node} {sensor}")

    async def _look_for_spark(self, key: str) -> Spark:
        node, _, sensor = key.partition(" ")
        return await spark_of(self.found.measurements, NodeId.parse(node), sensor, self.found.clock.now())

    async def oddities(self) -> Sequence[Oddity]:
        return await self._oddities.of("")

    async def _look_for_oddities(self, _: str) -> Sequence[Oddity]:
        return (await read_ledger(self.found, self._books)).oddities

    async def standstill(self) -> Standstill | None:
        return await standstill(self.found.journal)

    async def stop_all(self, actor: str, reason: str, address: str) -> None:
        await stop_all(self.found.journal, actor, reason)
        await audit.decided(self.found.journal, audit.STOPPED, actor, address, reason=reason)

    async def allow_all(self, actor: str, address: str) -> None:
        await allow_despite(self.found, actor)
        await audit.decided(self.found.journal, audit.ALLOWED, actor, address)

    async def events(self, maintenance: str, after: int = 0) -> Sequence[Event]:
        return await self.found.journal.read(maintenance, after)

    # --- one maintenance, as it goes ----------------------------------------------------------------------------

    async def state(self, maintenance: str) -> Maintenance:
        """Half a second old at the most. UsageError when there is none of that name."""
        return await self.found.news.state(maintenance)

    @property
    def customers(self) -> Sequence[Customer]:
        return self.found.customers

    async def progress(self, m: Maintenance) -> Mapping[GuestId, MigrationProgress]:
        """How far the guests under way are, by the logs of their tasks; of those that tell."""
        return await self._progress.of(m.id) if m.pending else {}

    async def _look_for_progress(self, maintenance: str) -> Mapping[GuestId, MigrationProgress]:
        m = await self.state(maintenance)
        moving = [pending for pending in m.pending if pending.action.verb in MOVE_VERBS]
        running = await self._tasks(m.node.cluster) if any(pending.upid is None for pending in moving) else {}
        found: dict[GuestId, MigrationProgress] = {}
        for pending in moving:
            guest = GuestId.parse(pending.action.subject)
            upid = pending.upid or running.get(str(guest.vmid))
            try:
                told = await self.found.hypervisor(m.node).progress(upid) if upid else None
            except NooutError:
                continue
            if told is not None:
                found[guest] = told
        return found

    async def _tasks(self, cluster: str) -> Mapping[str, str]:
        """Migrations that run, by their guests' numbers: HA's own are told by nobody else."""
        state = (await self.overview.cluster(cluster)).state
        return {task.subject: task.upid for task in state.running_tasks if task.kind in MOVING_KINDS} if state else {}

    async def heard(self, m: Maintenance) -> Sequence[Heard]:
        """What the witness has heard of each service so far."""
        return await self._heard.of(m.id)

    async def _look_for_heard(self, maintenance: str) -> Sequence[Heard]:
        probes = self.found.settings.probes
        fine_s, coarse_s = sorted((probes.every_s, probes.every_moving_s))
        tally = self._tallies.setdefault(maintenance, Tally(fine_s / 2, UNASKED * coarse_s))
        tally.add(await self.found.measurements.samples(maintenance, since=tally.at))
        return tally.heard()

    async def tell(self, maintenance: str, kind: MessageKind, actor: str, data: Mapping[str, Json], key: str) -> None:
        """Once for each ``key``. Raises Refused as the run would."""
        await Maintenances(self.found).tell(maintenance, kind, actor, data, key)

    def _forget(self) -> None:
        """What another process has seen since is read anew."""
        now = asyncio.get_running_loop().time()
        if self.watcher.watching_since is None and now - self._forgot > FORGET_WALL_S:
            self._forgot = now
            self.watcher.forget()
