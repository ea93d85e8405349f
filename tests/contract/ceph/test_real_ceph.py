"""The Ceph adapter against the lab and against a real cluster: one suite, the same words, in order of damage.

Every test begins with a known cluster, as a rule a healthy one (``heal`` brings it back), and may leave it in any
state. Where a second witness makes a claim stronger, the plain ``ceph`` command says it, past the adapter.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from noout.domain.ceph import CephState
from noout.domain.errors import Broken, Refused, Retryable
from noout.lab.real.ceph import DOWN_OUT_INTERVAL_S, HOSTS, MONS, OSDS, PGS
from noout.lab.real.needs import lacking_for_ceph as lacking
from tests.support.cephs import (
    ACeph,
    Brief,
    LabCeph,
    RealCephUnderTest,
    ask,
    ask_mon,
    eventually,
    heal,
    in_preboot,
    until,
    whole,
)
from tests.support.realceph import RealCeph

pytestmark = pytest.mark.asyncio(loop_scope="module")

NOOUT, NOUP = frozenset({"noout"}), frozenset({"noup"})
HOST = "pve2"
HELD = OSDS[HOST]
DAEMONS_OF_HOST = [f"osd.{osd}" for osd in HELD]
# No call of the adapter may take longer than this, whatever is broken.
PATIENCE_S = 60.0
REAL = pytest.param("real", marks=[pytest.mark.real, pytest.mark.xdist_group("real-ceph")])


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["lab", REAL])
async def running(request: pytest.FixtureRequest) -> AsyncIterator[ACeph]:
    if request.param == "lab":
        yield LabCeph()
        return
    if lacking():
        pytest.skip(lacking())
    async with RealCeph() as real:
        await real.write()
        yield RealCephUnderTest(real)


@pytest_asyncio.fixture(loop_scope="module")
async def cluster(running: ACeph) -> ACeph:
    await heal(running)
    return running


async def without(cluster: ACeph, *names: str) -> ACeph:
    """A cluster that is whole but for these daemons; as the last test left it where that is what it left."""
    if set(cluster.stopped()) != set(names):
        await heal(cluster)
        await cluster.stop(*names)
    return cluster


@pytest_asyncio.fixture(loop_scope="module")
async def mgrless(running: ACeph) -> ACeph:
    return await without(running, "mgr.pve1", "mgr.pve2")


@pytest_asyncio.fixture(loop_scope="module")
async def one_mon_less(running: ACeph) -> ACeph:
    return await without(running, "mon.pve2")


def inactive_or_moved(state: CephState) -> list[str]:
    """PG states in which a client waits, or in which data has left its place."""
    bad = {"remapped", "backfilling", "backfill_wait"}
    return [name for name in state.pgs_by_state if "active" not in name.split("+") or bad & set(name.split("+"))]


async def down(cluster: ACeph, *osds: int) -> CephState:
    """Stop OSDs; the state once Ceph knows, and the PGs' picture too."""
    await cluster.stop(*(f"osd.{osd}" for osd in osds))
    everyone = sum(len(each) for each in OSDS.values())

    def known(brief: Brief) -> bool:
        return brief.up == everyone - len(osds) and all("peering" not in name for name in brief.states)

    await until(cluster, lambda b: known(b) and any("undersized" in name for name in b.states))
    return await cluster.ceph.observe()


@contextlib.asynccontextmanager
async def in_time(cluster: ACeph) -> AsyncIterator[None]:
    """What is asked inside has to end within PATIENCE_S of the cluster's time, and of ours."""
    started = cluster.seconds()
    async with asyncio.timeout(PATIENCE_S):
        yield
    assert cluster.seconds() - started < PATIENCE_S


# --- seeing -------------------------------------------------------------------------------------------------


async def test_a_healthy_cluster_is_seen_whole(cluster: ACeph) -> None:
    state = await cluster.ceph.observe()

    assert state.fresh
    assert state.all_clean
    assert state.mon_quorum_ok
    assert state.inactive_pgs == state.misplaced_objects == state.degraded_objects == 0
    assert state.fsid == (await ask(cluster, "status"))["fsid"]
    assert state.hosts == HOSTS
    assert {osd.id: osd.host for osd in state.osds} == {osd: host for host, osds in OSDS.items() for osd in osds}
    assert all(osd.up and osd.in_ and 0 < osd.used_bytes < osd.size_bytes for osd in state.osds)
    assert set(state.mons) == set(state.quorum) == set(MONS)
    assert state.mon_hosts == {name: name for name in MONS}
    assert {state.mgr_active, *state.mgr_standbys} == {"pve1", "pve2"}
    pool = next(pool for pool in state.pools if pool.name == "rbd")
    assert (pool.size, pool.min_size, pool.erasure) == (3, 2, False)
    assert sum(state.pgs_by_state.values()) >= PGS
    assert not state.flags & {"noout", "noup", "norebalance"}
    assert state.host_flags == {}
    assert 0 < state.used_bytes < state.total_bytes
    assert state.nearfull_ratio == pytest.approx(0.85)


# --- flags --------------------------------------------------------------------------------------------------


async def test_a_hosts_noout_is_the_hosts_alone_and_setting_it_twice_is_setting_it(cluster: ACeph) -> None:
    await cluster.ceph.set_host_flags(HOST, NOOUT)
    await cluster.ceph.set_host_flags(HOST, NOOUT)

    state = await cluster.ceph.observe()
    assert state.host_flags == {HOST: NOOUT}
    assert "noout" not in state.flags
    assert "OSD_FLAGS" in state.checks
    assert "OSDMAP_FLAGS" not in state.checks
    assert (await ask(cluster, "osd", "dump"))["crush_node_flags"] == {HOST: ["noout"]}

    await cluster.ceph.unset_host_flags(HOST, NOOUT)
    await cluster.ceph.unset_host_flags(HOST, NOOUT)
    assert (await cluster.ceph.observe()).host_flags == {}


async def test_one_flag_of_two_goes_and_the_other_stays(cluster: ACeph) -> None:
    await cluster.ceph.set_host_flags(HOST, NOOUT | NOUP)
    await cluster.ceph.set_host_flags("pve4", NOOUT)
    assert (await cluster.ceph.observe()).host_flags == {HOST: NOOUT | NOUP, "pve4": NOOUT}

    await cluster.ceph.unset_host_flags(HOST, NOUP)
    assert (await cluster.ceph.observe()).host_flags == {HOST: NOOUT, "pve4": NOOUT}


async def test_a_host_that_crush_does_not_know_is_refused_by_name(cluster: ACeph) -> None:
    for name in ("pve9", "pve2.example.net"):
        with pytest.raises((Refused, Broken), match=name):
            await cluster.ceph.set_host_flags(name, NOOUT)
        with pytest.raises((Refused, Broken), match=name):
            await cluster.ceph.unset_host_flags(name, NOOUT)
    assert (await cluster.ceph.observe()).host_flags == {}


async def test_somebody_elses_noout_for_the_whole_cluster_is_left_alone(cluster: ACeph) -> None:
    await ask(cluster, "osd", "set", "noout")
    await cluster.ceph.set_host_flags(HOST, NOOUT)

    state = await cluster.ceph.observe()
    assert "noout" in state.flags
    assert state.host_flags == {HOST: NOOUT}
    assert {"OSDMAP_FLAGS", "OSD_FLAGS"} <= set(state.checks)

    await cluster.ceph.unset_host_flags(HOST, NOOUT)
    state = await cluster.ceph.observe()
    assert "noout" in state.flags
    assert state.host_flags == {}


# --- may it be stopped --------------------------------------------------------------------------------------


async def test_a_whole_host_may_be_stopped_two_may_not_and_an_unknown_osd_never(cluster: ACeph) -> None:
    whole = await cluster.ceph.ok_to_stop(HELD)
    assert whole.ok
    assert whole.osds == HELD

    two = await cluster.ceph.ok_to_stop([*HELD, *OSDS["pve3"]])
    assert not two.ok
    assert "inactive" in two.detail

    unknown = await cluster.ceph.ok_to_stop([*HELD, 4711])
    assert not unknown.ok
    assert "4711" in unknown.detail


# --- a host away --------------------------------------------------------------------------------------------


async def test_a_host_goes_and_returns_under_noout_and_noup(cluster: ACeph) -> None:
    """The story of hold data and reintegrate, as Ceph sees it."""
    await cluster.ceph.set_host_flags(HOST, NOOUT)
    before = {osd.id: osd.used_bytes for osd in (await cluster.ceph.observe()).osds}
    state = await down(cluster, *HELD)
    assert {"OSD_DOWN", "OSD_HOST_DOWN"} <= set(state.checks)

    # Much longer than the interval after which they would be marked out.
    await cluster.wait(DOWN_OUT_INTERVAL_S * 1.5)
    state = await cluster.ceph.observe()
    assert all(not osd.up and osd.in_ for osd in state.osds_of(HOST))
    assert all(osd.up and osd.in_ for osd in state.osds if osd.host != HOST)
    assert not state.all_clean
    assert state.degraded_objects > 0
    assert state.misplaced_objects == 0
    assert inactive_or_moved(state) == []
    assert {osd.id for osd in state.osds if osd.used_bytes > before[osd.id] + 64 * 1024**2} == set()

    # Nobody else may go now, and what is down already costs nothing more.
    other = await cluster.ceph.ok_to_stop(OSDS["pve3"])
    assert not other.ok
    assert "inactive" in other.detail
    assert (await cluster.ceph.ok_to_stop(HELD)).ok

    # Back, but held before the door.
    await cluster.ceph.set_host_flags(HOST, NOUP)
    await cluster.start(*DAEMONS_OF_HOST)
    for osd in HELD:
        await eventually(cluster, functools.partial(in_preboot, cluster, osd))
    await cluster.wait(2.0)
    state = await cluster.ceph.observe()
    assert state.host_flags == {HOST: NOOUT | NOUP}
    assert all(not osd.up and osd.in_ for osd in state.osds_of(HOST))
    assert cluster.stopped() == ()
    assert inactive_or_moved(state) == []

    await cluster.ceph.unset_host_flags(HOST, NOUP)
    await until(cluster, whole)
    state = await cluster.ceph.observe()
    assert all(osd.up and osd.in_ for osd in state.osds)
    assert state.all_clean
    assert state.host_flags == {HOST: NOOUT}
    await cluster.ceph.unset_host_flags(HOST, NOOUT)
    state = await cluster.ceph.observe()
    assert state.host_flags == {}
    assert state.health == "HEALTH_OK"


async def test_noout_of_one_host_lets_an_osd_of_another_go_out(cluster: ACeph) -> None:
    """What the flag is for, seen from the other side: without it an OSD's data is made again elsewhere."""

    async def pgs_of(osd: int) -> int:
        return next(int(row["pgs"]) for row in (await ask(cluster, "osd", "df"))["nodes"] if row["id"] == osd)

    await cluster.ceph.set_host_flags(HOST, NOOUT)
    before = await pgs_of(3)
    await cluster.stop("osd.2", "osd.7")
    await until(cluster, lambda b: b.in_ == 7)
    state = await cluster.ceph.observe()
    assert {osd.id for osd in state.osds if not osd.in_} == {7}
    assert {osd.id for osd in state.osds if not osd.up} == {2, 7}

    async def moved_away() -> bool:
        return await pgs_of(7) == 0

    await eventually(cluster, moved_away)
    await until(cluster, lambda b: all("active" in name.split("+") for name in b.states))
    state = await cluster.ceph.observe()
    assert state.inactive_pgs == 0
    assert not state.all_clean  # osd.2's copies are still waited for
    assert state.degraded_objects > 0
    assert before > 0


# --- the mgr ------------------------------------------------------------------------------------------------


async def test_the_active_mgr_hands_over_to_the_standby(cluster: ACeph) -> None:
    before = await cluster.ceph.observe()
    await cluster.ceph.fail_mgr()
    await until(cluster, lambda b: b.mgr and b.standbys == 1)
    state = await cluster.ceph.observe()
    assert state.fresh
    assert (state.mgr_active, state.mgr_standbys) == (before.mgr_standbys[0], (before.mgr_active,))
    assert (await cluster.ceph.ok_to_stop(HELD)).ok


async def test_a_mgr_that_ended_a_moment_ago_is_not_believed_in(cluster: ACeph) -> None:
    """For the mons' grace the status says "available" over a picture that nobody renews any more."""
    await cluster.stop("mgr.pve1", "mgr.pve2")
    assert (await ask(cluster, "status"))["mgrmap"]["available"]
    async with in_time(cluster):
        state = await cluster.ceph.observe()
    assert not state.fresh


async def test_with_no_mgr_the_picture_is_not_fresh_and_nothing_hangs(mgrless: ACeph) -> None:
    cluster = mgrless
    await until(cluster, lambda b: "MGR_DOWN" in b.checks)
    state = await cluster.ceph.observe()
    assert not state.fresh
    assert not state.all_clean
    assert (state.mgr_active, state.mgr_standbys) == ("", ())
    assert len(state.osds) == len(HOSTS) * 2

    with pytest.raises(Refused):
        await cluster.ceph.fail_mgr()

    async def judged() -> None:
        with pytest.raises(Retryable):
            await cluster.ceph.ok_to_stop(HELD)

    async def flagged() -> None:
        """Flags are the mons' business: they can be set and given back without a mgr."""
        await cluster.ceph.set_host_flags(HOST, NOOUT)
        assert (await cluster.ceph.observe()).host_flags == {HOST: NOOUT}
        await cluster.ceph.unset_host_flags(HOST, NOOUT)
        assert (await cluster.ceph.observe()).host_flags == {}

    async with in_time(cluster):
        await asyncio.gather(judged(), flagged())


# --- the mons -----------------------------------------------------------------------------------------------


async def test_one_mon_may_go(one_mon_less: ACeph) -> None:
    cluster = one_mon_less
    await until(cluster, lambda b: len(b.quorum) == 2)
    state = await cluster.ceph.observe()
    assert set(state.quorum) == {"pve1", "pve3"}
    assert set(state.mons) == set(MONS)
    assert state.mon_quorum_ok
    assert "MON_DOWN" in state.checks
    await cluster.ceph.set_host_flags(HOST, NOOUT)
    assert (await cluster.ceph.observe()).host_flags == {HOST: NOOUT}


async def test_without_a_quorum_every_call_ends_and_flags_set_before_are_still_there(one_mon_less: ACeph) -> None:
    cluster = one_mon_less
    await cluster.ceph.set_host_flags(HOST, NOOUT)
    await cluster.stop("mon.pve3")

    async def lost() -> bool:
        """For some seconds the last mon believes that the others are there."""
        return not (await ask_mon(cluster, "pve1"))["quorum"]

    async def observed() -> None:
        try:
            state = await cluster.ceph.observe()
        except (Retryable, Broken):
            return
        assert not state.mon_quorum_ok  # what one mon says of itself
        assert not state.fresh
        assert not state.all_clean
        assert set(state.mons) == set(MONS)

    async def given_back() -> None:
        with pytest.raises((Retryable, Broken)):
            await cluster.ceph.unset_host_flags(HOST, NOOUT)

    await eventually(cluster, lost)
    async with in_time(cluster):
        await asyncio.gather(observed(), given_back())

    await cluster.start("mon.pve2", "mon.pve3")
    await until(cluster, lambda b: len(b.quorum) == 3)
    state = await cluster.ceph.observe()
    assert state.host_flags == {HOST: NOOUT}
