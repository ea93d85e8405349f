"""Step 0 wired: the watch of an installation, what it proposes, and the plan that each proposal brings along."""

from __future__ import annotations

from functools import partial

from noout.app.compose import Installation, in_clock_s, naming_of, nodes_of
from noout.app.planning import plan_now
from noout.app.proposals import Proposals
from noout.app.watcher import Watcher
from noout.app.watching.reception import AlertSource, Reception, authorization
from noout.app.watching.upkeep import Upkeep
from noout.domain.cluster import NodeId
from noout.domain.maintenance import MoveKind, Plan
from noout.domain.proposals import ReadyPlan
from noout.settings import secret
from noout.watch.policy import Actions

EVENTS = "/api/v1/redfish-events"  # where the web takes the BMCs' events
WATCH_WALL_S = 2.0  # the least time between two polls of all BMCs, where a lab's time runs fast


def proposals_of(found: Installation) -> Proposals:
    """What is proposed for the installation's nodes, by its own policy."""
    chosen = found.settings.watch.actions.model_dump(exclude_none=True)
    chassis = {
        NodeId(name, node): place.chassis
        for name, cluster in found.settings.clusters.items()
        for node, place in cluster.nodes.items()
        if place.chassis
    }
    return Proposals(found.journal, found.clock, Actions(**chosen), chassis, partial(ready_plan, found))


def watcher_of(found: Installation) -> Watcher:
    every_s = max(found.settings.policy.watch_every_s, in_clock_s(found.clock, WATCH_WALL_S))
    boardless = {
        NodeId(name, node)
        for name, cluster in found.settings.clusters.items()
        for node in (nodes_of(cluster) if cluster.alerts or cluster.prometheus else ())
    }
    url = found.settings.watch.events_url
    return Watcher(
        dict(found.bmcs), found.measurements, found.journal, found.clock, every_s, proposals=proposals_of(found),
        exporters=found.exporters, boardless=frozenset(boardless - found.bmcs.keys()),
        upkeep=Upkeep(found.event_sources, f"{url}{EVENTS}", found.clock) if url else None,
    )  # fmt: skip


def reception_of(found: Installation, watcher: Watcher) -> Reception:
    """Who takes in what is sent to this noout. UsageError when a secret cannot be read."""
    settings, sources = found.settings, {}
    for name, cluster in settings.clusters.items():
        if (alerts := cluster.alerts) is not None:
            token = secret(settings, alerts.token, alerts.token_file, f"clusters.{name}.alerts.token_file")
            naming = naming_of(settings, name, alerts)
            sources[name] = AlertSource(naming, authorization(alerts.user, token), alerts.kinds)
    return Reception(watcher, sources)


async def ready_plan(found: Installation, node: NodeId) -> ReadyPlan:
    """Plan the node's evacuation as the cluster is now. Raises NooutError where it cannot be seen."""
    plan = await plan_now(found, node)
    return ReadyPlan(plan.id, plan.made_at, plan.feasible, in_short(plan))


def in_short(plan: Plan) -> str:
    """What a plan comes to, in one sentence."""
    if not plan.feasible:
        more = f" and {len(plan.blockers) - 1} more" if len(plan.blockers) > 1 else ""
        return f"it cannot be emptied now: {plan.blockers[0].message}{more}"
    leaving = [move for move in plan.moves if move.source == plan.node]
    live = sum(move.kind is MoveKind.LIVE for move in leaving)
    halted = sum(move.kind in (MoveKind.RELOCATE, MoveKind.SHUTDOWN) for move in leaving)
    if not leaving:
        return "no guest is on it"
    low, high = (max(1, round(each / 60)) for each in plan.estimate_s)
    parts = [f"{live} of {len(leaving)} guests leave live"]
    parts += [f"{halted} restart or stop, as agreed"] if halted else []
    aside = len(plan.moves) - len(leaving)
    parts += [f"{aside} on other nodes step aside"] if aside else []
    return f"{', '.join(parts)}; {low} to {high} min estimated"
