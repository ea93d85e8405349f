"""The Ceph strip of a maintenance: flags with their owners, and what one more loss would cost now."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from noout.app.standing import redundancy_given_up, stake
from noout.domain.ceph import CephState
from noout.domain.cluster import ClusterState
from noout.domain.maintenance import Maintenance

# Of the OSD map's flags those that somebody sets and takes away again; the others say how the cluster was made.
SET_BY_HAND = frozenset(
    {
        "noout", "noup", "nodown", "noin", "norebalance", "norecover", "nobackfill", "noscrub", "nodeep-scrub", "pause",
        "pauserd", "pausewr", "full",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Flag:
    name: str
    where: str
    owner: str


@dataclass(frozen=True, slots=True)
class Strip:
    """``share_clean``: per cent of the placement groups. ``stake``: what may be lost before somebody notices.
    ``away``: redundancy is given up at this moment."""

    ceph: CephState
    flags: tuple[Flag, ...]
    share_clean: int
    up: int
    in_: int
    stake: tuple[str, ...]
    away: bool


def strip(m: Maintenance, state: ClusterState | None, ceph: CephState, others: Sequence[Maintenance]) -> Strip:
    """``others``: the open maintenances, for whose flag it is."""
    groups = sum(ceph.pgs_by_state.values())
    clean = ceph.pgs_by_state.get("active+clean", 0)
    return Strip(
        ceph, tuple(_flags(ceph, others)), 100 * clean // groups if groups else 0, sum(osd.up for osd in ceph.osds),
        sum(osd.in_ for osd in ceph.osds), stake(m, state, ceph), redundancy_given_up(m),
    )  # fmt: skip


def _flags(ceph: CephState, maintenances: Sequence[Maintenance]) -> Iterable[Flag]:
    owned = {(each.kind, each.subject.rsplit("/", 1)[-1]): m.id for m in maintenances if m.open for each in m.owned}
    for flag in sorted(ceph.flags & SET_BY_HAND):
        mine = next((mid for (kind, _), mid in owned.items() if kind == f"cluster-{flag}"), "")
        yield Flag(flag, "the whole cluster", mine or "not noout's")
    for host, flags in sorted(ceph.host_flags.items()):
        for flag in sorted(flags):
            yield Flag(flag, f"host {host}", owned.get((flag, host), "") or "not noout's")
