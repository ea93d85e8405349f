"""May this node be missing at all? Quorum, HA, other maintenance, and what Ceph says, as blockers and cautions."""

from __future__ import annotations

from collections.abc import Iterator

from noout.domain.ceph import CephState
from noout.domain.cluster import ClusterState, NodeId
from noout.domain.reasons import Blocker, Caution
from noout.plan.capacity import CrushHost, own_name

Reason = Blocker | Caution
_HELD_BACK = ("norecover", "nobackfill", "norebalance", "nodown", "noin", "noup")


def safety(
    state: ClusterState, ceph: CephState | None, node: NodeId, crush_host: CrushHost = own_name
) -> tuple[Reason, ...]:
    """Every reason against taking this node out, or to know before it is. ``crush_host``: of each node."""
    reasons = [*_cluster(state, node)]
    if ceph is not None:
        reasons += [*_ceph_now(ceph, crush_host(node)), *_ceph_without(ceph, node, crush_host(node))]
    return tuple(reasons)


def _cluster(state: ClusterState, node: NodeId) -> Iterator[Reason]:
    me = state.node(node)
    name = state.name
    if me is not None and not me.online:
        yield Blocker("node.offline", str(node), f"{node} is offline: its guests cannot be moved live",
                      "look at the node first; HA restarts its guests elsewhere after fencing")  # fmt: skip
    if not state.quorate:
        yield Blocker("cluster.not-quorate", name, f"cluster {name} has no quorum", "restore quorum: pvecm status")
    if not state.ha_armed:
        yield Blocker("cluster.ha-disarmed", name, "HA is disarmed: somebody is at work on the cluster",
                      "ask who did it; then `ha-manager crm-command arm-ha`")  # fmt: skip
    busy = {n.id.name for n in state.nodes if n.ha_state == "maintenance"}
    busy |= {each for each, mode in state.ha_requests if mode == "maintenance"}
    for other in sorted(busy - {node.name}):
        yield Blocker("cluster.other-maintenance", f"{name}/{other}", f"{other} is in maintenance already",
                      f"finish that first: ha-manager crm-command node-maintenance disable {other}")  # fmt: skip
    if node.name in busy:
        yield Caution("node.in-maintenance", str(node), f"{node} is in HA maintenance mode already: HA may be moving "
                      "its guests to targets of its own choice", "see `ha-manager status`")  # fmt: skip
    yield from _votes(state, node)


def _votes(state: ClusterState, node: NodeId) -> Iterator[Reason]:
    count = state.votes_without(node)
    votes, left, needed = count.total, count.left, count.needed
    evidence = {"votes": str(votes), "left": str(left), "needed": str(needed), "qdevice": str(state.qdevice_votes)}
    away = ", ".join(each.id.name for each in state.nodes if not each.online and each.id != node)
    if left < needed:
        yield Blocker("cluster.quorum", state.name, f"without {node.name} {left} of {votes} votes are left and "
                      f"{needed} are needed: the cluster would stop",
                      f"bring back {away}" if away else "add a node or a QDevice (pvecm qdevice setup ADDRESS)",
                      evidence)  # fmt: skip
    elif left == needed:
        yield Caution("cluster.no-vote-to-lose", state.name, f"without {node.name} {left} of {votes} votes are left, "
                      "just enough: losing one more node would fence the rest",
                      "a QDevice gives one more vote (pvecm qdevice setup ADDRESS)", evidence)  # fmt: skip
    if away:
        yield Caution("cluster.node-away", state.name, f"offline already: {away}")


def _ceph_now(ceph: CephState, own: str | None) -> Iterator[Reason]:
    if not ceph.fresh:
        yield Blocker("ceph.stale", ceph.fsid, "Ceph's active mgr does not answer: the picture of its data is old",
                      "ceph mgr fail, then plan again")  # fmt: skip
    elif not ceph.all_clean:
        unclean = {s: n for s, n in ceph.pgs_by_state.items() if not {"active", "clean"} <= set(s.split("+"))}
        said = ", ".join(f"{n} {state}" for state, n in sorted(unclean.items())) or "no placement group is known"
        yield Blocker("ceph.not-clean", ceph.fsid, f"not all data has all its copies: {said}",
                      "wait until every placement group is active+clean (ceph -s)",
                      {s: str(n) for s, n in unclean.items()})  # fmt: skip
    if "pause" in ceph.flags:
        yield Blocker("ceph.paused", ceph.fsid, "Ceph is paused: no client can read or write", "ceph osd unset pause")
    if "noout" in ceph.flags:
        yield Caution("ceph.noout-set", ceph.fsid, "noout is set for the whole cluster, by somebody else: it stays "
                      "when we are done, and a second failure would not heal",
                      "ask who set it; ceph osd unset noout")  # fmt: skip
    for flag in sorted(ceph.flags & set(_HELD_BACK)):
        yield Caution("ceph.flag-set", flag, f"{flag} is set for the whole cluster, by somebody else",
                      f"ask who set it; ceph osd unset {flag}")  # fmt: skip
    for host, flags in sorted(ceph.host_flags.items()):
        if flags:
            which = ", ".join(sorted(flags))
            yield Caution("ceph.host-flag-set", host, f"{which} is set on host {host} already",
                          f"if nobody works there: ceph osd unset-group {','.join(sorted(flags))} {host}")  # fmt: skip
    down = [osd for osd in ceph.osds if not (osd.up and osd.in_) and osd.host != own]
    if down:
        which = ", ".join(f"osd.{osd.id} ({osd.host})" for osd in down)
        yield Caution("ceph.osd-away", ceph.fsid, f"down or out already: {which}")


def _ceph_without(ceph: CephState, node: NodeId, host: str | None) -> Iterator[Reason]:
    name = node.name
    names = {name, host}  # mons and mgrs mostly have the node's name, whatever its CRUSH host is called
    mons_here = {mon for mon in ceph.mons if ceph.mon_hosts.get(mon, mon) in names}
    left = [mon for mon in ceph.quorum if mon not in mons_here]
    if ceph.mons and len(left) * 2 <= len(ceph.mons):
        yield Blocker("ceph.mon-quorum", ceph.fsid, f"without {name} {len(left)} of {len(ceph.mons)} mons are left: "
                      "no majority, all storage would stop", "add a mon elsewhere, or bring one back")  # fmt: skip
    elif mons_here and (len(left) - 1) * 2 <= len(ceph.mons):
        yield Caution("ceph.no-mon-to-lose", ceph.fsid, f"without {name} {len(left)} of {len(ceph.mons)} mons are "
                      "left, just a majority: losing one more stops all storage",
                      "add mons on two other nodes before")  # fmt: skip
    if ceph.mgr_active in names and not [mgr for mgr in ceph.mgr_standbys if mgr not in names]:
        yield Blocker("ceph.no-standby-mgr", ceph.fsid, f"{name} runs the only mgr", "add a mgr on another node")
    hosts = ceph.hosts
    if host is None:
        return
    if host not in hosts:
        if ceph.osds:
            yield Caution("ceph.no-osds-here", name, f"no CRUSH host is called {host}: taken as a node without OSDs",
                          f"if it has another name, say so in [clusters.{node.cluster}.ceph.hosts]")  # fmt: skip
        return
    for pool in ceph.pools:
        if pool.size - 1 < pool.min_size:
            yield Blocker("ceph.pool-min-size", pool.name, f"pool {pool.name} has size {pool.size} and min_size "
                          f"{pool.min_size}: without one host its data could not be written",
                          f"ceph osd pool set {pool.name} size {pool.min_size + 1}",
                          {"size": str(pool.size), "min_size": str(pool.min_size)})  # fmt: skip
    largest = max((pool.size for pool in ceph.pools), default=0)
    if largest and len(hosts) <= largest:
        yield Caution("ceph.nowhere-to-heal", ceph.fsid, f"{len(hosts)} hosts and pools of size {largest}: with "
                      f"{name} away nothing can be re-replicated, noout or not, and a second loss stops writes",
                      "a fourth host would let the data heal")  # fmt: skip
    if ceph.total_bytes and ceph.used_bytes > ceph.nearfull_ratio * ceph.total_bytes:
        yield Caution("ceph.nearly-full", ceph.fsid, f"Ceph is {100 * ceph.used_bytes / ceph.total_bytes:.0f} % full")
