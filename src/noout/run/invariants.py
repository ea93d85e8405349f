"""What must never be, whatever happened: checked on every observation; the run stops effects until it is mended.

Only what no step can mend by itself is here. (Data no longer held, for one, is held again by the step.)
"""

from __future__ import annotations

from noout.domain.hardware import Power
from noout.domain.maintenance import Maintenance, Observation
from noout.steps import checks


def violations(m: Maintenance, seen: Observation) -> list[str]:
    """Sentences; empty when all holds."""
    found = []
    ids = [guest.id for guest in seen.cluster.guests]
    if len(ids) != len(set(ids)):
        twice = sorted({str(each) for each in ids if ids.count(each) > 1})
        found.append(f"guests on two nodes at once: {', '.join(twice)}")
    asked_off = any(pending.action.verb == "shutdown-node" for pending in m.pending)
    off = seen.hardware is not None and seen.hardware.reachable and seen.hardware.power is Power.OFF
    if (asked_off or off) and (running := checks.running_on_node(m, seen)):
        found.append(f"{running[0].name} ({running[0].id}) runs on {m.node.name}, which is off or was asked to go off")
    ours_down = any(own.kind in ("osd-stopped", "mon-stopped") for own in m.owned)
    if ours_down and seen.ceph is not None and not seen.ceph.mon_quorum_ok:
        found.append("the Ceph mons have lost their quorum while ours is stopped")
    return found


def forgotten(m: Maintenance) -> list[str]:
    """What noout still owns: a maintenance that does so must not be closed as done."""
    return [f"{own.kind} {own.subject}" for own in m.owned]
