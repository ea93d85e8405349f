"""Snapshots: whole, honest about what is missing, and refused in one sentence when broken."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from noout import codec
from noout.app.snapshot import Snapshot, load_snapshot, take_snapshot
from noout.domain.cluster import NodeId
from noout.domain.errors import UsageError
from noout.plan.plan import make_plan
from tests.support.labsite import LabSite, lab_site
from tests.support.recorded import recorded_snapshot
from tests.support.virtual import run_virtual


def taken(prepare: Callable[[LabSite], None] = lambda _: None) -> dict[str, Any]:
    async def main() -> dict[str, Any]:
        site = lab_site()
        prepare(site)
        return await take_snapshot({"ams1": site.hypervisor}, {"ams1": site.ceph}, site.bmcs, site.clock)

    return run_virtual(main(), limit_s=3600)


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return taken()


def write(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "snapshot.json"
    file.write_text(text)
    return file


def test_a_whole_snapshot_comes_back_as_it_was(document: dict[str, Any], tmp_path: Path) -> None:
    found = load_snapshot(write(tmp_path, json.dumps(document)))
    assert found.unreadable == ()
    [cluster] = found.clusters
    assert len(cluster.state.nodes) == 6
    assert cluster.ceph is not None
    assert cluster.ceph.all_clean
    assert len(found.hardware) == 6
    assert codec.decode(Snapshot, codec.encode(found)) == found


def test_it_fits_its_published_schema(document: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator(codec.schema(Snapshot)).validate(document)
    assert (document["format"], document["version"]) == ("noout.snapshot", 1)


def test_it_holds_no_secret(document: dict[str, Any]) -> None:
    text = json.dumps(document)

    async def secrets() -> list[str]:
        return [token.secret for token in lab_site().cluster.tokens]

    assert not any(secret in text for secret in run_virtual(secrets()))


def test_a_plan_can_be_made_of_it(document: dict[str, Any], tmp_path: Path) -> None:
    found = load_snapshot(write(tmp_path, json.dumps(document)))
    cluster = found.clusters[0]
    plan = make_plan(cluster.state, cluster.ceph, NodeId("ams1", "pve3"), now=cluster.state.at)
    assert {move.guest for move in plan.moves} == {g.id for g in cluster.state.guests_on(NodeId("ams1", "pve3"))}


def test_what_could_not_be_read_is_named() -> None:
    def cut(site: LabSite) -> None:
        site.shell.refused = set(site.cluster.nodes)
        site.cluster.bmcs["pve4"].cords_pulled = True

    found = codec.decode(Snapshot, taken(cut))
    assert {each.part for each in found.unreadable} == {"ams1 ceph", "ams1/pve4 bmc"}
    assert all(each.why for each in found.unreadable)
    assert found.clusters[0].ceph is None
    assert len(found.hardware) == 5


def test_a_cluster_that_does_not_answer_is_named() -> None:
    def cut(site: LabSite) -> None:
        site.network.unplugged |= {(f"{name}.ams1", 8006) for name in site.cluster.nodes}

    found = codec.decode(Snapshot, taken(cut))
    assert found.clusters == ()
    assert found.unreadable[0].part == "ams1"
    assert "no entry point" in found.unreadable[0].why


def test_half_a_file(document: dict[str, Any], tmp_path: Path) -> None:
    text = json.dumps(document)
    with pytest.raises(UsageError, match="ends in the middle") as caught:
        load_snapshot(write(tmp_path, text[: len(text) // 2].rstrip()))
    assert caught.value.exit_code == 2
    assert "noout snapshot" in caught.value.remedy


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "ends in the middle"),
        ("hello", "not JSON"),
        ("[]", "not a snapshot"),
        ('{"format": "noout.plan", "version": 1}', "not a snapshot"),
        ('{"format": "noout.snapshot", "version": 2}', "version 2"),
        ('{"format": "noout.snapshot", "version": 1}', "key at"),
        ("[" * 100_000, "not a"),
    ],
    ids=["empty", "prose", "a list", "another document", "a newer one", "nothing in it", "too deep"],
)
def test_files_that_are_no_snapshot(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        load_snapshot(write(tmp_path, text))


def test_a_wrong_value_is_named_with_its_key(document: dict[str, Any], tmp_path: Path) -> None:
    broken = json.loads(json.dumps(document))
    broken["clusters"][0]["state"]["nodes"][2]["ram_bytes"] = "plenty"
    with pytest.raises(UsageError, match=r"clusters\.0\.state\.nodes\.2\.ram_bytes"):
        load_snapshot(write(tmp_path, json.dumps(broken)))


def test_no_file_and_no_text(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.json"):
        load_snapshot(tmp_path / "none.json")
    (tmp_path / "noise").write_bytes(b"\xff\xfe\x00\x9f")
    with pytest.raises(UsageError, match="not text"):
        load_snapshot(tmp_path / "noise")


async def test_the_recorded_cluster_as_a_snapshot(recordings: Path, tmp_path: Path) -> None:
    folder = recordings / "proxmox" / "responses"
    document = await recorded_snapshot(folder, recordings / "ceph" / "healthy")
    found = load_snapshot(write(tmp_path, json.dumps(document)))
    [cluster] = found.clusters
    assert [node.id.name for node in cluster.state.nodes] == ["pve1", "pve2", "pve3"]
    guests = {guest.id.vmid: guest for guest in cluster.state.guests}
    assert {vmid: guest.node.name for vmid, guest in guests.items()} == {100: "pve3", 101: "pve1", 102: "pve3"}
    assert guests[100].pool == "customer-a"
    assert guests[100].ha is not None
    assert guests[100].tags == {"prod", "web"}
    assert all(not guest.local_disks for guest in guests.values())
    plan = make_plan(cluster.state, cluster.ceph, NodeId("lab", "pve3"), now=cluster.state.at)
    assert plan.feasible
    assert {move.guest.vmid for move in plan.moves} == {100}, "102 is stopped and stays"
