"""The cluster as it will be once a plan has been carried out: what the next node's plan is made on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from noout.domain.cluster import ClusterState, Guest, NodeId, Storage
from noout.domain.maintenance import Move, Plan


def carried_out(state: ClusterState, plan: Plan) -> ClusterState:
    """``state`` after the plan's moves and returns. Guests that are shut down for it run again where they were."""
    return after_moves(after_moves(state, plan.moves), plan.returns)


def after_moves(state: ClusterState, moves: Iterable[Move]) -> ClusterState:
    """Each guest on the target of its move, with its disks on the storage that the move names."""
    known = {move.guest: move for move in moves if move.target is not None}
    guests = {guest.id: guest for guest in state.guests if guest.id in known}
    used: dict[tuple[NodeId, str], int] = {}
    for guest in guests.values():
        move = known[guest.id]
        assert move.target is not None
        for disk in guest.carried:
            gone, come = (guest.node, disk.storage), (move.target, move.target_storage or disk.storage)
            replicated = disk.replicate and guest.replicated_to(move.target.name)  # a copy stays, a copy is there
            if not replicated:
                used[gone] = used.get(gone, 0) - disk.size_bytes
                used[come] = used.get(come, 0) + disk.size_bytes
    return replace(
        state,
        guests=tuple(_moved(each, known[each.id]) if each.id in known else each for each in state.guests),
        storages=tuple(_filled(each, used.get((each.node, each.name), 0)) for each in state.storages),
    )


def _filled(store: Storage, more: int) -> Storage:
    return replace(store, used_bytes=max(0, store.used_bytes + more)) if more else store


def _moved(guest: Guest, move: Move) -> Guest:
    assert move.target is not None
    store = move.target_storage
    disks = guest.disks
    if store is not None:
        disks = tuple(replace(d, storage=store) if not d.shared and not d.cdrom else d for d in guest.disks)
    # Replication turns round: PVE makes the node that the guest came from the target of the job.
    there = move.target.name
    replicas = tuple(replace(r, target=guest.node.name) if r.target == there else r for r in guest.replicas)
    ha = None if guest.ha is None else replace(guest.ha, node=there)
    return replace(guest, node=move.target, ha=ha, disks=disks, replicas=replicas)
