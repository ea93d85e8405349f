"""Which versions noout acts on: the recorded ones, and those that an operator vouches for by their exact number."""

from __future__ import annotations

import pytest

from noout.app.support import Support, support_in, support_of, version_caution
from noout.domain.cluster import ClusterState
from tests.unit.plan.clusters import a_node, a_state


@pytest.mark.parametrize(
    ("version", "kind", "minor"),
    [
        ("9.2.11", "recorded", "9.2"),
        ("9.2.1", "recorded", "9.2"),
        ("9.2", "recorded", "9.2"),
        ("9.0.3", "unrecorded", "9.0"),
        ("9.1.4", "unrecorded", "9.1"),
        ("9.3.0~rc1", "unrecorded", "9.3"),
        ("9.20.1", "unrecorded", "9.20"),
        ("10.0.1", "unrecorded", "10.0"),
        ("8.4.14", "too-old", "8.4"),
        ("", "too-old", ""),
        ("nonsense", "too-old", ""),
    ],
)
def test_a_version(version: str, kind: str, minor: str) -> None:
    support = support_of(version)
    assert (support.kind, support.minor) == (kind, minor)
    assert support.sentence
    assert support.acts(None) is (kind == "recorded")


def test_only_the_exact_minor_version_is_accepted() -> None:
    ahead = support_of("9.3.2")
    assert [ahead.acts(accepted) for accepted in ("9.3", "9.2", "9.30", "9", None)] == [
        True,
        False,
        False,
        False,
        False,
    ]
    assert not support_of("8.4.14").acts("8.4"), "its HA groups are not read, whoever accepts that"
    assert not Support("unrecorded", "", "").acts("")


def mixed(*versions: str) -> ClusterState:
    nodes = [a_node(f"pve{i}", pve_version=version) for i, version in enumerate(versions)]
    return a_state(nodes, [], version=versions[0])


def test_a_half_upgraded_cluster_counts_as_its_worst_node() -> None:
    assert support_in(mixed("9.2.11", "9.2.9")).kind == "recorded"
    assert support_in(mixed("9.2.11", "9.3.1")).kind == "unrecorded"
    assert support_in(mixed("9.2.11", "9.3.1", "8.4.1")).kind == "too-old"


def test_a_node_that_does_not_answer_says_nothing_of_its_version() -> None:
    assert support_in(mixed("9.2.11", "")).kind == "recorded"


def test_a_plan_says_on_what_it_will_not_be_carried_out() -> None:
    assert version_caution(mixed("9.2.11"), None) is None
    caution = version_caution(mixed("9.3.1"), None)
    assert caution is not None
    assert "9.3 was not recorded" in caution.message
    assert "by hand" in caution.remedy
    accepted = version_caution(mixed("9.3.1"), "9.3")
    assert accepted is not None
    assert "accepted" in accepted.remedy
