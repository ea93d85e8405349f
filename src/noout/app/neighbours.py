"""The servers near one that is worked on: the other nodes of its cluster, and those of other clusters in its rack."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from noout.app.compose import Installation
from noout.app.kept import Kept
from noout.domain.cluster import NodeId
from noout.domain.errors import NooutError
from noout.domain.maintenance import Maintenance, Observation
from noout.steps.neighbours import at_the_rack, gone, in_the_cluster

KEPT_WALL_S = 4.0
CONFIGURATIONS_KEPT_S = 3600.0  # who is online is asked anew each time; nothing else is needed


@dataclass
class Neighbours:
    """Whether they stand, as each cluster counts its nodes; of a cluster that does not answer nothing is said."""

    found: Installation
    _kept: Kept[Mapping[str, bool]] = field(init=False)

    def __post_init__(self) -> None:
        self._kept = Kept(self._cluster, KEPT_WALL_S)

    async def around(self, m: Maintenance, seen: Observation) -> Mapping[str, bool]:
        """For the run, which has just seen its own cluster."""
        return in_the_cluster(m, seen) | dict(await self._in_the_rack(m.node))

    async def gone(self, m: Maintenance) -> tuple[str, ...]:
        """For the phone: those that went away since the technician came, as known a few seconds ago at the most."""
        if not at_the_rack(m):
            return ()
        own, others = await asyncio.gather(self._kept.of(m.node.cluster), self._in_the_rack(m.node))
        return tuple(gone(m, {each: up for each, up in own.items() if each != str(m.node)} | dict(others)))

    async def _in_the_rack(self, node: NodeId) -> Mapping[str, bool]:
        near = self._rack_of(node)
        looks = await asyncio.gather(*(self._kept.of(cluster) for cluster in sorted({each.cluster for each in near})))
        stand = {each: up for look in looks for each, up in look.items()}
        return {str(each): stand[str(each)] for each in near if str(each) in stand}

    def _rack_of(self, node: NodeId) -> list[NodeId]:
        """Nodes of other clusters in the same rack of the same room, as the configuration says."""
        place = self.found.location(node)
        if not place.rack:
            return []
        return [
            NodeId(cluster, name)
            for cluster, known in self.found.settings.clusters.items()
            for name, there in known.nodes.items()
            if cluster != node.cluster and (there.room, there.rack) == (place.room, place.rack)
        ]

    async def _cluster(self, name: str) -> Mapping[str, bool]:
        try:
            seen = await self.found.hypervisors[name].observe(keep_s=CONFIGURATIONS_KEPT_S)
        except NooutError:
            return {}
        return {str(node.id): node.online for node in seen.nodes}
