"""Ceph beyond what every plan checks: names, redundancy by pool and place, room to heal, clocks, other warnings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from noout.app.doctor.diagnosis import Finding, finding
from noout.app.doctor.picture import KEY_FILE, ClusterPicture, Picture
from noout.domain.ceph import CephState
from noout.domain.cluster import NodeId
from noout.domain.reasons import Blocker, Caution

# Health checks that another check here or in a plan says in its own words.
_SAID = frozenset(
    {
        "MGR_DOWN", "MON_CLOCK_SKEW", "MON_DOWN", "NO_QUORUM", "OBJECT_DEGRADED", "OBJECT_MISPLACED", "OSDMAP_FLAGS",
        "OSD_DOWN", "OSD_FLAGS", "OSD_HOST_DOWN", "OSD_NEARFULL", "PG_AVAILABILITY", "PG_DEGRADED", "POOL_NEARFULL",
        "POOL_NO_REDUNDANCY",
    }
)  # fmt: skip
ABOVE_HOST = frozenset({"chassis", "rack", "row", "pdu", "pod", "room", "datacenter", "zone", "region"})


def check(cluster: ClusterPicture, picture: Picture) -> Iterator[Finding]:
    name = cluster.name
    keyless = any(each.mode is None and each.key == KEY_FILE.format(name) for each in picture.private)
    if cluster.ceph_trouble is not None and not keyless:
        trouble = cluster.ceph_trouble
        remedy = trouble.remedy or "check the shells, and `ceph -s` on a node"
        yield finding(name, Blocker("ceph.unreadable", name, f"Ceph could not be asked: {trouble.message}", remedy))
    if cluster.ceph is None:
        return
    ceph = cluster.ceph
    yield from _whole(name, ceph)
    yield from _pools(cluster, ceph)
    yield from _full(cluster, ceph)
    yield from _names(cluster, ceph)
    for node, answer in sorted(cluster.ok_to_stop.items()):
        if not answer.ok and ceph.all_clean:
            said = f"Ceph would not let all OSDs of {node.name} stop at once: {answer.detail}"
            remedy = (
                "ceph osd pool ls detail; ceph osd crush rule dump: copies must be on more hosts than may be missing"
            )
            yield finding(str(node), Blocker("ceph.not-ok-to-stop", str(node), said, remedy))


def _whole(place: str, ceph: CephState) -> Iterator[Finding]:
    if lost := sorted(set(ceph.mons) - set(ceph.quorum)):
        said = f"of {len(ceph.mons)} mons {', '.join(lost)} are not in the quorum"
        remedy = "; ".join(f"systemctl start ceph-mon@{mon}" for mon in lost) + ", and find out why"
        yield finding(place, Caution("ceph.mon-away", ceph.fsid, said, remedy))
    if ceph.fresh and not ceph.mgr_standbys:
        remedy = "pveceph mgr create, on another node"
        said = f"mgr.{ceph.mgr_active} has no standby: without it nothing tells how the data is"
        yield finding(place, Caution("ceph.single-mgr", ceph.fsid, said, remedy))
    for code, summary in sorted(ceph.checks.items()):
        if code == "MON_CLOCK_SKEW":
            remedy = "chronyc tracking, on those nodes; mons whose clocks differ leave the quorum"
            yield finding(place, Caution("ceph.clock-skew", ceph.fsid, summary, remedy))
        elif code not in _SAID:
            said = f"Ceph warns: {code}: {summary}"
            yield finding(place, Caution("ceph.warning", code, said, "ceph health detail says more", {"check": code}))


def _pools(cluster: ClusterPicture, ceph: CephState) -> Iterator[Finding]:
    spread = cluster.ceph_survey.spread if cluster.ceph_survey else {}
    for pool in ceph.pools:
        kind = spread.get(pool.name, "")
        if pool.size > 1 and pool.min_size == 1:
            said = (
                f"pool {pool.name} has min_size 1: with a node away one disk can hold the only copy of what is written"
            )
            remedy = f"ceph osd pool set {pool.name} size 3, then min_size 2"
            yield finding(cluster.name, Caution("ceph.pool-min-size-one", pool.name, said, remedy))
        elif not pool.erasure and pool.size == 2:
            said = f"pool {pool.name} keeps two copies: with a node away one disk can hold the only one"
            yield finding(cluster.name, Caution("ceph.pool-size-two", pool.name, said,
                          f"ceph osd pool set {pool.name} size 3, then min_size 2"))  # fmt: skip
        if pool.erasure:
            said = f"pool {pool.name} is erasure coded ({pool.size} chunks, {pool.min_size} needed): a node takes one"
            remedy = "see that min_size leaves room for one more host: chunks - min_size of 2 or more"
            if pool.size - pool.min_size < 2:
                yield finding(cluster.name, Caution("ceph.pool-erasure", pool.name, said, remedy))
        if kind == "osd":
            said = f"pool {pool.name} spreads its copies over OSDs, not hosts: two may lie in one node"
            remedy = "ceph osd crush rule create-replicated apart default host; "
            remedy += f"ceph osd pool set {pool.name} crush_rule apart"
            yield finding(cluster.name, Blocker("ceph.failure-domain", pool.name, said, remedy))
        elif kind in ABOVE_HOST:
            said = (
                f"pool {pool.name} spreads its copies over {kind}s: with a node away its {kind} has less room to heal"
            )
            remedy = f"count {kind}s, not hosts, where a plan speaks of healing; one node at a time in a {kind}"
            yield finding(cluster.name, Caution("ceph.failure-domain", pool.name, said, remedy, {"domain": kind}))


def _full(cluster: ClusterPicture, ceph: CephState) -> Iterator[Finding]:
    full = [osd for osd in ceph.osds if osd.size_bytes and osd.used_bytes > ceph.nearfull_ratio * osd.size_bytes]
    limit = f"{100 * ceph.nearfull_ratio:.0f} %"
    if full:
        named = ", ".join(f"osd.{osd.id} ({100 * osd.used_bytes / osd.size_bytes:.0f} %)" for osd in full[:6])
        said = f"nearly full (above {limit}): {named}"
        remedy = "ceph osd df; add OSDs, remove data, or let the balancer even them out (ceph balancer status)"
        yield finding(cluster.name, Caution("ceph.osd-nearfull", ceph.fsid, said, remedy))
    copies = max((pool.size for pool in ceph.pools), default=0)
    for node in cluster.state.nodes if cluster.state else ():
        host = cluster.crush_host(node.id)
        mine = ceph.osds_of(host)
        if not mine or len(ceph.hosts) <= copies:
            continue  # without another host nothing heals anyway, and the plan says so
        total = sum(osd.size_bytes for osd in ceph.osds if osd.host != host and osd.in_)
        used = sum(osd.used_bytes for osd in ceph.osds)
        if total and used > ceph.nearfull_ratio * total and not full:
            percent = f"{100 * used / total:.0f} %"
            said = f"with {node.id.name} gone for good the others would be {percent} full (nearly full: {limit})"
            remedy = "add OSDs or remove data before; until then such a node has to come back"
            yield finding(str(node.id), Caution("ceph.no-room-to-heal", str(node.id), said, remedy))


def _names(cluster: ClusterPicture, ceph: CephState) -> Iterator[Finding]:
    """CRUSH hosts and machines: noout holds the data of one CRUSH host for each node."""
    machines = cluster.ceph_survey.machines if cluster.ceph_survey else {}
    if not machines or cluster.state is None:
        return
    table = f"[clusters.{cluster.name}.ceph] hosts"
    for node in cluster.state.nodes:
        host = cluster.crush_host(node.id)
        yield from _name(node.id, host, table, machines, ceph)


def _name(node: NodeId, host: str, table: str, machines: Mapping[int, str], ceph: CephState) -> Iterator[Finding]:
    here = {osd for osd, machine in machines.items() if machine == node.name}
    there = {osd.id for osd in ceph.osds_of(host)}
    places = {osd.id: osd.host for osd in ceph.osds}
    hosts = sorted({places.get(osd, "") for osd in here})
    if len(hosts) > 1:
        said = (
            f"the OSDs of {node.name} lie under several CRUSH hosts ({', '.join(hosts)}): noout holds the data of one"
        )
        remedy = "give the node one CRUSH host (ceph osd crush move osd.N host=NAME), or carry it out by hand"
        yield finding(str(node), Blocker("ceph.several-hosts", str(node), said, remedy))
    elif here and hosts != [host]:
        said = f"the OSDs of {node.name} are under CRUSH host {hosts[0]}, not under {host}: they would be overlooked"
        remedy = f'{table} = {{ {node.name} = "{hosts[0]}" }}'
        yield finding(str(node), Blocker("ceph.crush-name", str(node), said, remedy))
    elif foreign := sorted(osd for osd in there if machines.get(osd, node.name) != node.name):
        said = f"CRUSH host {host} is not {node.name} alone: osd.{foreign[0]} runs on {machines[foreign[0]]}"
        yield finding(str(node), Blocker("ceph.crush-name", str(node), said, f"correct {table}"))
