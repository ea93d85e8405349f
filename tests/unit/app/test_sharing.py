"""A fault of a shared part is not mended on one node while guests run on its neighbours."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from noout.app import sharing
from noout.domain.cluster import NodeId
from noout.domain.hardware import Fault, Urgency
from noout.plan.groups import Part
from noout.plan.policy import Policy
from tests.unit.plan.clusters import a_guest, a_node, a_state, node_id

ONE, TWO = node_id("pve1"), node_id("pve2")


def _fault(node: NodeId, template: str = "fans") -> Fault:
    return Fault(node, template, ("FAN1",), Urgency.SCHEDULE, "a fan stops and starts", ())


async def _asked(monkeypatch: pytest.MonkeyPatch, other: Fault | None, kind: str = "chassis", busy: bool = True) -> Any:
    async def health(node: NodeId) -> Any:
        return SimpleNamespace(fault=other if node == TWO else None)

    monkeypatch.setattr(sharing, "watcher_of", lambda found: SimpleNamespace(health=health))
    parts = (Part(kind, "c1", frozenset({ONE, TWO})),)
    found: Any = SimpleNamespace(policy=Policy(parts=parts), bmcs={ONE: None, TWO: None})
    guests = [a_guest(100, "pve1"), *([a_guest(101, "pve2")] if busy else [])]
    return await sharing.shared_fault(found, _fault(ONE), a_state([a_node("pve1"), a_node("pve2")], guests))


async def test_the_same_fault_on_a_neighbour_with_guests_forbids_it(monkeypatch: pytest.MonkeyPatch) -> None:
    blocker = await _asked(monkeypatch, _fault(TWO))
    assert blocker.code == "plan.shares-part"
    assert "pve1 and pve2 share a part and show the same fault (fans)" in blocker.message
    assert "noout plan pve1 --with pve2" in blocker.remedy


@pytest.mark.parametrize(
    ("other", "kind", "busy"),
    [
        (None, "chassis", True),  # the neighbour is well
        (_fault(TWO, "memory"), "chassis", True),  # another fault
        (_fault(TWO), "switch", True),  # fans are not of a switch
        (_fault(TWO), "chassis", False),  # nobody is on the neighbour
    ],
)
async def test_otherwise_nothing_is_in_the_way(
    monkeypatch: pytest.MonkeyPatch, other: Fault | None, kind: str, busy: bool
) -> None:
    assert await _asked(monkeypatch, other, kind, busy) is None
