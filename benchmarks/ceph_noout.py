"""What host-scoped noout saves on a real Ceph: bytes that recovery moves while a host is away and after its return.

    make bench-ceph            (needs Debian's Ceph: scripts/install-real-parts)

The same cluster, the same data, the same absence and the same client, once without a flag and once with noout for the
host. Four hosts with two OSDs each, size 3, on loopback of one machine; a down OSD is marked out after 6 s here (600 s
is Ceph's own), so that an absence of a minute stands for one of hours.

What is counted is what OSDs send to one another as recovery (``push_out_bytes``): each copy of an object once, at its
sender.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from dataclasses import asdict, dataclass

from tests.support import cephwriter
from tests.support.cephs import Brief, RealCephUnderTest, ask, until, whole
from tests.support.cephwriter import SIZE_BYTES, Writer
from tests.support.realceph import RealCeph

from noout.adapters.ceph import CephCli
from noout.adapters.clock import SystemClock
from noout.domain.cluster import NodeId
from noout.lab.real.ceph import DOWN_OUT_INTERVAL_S, OSDS, POOL
from noout.lab.real.needs import lacking_for_ceph as lacking

HOST = "pve2"
NOOUT = frozenset({"noout"})
MIB = 1024**2
OBJECT_BYTES = 4 * MIB


@dataclass(frozen=True)
class Round:
    """One absence. Times in seconds, sizes in bytes."""

    noout: bool
    away_s: float
    moved_away_bytes: int  # while the host was away
    moved_back_bytes: int  # after its return, until all was clean
    back_to_clean_s: float
    written_bytes: int  # by the client meanwhile
    worst_write_s: float

    @property
    def moved_bytes(self) -> int:
        return self.moved_away_bytes + self.moved_back_bytes


async def pushed(real: RealCeph, osds: list[int]) -> dict[int, int]:
    """What each OSD has sent as recovery since it was started [bytes]."""
    found = {}
    for osd in osds:
        done = await real.shell.run(NodeId("c1", "pve1"), ["ceph", "daemon", f"osd.{osd}", "perf", "dump", "osd"])
        found[osd] = int(json.loads(done.stdout)["osd"]["push_out_bytes"])
    return found


async def calm(cluster: RealCephUnderTest) -> float:
    """Wait until all is clean and stays so; the time at which it first was. The picture of the PGs lags for seconds."""
    while True:
        await until(cluster, whole, limit_s=600.0)
        since = cluster.seconds()
        for _ in range(4):
            await cluster.wait(2.0)
            if not whole(Brief(await ask(cluster, "status"))):
                break
        else:
            return since


async def away(real: RealCeph, seconds: float, *, noout: bool) -> Round:
    """Take the host's OSDs away for so long, bring them back, wait until all is clean."""
    cluster = RealCephUnderTest(real)
    ceph = CephCli(real.shell, [NodeId("c1", "pve1")], SystemClock())
    mine = OSDS[HOST]
    others = [osd for osds in OSDS.values() for osd in osds if osd not in mine]
    daemons = [f"osd.{osd}" for osd in mine]
    await calm(cluster)
    if noout:
        await ceph.set_host_flags(HOST, NOOUT)
    before = await pushed(real, others)
    async with Writer(real) as writer:
        await real.stop(*daemons)
        await cluster.wait(seconds)
        middle = await pushed(real, others)
        started = cluster.seconds()
        await real.start(*daemons)
        back_s = await calm(cluster) - started
        writes = await writer.so_far()
    after = await pushed(real, [*others, *mine])
    if noout:
        await ceph.unset_host_flags(HOST, NOOUT)
    return Round(
        noout=noout,
        away_s=seconds,
        moved_away_bytes=sum(middle[osd] - before[osd] for osd in others),
        moved_back_bytes=sum(after[osd] - middle.get(osd, 0) for osd in after),  # the host's own began at nought
        back_to_clean_s=round(back_s, 1),
        written_bytes=writes.count * SIZE_BYTES,
        worst_write_s=round(writes.worst_s, 2),
    )


async def fill(real: RealCeph, size_bytes: int) -> int:
    """Write data; how much there is then (before copies)."""
    argv = ["rados", "-p", POOL, "bench", "600", "write", "-b", str(OBJECT_BYTES), "-t", "8", "--no-cleanup"]
    argv += ["--max-objects", str(size_bytes // OBJECT_BYTES)]
    done = await real.shell.run(NodeId("c1", "pve1"), argv, timeout_s=700.0)
    if done.exit:
        raise RuntimeError(done.stderr)
    pools = (await real.ceph("df"))["pools"]
    return int(next(pool["stats"]["stored"] for pool in pools if pool["name"] == POOL))


async def measure(size_mib: int, away_s: float) -> tuple[int, list[Round]]:
    async with RealCeph() as real:
        stored = await fill(real, size_mib * MIB)
        return stored, [await away(real, away_s, noout=noout) for noout in (False, True)]


def told(stored: int, rounds: list[Round]) -> str:
    without, held = rounds
    everyone = sum(map(len, OSDS.values()))
    lines = [
        f"{stored / MIB:.0f} MiB of data in 3 copies; {HOST} ({len(OSDS[HOST])} of {everyone} OSDs) "
        f"away for {held.away_s:g} s; out after {DOWN_OUT_INTERVAL_S} s",
        "",
        f"{'':32}{'no flag':>12}{'noout':>12}",
    ]
    rows = [
        ("moved while away [MiB]", *(each.moved_away_bytes / MIB for each in rounds)),
        ("moved after the return [MiB]", *(each.moved_back_bytes / MIB for each in rounds)),
        ("moved in all [MiB]", *(each.moved_bytes / MIB for each in rounds)),
        ("written by the client [MiB]", *(each.written_bytes / MIB for each in rounds)),
        ("back to clean [s]", *(each.back_to_clean_s for each in rounds)),
        ("worst write [s]", *(each.worst_write_s for each in rounds)),
    ]
    lines += [f"{name:32}{a:12.1f}{b:12.1f}" for name, a, b in rows]
    ratio = without.moved_bytes / max(held.moved_bytes, 1)
    return "\n".join([*lines, "", f"with noout, 1/{ratio:.0f} of what was moved without it"])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size-mib", type=int, default=768, help="data to begin with, before copies")
    parser.add_argument("--away-s", type=float, default=60.0, help="how long the host is away")
    parser.add_argument("--json", action="store_true", help="one JSON document instead of a table")
    asked = parser.parse_args()
    if why := lacking() or cephwriter.lacking():
        sys.stderr.write(f"{why}\n")
        return 2
    stored, rounds = asyncio.run(measure(asked.size_mib, asked.away_s))
    document = json.dumps({"stored_bytes": stored, "rounds": [asdict(each) for each in rounds]}, indent=2)
    sys.stdout.write(f"{document if asked.json else told(stored, rounds)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
