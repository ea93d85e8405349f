"""Plans for more than one node: all of a cluster one after the other, or a group of them at once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC
from zoneinfo import ZoneInfo

from noout.app.compose import Installation
from noout.app.hours import freezes_of
from noout.app.naming import resolve
from noout.app.planning import agreeing, ill_nodes
from noout.app.snapshot import Snapshot
from noout.domain.ceph import CephState
from noout.domain.cluster import ClusterState, NodeId
from noout.domain.errors import UsageError
from noout.domain.maintenance import Plan
from noout.domain.rolling import Rolling
from noout.domain.windows import parse_window
from noout.plan.policy import Policy
from noout.plan.rolling import Calendar, make_rolling
from noout.plan.together import plan_together

HOUR_S = 3600.0


async def roll_now(
    found: Installation,
    cluster: str | None,
    consents: Sequence[str] = (),
    node_hours: float | None = None,
    done: Sequence[str] = (),
) -> Rolling:
    """Observe a cluster and plan every node of it. ``node_hours``: else as configured. ``done``: whose turn was."""
    name = _the_one(list(found.hypervisors), cluster)
    state, ceph = await _observed(found, name)
    chosen, zone = found.settings.policy, found.settings.clusters[name].timezone
    hours = chosen.node_hours if node_hours is None else node_hours
    windows = tuple((text, parse_window(text)) for text in chosen.windows)
    calendar = Calendar(ZoneInfo(zone), windows, hours * HOUR_S, freezes_of(found, name))
    policy = agreeing(found.policy_for(state.name), state, consents)
    return make_rolling(
        state, ceph, now=found.clock.now(), policy=policy, calendar=calendar, crush_host=found.crush_host,
        done=_named(state, done), ill=await ill_nodes(found, name),
    )  # fmt: skip


def roll_snapshot(
    document: Snapshot,
    cluster: str | None,
    consents: Sequence[str] = (),
    node_hours: float | None = None,
    done: Sequence[str] = (),
) -> Rolling:
    """The same of a snapshot, dated by it: it tells of no windows, and knows no time zone."""
    name = _the_one([each.state.name for each in document.clusters], cluster)
    known = next(each for each in document.clusters if each.state.name == name)
    policy = agreeing(Policy(), known.state, consents)
    calendar = Calendar(UTC, (), (1.0 if node_hours is None else node_hours) * HOUR_S)
    named = _named(known.state, done)
    return make_rolling(known.state, known.ceph, now=known.state.at, policy=policy, calendar=calendar, done=named)


async def group_now(found: Installation, names: Sequence[str], consents: Sequence[str] = ()) -> tuple[Plan, ...]:
    """Observe a cluster and plan several of its nodes together, in the order given."""
    nodes = [await found.resolve(name) for name in names]
    if len({node.cluster for node in nodes}) > 1:
        raise UsageError("the nodes are of several clusters", remedy="plan each cluster by itself")
    state, ceph = await _observed(found, nodes[0].cluster)
    policy = agreeing(found.policy_for(state.name), state, consents)
    return plan_together(
        state, ceph, nodes, now=found.clock.now(), policy=policy, crush_host=found.crush_host,
        ill=await ill_nodes(found, state.name),
    )  # fmt: skip


def group_of_snapshot(document: Snapshot, names: Sequence[str], consents: Sequence[str] = ()) -> tuple[Plan, ...]:
    """The same of a snapshot."""
    every = [each.id for cluster in document.clusters for each in cluster.state.nodes]
    nodes = [resolve(every, name) for name in names]
    if len({node.cluster for node in nodes}) > 1:
        raise UsageError("the nodes are of several clusters", remedy="plan each cluster by itself")
    known = next(each for each in document.clusters if each.state.name == nodes[0].cluster)
    policy = agreeing(Policy(), known.state, consents)
    return plan_together(known.state, known.ceph, nodes, now=known.state.at, policy=policy)


async def _observed(found: Installation, name: str) -> tuple[ClusterState, CephState | None]:
    state = await found.hypervisors[name].observe()
    known = found.cephs.get(name)
    return state, await known.observe() if known is not None else None


def _named(state: ClusterState, names: Sequence[str]) -> frozenset[NodeId]:
    return frozenset(resolve([node.id for node in state.nodes], name) for name in names)


def _the_one(names: Sequence[str], asked: str | None) -> str:
    known = ", ".join(names)
    if asked is not None and asked not in names:
        raise UsageError(f"there is no cluster {asked}", remedy=f"known: {known}")
    if asked is None and len(names) != 1:
        raise UsageError(f"there are {len(names)} clusters: {known}", remedy="name one with --cluster")
    return asked or names[0]
