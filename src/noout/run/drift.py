"""What others did meanwhile: guests that came, went or were moved by other hands become recorded causes."""

from __future__ import annotations

from noout.domain.cluster import GuestId
from noout.domain.journal import Kind
from noout.domain.maintenance import Maintenance, Observation
from noout.run.record import Record
from noout.steps import checks
from noout.steps.whereabouts import away


async def note_drift(record: Record, seen: Observation) -> list[str]:
    """What was written down of guests of the plan that the cluster knows no more: somebody should look."""
    lost = []
    for guest, to, why, replan in drift(record.m, seen):
        data = {"guest": str(guest), "to": to, "what": why, "why": why, "replan": replan}
        await record.write(Kind.OBSERVED, data)
        lost += [] if to else [f"{why} ({guest}): it is on no node of the cluster"]
    return lost


def drift(m: Maintenance, seen: Observation) -> list[tuple[GuestId, str, str, bool]]:
    """(guest, node it is on now or "", sentence, whether the plan must be made anew), each once."""
    found: list[tuple[GuestId, str, str, bool]] = []
    busy = {pending.action.subject for pending in m.pending}
    placed = away(m)
    moves = {move.guest: move for move in (m.plan.moves if m.plan else ())}
    evacuating = m.step in ("", "evacuate") and not m.aborting
    for guest in seen.cluster.guests:
        if str(guest.id) in busy or m.elsewhere.get(str(guest.id)) == guest.node.name:
            continue
        put = placed.get(guest.id)
        if put is not None:
            if guest.node.name not in (put, m.node.name):
                found.append((guest.id, guest.node.name, _by_others(guest.name, put, guest.node.name), False))
        elif guest.id in moves:
            move = moves[guest.id]
            if guest.node != move.source:
                what = _by_others(guest.name, move.source.name, guest.node.name)
                found.append((guest.id, guest.node.name, what, evacuating))
        elif evacuating and m.plan is not None and guest in checks.running_on_node(m, seen):
            found.append((guest.id, guest.node.name, f"{guest.name} came to {m.node.name} after the plan", True))
    gone = sorted(set(moves) - {guest.id for guest in seen.cluster.guests})
    found += [
        (each, "", f"{moves[each].name} is no longer there", evacuating)
        for each in gone
        if str(each) not in m.elsewhere
    ]
    return found


def _by_others(name: str, source: str, target: str) -> str:
    return f"{name} was moved from {source} to {target} by others"
