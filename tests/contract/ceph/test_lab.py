"""CephCli against the lab's ``ceph`` command, in virtual time: bounded waits, the next node, honest answers."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from noout.domain.errors import Refused, Retryable
from tests.support.labsite import LabSite, lab_site
from tests.support.virtual import run_virtual

NOOUT = frozenset({"noout"})


def virtual(test: Callable[[LabSite], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    def run() -> None:
        async def main() -> None:
            await test(lab_site())

        run_virtual(main(), limit_s=7200)

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


@virtual
async def test_an_observation_shows_the_cluster_as_it_is(site: LabSite) -> None:
    ceph, state = site.cluster.ceph, await site.ceph.observe()
    assert ceph is not None
    assert state.fsid == ceph.fsid
    assert state.mons == state.quorum == ("pve1", "pve2", "pve3")
    assert (state.mgr_active, state.mgr_standbys) == ("pve1", ("pve2",))
    assert {(o.id, o.host, o.up, o.in_) for o in state.osds} == {
        (o.id, o.host, o.up, o.in_) for o in ceph.osds.values()
    }
    assert {pool.name: (pool.size, pool.min_size) for pool in state.pools} == {".mgr": (3, 2), "rbd": (3, 2)}
    assert state.all_clean
    assert state.mon_hosts == {name: name for name in state.mons}
    assert state.total_bytes > state.used_bytes > 0


@virtual
async def test_host_flags_are_set_read_back_and_released(site: LabSite) -> None:
    both = frozenset({"noout", "noup"})
    await site.ceph.set_host_flags("pve3", both)
    assert (await site.ceph.observe()).host_flags == {"pve3": both}
    await site.ceph.unset_host_flags("pve3", frozenset({"noup"}))
    state = await site.ceph.observe()
    assert state.host_flags == {"pve3": NOOUT}
    assert not {"noout", "noup"} & state.flags
    await site.ceph.unset_host_flags("pve3", both)  # idempotent
    assert (await site.ceph.observe()).host_flags == {}


@virtual
async def test_a_host_that_is_none_is_refused(site: LabSite) -> None:
    with pytest.raises(Refused, match=r"pve3\.example\.net"):
        await site.ceph.set_host_flags("pve3.example.net", NOOUT)
    with pytest.raises(ValueError, match="pause"):
        await site.ceph.set_host_flags("pve3", frozenset({"pause"}))


@virtual
async def test_the_next_node_is_asked_when_the_first_is_off(site: LabSite) -> None:
    site.shell.refused = {"pve1", "pve2"}
    assert (await site.ceph.observe()).fsid
    began = site.clock.now()
    await site.ceph.set_host_flags("pve3", NOOUT)
    assert site.clock.now() == began, "the node that answered is asked first from now on"
    assert {node for node, _ in site.shell.ran} == {"pve3"}


@virtual
async def test_nobody_can_be_asked(site: LabSite) -> None:
    site.shell.refused = set(site.cluster.nodes)
    with pytest.raises(Retryable, match="no node could ask Ceph"):
        await site.ceph.observe()
    with pytest.raises(Retryable):
        await site.ceph.set_host_flags("pve3", NOOUT)


@virtual
async def test_stopping_osds_is_judged_by_ceph(site: LabSite) -> None:
    one_host = await site.ceph.ok_to_stop([7, 8, 9])
    assert one_host.ok
    three_hosts = await site.ceph.ok_to_stop([0, 3, 7])
    assert not three_hosts.ok
    assert "inactive" in three_hosts.detail
    unknown = await site.ceph.ok_to_stop([7, 99])
    assert not unknown.ok
    assert "99" in unknown.detail


@virtual
async def test_without_a_mgr_the_picture_is_not_fresh_and_nothing_hangs(site: LabSite) -> None:
    assert site.cluster.ceph is not None
    for name in list(site.cluster.ceph.mgrs):
        site.laws.daemon_stop(site.cluster, f"mgr.{name}")
    await site.clock.sleep(60)  # the mons go on believing in it for half a minute
    began = site.clock.now()
    state = await site.ceph.observe()
    assert not state.fresh
    assert not state.all_clean
    assert state.mgr_active == ""
    assert "MGR_DOWN" in state.checks
    assert (site.clock.now() - began).total_seconds() == 0
    with pytest.raises(Retryable, match="hangs"):
        await site.ceph.ok_to_stop([7])
    assert (site.clock.now() - began).total_seconds() <= 31


@virtual
async def test_without_a_quorum_every_wait_is_bounded(site: LabSite) -> None:
    for name in ("pve1", "pve2"):
        site.laws.ceph_service(site.cluster, name, "stop", f"mon.{name}", "root@pam")
    await site.clock.sleep(60)
    began = site.clock.now()
    state = await site.ceph.observe()
    assert state.quorum == ()
    assert not state.mon_quorum_ok
    assert not state.fresh
    with pytest.raises(Retryable, match="timed out"):
        await site.ceph.set_host_flags("pve3", NOOUT)
    assert (site.clock.now() - began).total_seconds() <= 2 * 6 * 10 + 30


@virtual
async def test_the_mgr_fails_over(site: LabSite) -> None:
    await site.ceph.fail_mgr()
    await site.clock.sleep(30)
    assert (await site.ceph.observe()).mgr_active == "pve2"


@virtual
async def test_a_mgr_without_a_standby_is_left_alone(site: LabSite) -> None:
    assert site.cluster.ceph is not None
    site.cluster.ceph.mgrs["pve2"].running = False
    with pytest.raises(Refused, match="standby"):
        await site.ceph.fail_mgr()
    assert (await site.ceph.observe()).mgr_active == "pve1"


@virtual
async def test_an_mds_gives_way_to_its_standby(site: LabSite) -> None:
    assert site.cluster.ceph is not None
    assert (await site.ceph.observe()).mds_active == ()
    site.cluster.ceph.services += [("mds", "pve2"), ("mds", "pve4")]
    state = await site.ceph.observe()
    assert (state.mds_active, state.mds_standbys) == (("pve2",), 1)
    await site.ceph.fail_mds("pve2")
    state = await site.ceph.observe()
    assert (state.mds_active, state.mds_standbys) == (("pve4",), 1)
    with pytest.raises(Refused, match=r"mds\.pve2 serves no file system"):
        await site.ceph.fail_mds("pve2")
