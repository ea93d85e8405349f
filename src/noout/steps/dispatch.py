"""2 · The node is empty: the work order goes out, the locator LED comes on, and noout waits for hands-on at the rack.

Nothing is given up here: data and node are as redundant as ever, however long the technician is on the way.
"""

from __future__ import annotations

from noout.domain.maintenance import Maintenance, Observation
from noout.steps import actions, checks
from noout.steps.effects import Reconciler
from noout.steps.step import Ask, Back, Decision, Finished, Hold, Sight, attempt, exhausted, owns

POLL_S = 30.0


class Dispatch(Reconciler):
    name = "dispatch"
    sees: frozenset[Sight] = frozenset({"hardware"})

    def plan(self, m: Maintenance, seen: Observation) -> Decision:
        if strays := checks.strays(m, seen):
            return Back("evacuate", f"{strays[0].name} ({strays[0].id}) runs on the node again")
        if m.work_order is None:
            return Ask("work-order", "the node is empty")
        led = actions.locate(self.name, m.node, True)
        dark = seen.hardware is not None and seen.hardware.reachable and seen.hardware.led_on is False
        if dark and not owns(m, "led") and not exhausted(m, led.key):  # a help, never a reason to stop
            return attempt(m, seen, led, remedy="")
        if m.hands_on_by is None:
            return Hold("the technician to stand at the rack and say hands-on", POLL_S, "technician")
        return Finished({"hands_on_by": m.hands_on_by})

    def undo(self, m: Maintenance, seen: Observation) -> Decision:
        return led_off(self.name, m, seen) or Finished()


def led_off(step: str, m: Maintenance, seen: Observation) -> Decision | None:
    """Switch off the LED that we switched on; None when there is nothing to do."""
    if not owns(m, "led"):
        return None
    action = actions.locate(step, m.node, False)
    return attempt(m, seen, action, code="led.still-on", remedy="switch it off by hand, then resume")
