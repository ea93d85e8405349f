"""A small look on top of the last whole one: what one move concerns, while nothing else has changed.

``/cluster/resources`` tells of now where every guest is, whether it is locked and which nodes are members, all of which
PVE takes from its cluster file system; only what a guest does (its status) is up to 10 s old there. So that one answer
says whether all is as the last whole look left it, beside the guests on their way; and what an effect rests on is asked
of the node itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from noout.adapters.pve import parse
from noout.adapters.pve.client import Gone, PveClient
from noout.adapters.pve.parse import Row
from noout.domain.cluster import ClusterState, Guest, GuestId, GuestKind, GuestStatus, HaService, Near, NodeId, Task
from noout.domain.errors import Retryable

WHOLE_S = 900.0  # so long a whole look is built upon
AT_ONCE_S = 1.0  # answers of the same second serve several starts
PLACES_S = 30.0  # how old it may be where everybody is, when no effect follows
LAG_S = 15.0  # a status of /cluster/resources does not count against one that the node itself gave since


class _Changed(Exception):
    """Something is not as it was that nobody asked for: everything is to be looked at."""


@dataclass(frozen=True, slots=True)
class _Kept:
    at: datetime
    data: Any


class Nearby:
    """The last picture of one cluster, and what was asked to keep it up."""

    def __init__(self, client: PveClient) -> None:
        self._client = client
        self._base: ClusterState | None = None
        self._whole_at = client.clock.now()
        self._seen: dict[GuestId, datetime] = {}  # when its own node last told of it
        self._answers: dict[str, _Kept] = {}

    def whole(self, state: ClusterState, began: datetime) -> None:
        """A whole look, begun then. One with a guest of which nobody knows is nothing to build upon."""
        known = all(guest.status is not GuestStatus.UNKNOWN for guest in state.guests)
        self._base = state if state.quorate and known else None
        self._whole_at = began
        self._seen = dict.fromkeys((guest.id for guest in state.guests), began)
        self._answers.clear()

    async def look(self, near: Near) -> ClusterState | None:
        """None: look at everything."""
        base, age_s = self._base, (self._client.clock.now() - self._whole_at).total_seconds()
        if base is None or not 0 <= age_s < WHOLE_S:
            return None
        try:
            self._base = await self._look(base, near)
        except (_Changed, Gone, Retryable):
            self._base = None
        return self._base

    async def _look(self, base: ClusterState, near: Near) -> ClusterState:
        places_s = AT_ONCE_S if near.effect else PLACES_S
        told = await self._get("/cluster/resources", places_s)
        places_at = self._answers["/cluster/resources"].at
        places = parse.resource_guests(told)
        _same_members(base, told)
        services = await self._services(base, near)
        direct = await self._direct(base, near, services, places)
        guests = tuple(self._guest(each, near, places, places_at, direct, services) for each in base.guests)
        if len(places) != len(guests):
            raise _Changed
        tasks = await self._tasks(base, near)
        return replace(base, at=self._client.clock.now(), guests=guests, running_tasks=tasks)

    # --- the cluster and HA ------------------------------------------------------------------------------

    async def _services(self, base: ClusterState, near: Near) -> Mapping[str, HaService]:
        """What HA says now of the guests that it manages, where the look is about that.

        The members are those that were quorate, which is as good as asking for the quorum, but for a QDevice's vote.
        """
        known = {guest.ha.sid: guest.ha for guest in base.guests if guest.ha is not None}
        if not near.ha or not known:
            if near.effect and base.qdevice_votes:
                quorate, _ = parse.membership(await self._get("/cluster/status", AT_ONCE_S))
                if not quorate:
                    raise _Changed
            return known
        current = await self._get("/cluster/ha/status/current", AT_ONCE_S)
        quorum = next((row for row in parse.rows(current) if row.get("type") == "quorum"), {})
        if not parse.boolean(quorum.get("quorate")) or parse.ha_armed({}, current) != base.ha_armed:
            raise _Changed
        services = parse.ha_services({}, current, [])
        if any(sid not in services or _wishes(services[sid]) != _wishes(was) for sid, was in known.items()):
            raise _Changed
        return {
            sid: replace(was, state=services[sid].state, node=services[sid].node, target=None)
            for sid, was in known.items()
        }

    async def _tasks(self, base: ClusterState, near: Near) -> tuple[Task, ...]:
        names = {node.name for node in near.tasks}
        found = [task for task in base.running_tasks if task.node not in names]
        for name in sorted(names):
            found += parse.running_tasks(await self._get(f"/nodes/{name}/tasks", AT_ONCE_S, source="active"))
        return tuple(sorted(found, key=lambda task: task.upid))

    # --- guests ------------------------------------------------------------------------------------------

    async def _direct(
        self, base: ClusterState, near: Near, services: Mapping[str, HaService], places: Mapping[int, Row]
    ) -> dict[GuestId, tuple[str, Row]]:
        """What the nodes themselves say: of the guests that are asked for, and of all on the nodes that are listed."""
        found: dict[GuestId, tuple[str, Row]] = {}
        for node in sorted(near.nodes):
            for row in await self._listed(node, places):
                found[GuestId(base.name, parse.whole(row["vmid"]))] = (node.name, row)
        known = {guest.id: guest for guest in base.guests}
        for guest_id, node in sorted(near.guests):
            guest = known.get(guest_id)
            if guest is None:
                raise _Changed
            if guest_id in found or (guest.ha is not None and not _arrived(services.get(guest.ha.sid), node)):
                continue
            path = f"/nodes/{node.name}/{guest.kind.value}/{guest_id.vmid}/status/current"
            found[guest_id] = (node.name, parse.table(await self._get(path, AT_ONCE_S)))
        return found

    async def _listed(self, node: NodeId, places: Mapping[int, Row]) -> list[Row]:
        """Those of a kind of which one is said not to run: it may have been started since. What runs counts already,
        and if it was stopped since, it only makes room."""
        here = [
            row for row in places.values() if row.get("node") == node.name and not parse.boolean(row.get("template"))
        ]
        may_run = {str(row["type"]) for row in here if row.get("status") != "running"}
        found: list[Row] = []
        for kind in sorted(may_run):
            query = {"full": 1} if kind == GuestKind.QEMU.value else {}
            found += parse.rows(await self._get(f"/nodes/{node.name}/{kind}", AT_ONCE_S, **query))
        return found

    def _guest(
        self,
        was: Guest,
        near: Near,
        places: Mapping[int, Row],
        places_at: datetime,
        direct: Mapping[GuestId, tuple[str, Row]],
        services: Mapping[str, HaService],
    ) -> Guest:
        row = places.get(was.id.vmid)
        if row is None:
            raise _Changed
        now = replace(was, ha=services[was.ha.sid]) if was.ha is not None else was
        if was.id in direct:
            self._seen[was.id] = self._client.clock.now()
            node, told = direct[was.id]
            return _as_told(now, node, told)
        if was.id in near.flying:
            return now
        recent = (places_at - self._seen[was.id]).total_seconds() < LAG_S
        if places_at < self._seen[was.id]:  # its node has told of it since
            return now
        if row.get("node") != was.node.name or (parse.status(row) is not was.status and not recent):
            raise _Changed
        return replace(now, lock=str(row.get("lock") or "") or None, ram_bytes=parse.whole(row.get("maxmem")))

    async def _get(self, path: str, within_s: float, **query: Any) -> Any:
        kept, now = self._answers.get(path), self._client.clock.now()
        if kept is None or not 0 <= (now - kept.at).total_seconds() < within_s:
            kept = self._answers[path] = _Kept(now, await self._client.get(path, **query))
        return kept.data


def _same_members(base: ClusterState, resources: Any) -> None:
    online = {
        str(row.get("node")): row.get("status") == "online"
        for row in parse.rows(resources)
        if row.get("type") == "node"
    }  # fmt: skip
    if online != {node.id.name: node.online for node in base.nodes}:
        raise _Changed


def _wishes(service: HaService) -> tuple[str, bool]:
    return service.requested_state, service.failback


def _arrived(service: HaService | None, node: NodeId) -> bool:
    """Whether HA is done with it, there; an error is for a whole look."""
    if service is None or service.state == "error":
        raise _Changed
    return service.node == node.name and service.state not in {"migrate", "relocate"}


def _as_told(was: Guest, node: str, row: Row) -> Guest:
    if parse.status(row) is GuestStatus.UNKNOWN:
        raise _Changed
    return replace(
        was,
        node=NodeId(was.id.cluster, node),
        status=parse.status(row),
        qmp_status=str(row.get("qmpstatus") or ""),
        lock=str(row.get("lock") or "") or None,
        ram_bytes=parse.whole(row.get("maxmem")),
    )
