"""What noout left on the clusters, from the clusters alone: for whoever has lost its database.

The journal is not needed, and what it knows to be a live maintenance's is left out. Every trace comes with the command
that takes it away; their order for one node is the one in which that is safe. Where guests came from no cluster knows:
the tasks of Proxmox VE tell who moved them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from noout.app.byhand import release_action
from noout.app.compose import Installation
from noout.app.ledger import HOST_FLAGS, OUR_RULES, Books, View, look, unnote_command
from noout.domain.cluster import NodeId
from noout.domain.errors import NooutError
from noout.domain.note import note_text
from noout.domain.ownership import Holding
from noout.steps import actions

STEP = "by-hand"
CLEAN = "# ceph pg stat: wait until every PG is active+clean, then\n"


@dataclass(frozen=True, slots=True)
class Trace:
    """``sure``: hardly anybody but noout leaves it; else people do so too. ``command``: takes it away; may begin with
    a comment that says what eyes must see first."""

    what: str
    command: str
    sure: bool = True


@dataclass(frozen=True, slots=True)
class Traces:
    """``of``: by node ("ams1/pve3") and by cluster ("ams1"), in the order in which they are taken away; what people
    leave too only beside what is sure. ``unread``: clusters that could not be asked, with the reason."""

    of: Mapping[str, Sequence[Trace]]
    unread: Mapping[str, str] = field(default_factory=dict)


async def traces(found: Installation, only: str | None = None) -> Traces:
    """Asks every cluster (or ``only`` this one), changes nothing."""
    of: dict[str, Sequence[Trace]] = {}
    unread: dict[str, str] = {}
    books = Books(found)
    await books.read()
    for cluster in (each for each in found.hypervisors if only in (None, each)):
        held = [holding for holding, live in books.latest().values() if live and holding.cluster == cluster]
        try:
            of |= _of(found, await look(found, cluster, ()), held)
        except NooutError as error:
            unread[cluster] = error.message
    return Traces(of, unread)


def _of(found: Installation, view: View, held: Sequence[Holding]) -> dict[str, Sequence[Trace]]:
    ours = frozenset((holding.kind, holding.subject) for holding in held)
    in_work = {holding.node for holding in held}
    of: dict[str, Sequence[Trace]] = {
        str(node.id): tuple(_of_node(node.id, found.crush_host(node.id), view, ours))
        for node in view.cluster.nodes
        if node.id not in in_work
    }
    of[view.cluster.name] = tuple(_of_cluster(view, ours))
    if not any(trace.sure for some in of.values() for trace in some):
        return {}
    return {place: some for place, some in of.items() if some}


def _of_node(node: NodeId, host: str | None, view: View, ours: frozenset[tuple[str, str]]) -> Iterator[Trace]:
    """``ours``: (kind, subject) of what a live maintenance holds."""
    known = view.cluster.node(node)
    flags = view.ceph.host_flags.get(host, frozenset()) if view.ceph is not None and host else frozenset()
    flagged = [flag for flag in HOST_FLAGS if flag in flags and (flag, host) not in ours]
    down = [osd.id for osd in view.ceph.osds_of(host) if not osd.up] if view.ceph is not None and host else []
    note = note_text(view.notes.get(node, ""))
    if flagged and known is not None and not known.online:
        yield Trace(f"{node.name} is off, or cannot be reached", actions.power_on(STEP, node).command, sure=False)
    for mon in _mons_out(node, view) if flagged or note else ():
        yield Trace(f"mon.{mon} is out of quorum", _release("mon-stopped", f"mon.{mon}", node, view), sure=False)
    if "noup" in flagged:
        yield Trace(f"noup is set for host {host}", _release("noup", str(host), node, view))
    if flagged or note:
        for osd in down:
            yield Trace(f"osd.{osd} is down", _release("osd-stopped", f"osd.{osd}", node, view), sure=False)
    if "noout" in flagged:
        yield Trace(f"noout is set for host {host}", CLEAN + _release("noout", str(host), node, view))
    if known is not None and known.ha_state == "maintenance":
        command = _release("maintenance-mode", str(node), node, view)
        yield Trace(f"{node.name} is in HA maintenance mode", command, sure=bool(flagged or note))
    if note:
        yield Trace(f"its description says: {note}", unnote_command(node, view.notes[node]))


def _mons_out(node: NodeId, view: View) -> list[str]:
    ceph = view.ceph
    return (
        [mon for mon in ceph.mons if mon not in ceph.quorum and ceph.mon_hosts.get(mon, mon) == node.name]
        if ceph
        else []
    )


def _of_cluster(view: View, ours: frozenset[tuple[str, str]]) -> Iterator[Trace]:
    name = view.cluster.name
    for rule in view.cluster.rules:
        if rule.name.startswith(OUR_RULES) and ("ha-rule", rule.name) not in ours:
            guests = ", ".join(str(each) for each in sorted(rule.guests)) or "no guest"
            command = actions.delete_rule(STEP, rule.name).command
            yield Trace(f"rule {rule.name} keeps {guests} where the rule says", command)
    if view.ceph is not None and "noout" in view.ceph.flags and ("cluster-noout", name) not in ours:
        said = "noout is set for the whole cluster: people do so too, and noout where [policy] cluster_noout is set"
        yield Trace(said, f"{CLEAN}ceph osd unset noout", sure=False)
    for guest in view.cluster.guests:
        if guest.ha is not None and not guest.ha.failback and ("failback", str(guest.id)) not in ours:
            said = f"HA does not bring {guest.name} ({guest.id}) back by itself: noout says so while a guest is away"
            yield Trace(said, actions.failback(STEP, guest, True).command, sure=False)


def _release(kind: str, subject: str, node: NodeId, view: View) -> str:
    action = release_action(kind, subject, node, view.cluster.guests)
    assert action is not None, kind
    return action.command
