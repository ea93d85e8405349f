"""The clusters as the console shows them: one look serves everybody who looks within some seconds."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

from noout.app.compose import Installation
from noout.app.kept import Kept
from noout.domain.ceph import CephState
from noout.domain.cluster import ClusterState
from noout.domain.errors import NooutError

KEEP_WALL_S = 3.0


@dataclass(frozen=True, slots=True)
class Seen:
    """One cluster; ``state`` or ``ceph`` None: not seen (``trouble`` says why) or, for Ceph, not there."""

    name: str
    state: ClusterState | None
    ceph: CephState | None
    trouble: str = ""


class Overview:
    def __init__(self, found: Installation) -> None:
        self._found = found
        self._kept = Kept(self._look, KEEP_WALL_S)

    async def clusters(self, names: Iterable[str]) -> list[Seen]:
        return list(await asyncio.gather(*(self.cluster(name) for name in names)))

    async def cluster(self, name: str) -> Seen:
        return await self._kept.of(name)

    async def _look(self, name: str) -> Seen:
        ceph = self._found.cephs.get(name)
        told = await asyncio.gather(
            self._found.hypervisors[name].observe(), ceph.observe() if ceph else _nothing(), return_exceptions=True
        )
        trouble = []
        for each in told:
            if isinstance(each, NooutError):
                trouble.append(each.message)
            elif isinstance(each, BaseException):
                raise each
        state, data = told
        return Seen(
            name,
            state if isinstance(state, ClusterState) else None,
            data if isinstance(data, CephState) else None,
            "; ".join(trouble),
        )


async def _nothing() -> None:
    return None
