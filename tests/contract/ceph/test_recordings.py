"""Every recorded phase of a real Ceph cluster (4 hosts with 2 OSDs each) as a CephState."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from noout.adapters.ceph import parse
from noout.domain.ceph import CephState
from tests.conftest import DATA
from tests.support.recorded import ceph_recorded

AT = datetime(2026, 11, 23, tzinfo=UTC)
MONS = ("pve1", "pve2", "pve3")
NO_FLAGS: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Facts:
    """What must be read out of a phase. ``down``/``out``: OSDs."""

    health: str = "HEALTH_WARN"
    down: tuple[int, ...] = ()
    out: tuple[int, ...] = ()
    flags: frozenset[str] = NO_FLAGS  # cluster-wide ones that hold something
    hosts: dict[str, frozenset[str]] = field(default_factory=dict)
    quorum: tuple[str, ...] = MONS
    clean: bool = False
    inactive: int = 0
    degraded: int = 0
    fresh: bool = True


NOOUT = frozenset({"noout"})
PVE2 = {"pve2": NOOUT}
PHASES = {
    "healthy": Facts(health="HEALTH_OK", clean=True),
    "forgotten_noout_global": Facts(flags=NOOUT, clean=True),
    "forgotten_noout_group": Facts(hosts=PVE2, clean=True),
    "group_noout_set_before_stop": Facts(hosts=PVE2, clean=True),
    "host_down_noout_global": Facts(down=(2, 3), flags=NOOUT),  # stale+active+clean is not clean
    "host_down_noout_group": Facts(down=(2, 3), hosts=PVE2, inactive=1),
    "host_down_noout_group_with_mon": Facts(down=(2, 3), hosts=PVE2, quorum=("pve1", "pve3"), clean=True),
    "host_down_recovering": Facts(down=(2, 3), out=(2, 3), degraded=711),
    # HEALTH_OK with a host lost: only up and in show it.
    "host_down_recovered_on_3_hosts": Facts(health="HEALTH_OK", down=(2, 3), out=(2, 3), clean=True),
    "host_back_backfilling": Facts(degraded=153),
    "host_back_recovering_noout": Facts(degraded=818),  # the dump was not recorded
    "mgr_down_osds_down": Facts(down=(2, 3), out=(2, 3), fresh=False),
    "two_hosts_down_global_noout": Facts(down=(2, 3, 4, 5), flags=NOOUT, inactive=39, degraded=1720),
    "two_hosts_down_group_noout": Facts(down=(2, 3, 4, 5), hosts=PVE2, inactive=39, degraded=1720),
    "two_hosts_down_group_noout_recovering": Facts(down=(2, 3, 4, 5), out=(4, 5), hosts=PVE2, degraded=1447),
    "two_hosts_down_inactive_70s": Facts(
        down=(2, 3, 4, 5), flags=NOOUT, hosts=PVE2, quorum=("pve1", "pve3"), inactive=39, degraded=1720
    ),
    "unset_too_early": Facts(down=(2, 3), out=(2, 3), inactive=18, degraded=610),
    "unset_too_early_then_set_again": Facts(down=(2, 3), out=(2, 3), hosts=PVE2, degraded=170),
}


def phase(recordings: Path, name: str) -> CephState:
    return ceph_recorded(recordings / "ceph" / name, AT)


@pytest.mark.parametrize("name", PHASES)
def test_phase(recordings: Path, name: str) -> None:
    facts, state = PHASES[name], phase(recordings, name)
    assert state.fsid == "920b353c-7191-4310-8c61-27b95d1fa989"
    assert state.health == facts.health
    assert state.quorum == facts.quorum
    assert state.mon_quorum_ok
    assert state.fresh is facts.fresh
    assert state.all_clean is facts.clean
    assert state.inactive_pgs == facts.inactive
    assert state.degraded_objects == facts.degraded
    assert sum(state.pgs_by_state.values()) == 65
    counted = 8 if name == "mgr_down_osds_down" else 8 - len(facts.out)  # without a mgr the figures stand still
    assert state.total_bytes == counted * 8 * 1024**3
    assert {flag for flag in state.flags if flag.startswith("no")} == facts.flags
    assert dict(state.host_flags) == facts.hosts


@pytest.mark.parametrize("name", [name for name in PHASES if name != "host_back_recovering_noout"])
def test_osds_of_phase(recordings: Path, name: str) -> None:
    facts, state = PHASES[name], phase(recordings, name)
    assert [osd.id for osd in state.osds] == list(range(8))
    assert [osd.host for osd in state.osds] == ["pve1", "pve1", "pve2", "pve2", "pve3", "pve3", "pve4", "pve4"]
    assert tuple(osd.id for osd in state.osds if not osd.up) == facts.down
    assert tuple(osd.id for osd in state.osds if not osd.in_) == facts.out


def test_every_phase_is_asserted(recordings: Path) -> None:
    assert {folder.name for folder in (recordings / "ceph").iterdir() if folder.is_dir()} == {*PHASES, "no_quorum"}


def test_what_a_healthy_cluster_tells(recordings: Path) -> None:
    state = phase(recordings, "healthy")
    assert state.mons == MONS
    assert set(state.mon_hosts) == set(MONS)
    first, second = state.pools
    assert (first.name, first.size, first.min_size, first.erasure) == ("device_health_metrics", 3, 2, False)
    assert second.size == 3
    assert state.nearfull_ratio == 0.85
    assert all(osd.size_bytes == 8 * 1024**3 and 0 < osd.used_bytes < osd.size_bytes for osd in state.osds)
    assert state.osds_of("pve2") == state.osds[2:4]
    assert state.addresses and all(re.fullmatch(r"[\d.]+|[0-9a-f:]+", each) for each in state.addresses)


def test_checks_carry_their_summaries(recordings: Path) -> None:
    checks = phase(recordings, "host_down_noout_group_with_mon").checks
    assert checks["OSD_DOWN"] == "2 osds down"
    assert checks["MON_DOWN"] == "1/3 mons down, quorum pve1,pve3"


def test_without_a_quorum(recordings: Path) -> None:
    """What a mon's own socket says while every client hangs."""
    document = json.loads((recordings / "ceph" / "no_quorum" / "mon_status_asok.json").read_text())
    state = parse.without_quorum(AT, document)
    assert state.mons == MONS
    assert state.quorum == ()
    assert not state.mon_quorum_ok
    assert not state.fresh
    assert not state.all_clean


@pytest.mark.parametrize("name", sorted(p.name for p in (DATA / "ceph").glob("*")) if DATA.is_dir() else [])
def test_ok_to_stop(recordings: Path, name: str) -> None:
    files = sorted((recordings / "ceph" / name).glob("osd_ok-to-stop_*.json"))
    for file in files:
        if not file.stat().st_size:
            continue  # it hung, or was not asked
        document = json.loads(file.read_text())
        answer = parse.ok_to_stop(tuple(document["osds"]), frozenset(range(8)), document)
        assert answer.ok is document["ok_to_stop"]
        assert answer.osds == tuple(document["osds"])
        assert answer.detail
        if not answer.ok:
            assert str(document["num_not_ok_pgs"]) in answer.detail


def test_an_osd_that_does_not_exist_is_never_ok_to_stop() -> None:
    """Ceph itself says ok, with no PG concerned."""
    said = {"ok_to_stop": True, "osds": [99], "num_ok_pgs": 0, "num_not_ok_pgs": 0}
    answer = parse.ok_to_stop((99,), frozenset(range(8)), said)
    assert not answer.ok
    assert "99" in answer.detail
