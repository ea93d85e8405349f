"""One small Ceph cluster in two makes, for one suite: the lab's, under a clock moved by hand, and a real one.

Both have hosts pve1..pve4 with two OSDs each (0 and 1 on pve1, ...), mons on pve1..pve3, mgrs on pve1 and pve2, a pool
``rbd`` of 64 PGs with size 3 and min_size 2 that holds some data, and mark a down OSD out after six seconds.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from noout.adapters.ceph import CephCli
from noout.adapters.clock import SystemClock
from noout.domain.cluster import NodeId
from noout.domain.errors import UnknownOutcome
from noout.lab.clock import ManualClock
from noout.lab.real.ceph import DOWN_OUT_INTERVAL_S, HOSTS, MGRS, MONS, OSDS, PGS, POOL, host_of
from noout.lab.wire.shell import run_command
from noout.lab.world.build import EPOCH, build_world
from noout.lab.world.ceph_map import crush
from noout.lab.world.laws import Laws
from noout.lab.world.model import Ceph, GiB, Osd, Pg, Pool
from noout.ports import Completed, Shell
from tests.support.realceph import RealCeph

# Where ``ceph`` is run: two nodes, so that the second is asked when the first does not answer.
ASKED = (NodeId("c1", "pve1"), NodeId("c1", "pve4"))
DAEMONS = (
    *(f"mon.{host}" for host in MONS),
    *(f"mgr.{host}" for host in MGRS),
    *(f"osd.{osd}" for osds in OSDS.values() for osd in osds),
)


class ACeph(Protocol):
    """What the suite needs of a cluster beside the adapter under test."""

    ceph: CephCli
    shell: Shell

    async def stop(self, *names: str) -> None:
        """Stop daemons ("osd.2", "mon.pve3", "mgr.pve1") in an orderly way; returns when their processes are gone."""
        ...

    async def start(self, *names: str) -> None: ...

    def stopped(self) -> tuple[str, ...]: ...

    async def wait(self, seconds: float) -> None:
        """Let the cluster's time pass."""
        ...

    def seconds(self) -> float:
        """The cluster's time, for measuring how long something took."""
        ...


@dataclass(frozen=True)
class Brief:
    """What plain ``ceph status`` says: one command, where an observation takes seven. For waiting."""

    document: Mapping[str, Any]

    @property
    def quorum(self) -> frozenset[str]:
        return frozenset(self.document["quorum_names"])

    @property
    def checks(self) -> frozenset[str]:
        return frozenset(self.document["health"]["checks"])

    @property
    def up(self) -> int:
        return int(self.document["osdmap"]["num_up_osds"])

    @property
    def in_(self) -> int:
        return int(self.document["osdmap"]["num_in_osds"])

    @property
    def states(self) -> frozenset[str]:
        """Names of the states that PGs are in."""
        return frozenset(row["state_name"] for row in self.document["pgmap"]["pgs_by_state"])

    @property
    def mgr(self) -> bool:
        return bool(self.document["mgrmap"]["available"])

    @property
    def standbys(self) -> int:
        return int(self.document["mgrmap"]["num_standbys"])


async def until(cluster: ACeph, true: Callable[[Brief], bool], *, limit_s: float = 90.0) -> None:
    """Wait until ``ceph status`` says so. The limit is generous: it is for what never comes."""
    started = cluster.seconds()
    while not true(brief := Brief(await ask(cluster, "status"))):
        assert cluster.seconds() - started < limit_s, f"it did not come about within {limit_s:g} s: {brief}"
        await cluster.wait(0.5)


async def eventually(cluster: ACeph, true: Callable[[], Awaitable[bool]], *, limit_s: float = 90.0) -> None:
    """Wait for anything else."""
    started = cluster.seconds()
    while not await true():
        assert cluster.seconds() - started < limit_s, f"it did not come about within {limit_s:g} s"
        await cluster.wait(0.5)


def whole(brief: Brief) -> bool:
    """Everything runs and every PG is clean."""
    daemons = len(brief.quorum) == len(MONS) and brief.mgr and brief.standbys == len(MGRS) - 1
    osds = sum(len(each) for each in OSDS.values())
    return daemons and brief.up == brief.in_ == osds and brief.states == {"active+clean"}


async def heal(cluster: ACeph) -> None:
    """Back to the beginning: everything runs, no flag is set, every PG is clean."""
    gone = sorted(cluster.stopped(), key=DAEMONS.index)
    if gone:
        await cluster.start(*gone)
    await until(cluster, lambda b: len(b.quorum) == len(MONS))
    dump = await ask(cluster, "osd", "dump")
    for host, flags in dump["crush_node_flags"].items():
        await ask(cluster, "osd", "unset-group", ",".join(flags), host)
    for flag in {"noout", "noup"} & set(dump["flags"].split(",")):
        await ask(cluster, "osd", "unset", flag)
    await until(cluster, whole, limit_s=180.0)


async def ask_mon(cluster: ACeph, name: str) -> Any:
    """What one mon says of itself on its own admin socket, quorum or not."""
    done = await cluster.shell.run(NodeId("c1", name), ["ceph", "daemon", f"mon.{name}", "mon_status"])
    assert done.exit == 0, done.stderr
    return json.loads(done.stdout)


async def in_preboot(cluster: ACeph, osd: int) -> bool:
    """Does this OSD say on its own admin socket that it waits before the door?"""
    node = NodeId("c1", host_of(osd))
    done = await cluster.shell.run(node, ["ceph", "daemon", f"osd.{osd}", "status"])
    return done.exit == 0 and json.loads(done.stdout)["state"] == "preboot"


async def ask(cluster: ACeph, *words: str) -> Any:
    """What plain ``ceph WORDS`` prints, past the adapter: how others act on the cluster, and what it truly says."""
    argv = ["ceph", "--connect-timeout", "20", *words, "--format", "json"]
    done = await cluster.shell.run(ASKED[0], argv, timeout_s=60.0)
    assert done.exit == 0, done.stderr
    return json.loads(done.stdout) if done.stdout.strip() else None


# --- the lab's ----------------------------------------------------------------------------------------------


class _LabTime:
    """``ports.Clock`` of a world that is moved by hand."""

    def __init__(self, laws: Laws, clock: ManualClock) -> None:
        self._laws, self._clock = laws, clock

    def now(self) -> datetime:
        return datetime.fromtimestamp(self._clock.now(), UTC)

    async def sleep(self, seconds: float) -> None:
        self._clock.forward(seconds)
        self._laws.advance()

    def wall_s(self, seconds: float) -> float:
        return seconds


class LabShell:
    """``ports.Shell`` without a wire: a command that hangs costs the world's time and ends as over SSH."""

    def __init__(self, laws: Laws, clock: ManualClock) -> None:
        self._laws, self._clock = laws, clock
        self._cluster = next(iter(laws.world.clusters.values()))

    async def run(self, node: NodeId, argv: Sequence[str], *, timeout_s: float = 30.0) -> Completed:
        outcome = run_command(self._laws, self._cluster, node.name, list(argv))
        waited = timeout_s if outcome.after_s is None else min(outcome.after_s, timeout_s)
        self._clock.forward(waited)
        self._laws.advance()
        if outcome.after_s is None or outcome.after_s > timeout_s:
            raise UnknownOutcome(f"`{argv[0]}` on {node}: not finished within {timeout_s:g} s")
        return Completed(outcome.exit, outcome.stdout, outcome.stderr)


class LabCeph:
    """The lab's cluster of the same build, in virtual time."""

    def __init__(self) -> None:
        self._clock = ManualClock(EPOCH)
        self._laws = Laws(build_world(nodes=len(HOSTS), guests=4), self._clock)
        self._cluster = next(iter(self._laws.world.clusters.values()))
        assert self._cluster.ceph is not None
        self._ceph = self._cluster.ceph
        _rebuild(self._ceph)
        self._laws.advance()
        self.shell: Shell = LabShell(self._laws, self._clock)
        self.ceph = CephCli(self.shell, ASKED, _LabTime(self._laws, self._clock))

    async def stop(self, *names: str) -> None:
        await self._service("stop", names)

    async def start(self, *names: str) -> None:
        await self._service("start", names)

    async def _service(self, verb: str, names: Sequence[str]) -> None:
        for name in names:
            kind, _, instance = name.partition(".")
            host = host_of(int(instance)) if kind == "osd" else instance
            done = await self.shell.run(NodeId("c1", host), ["systemctl", verb, f"ceph-{kind}@{instance}"])
            assert done.exit == 0, done.stderr
        await self.wait(1.5)

    def stopped(self) -> tuple[str, ...]:
        gone = [f"osd.{osd.id}" for osd in self._ceph.osds.values() if not osd.running]
        gone += [f"mon.{mon.name}" for mon in self._ceph.mons.values() if not mon.running]
        return (*gone, *(f"mgr.{mgr.name}" for mgr in self._ceph.mgrs.values() if not mgr.running))

    async def wait(self, seconds: float) -> None:
        self._clock.forward(seconds)
        self._laws.advance()

    def seconds(self) -> float:
        return self._clock.now()


def _rebuild(ceph: Ceph) -> None:
    """Two OSDs a host and 64 PGs, instead of the lab's own uneven hosts."""
    ceph.osds = {
        osd: Osd(osd, host, f"00000000-0000-4000-8000-{osd:012d}", 8 * GiB, 0)
        for host, osds in OSDS.items()
        for osd in osds
    }
    ceph.pools = {1: Pool(1, ".mgr", pg_num=1, used=1024**2), 2: Pool(2, POOL, pg_num=PGS, used=2 * GiB)}
    ceph.down_out_interval = float(DOWN_OUT_INTERVAL_S)
    ceph.write_rate = 1024**2
    ceph.pgs.clear()
    for pool in ceph.pools.values():
        for number in range(pool.pg_num):
            pgid = f"{pool.id}.{number:x}"
            acting = list(crush(ceph, pgid, pool.size))
            ceph.pgs[pgid] = Pg(pgid, acting, up=list(acting))
            for osd in acting:
                ceph.osds[osd].used += pool.used // pool.pg_num


# --- the real one -------------------------------------------------------------------------------------------


class RealCephUnderTest:
    """A running ``RealCeph`` behind the adapter."""

    def __init__(self, real: RealCeph) -> None:
        self._real = real
        self.shell: Shell = real.shell
        self.ceph = CephCli(self.shell, ASKED, SystemClock())

    async def stop(self, *names: str) -> None:
        await self._real.stop(*names)

    async def start(self, *names: str) -> None:
        await self._real.start(*names)

    def stopped(self) -> tuple[str, ...]:
        return tuple(name for name, process in self._real.daemons.items() if process.poll() is not None)

    async def wait(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def seconds(self) -> float:
        return asyncio.get_running_loop().time()
