"""What one more loss would cost while the node is away, and whether that loss has come: said, never guessed."""

from __future__ import annotations

from noout.domain.ceph import CephState
from noout.domain.maintenance import Json, Maintenance, Observation
from noout.domain.reasons import Blocker
from noout.steps import checks

# A second fault must be seen for so long: an election, a peering, a lost poll looks like one for a moment.
SURE_S = 20.0


def exposure(m: Maintenance, seen: Observation) -> list[str]:
    """Sentences: how many more nodes, mons and hosts with data may be lost before somebody notices."""
    count = seen.cluster.votes_without(m.node)
    weight = max([1, *seen.cluster.votes.values()])  # nodes may have more votes than one
    said = [_spare((count.left - count.needed) // weight, "node", "the cluster loses its quorum")]
    ceph = seen.ceph
    if ceph is None:
        return said
    mons = [mon for mon in ceph.quorum if mon != checks.mon_of_node(m, seen)]
    said.append(_spare(len(mons) - (len(ceph.mons) // 2 + 1), "mon", "all storage stops"))
    host = checks.crush_host(m)
    if host is not None and ceph.pools and not (m.healing and ceph.all_clean):
        tight = min(ceph.pools, key=lambda pool: (pool.size - pool.min_size, pool.name.startswith("."), pool.name))
        said.append(_spare(tight.size - 1 - tight.min_size, "host with data", f"writes to pool {tight.name} stop"))
    return said


def _spare(spare: int, what: str, then: str) -> str:
    if spare <= 0:
        return f"one more {what} lost: {then}"
    return f"{spare} more {what}{'s' if spare > 1 and not what.endswith('data') else ''} may be lost before {then}"


def baseline(m: Maintenance, seen: Observation) -> dict[str, Json]:
    """What was there when the data was about to be held: a later loss is measured against it."""
    ceph = seen.ceph
    mine = checks.mon_of_node(m, seen)
    return {
        "nodes": [node.id.name for node in seen.cluster.nodes if node.online and node.id != m.node],
        "mons": [mon for mon in ceph.quorum if mon != mine] if ceph else [],
        "osds": [osd.id for osd in ceph.osds if osd.up and osd.host != checks.crush_host(m)] if ceph else [],
        # Whether the storage could make the absent copies again elsewhere: told to customers only where it could.
        "hosts": len(ceph.hosts) if ceph else 0,
        "copies": max((pool.size for pool in ceph.pools), default=0) if ceph else 0,
    }


def second_fault(m: Maintenance, seen: Observation) -> str:
    """What was lost since the baseline, as one sentence; "" when nothing, or when our own data is back."""
    before = m.facts.get("baseline")
    if not before or not given_up(m):
        return ""
    found = []
    online = {node.id.name for node in seen.cluster.nodes if node.online}
    found += [f"{name} is no longer online" for name in before["nodes"] if name not in online]
    if seen.ceph is not None:
        found += _lost_in_ceph(seen.ceph, before, m)
    return "; ".join(found)


def given_up(m: Maintenance) -> bool:
    """Whether redundancy is given up at this moment: daemons of the node stopped by us, or the node off."""
    away = m.node_off_at is not None and m.node_on_at is None
    return away or any(own.kind in ("osd-stopped", "mon-stopped") for own in m.owned)


def _lost_in_ceph(ceph: CephState, before: dict[str, Json], m: Maintenance) -> list[str]:
    hosts = {osd.id: osd.host for osd in ceph.osds if osd.up}
    down = [number for number in before["osds"] if number not in hosts]
    found = [f"osd.{number} on another host is down" for number in down[:3]]
    if len(down) > 3:
        found.append(f"{len(down) - 3} more OSDs are down")
    found += [f"mon {name} is out of quorum" for name in before["mons"] if name not in ceph.quorum]
    if ceph.fresh and ceph.inactive_pgs:
        found.append(f"{ceph.inactive_pgs} placement groups are inactive: clients wait")
    return found


def may_heal(m: Maintenance, seen: Observation) -> tuple[Blocker, ...]:
    """Whether the survivors can take the node's data: enough hosts, and none nearly full afterwards.

    Projection: what is stored now is spread over the other OSDs in proportion to what each holds, as CRUSH does when
    weights stand for sizes.
    """
    ceph, host = seen.ceph, checks.crush_host(m)
    if ceph is None or host is None:
        return ()
    others = [osd for osd in ceph.osds if osd.host != host and osd.up and osd.in_]
    hosts = {osd.host for osd in others}
    size = max((pool.size for pool in ceph.pools), default=0)
    if len(hosts) < size:
        return (
            Blocker(
                "ceph.cannot-heal", host, f"pools keep {size} copies on {size} hosts, and {len(hosts)} are left",
                f"bring {m.node.name} back (noout close-up {m.id}), or extend the hold",
            ),
        )  # fmt: skip
    held = sum(osd.used_bytes for osd in others)
    moving = sum(osd.used_bytes for osd in ceph.osds_of(host))
    growth = (held + moving) / held if held else 1.0
    fullest = max(others, key=lambda osd: osd.used_bytes / osd.size_bytes if osd.size_bytes else 0.0)
    full = growth * fullest.used_bytes / fullest.size_bytes if fullest.size_bytes else 0.0
    if full > ceph.nearfull_ratio:
        return (
            Blocker(
                "ceph.would-be-full", f"osd.{fullest.id}",
                f"with the data of {host} osd.{fullest.id} would be {100 * full:.0f} % full (nearfull is "
                f"{100 * ceph.nearfull_ratio:.0f} %)",
                f"bring {m.node.name} back (noout close-up {m.id}), or add room first",
            ),
        )  # fmt: skip
    return ()
