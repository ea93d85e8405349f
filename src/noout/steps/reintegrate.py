"""5 · Power, quorum, acceptance, OSDs, clean placement groups: only then is noout released and the node open again.

Until the acceptance is passed the OSDs wait behind noup and the guests stay away: a node that is not well hurts nobody.
"""

from __future__ import annotations

from datetime import timedelta

from noout.domain.maintenance import Maintenance, Observation
from noout.domain.reasons import Blocker
from noout.steps import cordon
from noout.steps.bring_back import keep_held, mon_back, power_up, release_data
from noout.steps.dispatch import led_off
from noout.steps.effects import Reconciler
from noout.steps.rules import RULES, Rules
from noout.steps.step import Ask, Blocked, Decision, Finished, Note, Sight

SOAK_S = 600.0
ACCEPT = "noout resume {} --accept-differences"
SOAKING = "the repaired node to prove itself before anything relies on it"


class Reintegrate(Reconciler):
    name = "reintegrate"
    sees: frozenset[Sight] = frozenset({"ceph", "anew", "hardware"})

    def __init__(self, soak_s: float = SOAK_S, rules: Rules = RULES) -> None:
        self.soak_s = soak_s
        self.rules = rules

    def plan(self, m: Maintenance, seen: Observation) -> Decision:
        return (
            keep_held(self.name, m, seen, self.rules, going_back=True)
            or power_up(self.name, m, seen)
            or self._note_return(m, seen)
            or mon_back(self.name, m, seen)
            or (release_data(self.name, m, seen) if m.urgent else None)  # redundancy first: another fault is there
            or self._accept(m, seen)
            or release_data(self.name, m, seen)
            or cordon.open_again(self.name, m, seen)
            or cordon.wake_again(self.name, m, seen)
            or led_off(self.name, m, seen)
            or Finished({"pgs": dict(seen.ceph.pgs_by_state) if seen.ceph else {}})
        )

    def _note_return(self, m: Maintenance, seen: Observation) -> Decision | None:
        soak_until = (seen.at + timedelta(seconds=self.soak_s)).isoformat()
        if m.node_on_at is None:
            return Note("node-on", {"soak_until": soak_until})
        if m.acceptance_until is None:
            return Note("soak", {"soak_until": soak_until})
        return None

    def _accept(self, m: Maintenance, seen: Observation) -> Decision | None:
        """Asked all through the soak: what fails, fails early; what is well must stay well to its end."""
        answer = m.facts.get("acceptance")
        if answer is None:
            return Ask("acceptance", SOAKING)
        if answer["ok"]:
            return None
        remedy = "guests and data stay as they are; have it looked at again and resume (it is judged anew), or abort"
        meant = f"mend it and resume (it is judged anew), or abort; if it is meant so: {ACCEPT.format(m.id)}"
        reasons = answer["reasons"] or ["it did not pass"]
        may_be_meant = answer.get("differences") or ()
        return Blocked(
            tuple(
                Blocker("acceptance.failed", str(m.node), str(each), meant if each in may_be_meant else remedy)
                for each in reasons
            )
        )

    def undo(self, m: Maintenance, seen: Observation) -> Decision:
        """Nothing of its own: it only ever gave back. What it had not yet given back, the steps before it undo."""
        return Finished()
