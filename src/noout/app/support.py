"""Which versions of Proxmox VE noout was held against, and what that lets it do.

Its API answers differ between minor versions in small ways that nobody announces. What was recorded on a real cluster
is tested on every change; of the rest noout looks and plans, and acts only where an operator has said so.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from noout.domain.cluster import ClusterState
from noout.domain.reasons import Caution

RECORDED = {(9, 2): "9.2.11"}  # minor version -> the one whose answers are the tests' recordings
OLDEST_MAJOR = 9  # before it HA had groups instead of rules, which noout does not read

_VERSION = re.compile(r"^(\d+)\.(\d+)")
Kind = Literal["recorded", "unrecorded", "too-old"]
_WORST: tuple[Kind, ...] = ("too-old", "unrecorded", "recorded")


@dataclass(frozen=True, slots=True)
class Support:
    """``minor``: "9.2", or "" where the version is not known. ``sentence`` is fit to print."""

    kind: Kind
    minor: str
    sentence: str

    def acts(self, accepted: str | None) -> bool:
        """May noout change anything there? ``accepted``: the minor version that an operator vouches for."""
        return self.kind == "recorded" or (self.kind == "unrecorded" and self.minor != "" and self.minor == accepted)


def support_of(version: str) -> Support:
    """Of one version as Proxmox VE tells it ("9.2.11")."""
    found = _VERSION.match(version)
    if found is None:
        return Support("too-old", "", "its version is not known")
    major, minor = int(found[1]), int(found[2])
    name = f"{major}.{minor}"
    if major < OLDEST_MAJOR:
        return Support(
            "too-old", name, f"Proxmox VE {version} has HA groups instead of rules, which noout does not read"
        )
    if (major, minor) in RECORDED:
        return Support("recorded", name, f"Proxmox VE {name} was recorded ({RECORDED[major, minor]})")
    recorded = ", ".join(f"{a}.{b}" for a, b in sorted(RECORDED))
    return Support("unrecorded", name, f"Proxmox VE {name} was not recorded: noout is tested against {recorded} only")


def support_in(state: ClusterState) -> Support:
    """Of a cluster: that of the node with the least. Nodes of two versions are common while a cluster is upgraded."""
    told: Iterable[str] = {state.version, *(node.pve_version for node in state.nodes if node.pve_version)}
    return min((support_of(version) for version in told), key=lambda each: (_WORST.index(each.kind), each.minor))


def version_caution(state: ClusterState, accepted: str | None) -> Caution | None:
    """What a plan says of a version on which it will not be carried out, or only because an operator wants it."""
    support = support_in(state)
    if support.kind == "recorded":
        return None
    remedy = (
        "you accepted this version: compare the plan with what you see before you begin"
        if support.acts(accepted)
        else "the plan can be carried out by hand: its runbook names every command"
    )
    return Caution("cluster.version", state.name, support.sentence, remedy, {"version": state.version})
