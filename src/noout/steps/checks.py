"""What must be true before an effect: pure questions to one observation, answered by blockers with their remedy."""

from __future__ import annotations

from datetime import datetime

from noout.domain.ceph import Osd
from noout.domain.cluster import Guest, GuestId, GuestKind, GuestStatus
from noout.domain.impact import SILENT_S
from noout.domain.maintenance import Maintenance, Moved, MoveKind, Observation
from noout.domain.reasons import Blocker

# How long the services of a guest may take that was stopped and started: a container, or a whole system.
STARTING_S = {MoveKind.RELOCATE: 60.0, MoveKind.SHUTDOWN: 180.0}


def crush_host(m: Maintenance) -> str | None:
    """The node's CRUSH host as recorded when the maintenance began; None: Ceph keeps no data on it."""
    host = m.facts.get("crush_host")
    return str(host) if host else None


def osds_of_node(m: Maintenance, seen: Observation) -> tuple[Osd, ...]:
    host = crush_host(m)
    return seen.ceph.osds_of(host) if seen.ceph and host else ()


def mon_of_node(m: Maintenance, seen: Observation) -> str | None:
    """The name of the mon that lives on the node."""
    if seen.ceph is None:
        return None
    homes = {m.node.name, crush_host(m)}
    return next((mon for mon in seen.ceph.mons if seen.ceph.mon_hosts.get(mon, mon) in homes), None)


def running_on_node(m: Maintenance, seen: Observation) -> tuple[Guest, ...]:
    """Guests that run here, or may: paused ones are processes too, and of unknown ones nobody can say.

    When the node itself is off, what was shut down there is unknown as well, and nothing runs.
    """
    node = seen.cluster.node(m.node)
    if node is None or not node.online:
        return tuple(guest for guest in seen.cluster.guests_on(m.node) if guest.running and not guest.template)
    return tuple(
        guest
        for guest in seen.cluster.guests_on(m.node)
        if guest.status is not GuestStatus.STOPPED and not guest.template
    )


def consented(m: Maintenance) -> frozenset[GuestId]:
    """Guests of the plan that stay on the node and are shut down by consent while it is off."""
    return frozenset(move.guest for move in (m.plan.moves if m.plan else ()) if move.kind is MoveKind.SHUTDOWN)


def strays(m: Maintenance, seen: Observation) -> tuple[Guest, ...]:
    """Running guests that should have left the node: all but those that are shut down at the last moment."""
    return tuple(guest for guest in running_on_node(m, seen) if guest.id not in consented(m))


def silent_guests(m: Maintenance, seen: Observation) -> tuple[Blocker, ...]:
    """Guests we moved whose service has stopped answering: for PVE all is well, for the customer it is not."""
    return fallen_silent(m, seen.silent, seen.at)


def fallen_silent(m: Maintenance, silent: frozenset[GuestId], at: datetime) -> tuple[Blocker, ...]:
    """The same of what the witness alone has just heard, or not."""
    moved = {move.guest: move for move in m.moved}
    return tuple(
        Blocker(
            "guest.silent",
            str(guest),
            f"{moved[guest].name} ({guest}) no longer answers its probe since it {_came(moved[guest])} "
            f"({SILENT_S:g} s and more without a good answer): customer down",
            "look at its network and its console; the run goes on when it answers again, or when you resume the run",
        )
        for guest in sorted(silent & set(moved) - m.silence_accepted)
        if not is_starting(moved[guest], at)
    )


def is_starting(moved: Moved, at: datetime) -> bool:
    """A guest that had to start anew has not fallen silent before its services could be up."""
    return (at - moved.finished).total_seconds() < STARTING_S.get(moved.kind, 0.0)


def _came(moved: Moved) -> str:
    return f"moved to {moved.target}" if moved.target else f"was started again on {moved.source}"


def noout_is_elsewhere(m: Maintenance, seen: Observation) -> tuple[Blocker, ...]:
    """Nothing that noout itself runs in is on the node, running or not: it would switch itself off."""
    own = m.plan.noout_guests if m.plan else ()
    return tuple(
        Blocker(
            "noout.on-this-node",
            str(guest.id),
            f"noout itself, or its database, runs in {guest.name} ({guest.id}), which is on {m.node.name}",
            "move that guest to another node; the run goes on by itself",
        )
        for guest in seen.cluster.guests_on(m.node)
        if guest.id in own
    )


def not_as_before(m: Maintenance, seen: Observation) -> tuple[Blocker, ...]:
    """Guests we moved that arrived, but not as they were: they are not moved again, they are said."""
    found = []
    for moved in {each.guest: each for each in m.moved}.values():
        guest = seen.cluster.guest(moved.guest)
        if not moved.arrived or guest is None or guest.node != moved.target or moved.guest in m.silence_accepted:
            continue
        in_error = guest.ha is not None and guest.ha.state == "error"
        if guest.running and not in_error:
            continue
        tool = "pct" if guest.kind is GuestKind.LXC else "qm"
        verb = "start" if guest.status is GuestStatus.STOPPED else "resume"
        how = f"{tool} {verb} {guest.id.vmid} on {guest.node.name}"
        state = guest.status.value
        if in_error and guest.ha is not None:
            how = f"ha-manager set {guest.ha.sid} --state disabled, then --state {guest.ha.requested_state}"
            state = f"{state}, in HA state error"
        found.append(
            Blocker(
                "guest.arrived-otherwise", str(guest.id),
                f"{guest.name} ({guest.id}) ran before its move and is {state} on {guest.node.name}",
                f"{how}; the run goes on when all is well with it, or when you resume",
                {"status": guest.status.value},
            )
        )  # fmt: skip
    return tuple(found)


def cluster_survives(m: Maintenance, seen: Observation) -> tuple[Blocker, ...]:
    """Corosync keeps its majority when the node is gone, and HA can still act."""
    if not seen.cluster.quorate:
        return (Blocker("pve.no-quorum", m.node.cluster, "the cluster has no quorum", "bring back a node first"),)
    others = sum(node.online for node in seen.cluster.nodes if node.id != m.node)
    if others * 2 <= len(seen.cluster.nodes):
        return (
            Blocker(
                "pve.quorum-would-be-lost",
                str(m.node),
                f"without {m.node.name} only {others} of {len(seen.cluster.nodes)} nodes would be online: no majority",
                "bring another node back first",
            ),
        )
    return ()


def mons_survive(m: Maintenance, seen: Observation) -> tuple[Blocker, ...]:
    ceph, mine = seen.ceph, mon_of_node(m, seen)
    if ceph is None:
        return ()
    if not ceph.mon_quorum_ok:
        return (Blocker("ceph.no-quorum", m.node.cluster, "the Ceph mons have no quorum", "bring back a mon first"),)
    left = [mon for mon in ceph.quorum if mon != mine]
    if len(left) * 2 <= len(ceph.mons):
        return (
            Blocker(
                "ceph.mon-quorum-would-be-lost",
                str(m.node),
                f"without mon {mine} only {len(left)} of {len(ceph.mons)} mons would be in quorum: no majority",
                "bring back or add a mon first",
            ),
        )
    return ()


def data_is_whole(m: Maintenance, seen: Observation) -> tuple[Blocker, ...]:
    """Before anything is taken down: every PG active+clean, from a picture that is not frozen."""
    if seen.ceph is None:
        return ()
    if not seen.ceph.fresh:
        return (
            Blocker("ceph.stale", m.node.cluster, "no mgr answers: the picture of the PGs is frozen", "start a mgr"),
        )
    if not seen.ceph.all_clean:
        states = ", ".join(f"{n} {state}" for state, n in sorted(seen.ceph.pgs_by_state.items()))
        return (
            Blocker(
                "ceph.not-clean", m.node.cluster, f"not every PG is active+clean ({states})",
                "wait for recovery, or mend what is down: `ceph health detail`",
            ),
        )  # fmt: skip
    return ()


def only_we_are_down(m: Maintenance, seen: Observation) -> tuple[Blocker, ...]:
    """While the host is (being) stopped: all that misses is the host's own, and every PG still serves."""
    if seen.ceph is None:
        return ()
    blockers: list[Blocker] = []
    host = crush_host(m)
    others = [osd.id for osd in seen.ceph.osds if osd.host != host and osd.in_ and not osd.up]
    if others:
        names = ", ".join(f"osd.{number}" for number in others)
        blockers.append(
            Blocker("ceph.osd-down", names, f"{names} on other hosts are down as well", "mend them before going on")
        )
    if seen.ceph.fresh and seen.ceph.inactive_pgs:
        blockers.append(
            Blocker(
                "ceph.inactive", m.node.cluster, f"{seen.ceph.inactive_pgs} PGs are inactive: clients wait",
                "start the OSDs again, or bring back the others that are down",
            )
        )  # fmt: skip
    return tuple(blockers)


def osds_may_stop(m: Maintenance, seen: Observation) -> tuple[Blocker, ...]:
    """Ceph's own answer for all OSDs of the host at once; no answer is no permission."""
    if not osds_of_node(m, seen):
        return ()
    answer = seen.ok_to_stop
    if answer is None:
        return (Blocker("ceph.no-answer", str(m.node), "Ceph did not say whether the OSDs may stop", "start a mgr"),)
    if not answer.ok:
        return (
            Blocker(
                "ceph.not-ok-to-stop", str(m.node), f"Ceph says: not ok to stop {list(answer.osds)}: {answer.detail}",
                "wait for recovery; a pool whose min_size equals its size can never lose a host",
            ),
        )  # fmt: skip
    return ()


def is_held(m: Maintenance, seen: Observation) -> bool:
    """The host's data stays put: noout on the host or cluster-wide, ours or not, seen now. True without data."""
    if not osds_of_node(m, seen):
        return True
    assert seen.ceph is not None
    return "noout" in seen.ceph.flags or "noout" in seen.ceph.host_flags.get(crush_host(m) or "", frozenset())


def bmc_answers(m: Maintenance, seen: Observation) -> tuple[Blocker, ...]:
    """Power is proved by the BMC only; and it must be this node's BMC."""
    if seen.hardware is None or not seen.hardware.reachable:
        return (
            Blocker(
                "bmc.unreachable", str(m.node), f"the BMC of {m.node.name} does not answer: its power cannot be proved",
                "restore the BMC's network, or carry this maintenance out by hand",
            ),
        )  # fmt: skip
    wanted = m.work_order.location.serial if m.work_order else ""
    if wanted and seen.hardware.serial and not same_serial(wanted, seen.hardware.serial):
        return (
            Blocker(
                "bmc.other-machine",
                str(m.node),
                f"the BMC says serial {seen.hardware.serial}, but {m.node.name} should be {wanted}",
                "correct the BMC's address or the serial in noout.toml before anything is switched off",
            ),
        )
    return ()


def same_serial(one: str, other: str) -> bool:
    return one.strip().casefold() == other.strip().casefold()
