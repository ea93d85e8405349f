"""What each node carries before and after, and what is to be said about it: RAM to lose a node, CPU to spare."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from noout.domain.ceph import CephState
from noout.domain.cluster import ClusterState, NodeId
from noout.domain.maintenance import Move, NodeLoad
from noout.domain.reasons import Caution
from noout.plan.capacity import CrushHost, gib, holds_ram, reserve_bytes
from noout.plan.choice import Choice
from noout.plan.policy import Policy
from noout.plan.volumes import title


def loads(
    state: ClusterState,
    moves: Sequence[Move],
    policy: Policy,
    ceph: CephState | None,
    crush_host: CrushHost,
) -> tuple[NodeLoad, ...]:
    """Every node by name, before and after the moves."""
    moved = {move.guest: move.target for move in moves}  # None: it is shut down
    ram = {node.id: [0, 0] for node in state.nodes}
    cpu = {node.id: [0.0, 0.0] for node in state.nodes}
    for guest in state.guests:
        size, used = guest.ram_bytes if holds_ram(guest) else 0, guest.cpu_used
        here = ram[guest.node], cpu[guest.node]
        here[0][0] += size
        here[1][0] += used
        there = moved.get(guest.id, guest.node)
        if there is not None:
            to = here if there is guest.node else (ram[there], cpu[there])
            to[0][1] += size
            to[1][1] += used
    return tuple(
        NodeLoad(
            node=node.id,
            capacity_bytes=node.ram_bytes,
            reserve_bytes=reserve_bytes(node, ceph, policy, crush_host),
            before_bytes=ram[node.id][0],
            after_bytes=ram[node.id][1],
            cpus=node.cpus,
            cpu_before=round(cpu[node.id][0], 2),
            cpu_after=round(cpu[node.id][1], 2),
        )
        for node in sorted(state.nodes, key=lambda n: n.id)
    )


def tight(found: tuple[NodeLoad, ...], node: NodeId, policy: Policy) -> Iterator[Caution]:
    """Nodes whose guests will want more CPU than they are to have, and did not before."""
    over = [load for load in found if load.node != node and load.cpu_after > policy.cpu_ratio * load.cpus > 0]
    over = [load for load in over if load.cpu_after > load.cpu_before]
    if over:
        each = ", ".join(f"{load.node.name} {load.cpu_after:.1f} of {load.cpus} cores" for load in over)
        yield Caution(
            "plan.cpu-tight",
            str(node),
            f"CPU becomes tight while {node.name} is away, by what the guests use now: {each}",
            "choose a quiet hour, or shut something down there that can wait",
            {load.node.name: f"{load.cpu_after:.2f}" for load in over},
        )


def no_spare(choice: Choice, node: NodeId, cluster: str) -> Caution:
    """Why the loss of one more node could not be absorbed, as far as it is known."""
    code, remedy = "plan.no-spare-node", "keep the repair short"
    without = f"without {node.name}"
    why = choice.forbidden()
    if why is None:
        said = f"{without} the loss of one more node would leave guests without room: no choice of targets was found "
        return Caution(code, cluster, f"{said}that avoids it", remedy)
    evidence = {"node": why.lost.name, "needed": str(why.bytes_needed), "room": str(why.bytes_there)}
    lacking = gib(why.bytes_needed - why.bytes_there)
    if why.guest is not None:
        said = (
            f"{without} the loss of {why.lost.name} would leave {title(why.guest)} without room: it needs "
            f"{gib(why.bytes_needed)} and no other node has more than {gib(why.bytes_there)} free even now; no choice "
            "of targets changes that"
        )
        evidence["guest"] = str(why.guest.id)
    else:
        said = (
            f"{without} the loss of {why.lost.name} would leave guests without room: the others together lack "
            f"{lacking}, wherever the guests go"
        )
    return Caution(code, cluster, said, f"{remedy}, or free {lacking} more on one node before", evidence)
