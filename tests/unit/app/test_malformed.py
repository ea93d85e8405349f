"""A snapshot that no cluster could have given: refused in one sentence that names what is wrong, never a traceback."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from noout import codec
from noout.app.planning import plan_from_snapshot
from noout.app.snapshot import FORMAT, VERSION, ClusterSnapshot, Snapshot, load_snapshot
from noout.domain.cluster import GuestKind, MappedDevice, Nic, Replica
from noout.domain.errors import UsageError
from noout.domain.maintenance import Plan
from tests.unit.plan.clusters import (
    NOW,
    a_ceph,
    a_guest,
    a_node,
    a_state,
    a_store,
    apart,
    gid,
    ha,
    pinned,
    together,
)  # fmt: skip

Place = tuple[str | int, ...]


@cache
def whole() -> dict[str, Any]:
    """A small cluster with something of everything, as a document."""
    nodes = [a_node(f"pve{i}") for i in (1, 2, 3)]
    odd: dict[str, Any] = {
        "local_resources": ("usb0",),
        "tags": frozenset({"shutdown-ok"}),
        "nics": (Nic("net0", "vmbr0", 5),),
        "mapped": (MappedDevice("hostpci0", "gpu", True),),
        "snapshots": ("before",),
        "replicas": (Replica("pve1"),),
    }
    guests = [
        a_guest(1, "pve3", 8),
        a_guest(2, "pve3", 4, kind=GuestKind.LXC, tags=frozenset({"relocate-ok"})),
        a_guest(3, "pve2", 4, ha=ha(3, "pve2")),
        a_guest(4, "pve3", 2, **odd),
    ]
    rules = (apart(1, 3), pinned([1], {"pve1": 1, "pve3": 2}), together(1, 2))
    state = a_state(nodes, guests, rules=rules, storages=(a_store("local-lvm", "pve1", 50),), votes={"pve1": 1})
    found: dict[str, Any] = codec.encode(Snapshot(FORMAT, VERSION, NOW, (ClusterSnapshot(state, a_ceph(3)),)))
    return found


def places(tree: Any, so_far: Place = ()) -> Iterator[Place]:
    if so_far:
        yield so_far
    entries = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in entries:
        yield from places(value, (*so_far, key))


GONE = object()


def with_(place: Place, value: Any) -> dict[str, Any]:
    document = copy.deepcopy(whole())
    at: Any = document
    for key in place[:-1]:
        at = at[key]
    if value is GONE:
        del at[place[-1]]
    else:
        at[place[-1]] = value
    return document


def planned(file: Path, text: str | bytes) -> Plan:
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return plan_from_snapshot(load_snapshot(file), "pve3").plan


def refused(file: Path, text: str | bytes) -> UsageError:
    with pytest.raises(UsageError) as caught:
        planned(file, text)
    assert caught.value.remedy
    assert "\n" not in caught.value.message and len(caught.value.message) < 400 + len(str(file))
    return caught.value


STATE: Place = ("clusters", 0, "state")
GUEST: Place = (*STATE, "guests", 0)


@pytest.mark.parametrize(
    ("place", "value", "words"),
    [
        ((*GUEST, "ram_bytes"), -(8 << 30), "guests.0.ram_bytes: -8589934592 is less than nothing"),
        ((*GUEST, "ram_bytes"), math.nan, "guests.0.ram_bytes"),
        ((*GUEST, "ram_bytes"), 10**40, "guests.0.ram_bytes"),
        ((*GUEST, "ram_bytes"), 1e300, "guests.0.ram_bytes"),
        ((*GUEST, "ram_bytes"), "8 GiB", "guests.0.ram_bytes: Input should be a valid integer (found '8 GiB')"),
        ((*GUEST, "cpu_used"), math.nan, "guests.0.cpu_used: nan is no figure"),
        ((*GUEST, "cpu_used"), math.inf, "guests.0.cpu_used: inf is no figure"),
        ((*GUEST, "id", "vmid"), "100", "guests.0.id.vmid: Input should be a valid integer (found '100')"),
        ((*GUEST, "id", "vmid"), 3, "guest ams1/3 is listed 2 times"),
        ((*GUEST, "id", "vmid"), 0, "guests.0.id.vmid: 0 is no guest's number"),
        ((*GUEST, "id", "cluster"), "rtm1", "guests: 'rtm1' is not the name of the cluster, 'ams1'"),
        ((*GUEST, "node", "name"), "pve9", "guests.0.node: 'ams1/pve9' is not a node of the cluster"),
        ((*GUEST, "node"), "pve3", "guests.0.node: Input should be an object (found 'pve3')"),
        ((*GUEST, "name"), "shop\x1b[2J", "guests.0.name: 'shop\\x1b[2J' holds control characters"),
        ((*GUEST, "template"), 1, "guests.0.template: Input should be a valid boolean (found 1)"),
        ((*GUEST, "kind"), "docker", "guests.0.kind"),
        ((*GUEST, "status"), GONE, "guests.0.status: Field required"),
        ((*STATE, "nodes"), [], "nodes: cluster ams1 has no nodes"),
        ((*STATE, "nodes"), {}, "nodes: Input should be a valid array"),
        ((*STATE, "nodes", 1, "id", "name"), "pve1", "node ams1/pve1 is listed 2 times"),
        ((*STATE, "nodes", 1, "ram_bytes"), 0, "node ams1/pve2 is online with no RAM"),
        ((*STATE, "storages", 0, "node", "name"), "pve9", "storages.0.node: 'ams1/pve9' is not a node"),
        ((*STATE, "rules", 1, "name"), "apart", "rule apart is listed 2 times"),
        ((*STATE, "rules", 0, "guests", 0, "cluster"), "x", "rules: 'x' is not the name of the cluster"),
        ((*STATE, "name"), "rtm1", "nodes: 'ams1' is not the name of the cluster, 'rtm1'"),
        ((*STATE, "at"), 1790000000, "state.at"),
        ((*STATE, "at"), "2026-11-30T10:00:00", "time zone"),
        (STATE, [], "clusters.0.state: Input should be an object (found [])"),
        (("clusters",), [], "holds no cluster"),
        (("clusters",), [whole()["clusters"][0]] * 2, "cluster ams1 is listed 2 times"),
        (("version",), 2, "version 2; this noout reads version 1"),
        (("format",), "noout.plan", "is not a snapshot"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_named(tmp_path: Path, place: Place, value: Any, words: str) -> None:
    assert words in refused(tmp_path / "s.json", json.dumps(with_(place, value))).message


def test_a_key_that_nobody_reads_changes_nothing(tmp_path: Path) -> None:
    plan = planned(tmp_path / "s.json", json.dumps(whole()))
    assert plan.moves
    assert planned(tmp_path / "s.json", json.dumps(with_((*GUEST, "shoe_size"), "46"))) == plan


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda text: "", "ends in the middle"),
        (lambda text: text[: len(text) // 3], "ends in the middle"),
        (lambda text: bytes(range(256)), "it is not text"),
        (lambda text: text.encode("utf-16"), "it is not text"),
        (lambda text: "[" * 100_000, "nested too deeply"),
        (lambda text: text.replace('"ha_armed": true', f'"more": {"[" * 900}{"]" * 900}'), "recursion limit"),
        (lambda text: text.replace('"version": 1', f'"version": {"9" * 5000}'), "thousands of digits"),
        (lambda text: text.replace("guest-1", r"\ud800"), "hex escape"),
        (lambda text: "null", "is not a snapshot"),
        (lambda text: "[]", "is not a snapshot"),
    ],
    ids=["empty", "cut", "binary", "utf-16", "deep", "deep inside", "long number", "half a letter", "null", "list"],
)
def test_a_file_that_is_no_document(tmp_path: Path, spoil: Callable[[str], str | bytes], words: str) -> None:
    assert words in refused(tmp_path / "s.json", spoil(json.dumps(whole()))).message


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    loop = tmp_path / "loop.json"
    loop.symlink_to(loop)
    for path, words in ((tmp_path, "directory"), (loop, "symbolic links"), (tmp_path / "none.json", "No such file")):
        with pytest.raises(UsageError, match=words):
            load_snapshot(path)


def test_rules_of_what_is_gone_and_rules_that_contradict_each_other_are_a_matter_of_the_plan(tmp_path: Path) -> None:
    rules = (apart(1, 2), together(1, 2), apart(1, 77, name="gone"), pinned([4], {"pve8": 1}))
    document = copy.deepcopy(whole())
    document["clusters"][0]["state"]["rules"] = codec.encode(rules, tuple)
    plan = planned(tmp_path / "s.json", json.dumps(document))
    said = {blocker.code: blocker for blocker in plan.blockers}
    assert "rule together keeps ams1/1, ams1/2 together and rule apart keeps them apart" in (
        said["plan.rules-contradict"].message
    )
    assert said["plan.rules-contradict"].remedy == "delete one of the rules together and apart"
    assert gid(1) not in {move.guest for move in plan.moves}


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(sorted(places(whole()), key=str)),
    st.just(GONE)
    | st.sampled_from([None, True, -1, 0, 1e308, 10**30, math.nan, math.inf, "", "x", "ams1/pve1", [], {}, [1]])
    | st.recursive(st.none() | st.floats() | st.integers() | st.text(max_size=5), st.lists, max_leaves=3),
)
def test_whatever_is_spoilt_there_is_a_plan_or_a_sentence(tmp_path: Path, place: Place, value: Any) -> None:
    text = json.dumps(with_(place, value))
    try:
        plan = planned(tmp_path / "s.json", text)
    except UsageError as error:
        assert error.remedy and "Traceback" not in error.message
    else:
        assert plan.feasible == (not plan.blockers)
        assert "plan.unsound" not in {blocker.code for blocker in plan.blockers}
