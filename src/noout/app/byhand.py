"""How a person finishes or undoes a maintenance by hand: the exact commands, in order, for the state it is in.

They are those of the same actions that the steps take; a line that begins with # is for eyes and hands.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from noout.app.runbook import Section
from noout.domain.cluster import ClusterState, Guest, GuestId, NodeId
from noout.domain.journal import Event, Kind
from noout.domain.maintenance import Action, Maintenance, Move, Moved, MoveKind, Owned
from noout.run.touched import guests_of
from noout.steps import actions, media

STEP = "by-hand"
# What is given back, in the order in which that is safe; the rest of the ledger follows in the order it was taken.
RELEASE_ORDER = (
    "mon-stopped", "noup", "osd-stopped", "noout", "cluster-noout", "maintenance-mode", "ha-rule", "led", "onboot",
    "guest-down",
)  # fmt: skip
# What may make HA move guests by itself comes after the way home; so does an ISO that only the node itself can read.
LAST = ("failback", "rebalancer", media.OWNED)
MOVES = ("migrate", "ha-migrate")


def release_action(kind: str, subject: str, node: NodeId, guests: Sequence[Guest]) -> Action | None:
    """The effect that gives one owned thing back; None where only hands can, or its guest is not known."""
    guest = next((each for each in guests if str(each.id) == subject), None)
    match kind:
        case "noout" | "noup":
            return actions.unset_flag(STEP, kind, subject.rsplit("/", 1)[-1])
        case "cluster-noout":
            return actions.cluster_noout(STEP, node.cluster, False)
        case "osd-stopped" | "mon-stopped":
            return actions.service(STEP, node, "start", subject)
        case "maintenance-mode":
            return actions.maintenance_mode(STEP, node, False)
        case "ha-rule":
            return actions.delete_rule(STEP, subject)
        case "rebalancer":
            return actions.rebalancer(STEP, subject, True)
        case "led":
            return actions.locate(STEP, node, False)
        case "guest-down" if guest is not None:
            return actions.start_guest(STEP, replace(guest, node=node))
        case "onboot" if guest is not None:
            return actions.onboot(STEP, replace(guest, node=node), True)
        case "failback" if guest is not None:
            return actions.failback(STEP, guest, True)
        case media.OWNED:
            medium = media.Medium.parse(subject)
            holder = next((each for each in guests if each.id == medium.guest), None)
            return media.insert(STEP, medium, replace(holder, node=node)) if holder is not None else None
    return None


def release_command(owned: Owned, node: NodeId, guests: Sequence[Guest]) -> str:
    """The command that gives one owned thing back; a comment where hands are needed."""
    subject = owned.subject.rsplit("/", 1)[-1]
    match owned.kind:
        case "failback":
            return f"ha-manager set {subject} --failback 1"
        case media.OWNED:
            medium = media.Medium.parse(owned.subject)
            return media.by_hand(medium, node, medium.volume)
    if (action := release_action(owned.kind, owned.subject, node, guests)) is not None:
        return action.command
    if owned.kind == "onboot":
        return f"qm set {subject} --onboot 1   # on {node.name}; for a container: pct set"
    return f"# give back {owned.kind} of {owned.subject}"


def undo(state: Maintenance, cluster: ClusterState | None = None) -> list[str]:
    """Commands that bring the cluster back to normal from where this maintenance stands.

    ``cluster``: as seen now, where it answers; guests that are home already are left out.
    """
    node, guests = state.node, guests_of(state)
    commands = []
    if state.node_off_at is not None and state.node_on_at is None:
        commands += [
            f"# make sure that nobody works at {node.name}; then switch it on and wait until pvecm status shows it:",
            actions.power_on(STEP, node).command,
        ]
    kinds = {kind: position for position, kind in enumerate(RELEASE_ORDER)}
    ours = sorted(state.owned, key=lambda each: (kinds.get(each.kind, len(kinds)), each.since))
    for owned in (each for each in ours if each.kind not in LAST):
        if owned.kind in ("noout", "cluster-noout"):
            commands.append("# ceph pg stat: wait until every PG is active+clean")
        commands.append(release_command(owned, node, guests))
    there = {guest.id: guest.node for guest in cluster.guests} if cluster is not None else {}
    away = [*_away(state), *_arrived_unseen(state, cluster)]
    away = [moved for moved in away if there.get(moved.guest, moved.target) == moved.target]
    commands += [_home(state, moved, guests) for moved in away]
    return commands + [release_command(owned, node, guests) for owned in ours if owned.kind in LAST]


def _away(state: Maintenance) -> list[Moved]:
    """The last move of each guest that we took from the node and did not bring back."""
    last: dict[GuestId, Moved] = {}
    for moved in state.moved:
        last[moved.guest] = moved
    return [each for each in last.values() if not each.homeward and each.target not in (None, state.node)]


def _arrived_unseen(state: Maintenance, cluster: ClusterState | None) -> list[Moved]:
    """Moves that were asked for and of which nobody wrote down that they happened, though they have."""
    found = []
    for pending in (each for each in state.pending if each.action.verb in MOVES and each.action.step == "evacuate"):
        args, guest = pending.action.args, actions.guest_id(pending.action)
        source, target = (NodeId(state.node.cluster, str(args[key])) for key in ("source", "target"))
        seen = cluster.guest(guest) if cluster is not None else None
        if seen is not None and seen.node == target:
            kind, name = MoveKind(str(args["kind"])), str(args["name"])
            found.append(Moved(guest, name, kind, source, target, pending.since, pending.since, None, False))
    return found


def _home(state: Maintenance, moved: Moved, guests: Sequence[Guest]) -> str:
    guest = next((each for each in guests if each.id == moved.guest), None)
    origin = next((each.source for each in state.moved if each.guest == moved.guest), moved.source)
    if guest is None or moved.target is None:
        return f"# bring {moved.name} ({moved.guest}) back to {origin.name}"
    planned = next((each for each in (state.plan.returns if state.plan else ()) if each.guest == moved.guest), None)
    way = planned or Move(
        moved.guest, moved.name, moved.kind, moved.target, origin, guest.ram_bytes, ha=guest.ha is not None
    )
    return actions.move(STEP, replace(way, target=origin), replace(guest, node=moved.target)).command


def finish(
    state: Maintenance, sections: Sequence[Section], events: Sequence[Event], cluster: ClusterState | None
) -> list[str]:
    """What is left of the story as commands. ``sections``: the runbook of its plan; ``cluster``: as seen now."""
    seen = {str(event.data.get("key", "")) for event in events if event.kind == Kind.DONE}
    finished = {name for name, _ in state.steps_done}
    commands: list[str] = []
    asked = [pending.action for pending in state.pending if pending.action.step == "evacuate"]
    leaving = {action.subject for action in asked if action.verb in MOVES}
    for section in sections:
        if section.step in finished:
            continue
        home = leaving if section.step == "return" else set()
        lines = [
            line
            for line in section.lines
            if isinstance(line, str) or line.subject in home or not _is_so(line, seen, cluster)
        ]
        if section.step == "evacuate":  # whoever is still to leave has to come home as well, though he is there now
            leaving |= {line.subject for line in lines if isinstance(line, Action) and line.verb in MOVES}
        if section.step == "return":
            commands += _not_given_back(state, commands)
        if any(isinstance(line, Action) for line in lines):
            commands.append(f"# {section.step}: {section.title}")
            commands += [f"#   {line}" if isinstance(line, str) else line.command for line in lines]
    return commands + _not_given_back(state, commands, last=True)


def _not_given_back(state: Maintenance, commands: Sequence[str], *, last: bool = False) -> list[str]:
    """What noout holds and no line so far gives back: the plan, made from what is so now, cannot know of it."""
    guests = guests_of(state)
    owned = [each for each in state.owned if each.kind != "guest-down" and (each.kind in LAST) == last]
    left = [line for each in owned if (line := release_command(each, state.node, guests)) not in commands]
    return ["# given back, because noout set it", *left] if left else []


def _is_so(action: Action, seen: set[str], cluster: ClusterState | None) -> bool:
    """A move by where its guest is, other effects by what was verified."""
    if action.verb not in MOVES:
        return action.key in seen
    guest = cluster.guest(actions.guest_id(action)) if cluster is not None else None
    return guest is not None and guest.node.name != action.args["source"]


def begun(state: Maintenance) -> list[str]:
    """Commands of what was intended and is not verified yet: look before doing one of them again."""
    return [pending.action.command for pending in state.pending if pending.action.command]
