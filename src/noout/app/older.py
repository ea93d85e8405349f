"""Whether this noout's journal may be older than what was done: every node's note held against it.

Once before anything acts in this process, for all nodes of all clusters: what this journal knows nothing of has no run
here that could come upon it. And before a maintenance is opened. (A run looks at its own node as it goes on.)
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from noout.app.compose import Installation
from noout.app.ledger import HOST_FLAGS, OUR_RULES, Books, View, lines_of, look, notes_of
from noout.app.paging import wake
from noout.app.standstill import allow_all, doubt, standstill
from noout.domain.cluster import ClusterState, NodeId
from noout.domain.errors import NooutError, Refused
from noout.domain.maintenance import Maintenance
from noout.domain.note import Note, read_note
from noout.domain.ownership import Hold, Line, Now
from noout.run.drift import drift
from noout.run.older import unknown_to

log = logging.getLogger(__name__)

ANSWER_S_MAX = 30.0  # so long a cluster is waited for at the start; its runs look for themselves


@dataclass(frozen=True, slots=True)
class Ahead:
    """A note that tells of more than the journal has: ``why``, in words."""

    node: NodeId
    note: Note
    why: str


@dataclass(frozen=True, slots=True)
class Compared:
    """What the clusters say otherwise than the journal. ``of``: by open maintenance, in sentences. ``ahead``: every
    note that tells of more. ``unread``: clusters that could not be asked, with the reason."""

    of: Mapping[str, Sequence[str]]
    ahead: Sequence[Ahead]
    unread: Mapping[str, str] = field(default_factory=dict)


async def ahead_in(found: Installation, notes: Mapping[NodeId, str]) -> list[Ahead]:
    """``notes``: descriptions of nodes."""
    result = []
    for node, text in sorted(notes.items()):
        note = read_note(text)
        if note is not None and (why := await unknown_to(found.journal, note, node)):
            result.append(Ahead(node, note, why))
    return result


async def look_back(found: Installation) -> None:
    """Before anything acts: a cluster that tells of more than the journal has stops everything, and somebody is
    woken. A cluster that does not answer now is left to its runs."""

    async def one(cluster: str) -> list[Ahead]:
        try:
            async with asyncio.timeout(ANSWER_S_MAX):
                return await ahead_in(found, await notes_of(found, await found.hypervisors[cluster].observe()))
        except (NooutError, TimeoutError) as error:
            log.warning("whether the journal is the latest for %s is not known yet: %s", cluster, error)
            return []

    stopped = await standstill(found.journal)
    for some in await asyncio.gather(*(one(cluster) for cluster in found.hypervisors)):
        for each in some:
            if await doubt(found.journal, each.note, each.why) and (stopped is None or not stopped.doubted):
                why = f"nothing is done: {each.why} → noout status"
                await wake(found, why, maintenance=each.note.run, node=str(each.node), cluster=each.node.cluster)


async def require_latest(found: Installation, state: ClusterState) -> None:
    """Refused where a node of this cluster tells of more than the journal has: another maintenance may be under way."""
    for each in await ahead_in(found, await notes_of(found, state)):
        if await doubt(found.journal, each.note, each.why):
            raise Refused(
                f"nothing is begun in {state.name}: {each.why}",
                remedy="`noout adopt` shows what stands there; when this journal counts all the same: noout allow-all",
            )


async def allow_despite(found: Installation, actor: str) -> tuple[bool, Sequence[Ahead]]:
    """Allow effects again, whatever the clusters tell of beyond the journal: False where nothing was stopped, and what
    it was. A note that cannot be read now is not covered, unless it was named when everything was stopped."""
    stopped = await standstill(found.journal)
    ahead = (await compare(found, ())).ahead if stopped is not None and stopped.doubted else ()
    return await allow_all(found.journal, actor, [each.note for each in ahead]), ahead


async def compare(found: Installation, open_ones: Sequence[Maintenance]) -> Compared:
    """Asks every cluster, changes nothing."""
    of: dict[str, Sequence[str]] = {}
    ahead: list[Ahead] = []
    unread: dict[str, str] = {}
    books = Books(found)
    await books.read()
    for cluster in found.hypervisors:
        mine = [each for each in books.latest().values() if each[0].cluster == cluster]
        try:
            view = await look(found, cluster, [holding for holding, _ in mine])
        except NooutError as error:
            unread[cluster] = error.message
            continue
        ahead += await ahead_in(found, view.notes)
        told = lines_of(mine, view)
        for m in (each for each in open_ones if each.node.cluster == cluster):
            lines = [line for line in told if line.holding.maintenance == m.id]
            of[m.id] = tuple(differences(m, lines, view, found.crush_host(m.node)))
    return Compared(of, ahead, unread)


def differences(m: Maintenance, lines: Sequence[Line], view: View, host: str | None) -> Iterator[str]:
    """What a cluster says otherwise than the journal of an open maintenance. ``lines``: what it holds."""
    yield from _of_node(m, view)
    ours = {(line.holding.kind, line.holding.subject) for line in lines}
    for line in lines:
        what = f"{line.holding.kind} {line.holding.subject}"
        if line.now is Now.GONE and line.holding.hold is Hold.HELD and not line.holding.releasing:
            yield f"{what}: held by the journal, not set in the cluster"
        if line.now is Now.SET and line.holding.hold is not Hold.HELD:
            yield f"{what}: only asked for by the journal, set in the cluster"
    flags = view.ceph.host_flags.get(host, frozenset()) if view.ceph is not None and host else frozenset()
    for flag in sorted(flags.intersection(HOST_FLAGS)):
        if (flag, host) not in ours:
            yield f"{flag} {host}: set in the cluster, not by the journal"
    down = [osd.id for osd in view.ceph.osds_of(host) if not osd.up] if view.ceph is not None and host else []
    if down and not any(line.holding.kind == "osd-stopped" for line in lines):
        yield f"{', '.join(f'osd.{osd}' for osd in down)}: down in the cluster, not stopped by the journal"
    for rule in view.cluster.rules:
        if rule.name.startswith(OUR_RULES) and ("ha-rule", rule.name) not in ours:
            yield f"ha-rule {rule.name}: there in the cluster, not made by the journal"
    yield from (why for _, _, why, _ in drift(m, view.of(m.node)))


def _of_node(m: Maintenance, view: View) -> Iterator[str]:
    node, off = view.cluster.node(m.node), m.node_off_at is not None and m.node_on_at is None
    if node is None:
        yield f"{m.node} is no longer in the cluster"
    elif node.online and off:
        yield f"{m.node} is up; by the journal it is switched off"
    elif not node.online and not off:
        yield f"{m.node} is not online; by the journal it was not switched off"
    if node is not None and node.ha_state == "maintenance" and not any(o.kind == "maintenance-mode" for o in m.owned):
        yield f"{m.node} is in HA maintenance mode; by the journal it is not"
