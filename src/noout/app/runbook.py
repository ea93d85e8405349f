"""A plan as the commands that a person would type: the very actions that the steps would take, in their order.

A runbook cannot look before each effect as a run does, so it says at each point what to look at first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from noout.domain.ceph import CephState
from noout.domain.cluster import ClusterState, Guest
from noout.domain.maintenance import Action, Move, MoveKind, Plan
from noout.steps import actions, media
from noout.steps.setting_effects import rebalances


@dataclass(frozen=True, slots=True)
class Section:
    """One step: its title, and actions with what to look at (text) between them."""

    step: str
    title: str
    lines: tuple[Action | str, ...]


def runbook(plan: Plan, cluster: ClusterState, ceph: CephState | None, host: str | None) -> tuple[Section, ...]:
    """The sections of a feasible plan; ``host`` is the node's CRUSH host, None without Ceph."""
    assert plan.feasible, "a plan with blockers has no runbook"
    name = plan.node.name
    osds = [osd.id for osd in ceph.osds_of(host)] if ceph is not None and host else []
    return (
        Section("evacuate", f"every guest leaves {name}", tuple(_evacuate(plan, cluster))),
        Section(
            "dispatch",
            "the technician goes to the rack",
            (
                actions.locate("dispatch", plan.node, True),
                "nothing is given up until the technician stands there and has read the serial",
            ),
        ),
        Section("hold-data", "the node's data stays where it is", tuple(_hold(plan, cluster, ceph, host, osds))),
        Section(
            "repair",
            f"{name} goes down for the technician",
            (
                actions.shutdown_node("repair", plan.node),
                "only when its BMC says that the power is off: pull the cords, work, plug them in, step back",
            ),
        ),
        Section("reintegrate", "tested, then trusted again", tuple(_reintegrate(plan, cluster, ceph, host, osds))),
        Section("return", "every guest comes home", tuple(_return(plan, cluster))),
    )


def as_shell(plan: Plan, sections: tuple[Section, ...]) -> str:
    """The sections as text for a shell on any node of the cluster but the one in maintenance; not to be run blindly."""
    lines = [
        f"# {plan.node}: {plan.id}, from what was seen at {plan.observed_at:%Y-%m-%d %H:%M:%S} UTC",
        f"# Type these on a node other than {plan.node.name}, as root, one by one, each after looking.",
    ]
    for number, section in enumerate(sections, start=1):
        lines += ["", f"# {number} · {section.step}: {section.title}"]
        for line in section.lines:
            lines += [f"# look: {line}"] if isinstance(line, str) else [f"#   {line.says}", line.command]
    return "\n".join(lines) + "\n"


def _uses_ha(cluster: ClusterState) -> bool:
    return any(guest.ha for guest in cluster.guests)


def _guest(cluster: ClusterState, move: Move) -> Guest:
    """The guest of a move, where that move finds it."""
    guest = cluster.guest(move.guest)
    assert guest is not None, f"the plan names {move.guest}, which the cluster does not have"
    return replace(guest, node=move.source)


def _moves(step: str, moves: tuple[Move, ...], cluster: ClusterState, plan: Plan) -> Iterator[Action | str]:
    for move in moves:
        if move.kind is MoveKind.SHUTDOWN:
            continue
        if move.after:
            yield f"wait until {', '.join(str(each) for each in move.after)} has arrived"
        if step == "evacuate":
            yield from media.ejects_left(step, move, _guest(cluster, move))
        limit = plan.stream_bytes_s * (plan.streams if move.alone else 1)
        yield actions.move(step, move, _guest(cluster, move), limit)


def _evacuate(plan: Plan, cluster: ClusterState) -> Iterator[Action | str]:
    yield from _calm(plan, cluster)
    yield f"at most {plan.streams} of these at once; one has moved when it runs at its target, whatever its task said"
    yield from _moves("evacuate", plan.moves, cluster, plan)
    if _uses_ha(cluster):
        yield f"no HA guest may be left on {plan.node.name}: this command would choose targets of its own"
        yield actions.maintenance_mode("evacuate", plan.node, True)


def _calm(plan: Plan, cluster: ClusterState) -> Iterator[Action | str]:
    """What HA would do by itself, switched off for the time."""
    if rebalances(cluster.crs):
        yield actions.rebalancer("evacuate", cluster.crs, False)
    for guest in _failbacks(plan, cluster):
        yield actions.failback("evacuate", guest, False)


def _failbacks(plan: Plan, cluster: ClusterState) -> list[Guest]:
    return [_guest(cluster, move) for move in plan.moves if move.failback_off]


def _sleepers(plan: Plan, cluster: ClusterState) -> list[Guest]:
    """Guests that stay and would start with the node."""
    gone = {move.guest for move in plan.moves if move.kind is not MoveKind.SHUTDOWN}
    here = [guest for guest in cluster.guests_on(plan.node) if guest.id not in gone]
    return [guest for guest in here if guest.onboot and not (guest.ha or guest.template or guest.lock)]


def _hold(
    plan: Plan, cluster: ClusterState, ceph: CephState | None, host: str | None, osds: list[int]
) -> Iterator[Action | str]:
    step, node = "hold-data", plan.node
    if ceph is not None and ceph.mgr_active in {node.name, host}:
        yield actions.fail_mgr(step, ceph.mgr_active)
    if osds:
        yield "ceph pg stat: every PG has to be active+clean"
        yield f"ceph osd ok-to-stop {' '.join(str(each) for each in osds)}: has to say ok"
    for mds in ceph.mds_active if ceph is not None else ():
        if mds in {node.name, host}:
            yield actions.fail_mds(step, mds)
    for move in plan.moves:
        if move.kind is MoveKind.SHUTDOWN:
            yield actions.shutdown_guest(step, move, _guest(cluster, move))
    for guest in _sleepers(plan, cluster):
        yield actions.onboot(step, guest, False)
    if osds and host:
        yield actions.set_flag(step, "noout", host)
        yield f"ceph health detail: it has to name {host} with noout"
    if mon := _mon(plan, ceph, host):
        yield actions.service(step, node, "stop", f"mon.{mon}")
        yield "ceph quorum_status: the other mons have to be in quorum"
    for osd in osds:
        yield actions.service(step, node, "stop", f"osd.{osd}")
    if osds and host:
        yield actions.set_flag(step, "noup", host)


def _reintegrate(
    plan: Plan, cluster: ClusterState, ceph: CephState | None, host: str | None, osds: list[int]
) -> Iterator[Action | str]:
    step, node = "reintegrate", plan.node
    yield actions.power_on(step, node)
    yield f"pvecm status: {node.name} has to be a member again; ipmitool sdr: no sensor that complains, for a while"
    if mon := _mon(plan, ceph, host):
        yield "the mon starts with the node; type this only if it does not"
        yield actions.service(step, node, "start", f"mon.{mon}")
    if osds and host:
        yield actions.unset_flag(step, "noup", host)
        yield "the OSDs start with the node; type these only for those that do not"
        for osd in osds:
            yield actions.service(step, node, "start", f"osd.{osd}")
        yield "ceph pg stat: wait until every PG is active+clean"
        yield actions.unset_flag(step, "noout", host)
    if _uses_ha(cluster):
        yield actions.maintenance_mode(step, node, False)
    for guest in _sleepers(plan, cluster):
        yield actions.onboot(step, guest, True)
    yield actions.locate(step, node, False)


def _return(plan: Plan, cluster: ClusterState) -> Iterator[Action | str]:
    for move in plan.moves:
        if move.kind is MoveKind.SHUTDOWN:
            yield actions.start_guest("return", _guest(cluster, move))
    yield from _moves("return", plan.returns, cluster, plan)
    for move in plan.moves:
        for drive, volume in move.ejects:
            yield media.insert("return", media.Medium(move.guest, drive, volume), _guest(cluster, move))
    for guest in _failbacks(plan, cluster):
        yield actions.failback("return", guest, True)
    if rebalances(cluster.crs):
        yield actions.rebalancer("return", cluster.crs, True)


def _mon(plan: Plan, ceph: CephState | None, host: str | None) -> str | None:
    """The mon that lives on the node."""
    if ceph is None:
        return None
    homes = {plan.node.name, host}
    return next((mon for mon in ceph.mons if ceph.mon_hosts.get(mon, mon) in homes), None)
