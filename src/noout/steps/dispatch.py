"""2 · The node is empty: the work order goes out, the locator LED comes on, and noout waits for hands-on at the rack.

Nothing is given up here: data and node are as redundant as ever, however long the technician is on the way.
"""

from __future__ import annotations

from noout.domain.maintenance import Maintenance, Observation
from noout.domain.reasons import Caution
from noout.steps import actions, checks
from noout.steps.effects import Reconciler
from noout.steps.step import (
    Ask,
    Back,
    Decision,
    Finished,
    Hold,
    Sight,
    attempt,
    exhausted,
    is_pending,
    owns,
    waited_s,
    warn_once,
)

POLL_S, POLL_S_MAX = 30.0, 900.0  # the longer nobody comes, the more seldom it looks; a message wakes it at once
RELIGHT_S = 120.0  # a BMC that puts it out sooner has its way for that long


class Dispatch(Reconciler):
    name = "dispatch"
    sees: frozenset[Sight] = frozenset({"hardware"})

    def plan(self, m: Maintenance, seen: Observation) -> Decision:
        if strays := checks.strays(m, seen):
            return Back("evacuate", f"{strays[0].name} ({strays[0].id}) runs on the node again")
        if (warning := _starts_by_itself(m, seen)) is not None:
            return warning
        if m.work_order is None:
            return Ask("work-order", "the node is empty")
        why = "the technician to stand at the rack and say hands-on"
        if (decision := led_on(self.name, m, seen, why)) is not None:
            return decision
        if m.hands_on_by is None:
            seldom_s = min(POLL_S_MAX, waited_s(m, seen, why) / 20)
            return Hold("hands-on", why, max(POLL_S, seldom_s))
        return Finished({"hands_on_by": m.hands_on_by})

    def undo(self, m: Maintenance, seen: Observation) -> Decision:
        return led_off(self.name, m, seen) or Finished()


def _starts_by_itself(m: Maintenance, seen: Observation) -> Decision | None:
    """Said once, before anybody is sent: what this machine does when its cords are plugged in again."""
    if seen.hardware is None or seen.hardware.power_restore != "AlwaysOn":
        return None
    said = (
        f"{m.node.name} starts by itself as soon as it has power (power restore policy AlwaysOn): plugging the cords "
        "in is switching it on, and what starts at boot starts before it is accepted"
    )
    remedy = "hands off before the cords go in; for the work, set the policy in its BMC or BIOS to AlwaysOff"
    return warn_once(m, Caution("power.starts-by-itself", str(m.node), said, remedy))


def led_on(step: str, m: Maintenance, seen: Observation, waiting: str) -> Decision | None:
    """Light the locator LED, and light it again when it went out while we wait for ``waiting``; None: nothing to do.

    IPMI's identify ends by itself after some minutes. A help, never a reason to stop.
    """
    dark = seen.hardware is not None and seen.hardware.reachable and seen.hardware.led_on is False
    action = actions.locate(step, m.node, True)
    if not dark or exhausted(m, action.key):
        return None
    if owns(m, "led") and not is_pending(m, action.key) and waited_s(m, seen, waiting) < RELIGHT_S:
        return None
    return attempt(m, seen, action, remedy="find the machine by its serial")


def led_off(step: str, m: Maintenance, seen: Observation) -> Decision | None:
    """Switch off the LED that we switched on; None when there is nothing to do."""
    if not owns(m, "led"):
        return None
    action = actions.locate(step, m.node, False)
    return attempt(m, seen, action, code="led.still-on", remedy="switch it off by hand, then resume")
