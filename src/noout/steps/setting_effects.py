"""Effects on what HA and a node do by themselves: maintenance mode, the strict rule, failback, onboot, the rebalancer.

Each is taken and given back: what was there before is in what is owned (its kind says it, or its subject does).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from noout.domain.cluster import Affinity, Guest, GuestId, NodeId, Rule
from noout.domain.errors import Refused
from noout.domain.maintenance import Action, Maintenance, Observation, Pending
from noout.steps.site import Site
from noout.steps.step import Failed, Verdict, Verified, within

HA_S = 120.0  # the CRM works in rounds of 10 s
CONFIG_S = 60.0
REBALANCING = ("ha-auto-rebalance", "ha-rebalance-on-start")
_ON = ("1", "yes", "true", "on")


def _guest(action: Action, seen: Observation) -> Guest | None:
    return seen.cluster.guest(GuestId.parse(action.subject))


def _there(action: Action, seen: Observation) -> Guest:
    found = _guest(action, seen)
    if found is None:
        raise Refused(f"guest {action.subject} is no longer there", remedy="see who removed it")
    return found


# --- the node's HA maintenance mode ---------------------------------------------------------------------------


async def cordon(action: Action, seen: Observation, site: Site) -> None:
    await site.hypervisor.maintenance_mode(NodeId.parse(action.subject), True)


async def uncordon(action: Action, seen: Observation, site: Site) -> None:
    await site.hypervisor.maintenance_mode(NodeId.parse(action.subject), False)


def in_maintenance_mode(seen: Observation, node: NodeId) -> bool:
    """By the node's state or by the request the CRM has taken; the LRM of a node that is off says nothing."""
    found = seen.cluster.node(node)
    return (found is not None and found.ha_state == "maintenance") or (
        node.name,
        "maintenance",
    ) in seen.cluster.ha_requests


def is_cordoned(pending: Pending, m: Maintenance, seen: Observation) -> Verdict:
    if in_maintenance_mode(seen, NodeId.parse(pending.action.subject)):
        return Verified()
    return within(HA_S, pending, seen, "HA does not say maintenance")


def is_uncordoned(pending: Pending, m: Maintenance, seen: Observation) -> Verdict:
    if not in_maintenance_mode(seen, NodeId.parse(pending.action.subject)):
        return Verified()
    return within(HA_S, pending, seen, "HA still says maintenance")


# --- the strict rule --------------------------------------------------------------------------------------------


def rule_named(seen: Observation, name: str) -> Rule | None:
    return next((rule for rule in seen.cluster.rules if rule.name == name), None)


def words(text: object) -> tuple[str, ...]:
    return tuple(word for word in str(text or "").split(",") if word)


async def add_rule(action: Action, seen: Observation, site: Site) -> None:
    """Looked at once more: a guest that is not on the nodes of the rule would be moved by it."""
    nodes = words(action.args["nodes"])
    guests = [guest for guest in seen.cluster.guests if str(guest.id) in words(action.args["guests"])]
    if elsewhere := [guest for guest in guests if guest.ha is None or guest.node.name not in nodes]:
        raise Refused(f"the rule would move {elsewhere[0].name} ({elsewhere[0].id})", remedy="look again")
    await site.hypervisor.add_node_rule(action.subject, guests, nodes)


async def delete_rule(action: Action, seen: Observation, site: Site) -> None:
    await site.hypervisor.delete_rule(action.subject)


def rule_stands(pending: Pending, m: Maintenance, seen: Observation) -> Verdict:
    rule = rule_named(seen, pending.action.subject)
    if rule is not None and rule.enabled and rule.strict and rule.kind is Affinity.NODE:
        if m.node.name in dict(rule.nodes):
            return Failed(f"rule {rule.name} allows {m.node.name}")
        return Verified({"guests": len(rule.guests)})
    return within(CONFIG_S, pending, seen, f"there is no strict rule {pending.action.subject}")


def rule_is_gone(pending: Pending, m: Maintenance, seen: Observation) -> Verdict:
    if rule_named(seen, pending.action.subject) is None:
        return Verified()
    return within(CONFIG_S, pending, seen, f"rule {pending.action.subject} is still there")


# --- failback and onboot of a guest ---------------------------------------------------------------------------


def set_failback(on: bool) -> Callable[[Action, Observation, Site], Awaitable[None]]:
    async def do(action: Action, seen: Observation, site: Site) -> None:
        await site.hypervisor.set_failback(_there(action, seen), on)

    return do


def failback_is_off(pending: Pending, m: Maintenance, seen: Observation) -> Verdict:
    guest = _guest(pending.action, seen)
    if guest is None or guest.ha is None:
        return Failed("it is no longer managed by HA")
    return Verified() if not guest.ha.failback else within(CONFIG_S, pending, seen, "its failback is still on")


def failback_is_back(pending: Pending, m: Maintenance, seen: Observation) -> Verdict:
    """Nothing is left to put back where the guest, or HA's care for it, has gone."""
    guest = _guest(pending.action, seen)
    if guest is None or guest.ha is None or guest.ha.failback:
        return Verified()
    return within(CONFIG_S, pending, seen, "its failback is still off")


def set_onboot(on: bool) -> Callable[[Action, Observation, Site], Awaitable[None]]:
    async def do(action: Action, seen: Observation, site: Site) -> None:
        await site.hypervisor.set_onboot(_there(action, seen), on)

    return do


def onboot_is_off(pending: Pending, m: Maintenance, seen: Observation) -> Verdict:
    guest = _guest(pending.action, seen)
    if guest is None:
        return Failed("the guest is no longer there")
    return Verified() if not guest.onboot else within(CONFIG_S, pending, seen, "its onboot is still on")


def onboot_is_back(pending: Pending, m: Maintenance, seen: Observation) -> Verdict:
    guest = _guest(pending.action, seen)
    if guest is None or guest.onboot:
        return Verified()
    return within(CONFIG_S, pending, seen, "its onboot is still off")


# --- the rebalancer -------------------------------------------------------------------------------------------


def _pairs(crs: str) -> dict[str, str]:
    return {key: value for key, _, value in (part.partition("=") for part in words(crs))}


def rebalances(crs: str) -> bool:
    """HA moves guests for balance, or starts them elsewhere than where they were."""
    pairs = _pairs(crs)
    return any(pairs.get(key, "0").lower() in _ON for key in REBALANCING)


def quietened(crs: str) -> str:
    """The same setting with all that moves guests switched off; how HA chooses a node stays as it was."""
    pairs = _pairs(crs)
    pairs |= {key: "0" for key in REBALANCING if key in pairs}
    return ",".join(f"{key}={pairs[key]}" for key in sorted(pairs))


async def rebalancer_off(action: Action, seen: Observation, site: Site) -> None:
    await site.hypervisor.set_crs(quietened(action.subject))


async def rebalancer_back(action: Action, seen: Observation, site: Site) -> None:
    """Only what we set is taken back: what somebody else has set since is theirs."""
    if seen.cluster.crs == quietened(action.subject):
        await site.hypervisor.set_crs(action.subject)


def rebalancer_is_off(pending: Pending, m: Maintenance, seen: Observation) -> Verdict:
    if not rebalances(seen.cluster.crs):
        return Verified({"crs": seen.cluster.crs})
    return within(CONFIG_S, pending, seen, "HA still rebalances")


def rebalancer_is_back(pending: Pending, m: Maintenance, seen: Observation) -> Verdict:
    if seen.cluster.crs != quietened(pending.action.subject):
        return Verified({"crs": seen.cluster.crs})
    return within(CONFIG_S, pending, seen, "HA's scheduling is not as it was")
