"""What no cluster looks like, refused before anybody plans with it: figures, names and ids that contradict each other.

A snapshot is a file: it may have been cut, edited or written by another program. What is read here has the right
shape already. Rules that name guests or nodes that are gone are no reason to refuse: real clusters have those too.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from noout.domain.cluster import ClusterState
from noout.domain.errors import UsageError

LIMIT = 2**60  # 1 EiB, or 36 thousand million years: nothing that is measured comes near
ANEW = "make one with `noout snapshot -o FILE`"


def refuse_impossible(what: str, data: list[Any], clusters: Sequence[ClusterState]) -> None:
    """Raise UsageError, naming key and value, for the first thing that cannot be true. ``data``: as they were read."""
    _refuse_values(what, data)
    _refuse_twice(what, "cluster", (state.name for state in clusters))
    for place, state in enumerate(clusters):
        _refuse_names(what, f"clusters.{place}.state", state)


def _refuse_values(what: str, clusters: list[Any]) -> None:
    """Every figure of a cluster is finite, not negative and not absurd; every text can be shown."""
    todo: list[tuple[str, Any]] = [("clusters", clusters)]
    while todo:  # not by recursion: a file decides how deep it is nested
        key, value = todo.pop()
        if isinstance(value, dict):
            todo += [(f"{key}.{name}", each) for name, each in value.items()]
        elif isinstance(value, list):
            todo += [(f"{key}.{index}", each) for index, each in enumerate(value)]
        elif isinstance(value, str):
            if any(ord(letter) < 32 and letter not in "\n\r\t" for letter in value):
                raise _wrong(what, key, value, "holds control characters")
        elif isinstance(value, int | float) and not (math.isfinite(value) and 0 <= value < LIMIT):
            raise _wrong(what, key, value, "is less than nothing" if value < 0 else "is no figure that can be measured")


def _refuse_names(what: str, key: str, state: ClusterState) -> None:
    """Each id once, of this cluster, on a node that there is."""
    if not state.nodes:
        raise UsageError(f"{what}: key {key}.nodes: cluster {state.name} has no nodes", remedy=ANEW)
    owners = {
        "nodes": [each.id.cluster for each in state.nodes],
        "guests": [each.id.cluster for each in state.guests],
        "storages": [each.node.cluster for each in state.storages],
        "rules": [guest.cluster for rule in state.rules for guest in rule.guests],
    }
    for name, clusters in owners.items():
        if strangers := set(clusters) - {state.name}:
            raise _wrong(what, f"{key}.{name}", min(strangers), f"is not the name of the cluster, {state.name!r}")
    _refuse_twice(what, "node", (str(each.id) for each in state.nodes))
    _refuse_twice(what, "guest", (str(each.id) for each in state.guests))
    _refuse_twice(what, "storage", (f"{each.name} of {each.node}" for each in state.storages))
    _refuse_twice(what, "rule", (rule.name for rule in state.rules))
    nodes = {each.id for each in state.nodes}
    for name, places in (("guests", state.guests), ("storages", state.storages)):
        for index, place in enumerate(each.node for each in places):
            if place not in nodes:
                raise _wrong(what, f"{key}.{name}.{index}.node", str(place), "is not a node of the cluster")
    if any(not node.name for node in nodes):
        raise _wrong(what, f"{key}.nodes", "", "is no node's name")
    for index, guest in enumerate(state.guests):
        if guest.id.vmid < 1:
            raise _wrong(what, f"{key}.guests.{index}.id.vmid", guest.id.vmid, "is no guest's number")


def _refuse_twice(what: str, kind: str, names: Iterable[str]) -> None:
    for name, times in Counter(names).items():
        if times > 1:
            raise UsageError(f"{what}: {kind} {name} is listed {times} times", remedy=ANEW)


def _wrong(what: str, key: str, value: object, why: str) -> UsageError:
    return UsageError(f"{what}: key {key}: {repr(value)[:60]} {why}", remedy=f"correct {key} or make the document anew")
