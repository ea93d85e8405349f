"""How the doctor comes to what it says: facts read tolerantly, said once, in order, and with an exit code."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from noout.adapters.ceph.survey import daemons, spread
from noout.adapters.pve.parse import qdevice_votes
from noout.adapters.pve.survey import alike, backup_jobs, kernels, replication_jobs, system_disks
from noout.app.doctor import Diagnosis, Finding, Level, diagnose, gather
from noout.app.doctor.judge import _once, _order
from noout.codec import encode
from noout.domain.cluster import NodeId
from noout.lab import scenarios
from tests.support.labsite import lab_site
from tests.support.virtual import run_virtual
from tests.unit.app.doctor_world import SMALL, Seed, doctored, examined


def said(place: str, message: str = "x", level: Level = Level.CAUTION, code: str = "a.b") -> Finding:
    return Finding(level, place, code, "s", message, "do it")


def test_what_is_the_same_of_several_nodes_is_said_once_of_their_cluster() -> None:
    same = [said("ams1/pve1"), said("ams1/pve2"), said("ams1/pve1", "other")]
    assert [(each.place, each.message) for each in _once(same)] == [("ams1", "x"), ("ams1/pve1", "other")]


def test_noout_itself_comes_first_then_clusters_and_nodes_as_people_count() -> None:
    blocker = said("ams1/pve2", level=Level.BLOCKER, code="z.z")
    mixed = [said("ams1/pve10"), said("ams1/pve2"), blocker, said("ams1"), said("noout")]
    assert [each.place for each in sorted(mixed, key=_order)] == [
        "noout", "ams1", "ams1/pve2", "ams1/pve2", "ams1/pve10",
    ]  # fmt: skip
    assert sorted(mixed, key=_order)[2] is blocker


@pytest.mark.parametrize(
    ("findings", "unreachable", "code"),
    [
        ((), (), 0),
        ((said("ams1"),), (), 0),
        ((said("ams1", level=Level.BLOCKER),), (), 3),
        ((said("ams1", level=Level.BLOCKER),), ("ams1",), 1),
    ],
)
def test_the_exit_code(findings: tuple[Finding, ...], unreachable: tuple[str, ...], code: int) -> None:
    at = datetime(2026, 11, 30, tzinfo=UTC)
    assert Diagnosis("noout.check", 1, at, findings, (), unreachable).exit_code == code


def test_a_cluster_that_does_not_answer_is_named_and_fails(tmp_path: Path) -> None:
    everywhere = {f"pve{i}" for i in range(1, 7)}
    seed = Seed("", "", "", lab=lambda lab: lab.network.unplugged.update((f"{n}.ams1", 8006) for n in everywhere))
    found = examined(seed, tmp_path)
    assert found.exit_code == 1
    assert found.unreachable == ("ams1",)
    assert [each.code for each in found.findings] == ["cluster.unreadable"]
    assert [look.whole for look in found.looked] == [False]


def test_one_node_alone_is_judged_alone(tmp_path: Path) -> None:
    async def main() -> Diagnosis:
        world, _ = scenarios.build("default", **SMALL)
        lab = lab_site(world)
        return diagnose(await gather(doctored(lab, tmp_path), "ams1", frozenset({NodeId("ams1", "pve5")})))

    found = run_virtual(main(), limit_s=3600)
    assert {each.place for each in found.findings} == {"ams1/pve5"}
    assert "guest.local-iso" in {each.code for each in found.blockers}


def test_looking_changes_nothing_and_needs_no_right_to_act(tmp_path: Path) -> None:
    async def main() -> tuple[Diagnosis, list[tuple[str, str]], list[tuple[float, str, str]]]:
        world, _ = scenarios.build("healthy", **SMALL)
        lab = lab_site(world, token="plan")
        before = list(world.happened)
        found = diagnose(await gather(doctored(lab, tmp_path)))
        assert world.happened == before
        return found, lab.network.requests, lab.shell.ran  # type: ignore[return-value]

    found, requests, ran = run_virtual(main(), limit_s=3600)
    assert {method for method, url in requests if "Sessions" not in url} == {"GET"}
    assert {tuple(argv[:1]) for _, argv in ran} == {("ceph",)}  # type: ignore[index]
    assert [each.code for each in found.findings] == ["token.read-only"]
    assert encode(found)["format"] == "noout.check"


def test_a_qdevice_gives_two_nodes_a_third_vote(tmp_path: Path) -> None:
    def device(world: object) -> None:
        world.clusters["ams1"].qdevice = True  # type: ignore[attr-defined]

    found = examined(
        Seed("", "", "", scenario="default", shape={"nodes": 2, "guests": 2}, world=device), tmp_path
    )  # fmt: skip
    assert "cluster.quorum" not in {each.code for each in found.findings}
    assert "cluster.no-vote-to-lose" in {each.code for each in found.findings}


# --- what the answers mean ------------------------------------------------------------------------------------


def test_the_newest_kernel_that_is_installed_is_the_next_boots() -> None:
    rows = [
        {"Package": "proxmox-ve", "RunningKernel": "6.14.9-2-pve"},
        {"Package": "proxmox-kernel-6.14.11-4-pve-signed", "CurrentState": "Installed"},
        {"Package": "proxmox-kernel-6.14.9-2-pve-signed", "CurrentState": "Installed"},
        {"Package": "proxmox-kernel-6.17.1-1-pve-signed", "CurrentState": "ConfigFiles"},
        {"Package": "proxmox-kernel-helper", "CurrentState": "Installed"},
    ]
    assert kernels(rows) == ("6.14.9-2-pve", "6.14.11-4-pve")
    assert kernels([]) == ("", "")
    assert alike([{"Package": "qemu-server", "OldVersion": "9.2.6", "Version": "9.2.7"}]) == {"qemu-server": "9.2.6"}


@pytest.mark.parametrize(
    ("status", "votes"),
    [
        ({}, 0),
        ({"State": "Connected", "Algorithm": "Fifty-Fifty split"}, 1),
        ({"State": "Connected", "Algorithm": "LMS"}, 4),
        ({"State": "Disconnected", "Algorithm": "Fifty-Fifty split"}, 0),
        (None, 0),
    ],
)
def test_a_qdevice_votes_when_it_is_connected(status: object, votes: int) -> None:
    assert qdevice_votes(status, 5) == votes


def test_jobs_that_are_off_or_follow_their_guests_bind_no_node() -> None:
    assert backup_jobs([{"id": "a", "enabled": 1}, {"id": "b", "node": "pve1", "enabled": "0"}]) == ()
    jobs = replication_jobs(
        [{"id": "100-0", "guest": 100, "source": "pve1", "target": "pve2"}, {"id": "x", "disable": 1}]
    )
    assert [(each.kind, each.node) for each in jobs] == [("replication from", "pve1"), ("replication to", "pve2")]


def test_only_disks_in_use_without_osds_are_the_systems() -> None:
    rows = [
        {
            "devpath": "/dev/sda",
            "used": "BIOS boot",
            "osdid": -1,
            "osdid-list": None,
            "health": "FAILED",
            "wearout": "N/A",
        },
        {"devpath": "/dev/sdb", "used": "LVM", "osdid": "3", "osdid-list": ["3"]},
        {"devpath": "/dev/sdc", "osdid": -1},
    ]
    (disk,) = system_disks(rows)
    assert (disk.path, disk.health, disk.wear_left_percent) == ("/dev/sda", "FAILED", None)


def test_a_pool_is_spread_over_what_its_rule_chooses_first() -> None:
    dump = {"pools": [{"pool_name": "a", "crush_rule": 0}, {"pool_name": "b", "crush_rule": 1}, {"pool_name": "c"}]}
    rules = [
        {"rule_id": 0, "steps": [{"op": "take"}, {"op": "choose_firstn", "type": "rack"}, {"op": "chooseleaf_firstn"}]},
        {"rule_id": 1, "steps": [{"op": "take"}, {"op": "choose_firstn", "type": "osd"}, {"op": "emit"}]},
    ]  # fmt: skip
    assert spread(dump, rules) == {"a": "rack", "b": "osd"}
    assert spread(None, "no answer") == {}


def test_gateways_are_found_by_the_host_they_name() -> None:
    gateway = {"hostname": "pve2.dom", "id": "g"}
    status = {
        "servicemap": {"services": {"rgw": {"daemons": {"summary": "", "41": {"metadata": gateway}}}}},
        "fsmap": {"by_rank": [{"name": "pve3"}]},
    }  # fmt: skip
    assert [(each.kind, each.name, each.host) for each in daemons(status)] == [
        ("mds", "pve3", "pve3"),
        ("rgw", "g", "pve2"),
    ]


NO_FINDINGS = {"ceph.no-osds-here", "noout.check", "store.url"}  # said better elsewhere; not codes at all


def test_every_code_is_on_the_page_of_checks() -> None:
    root = Path(__file__).parents[3]
    page = (root / "docs" / "reference" / "checks.md").read_text()
    sources = [*(root / "src/noout/app/doctor").glob("*.py"), root / "src/noout/plan/safety.py"]
    codes = {code for each in sources for code in re.findall(r'"([a-z]+\.[a-z]+(?:-[a-z]+)*)"', each.read_text())}
    assert len(codes) > 50
    assert {code for code in codes - NO_FINDINGS if f"`{code}`" not in page} == set()
