"""A world under a clock moved by hand."""

from __future__ import annotations

from collections.abc import Callable

from noout.lab.clock import ManualClock
from noout.lab.world.build import build_world
from noout.lab.world.laws import Laws
from noout.lab.world.model import Ceph, Cluster, DarkSpell, Guest, Mgr, Mon, Osd, Pg, Pool, World

USER = "noout@pve!lab"


class Play:
    """World, laws and clock of one test; ``c`` is its first cluster."""

    def __init__(self, world: World | None = None, **shape: int) -> None:
        self.world = world or build_world(**shape)  # type: ignore[arg-type]
        self.clock = ManualClock(self.world.epoch)
        self.laws = Laws(self.world, self.clock)
        self.c: Cluster = next(iter(self.world.clusters.values()))
        self.laws.advance()

    @property
    def ceph(self) -> Ceph:
        assert self.c.ceph is not None
        return self.c.ceph

    @property
    def seconds(self) -> float:
        return self.laws.now - self.world.epoch

    def forward(self, seconds: float) -> None:
        self.clock.forward(seconds)
        self.laws.advance()

    def until(self, true: Callable[[], bool], limit: float, step: float = 0.5) -> float:
        """Go on until it holds; how many seconds that took. Fails after ``limit``."""
        began = self.laws.now
        while not true():
            assert self.laws.now - began <= limit, f"not within {limit} s"
            self.forward(step)
        return self.laws.now - began

    def guest(self, vmid: int) -> Guest:
        return self.c.guests[vmid]

    def dark(self, vmid: int) -> list[DarkSpell]:
        return self.c.guests[vmid].dark

    def told(self, word: str) -> list[str]:
        return [text for _, _, text in self.world.happened if word in text]

    def migrate(self, vmid: int, target: str, **options: object) -> object:
        return self.laws.start_migration(self.c, vmid, target, online=True, user=USER, **options)  # type: ignore[arg-type]


def four_hosts() -> Play:
    """The shape of the recorded Ceph cluster: 8 OSDs on 4 hosts, 64+1 PGs, size 3, out after 20 s."""
    from noout.lab.world.ceph_map import crush

    world = build_world(nodes=4, guests=8)
    cluster = next(iter(world.clusters.values()))
    old = cluster.ceph
    assert old is not None
    gib = 1024**3
    ceph = Ceph(old.fsid, mgr_active="pve4", down_out_interval=20.0, recovery_rate=50 * 1024**2, write_rate=512 * 1024)
    ceph.osds = {n: Osd(n, f"pve{n // 2 + 1}", f"uuid-{n}", 8 * gib, 0) for n in range(8)}
    ceph.mons = {f"pve{n + 1}": Mon(f"pve{n + 1}", n, f"10.77.0.{n + 1}") for n in range(3)}
    ceph.mgrs = {"pve4": Mgr("pve4")}
    ceph.pools = {1: Pool(1, ".mgr", pg_num=1, used=1024**2), 2: Pool(2, "rbd", pg_num=64, used=3 * gib)}
    for pool in ceph.pools.values():
        for n in range(pool.pg_num):
            acting = list(crush(ceph, f"{pool.id}.{n:x}", pool.size))
            ceph.pgs[f"{pool.id}.{n:x}"] = Pg(f"{pool.id}.{n:x}", acting, up=list(acting))
    cluster.ceph = ceph
    return Play(world)
