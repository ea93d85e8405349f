"""Every JSON document of the lab's ``ceph`` has the fields of a real one, and no field that a real one has not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.contract.lab_shell.conftest import Lab
from tests.contract.lab_shell.shapes import invented, lacking, shape

# Objects whose keys are data, not field names.
MAPS = frozenset(
    {
        ".health.checks",
        ".checks",
        ".crush_node_flags",
        ".progress_events",
        ".blocklist",
        ".time_skew_status",
        ".mon",
        ".osd",
        ".mgr",
        ".mds",
        ".overall",
        ".erasure_code_profiles",
        ".pools[].options",
        ".pools[].application_metadata",
        "[].options",
        "[].application_metadata",
    }
)

# What the lab leaves out on purpose: nothing that a maintenance tool looks at.
LEFT_OUT: dict[str, set[str]] = {
    "ceph_s": {
        ".pgmap.num_bytes_recovered",
        ".pgmap.num_keys_recovered",
        ".pgmap.num_objects_recovered",
        ".pgmap.read_bytes_sec",
        ".pgmap.unknown_pgs_ratio",
    },
    "pg_stat": {
        ".pg_summary.io_sec",
        ".pg_summary.num_bytes_recovered",
        ".pg_summary.num_keys_recovered",
        ".pg_summary.num_objects_recovered",
        ".pg_summary.read_bytes_sec",
    },
}
WHOLE = {
    "ceph_s": ["status"],
    "health_detail": ["health", "detail"],
    "osd_tree": ["osd", "tree"],
    "osd_dump": ["osd", "dump"],
    "osd_df": ["osd", "df", "tree"],
    "pg_stat": ["pg", "stat"],
    "quorum_status": ["quorum_status"],
    "mon_dump": ["mon", "dump"],
    "osd_pool_ls_detail": ["osd", "pool", "ls", "detail"],
    "versions": ["versions"],
    "osd_stat": ["osd", "stat"],
    "time-sync-status": ["time-sync-status"],
    "node_ls": ["node", "ls"],
    "mgr_services": ["mgr", "services"],
}
BRIEF = {
    "osd_metadata": ["osd", "metadata"],
    "mon_metadata": ["mon", "metadata"],
    "pg_dump_stuck": ["pg", "dump_stuck"],
}  # the lab prints only some of the fields


def recorded(folder: Path, name: str) -> list[Any]:
    """The command's output in every phase of the recorded maintenance."""
    return [json.loads(path.read_text()) for path in sorted((folder / "ceph").glob(f"*/{name}.json"))]


def phases(lab: Lab, argv: list[str]) -> list[Any]:
    """The lab's output: healthy; a host held and stopped; a second one down; the first out; and on its return."""
    found = [lab.json("ceph", *argv)]
    lab.run("ceph", "osd", "set-group", "noout", "pve3")
    lab.run("ceph", "osd", "set", "noout")
    ids = lab.stop_host("pve3")
    found.append(lab.json("ceph", *argv))
    second = lab.stop_host("pve4")
    found.append(lab.json("ceph", *argv))
    for number in second:
        lab.run("systemctl", "start", f"ceph-osd@{number}", node="pve4")
    lab.forward(60)
    lab.run("ceph", "osd", "unset", "noout")
    lab.run("ceph", "osd", "unset-group", "noout", "pve3")
    lab.forward(700)
    found.append(lab.json("ceph", *argv))
    for number in ids:
        lab.run("systemctl", "start", f"ceph-osd@{number}", node="pve3")
    lab.forward(12)
    found.append(lab.json("ceph", *argv))
    return found


@pytest.mark.parametrize("name", sorted(WHOLE))
def test_the_fields_are_those_of_a_real_cluster(recordings: Path, lab: Lab, name: str) -> None:
    real, ours = shape(recorded(recordings, name), MAPS), shape(phases(lab, WHOLE[name]), MAPS)
    assert invented(ours, real) == []
    assert lacking(ours, real) - LEFT_OUT.get(name, set()) - OFTEN_EMPTY == set()


# Paths inside collections that were empty, or happened not to be, in one of the two.
OFTEN_EMPTY = {
    ".pg_temp[]",
    ".pg_upmap_items[]",
    ".primary_temp[]",
    ".blocklist.*",
    ".progress_events.*",
    ".pools[].options.*",
    "[].options.*",
    ".health.checks.*.summary",
}


@pytest.mark.parametrize("name", sorted(BRIEF))
def test_brief_documents_invent_nothing(recordings: Path, lab: Lab, name: str) -> None:
    real, ours = shape(recorded(recordings, name), MAPS), shape(phases(lab, BRIEF[name]), MAPS)
    assert invented(ours, real) == []


def test_ok_to_stop_answers_like_a_real_cluster(recordings: Path, lab: Lab) -> None:
    documents = [
        json.loads(path.read_text())
        for path in sorted((recordings / "ceph").glob("*/osd_ok-to-stop_*.json"))
        if path.stat().st_size
    ]
    here = [osd.id for osd in lab.ceph.osds.values() if osd.host == "pve1"]
    there = [osd.id for osd in lab.ceph.osds.values() if osd.host == "pve2"]
    outcomes = [
        lab.run("ceph", "osd", "ok-to-stop", *map(str, ids), "--format", "json") for ids in (here, here + there)
    ]
    assert [outcome.exit for outcome in outcomes] == [0, 16]
    assert outcomes[1].stderr.startswith("Error EBUSY: unsafe to stop osd(s) at this time (")
    assert invented(shape(json.loads(o.stdout) for o in outcomes), shape(documents)) == []


def test_the_texts_of_the_checks_are_those_of_a_real_cluster(recordings: Path, lab: Lab) -> None:
    """Numbers and names aside, each check's summary was also printed by the recorded cluster."""

    def bare(text: str) -> str:
        words = (word for word in text.replace("/", " ").split())
        return " ".join("N" if any(c.isdigit() for c in word) else word for word in words)

    def texts(documents: list[Any]) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for document in documents:
            for name, check in document["checks"].items():
                found.setdefault(name, set()).add(bare(check["summary"]["message"]))
        return found

    real, ours = texts(recorded(recordings, "health_detail")), texts(phases(lab, ["health", "detail"]))
    assert {"OSD_DOWN", "OSD_FLAGS", "OSD_HOST_DOWN", "OSDMAP_FLAGS", "PG_DEGRADED"} <= set(ours)
    assert [(name, text) for name in ours for text in ours[name] if text not in real.get(name, set())] == []
