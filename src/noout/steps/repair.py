"""4 · The node is shut down, its BMC proves it has no power, and the technician works through the checklist.

A node that does not shut down is a blocker, not a reason for ForceOff: only an operator's explicit decision cuts its
power, and only when the cluster no longer sees it.
"""

from __future__ import annotations

from datetime import timedelta

from noout.domain.hardware import Power
from noout.domain.maintenance import Action, Maintenance, Observation
from noout.steps import actions, checks
from noout.steps.bring_back import keep_held, power_up
from noout.steps.dispatch import led_on
from noout.steps.effects import Reconciler
from noout.steps.exposure import may_heal
from noout.steps.rules import RULES, Rules
from noout.steps.step import (
    Back,
    Blocked,
    Decision,
    Finished,
    Hold,
    Note,
    Sight,
    attempt,
    blocked,
    is_pending,
    owns,
    waited_s,
)

POLL_S = 30.0
SEEN_OFF_S_MAX = 120.0
FORCE_OFF_S = 600.0  # a decision to cut the power is for now: what holds it up longer wants a new one


class Repair(Reconciler):
    name = "repair"
    sees: frozenset[Sight] = frozenset({"ceph", "anew", "hardware"})

    def __init__(self, rules: Rules = RULES) -> None:
        self.rules = rules

    def plan(self, m: Maintenance, seen: Observation) -> Decision:
        power = seen.hardware.power if seen.hardware and seen.hardware.reachable else Power.UNKNOWN
        if m.node_off_at is None:
            return self._switch_off(m, seen, power)
        back = m.signed_off_by is not None
        held = self._heal(m, seen) or keep_held(self.name, m, seen, self.rules, going_back=back)
        if held is not None:
            return held
        if m.signed_off_by is None:
            if power is Power.ON:
                return blocked(
                    "power.on-early", str(m.node), f"{m.node.name} has power again before the technician signed off",
                    "hands off; switch it off again, or sign off to go on",
                )  # fmt: skip
            lit = led_on(self.name, m, seen, m.waiting_for) if owns(m, "led") else None
            return lit or self._work(m, seen)
        return Finished({"signed_off_by": m.signed_off_by, "findings": len(m.findings)})

    def _work(self, m: Maintenance, seen: Observation) -> Decision:
        """The lid is open: until the sign-off, or until it takes too long, or something else fails."""
        if m.closing_up:
            now = " NOW" if m.urgent else ""
            return Hold("close-up", f"the technician to close up{now} and sign off: {m.closing_up}", POLL_S / 3)
        assert m.node_off_at is not None
        limit = m.hold_until or m.node_off_at + timedelta(seconds=self.rules.hold_limit_s)
        told_at = None if m.healing else limit
        if seen.at < limit or m.healing:
            return Hold("checklist", "the technician to answer the checklist and sign off", POLL_S, told_at)
        stake = "; ".join(str(each) for each in m.facts.get("exposure", ())) or "its redundancy is missing"
        return blocked(
            "hold.limit", str(m.node), f"{m.node.name} has been away since {m.node_off_at:%H:%M} UTC: {stake}",
            f"decide: noout close-up {m.id} (it returns as it was), noout extend {m.id} --hours 2, or "
            f"noout let-heal {m.id} (Ceph copies its data elsewhere)",
        )  # fmt: skip

    def _heal(self, m: Maintenance, seen: Observation) -> Decision | None:
        """An operator let Ceph heal: noout goes, once the survivors are seen to have room. noup stays."""
        host = checks.crush_host(m)
        held = host is not None and (owns(m, "noout", host) or owns(m, "cluster-noout"))
        if not m.healing or m.closing_up or host is None or not held:
            return None
        if blockers := may_heal(m, seen):
            return Blocked(blockers)
        action = actions.unset_flag(self.name, "noout", host)
        if owns(m, "cluster-noout"):
            action = actions.cluster_noout(self.name, m.node.cluster, False)
        return attempt(m, seen, action, code="ceph.flag", remedy="release it by hand, then resume")

    def _switch_off(self, m: Maintenance, seen: Observation, power: Power) -> Decision:
        """Every permission is looked at again in the very step that acts on it."""
        action, cut = actions.shutdown_node(self.name, m.node), actions.force_off(self.name, m.node)
        for each in (action, cut):
            if is_pending(m, each.key):
                return Hold("under-way", f"under way: {each.says}", 5.0)
        if m.closing_up and power is not Power.OFF:
            return Back("hold-data", f"something else failed before the node was off: {m.closing_up}")
        if power is Power.OFF:
            node = seen.cluster.node(m.node)
            if node is not None and node.online:
                why = "the cluster to see that the node is off"  # corosync needs some seconds
                if waited_s(m, seen, why) < SEEN_OFF_S_MAX:
                    return Hold("seen-off", why, 2.0)
                return blocked(
                    "power.contradiction", str(m.node), f"the BMC says off, but {m.node.name} is online in the cluster",
                    "see whether this BMC belongs to that node; the run goes on when they agree",
                )  # fmt: skip
            return Note("node-off", {"proved_by": "BMC"})
        if running := checks.running_on_node(m, seen):
            step = "hold-data" if running[0].id in checks.consented(m) else "evacuate"
            return Back(step, f"{running[0].name} ({running[0].id}) runs on the node again")
        if not checks.is_held(m, seen):
            return Back("hold-data", "noout is no longer set: somebody cleared it")
        if up := [osd for osd in checks.osds_of_node(m, seen) if osd.up]:
            return Back("hold-data", f"osd.{up[0].id} runs again")
        blockers = (
            *checks.cluster_survives(m, seen), *checks.mons_survive(m, seen), *checks.only_we_are_down(m, seen),
            *checks.bmc_answers(m, seen), *checks.noout_is_elsewhere(m, seen),
        )  # fmt: skip
        if blockers:
            return Blocked(blockers)
        if m.force_off_at is not None and (seen.at - m.force_off_at).total_seconds() < FORCE_OFF_S:
            return self._cut(m, seen, cut)
        return attempt(
            m, seen, action, code="power.still-on",
            remedy="look at its console; only when all its file systems are seen to be down, cut its power: "
            f"noout force-off {m.id}",
        )  # fmt: skip

    def _cut(self, m: Maintenance, seen: Observation, action: Action) -> Decision:
        """An operator decided to, a moment ago: still, never under a system that the cluster sees alive."""
        node = seen.cluster.node(m.node)
        if node is not None and node.online:
            return blocked(
                "power.alive", str(m.node), f"{m.node.name} is online in the cluster: its power is not cut",
                "let its shutdown end, or see on its console what holds it up",
            )  # fmt: skip
        return attempt(m, seen, action, code="power.not-cut", remedy="hold its power button at the rack")

    def undo(self, m: Maintenance, seen: Observation) -> Decision:
        if (decision := keep_held(self.name, m, seen, self.rules, going_back=True)) is not None:
            return decision
        if m.hands_on_by and m.signed_off_by is None and m.node_off_at is not None:
            why = "the technician to step back and sign off: the node is to be switched on"
            return Hold("step-back", why, POLL_S)
        return power_up(self.name, m, seen) or Finished()
