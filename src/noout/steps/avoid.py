"""Where guests must not be sent any more: learnt on the way, kept as facts, obeyed by every later plan.

``facts["avoid"]``: guest -> names of nodes to which its migration was cancelled. ``facts["suspects"]``: targets and
networks at which a guest's service did not answer; once a person has said to go on, nobody is sent there.
"""

from __future__ import annotations

from collections.abc import Mapping

from noout.domain.cluster import ClusterState, Guest, GuestId, NodeId
from noout.domain.maintenance import Json, Maintenance, Move

NO_NEW_PLAN = "no-new-plan"  # fact: {"why": reasons for which a new plan was asked, "because": what forbids one}

Avoid = Mapping[GuestId, frozenset[NodeId]]


def given_up(m: Maintenance) -> Mapping[str, list[str]]:
    found = m.facts.get("avoid")
    return found if isinstance(found, Mapping) else {}


def suspects(m: Maintenance) -> list[Mapping[str, Json]]:
    found = m.facts.get("suspects")
    return list(found) if isinstance(found, list | tuple) else []


def with_target(m: Maintenance, move: Move) -> Json:
    """The fact "avoid" with this move's target in it."""
    assert move.target is not None
    known = {guest: list(nodes) for guest, nodes in given_up(m).items()}
    known[str(move.guest)] = sorted({*known.get(str(move.guest), []), move.target.name})
    return known


def nodes_to_avoid(m: Maintenance, guest: Guest) -> frozenset[NodeId]:
    names = set(given_up(m).get(str(guest.id), ()))
    networks = set(guest.bridges)
    known = [each for each in suspects(m) if each.get("accepted")]  # until then nothing moves at all
    names |= {str(each["target"]) for each in known if networks & set(each["networks"])}
    return frozenset(NodeId(guest.id.cluster, name) for name in names)


def avoided(m: Maintenance, state: ClusterState) -> Avoid:
    """For a new plan: every guest that must not go everywhere."""
    found = {guest.id: nodes_to_avoid(m, guest) for guest in state.guests}
    return {guest: nodes for guest, nodes in found.items() if nodes}
