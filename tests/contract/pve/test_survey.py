"""What the doctor and `noout init` read, of a real cluster's recorded answers; what was not recorded is named."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from noout.adapters.http import Server
from noout.adapters.pve.client import PveClient
from noout.adapters.pve.discover import crush_hosts, discover
from noout.adapters.pve.survey import PveSurveyor
from noout.domain.cluster import NodeId
from tests.support.recorded import FixedClock, ReplayedCluster, healthy_answers


@pytest.fixture
def answers(recordings: Path) -> dict[str, Any]:
    folder = recordings / "proxmox" / "responses"

    def data(name: str) -> Any:
        return json.loads((folder / f"{name}.json").read_text())["json"]["data"]

    return healthy_answers(folder) | {
        "/cluster/config/nodes": data("role-cluster-config-nodes"),  # with rights to look alone
        "/cluster/backup": data("cluster-backup"),
        "/cluster/replication": data("cluster-replication"),
        "/storage": data("storage"),
        "/nodes/pve1/disks/list": data("node-disks"),
        "/cluster/ceph/metadata": data("ceph-metadata"),
        "/nodes/pve1/ceph/osd": data("ceph-osd-tree"),
        "/pools": data("pools"),
    }


def client_of(answers: dict[str, Any]) -> PveClient:
    clock = FixedClock(datetime(2026, 11, 23, tzinfo=UTC))
    server = Server("https://pve1:8006", transport=ReplayedCluster(answers))
    return PveClient("lab", [server], "noout@pve!test=secret", clock)


async def test_a_survey_of_the_recorded_cluster(answers: dict[str, Any]) -> None:
    survey = await PveSurveyor(client_of(answers)).survey([NodeId("lab", "pve1")])
    assert (survey.jobs, survey.storages, survey.exits) == ((), (), ())
    assert survey.entry_points == {"pve1:8006": ""}
    assert survey.node(NodeId("lab", "pve1")).network_changes == ""
    unread = {each.what for each in survey.unread}
    assert unread == {
        "lab: the SDN zones", "lab: pve1's packages", "lab: pve1's time",
    }, "answers that were not recorded are named, one by one"  # fmt: skip


async def test_the_recorded_cluster_is_discovered(answers: dict[str, Any]) -> None:
    found = await discover(client_of(answers))
    assert {node.name for node in found.nodes} == {"pve1", "pve2", "pve3"}
    assert {node.name: node.crush_host for node in found.nodes} == {"pve1": "pve1", "pve2": "pve2", "pve3": "pve3"}
    assert all(len(node.fingerprint.replace(":", "")) == 64 for node in found.nodes)
    assert found.has_ceph


def test_the_recorded_tree_has_its_osds_under_their_hosts(answers: dict[str, Any]) -> None:
    assert dict(crush_hosts(answers["/nodes/pve1/ceph/osd"]["root"])) == {0: "pve1", 1: "pve2", 2: "pve3"}
