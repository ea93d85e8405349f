"""Nobody new comes to the node, and nobody moves whom the plan did not order.

HA moves guests by choices of its own: it brings them back to the node its rules like best (failback), balances them,
and may recover one onto the empty node. All of that is switched off for the time, each change owned and given back.

The node itself is closed last, when no HA guest is left on it: both ways to close it start moving those that are.
"""

from __future__ import annotations

import re

from noout.domain.cluster import Affinity, Guest, GuestId, GuestStatus, Rule
from noout.domain.maintenance import Action, Maintenance, Observation
from noout.domain.reasons import Caution
from noout.steps import actions
from noout.steps.setting_effects import in_maintenance_mode, rebalances
from noout.steps.step import Decision, Finished, attempt, exhausted, owns, warn_once

BY_HAND = "type the command by hand, then resume"


# --- before the first guest moves -----------------------------------------------------------------------------


def calm(step: str, m: Maintenance, seen: Observation) -> Decision | None:
    """No rebalancing while guests are away, and no failback for those that HA would fetch back. None: so it is."""
    if rebalances(seen.cluster.crs):
        action = actions.rebalancer(step, seen.cluster.crs, False)
        return attempt(m, seen, action, code="ha.rebalancer", remedy="switch it off by hand; the run goes on")
    for move in m.plan.moves if m.plan else ():
        guest = seen.cluster.guest(move.guest)
        if move.failback_off and guest is not None and guest.ha is not None and guest.ha.failback:
            return attempt(m, seen, actions.failback(step, guest, False), code="ha.failback", remedy=BY_HAND)
    return None


# --- the node is closed ---------------------------------------------------------------------------------------


def close(step: str, m: Maintenance, seen: Observation) -> Decision:
    """Maintenance mode where commands can be given, else (or when that fails) a strict rule; at last ``Finished``."""
    managed = [guest for guest in seen.cluster.guests if guest.ha]
    if not managed:
        return Finished({"cordon": "none is needed: no guest of the cluster is managed by HA"})
    if in_maintenance_mode(seen, m.node):
        whose = "maintenance mode" if owns(m, "maintenance-mode") else "maintenance mode, set by others"
        return Finished({"cordon": whose, "cordoned_by_us": owns(m, "maintenance-mode")})
    if owns(m, "ha-rule"):
        return Finished({"cordon": f"rule {rule_name(m)}", "cordoned_by_us": True})
    here = [guest for guest in managed if _is_here(guest, m)]
    if here:
        left = [str(guest.id) for guest in here]
        return Finished({"cordon": "none: it would move HA guests that stay here", "ha_guests_left": left})
    mode = actions.maintenance_mode(step, m.node, True)
    if seen.shell and not exhausted(m, mode.key):
        return attempt(m, seen, mode, code="ha.maintenance-mode", remedy=BY_HAND)
    return _close_by_rule(step, m, seen, managed)


def _is_here(guest: Guest, m: Maintenance) -> bool:
    """For PVE or for HA, which may be about to put it here."""
    places = {guest.node.name, guest.ha.node if guest.ha else "", (guest.ha.target or "") if guest.ha else ""}
    return m.node.name in places


def _close_by_rule(step: str, m: Maintenance, seen: Observation, managed: list[Guest]) -> Decision:
    others = sorted(node.id.name for node in seen.cluster.nodes if node.id != m.node)
    named, left_out = _nameable(managed, seen.cluster.rules, len(others))
    left_out = [guest for guest in left_out if not _kept_away(guest, m, seen.cluster.rules)]
    action = actions.add_rule(step, rule_name(m), named, others)
    if left_out and (said := warn_once(m, _not_kept_away(m, left_out))) is not None:
        return said
    if named and not exhausted(m, action.key):
        return attempt(m, seen, action, code="ha.rule", remedy=BY_HAND)
    why = m.why_failed.get(action.key, "no guest can be named in a rule") if named else "other rules name every guest"
    caution = Caution(
        "ha.no-cordon", str(m.node), f"{m.node.name} is not closed to HA ({why}): HA may place a guest there",
        "it is noticed before the power goes; after the repair, watch `ha-manager status`",
    )  # fmt: skip
    return warn_once(m, caution) or Finished({"cordon": f"none: {why}", "cordoned_by_us": False})


def rule_name(m: Maintenance) -> str:
    """Says whose it is. (Names of rules are letters, digits, - and _.)"""
    return "noout-" + re.sub(r"[^A-Za-z0-9_-]", "-", m.id)


def _nameable(managed: list[Guest], rules: tuple[Rule, ...], places: int) -> tuple[list[Guest], list[Guest]]:
    """Guests that a further strict rule may name, and those it may not: PVE refuses a rule that contradicts another.

    A guest is in one node rule at most; guests kept together must agree on theirs; guests kept apart need a node each.
    """
    standing = [rule for rule in rules if rule.enabled]
    taken = {each for rule in standing if rule.kind is Affinity.NODE for each in rule.guests}
    grew = True
    while grew:
        bound = [r.guests for r in standing if r.kind is Affinity.TOGETHER and r.guests & taken and r.guests - taken]
        taken = taken.union(*bound)
        grew = bool(bound)
    for rule in standing:
        if rule.kind is Affinity.APART and len(rule.guests) > places:
            taken |= rule.guests
    return [each for each in managed if each.id not in taken], [each for each in managed if each.id in taken]


def _kept_away(guest: Guest, m: Maintenance, rules: tuple[Rule, ...]) -> bool:
    """A strict rule of its own does not allow the node."""
    own = [rule for rule in rules if rule.enabled and rule.kind is Affinity.NODE and guest.id in rule.guests]
    return any(rule.strict and m.node.name not in dict(rule.nodes) for rule in own)


def _not_kept_away(m: Maintenance, guests: list[Guest]) -> Caution:
    names = ", ".join(f"{guest.name} ({guest.id})" for guest in guests)
    return Caution(
        "ha.rule-leaves-out", str(m.node), f"rules of their own keep {names} out of ours: HA may place them on "
        f"{m.node.name} when it must", "set maintenance mode by hand if that matters",
    )  # fmt: skip


def open_again(step: str, m: Maintenance, seen: Observation) -> Decision | None:
    """The node may have guests again; before any of them is on its way home. None: nothing of ours closes it."""
    if owns(m, "maintenance-mode"):
        action = actions.maintenance_mode(step, m.node, False)
        return attempt(m, seen, action, code="ha.maintenance-mode", remedy=BY_HAND)
    rule = next((own.subject for own in m.owned if own.kind == "ha-rule"), None)
    if rule is not None:
        return attempt(m, seen, actions.delete_rule(step, rule), code="ha.rule", remedy=BY_HAND)
    return None


# --- guests that stay do not start with the node --------------------------------------------------------------


def sleep_on(step: str, m: Maintenance, seen: Observation) -> Decision | None:
    """Guests that stay, all of them down by now, must not start at power-on, before the repair is accepted.

    Where that cannot be set it is said, and the run goes on: such a guest only starts early.
    """
    for guest in seen.cluster.guests_on(m.node):
        if not guest.onboot or guest.ha or guest.template or guest.lock or guest.status is not GuestStatus.STOPPED:
            continue  # HA starts its own, and nothing starts a template or a locked guest
        action = actions.onboot(step, guest, False)
        if not exhausted(m, action.key):
            return attempt(m, seen, action, code="guest.onboot", remedy=BY_HAND)
        caution = Caution(
            "guest.starts-at-power-on", str(guest.id),
            f"{guest.name} will start at power-on, before the repair is accepted: {m.why_failed.get(action.key, '')}",
            action.command,
        )  # fmt: skip
        if (said := warn_once(m, caution)) is not None:
            return said
    return None


def wake_again(step: str, m: Maintenance, seen: Observation) -> Decision | None:
    """Put every onboot back. None: none is ours."""
    for owned in (each for each in m.owned if each.kind == "onboot"):
        guest = seen.cluster.guest(GuestId.parse(owned.subject))
        action = actions.onboot(step, guest, True) if guest else _gone(step, "onboot-back", owned.subject)
        return attempt(m, seen, action, code="guest.onboot", remedy=BY_HAND)
    return None


# --- at the very end ------------------------------------------------------------------------------------------


def stir(step: str, m: Maintenance, seen: Observation) -> Decision | None:
    """Failback and rebalancing as they were; HA may then move a guest that is not where its rule wants it: said."""
    for owned in (each for each in m.owned if each.kind == "failback"):
        guest = seen.cluster.guest(GuestId.parse(owned.subject))
        move = next((each for each in (m.plan.moves if m.plan else ()) if str(each.guest) == owned.subject), None)
        if guest is not None and move is not None and guest.node != move.source:
            said = f"{guest.name} ({guest.id}) has its failback again: HA will bring it to the node its rule likes best"
            if (note := warn_once(m, Caution("ha.failback-moves", str(guest.id), said))) is not None:
                return note
        action = actions.failback(step, guest, True) if guest else _gone(step, "failback-back", owned.subject)
        return attempt(m, seen, action, code="ha.failback", remedy=BY_HAND)
    for owned in (each for each in m.owned if each.kind == "rebalancer"):
        action = actions.rebalancer(step, owned.subject, True)
        return attempt(m, seen, action, code="ha.rebalancer", remedy=BY_HAND)
    return None


def _gone(step: str, verb: str, subject: str) -> Action:
    """Gives up what nobody can put back any more: seen at once to be so."""
    return Action(step, verb, subject, f"Guest {subject} is gone: nothing is left to put back")
