"""Other servers that go away while hands are at work on one: perhaps it is the wrong one. Pure.

Those that stood when the technician came count: of their cluster, and of other clusters in the same rack. What went
away and is not explained asks for the serial once more; the right one explains it.
"""

from __future__ import annotations

from collections.abc import Mapping

from noout.domain.maintenance import Maintenance, Observation

AROUND = "around"  # fact: the servers that stood when the technician came
WRONG_SERVER = "wrong-server"  # fact: those of them that went away since, and are not explained
KNOWN_AWAY = "known-away"  # fact: those that are: the technician has read the right serial since


def at_the_rack(m: Maintenance) -> bool:
    """Whether the technician has the node in their hands, or is about to."""
    return m.open and m.hands_on_at is not None and m.signed_off_at is None and m.node_on_at is None


def in_the_cluster(m: Maintenance, seen: Observation) -> dict[str, bool]:
    """The other nodes of the cluster -> whether it counts them in."""
    return {str(node.id): node.online for node in seen.cluster.nodes if node.id != m.node}


def gone(m: Maintenance, stand: Mapping[str, bool]) -> list[str]:
    """Those that went away since the technician came; of what nobody can say now, nothing is said."""
    known = set(m.facts.get(KNOWN_AWAY) or ())
    return [each for each in m.facts.get(AROUND) or () if stand.get(each) is False and each not in known]


def names(others: list[str], cluster: str) -> str:
    """As people call them: those of the cluster by their bare names."""
    return ", ".join(each.removeprefix(f"{cluster}/") for each in others)
