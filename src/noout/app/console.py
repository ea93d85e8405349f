"""What the operators' console shows, kept for some seconds, so that many who look cost no more than one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from noout.app.compose import Installation
from noout.app.ledger import Books, read_ledger
from noout.app.maintain import Maintenances
from noout.app.notice import proposals_of
from noout.app.overview import Overview
from noout.app.showing import picture_of
from noout.app.standstill import Standstill, standstill
from noout.app.watcher import Health, Watcher
from noout.domain.cluster import NodeId
from noout.domain.journal import Event, MessageKind
from noout.domain.maintenance import Json
from noout.domain.ownership import Oddity
from noout.domain.proposals import Proposal

KEEP_WALL_S = 10.0
FORGET_WALL_S = 60.0  # where another process watches


@dataclass(slots=True)
class Showing:
    """Over one installation; ``watcher``: this process's, which watches or reads what another's has kept."""

    found: Installation
    watcher: Watcher
    overview: Overview = field(init=False)
    _books: Books = field(init=False)
    _kept: dict[str, tuple[float, asyncio.Task[Sequence[object]]]] = field(default_factory=dict)
    _forgot: float = 0.0

    def __post_init__(self) -> None:
        self.overview = Overview(self.found)
        self._books = Books(self.found)

    @property
    def clusters(self) -> Sequence[str]:
        return list(self.found.hypervisors)

    async def proposals(self) -> Sequence[Proposal]:
        proposals = proposals_of(self.found)
        await proposals.refresh()
        return await proposals.all()

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

    async def oddities(self) -> Sequence[Oddity]:
        async def look() -> Sequence[object]:
            return (await read_ledger(self.found, self._books)).oddities

        return [each for each in await self._kept_for("oddities", look) if isinstance(each, Oddity)]

    async def standstill(self) -> Standstill | None:
        return await standstill(self.found.journal)

    async def events(self, maintenance: str) -> Sequence[Event]:
        return await self.found.journal.read(maintenance)

    async def tell(self, maintenance: str, kind: MessageKind, actor: str, data: Mapping[str, Json], key: str) -> None:
        """Once for each ``key``. Raises Refused as the run would."""
        await Maintenances(self.found).tell(maintenance, kind, actor, data, key)

    async def _kept_for(self, what: str, look: Callable[[], Awaitable[Sequence[object]]]) -> Sequence[object]:
        now = asyncio.get_running_loop().time()
        at, task = self._kept.get(what, (0.0, None))
        if task is None or (task.done() and now - at > KEEP_WALL_S):
            task = asyncio.ensure_future(look())
            self._kept[what] = (now, task)
        return await asyncio.shield(task)

    def _forget(self) -> None:
        """What another process has seen since is read anew."""
        now = asyncio.get_running_loop().time()
        if self.watcher.watching_since is None and now - self._forgot > FORGET_WALL_S:
            self._forgot = now
            self.watcher.forget()
