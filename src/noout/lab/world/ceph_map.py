"""Where data lies: a deterministic pseudo-CRUSH (straw2 over hosts, then over the chosen host's OSDs)."""

from __future__ import annotations

import hashlib
import math
from functools import lru_cache

from noout.lab.world.model import Ceph, Pool


@lru_cache(maxsize=65536)
def _log_draw(fsid: str, pgid: str, item: str) -> float:
    digest = hashlib.blake2b(f"{fsid}/{pgid}/{item}".encode(), digest_size=8).digest()
    return math.log((int.from_bytes(digest, "big") + 1) / (2**64 + 1))


def crush(ceph: Ceph, pgid: str, size: int) -> tuple[int, ...]:
    """The OSDs, one a host, that the map of `in` OSDs gives a PG; fewer than ``size`` if hosts are lacking."""
    weights: dict[str, float] = {}
    by_host: dict[str, list[int]] = {}
    for osd in ceph.osds.values():
        weights[osd.host] = weights.get(osd.host, 0.0) + osd.weight  # out does not change a host's CRUSH weight
        if osd.in_:
            by_host.setdefault(osd.host, []).append(osd.id)
    hosts = sorted(by_host, key=lambda h: _log_draw(ceph.fsid, pgid, h) / weights[h], reverse=True)

    def draw(osd: int) -> float:
        return _log_draw(ceph.fsid, pgid, f"osd.{osd}") / ceph.osds[osd].weight

    return tuple(max(by_host[host], key=draw) for host in hosts[:size])


def pool_of(ceph: Ceph, pgid: str) -> Pool:
    return ceph.pools[int(pgid.split(".", 1)[0])]
