"""Why a guest finds no room: node by node, what is missing, and the cheapest remedies."""

from __future__ import annotations

from noout.domain.reasons import Blocker
from noout.plan.capacity import gib
from noout.plan.layout import Layout, Unit
from noout.plan.policy import Policy
from noout.plan.volumes import title


def no_room(unit: Unit, layout: Layout, policy: Policy) -> Blocker:
    """The blocker for a unit that could not be placed, as the layout stands."""
    who = " and ".join(title(guest) for guest in unit.guests)
    evidence: dict[str, str] = {node.name: f"{node.name} {reason}" for node, reason in unit.refused.items()}
    lacks: list[tuple[int, str]] = []
    piece = next(each for each in layout.pieces if each.unit is unit)
    for node in unit.allowed:
        place = layout.index[node]
        missing = unit.ram_bytes - layout.free[place]
        rivals = layout.rivals(piece, place)
        if rivals:
            names = ", ".join(str(each) for each in sorted(rivals))
            rules = ", ".join(sorted(unit.apart))
            evidence[node.name] = f"{node.name} holds {names}, from which rule {rules} keeps it apart"
        elif missing > 0:
            evidence[node.name] = f"{node.name} lacks {gib(missing)} (free after the reserve: {_free(layout, place)})"
            lacks.append((missing, node.name))
        else:
            evidence[node.name] = f"{node.name} has no storage with room for its local disks"
    why = "; ".join(evidence[name] for name in sorted(evidence)) or "there is no other node"
    remedies = []
    if lacks:
        missing, name = min(lacks)
        remedies.append(f"free {gib(missing)} on {name}, for instance by shutting down a guest there")
    if unit.apart and any("keeps it apart" in text for text in evidence.values()):
        remedies.append(f"relax rule {', '.join(sorted(unit.apart))}")
    if not lacks and not unit.apart:
        remedies.append("lift what excludes the nodes named above")
    tag = f"tag it {policy.shutdown_tag} if its owner agrees to a shutdown"
    if managed := [guest.ha.sid for guest in unit.guests if guest.ha is not None]:
        tag += f" (and take it out of HA's hands first: ha-manager set {managed[0]} --state ignored)"
    return Blocker(
        "plan.no-room",
        str(unit.guests[0].id),
        f"no room for {who} ({gib(unit.ram_bytes)}): {why}",
        "; or ".join([*remedies, tag]),
        evidence | {"guests": ", ".join(str(guest.id) for guest in unit.guests)},
    )


def _free(layout: Layout, place: int) -> str:
    free = layout.free[place]
    return gib(free) if free > 0 else "none"
