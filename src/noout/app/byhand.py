"""How a person finishes or undoes a maintenance by hand: the exact commands, in order, for the state it is in."""

from __future__ import annotations

from noout.domain.maintenance import Maintenance, MoveKind, Owned

# What is given back, in the order in which that is safe; the rest of the ledger follows in the order it was taken.
RELEASE_ORDER = ("noup", "mon-stopped", "osd-stopped", "noout", "maintenance-mode", "led", "guest-down")


def release_command(owned: Owned, node: str) -> str:
    """The command that gives one owned thing back; a comment where hands are needed."""
    subject = owned.subject.rsplit("/", 1)[-1]
    match owned.kind:
        case "noout" | "noup":
            return f"ceph osd unset-group {owned.kind} {subject}"
        case "osd-stopped":
            return f"pvesh create /nodes/{node}/ceph/start --service {subject}"
        case "mon-stopped":
            return f"pvesh create /nodes/{node}/ceph/start --service {subject}"
        case "maintenance-mode":
            return f"ha-manager crm-command node-maintenance disable {subject}"
        case "led":
            return f"# switch the locate LED of {subject} off at its BMC"
        case "guest-down":
            return f"qm start {subject}"
        case _:
            return f"# give back {owned.kind} of {owned.subject}"


def undo(state: Maintenance) -> list[str]:
    """Commands that bring the cluster back to normal from where this maintenance stands, on any node's shell."""
    node = state.node.name
    commands = []
    if state.node_off_at is not None and state.node_on_at is None:
        commands.append(f"# make sure nobody works at {node}, then switch it on and wait until `pvecm status` shows it")
    kinds = {kind: position for position, kind in enumerate(RELEASE_ORDER)}
    for owned in sorted(state.owned, key=lambda each: (kinds.get(each.kind, len(kinds)), each.since)):
        if owned.kind == "noout":
            commands.append("ceph pg stat   # wait until every PG is active+clean")
        commands.append(release_command(owned, node))
    home = {moved.guest for moved in state.moved if moved.homeward}
    for moved in state.moved:
        away = not moved.homeward and moved.guest not in home and moved.target is not None
        if away and moved.source == state.node:
            tool = "pct" if moved.kind is MoveKind.RELOCATE else "qm"
            how = "--restart" if moved.kind is MoveKind.RELOCATE else "--online"
            commands.append(f"{tool} migrate {moved.guest.vmid} {node} {how}")
    return commands


def finish(state: Maintenance) -> list[str]:
    """Commands of what was intended and is not verified yet: look at each before doing it."""
    return [pending.action.command for pending in state.pending if pending.action.command]
