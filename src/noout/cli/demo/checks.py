"""What must be true at the end of the story. Each check looks for itself: at the cluster, the journal, the samples."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from noout.domain.ceph import CephState
from noout.domain.cluster import ClusterState, Guest
from noout.domain.hardware import Condition, Episode, HardwareState, Power
from noout.domain.impact import Cause, Experience
from noout.domain.journal import Event, Kind, chain_error
from noout.domain.maintenance import Maintenance, MoveKind
from noout.watch.verdict import judge

INTERRUPTION_S_MAX = 2.0  # of a guest that moved live


@dataclass(frozen=True, slots=True)
class Check:
    name: str
    ok: bool
    evidence: str


@dataclass(frozen=True, slots=True)
class Before:
    """The world before the story, to compare with."""

    cluster: ClusterState
    ceph: CephState


@dataclass(frozen=True, slots=True)
class After:
    cluster: ClusterState
    ceph: CephState
    hardware: HardwareState
    since_repair: Sequence[HardwareState]
    state: Maintenance
    events: Sequence[Event]
    experiences: Sequence[Experience]
    at: datetime


def check_all(before: Before, after: After) -> list[Check]:
    return [
        finished(after),
        guests_home(before, after),
        nothing_else_moved(before, after),
        flags_gone(before, after),
        osds_back(before, after),
        power_and_led(after),
        fan_quiet(after),
        nobody_waited(after),
        relocations_told(after),
        journal_whole(after),
    ]


def _names(guests: Iterable[Guest | str]) -> str:
    return ", ".join(each if isinstance(each, str) else each.name for each in guests)


def finished(after: After) -> Check:
    state = after.state
    why = "; ".join(blocker.message for blocker in state.blockers) or state.waiting_for or state.phase.value
    return Check("the maintenance is done", state.outcome == "done", state.outcome or f"it stands at: {why}")


def guests_home(before: Before, after: After) -> Check:
    wrong = []
    on_the_node = [guest for guest in before.cluster.guests if guest.node == after.state.node]
    for guest in on_the_node:
        now = after.cluster.guest(guest.id)
        if now is None or now.node != guest.node or now.status != guest.status:
            place = "nowhere" if now is None else f"{now.status.value} on {now.node.name}"
            wrong.append(f"{guest.name} ({place})")
    evidence = f"not as before: {', '.join(wrong)}" if wrong else f"{len(on_the_node)} guests as before"
    return Check("every guest of the node is home and as before", not wrong, evidence)


def nothing_else_moved(before: Before, after: After) -> Check:
    """Guests of other nodes are where they were, or where the last recorded move put them; and as they were."""
    put = {each.guest: each.target for each in after.state.moved if each.target is not None}
    wrong = [
        guest
        for guest in before.cluster.guests
        if guest.node != after.state.node
        and (
            (now := after.cluster.guest(guest.id)) is None
            or now.node != put.get(guest.id, guest.node)
            or now.status != guest.status
        )
    ]
    lost = [guest for guest in before.cluster.guests if after.cluster.guest(guest.id) is None]
    evidence = (
        f"changed: {_names([*wrong, *lost])}" if wrong or lost else f"{len(before.cluster.guests)} guests counted"
    )
    return Check("no other guest was moved, stopped or lost", not wrong and not lost, evidence)


def flags_gone(before: Before, after: After) -> Check:
    """No flag that was not there before, no cordon, every setting as before, and the ledger of what we owned empty."""
    left = [f"{flag} (cluster-wide)" for flag in sorted(after.ceph.flags - before.ceph.flags)]
    for host, flags in after.ceph.host_flags.items():
        left += [f"{flag} on {host}" for flag in sorted(flags - before.ceph.host_flags.get(host, frozenset()))]
    left += [f"{request} of {node}" for node, request in after.cluster.ha_requests]
    left += [f"rule {rule.name}" for rule in after.cluster.rules if rule not in before.cluster.rules]
    for guest in before.cluster.guests:
        now = after.cluster.guest(guest.id)
        if now is not None and now.onboot != guest.onboot:
            left.append(f"onboot of {guest.name}")
        if now is not None and now.ha and guest.ha and now.ha.failback != guest.ha.failback:
            left.append(f"failback of {guest.name}")
    left += [f"crs {after.cluster.crs}"] if after.cluster.crs != before.cluster.crs else []
    left += [f"{owned.kind} {owned.subject}" for owned in after.state.owned]
    return Check("no flag and no cordon is left", not left, f"left: {', '.join(left)}" if left else "none left")


def osds_back(before: Before, after: After) -> Check:
    wrong = [
        f"osd.{osd.id} ({'up' if osd.up else 'down'}, {'in' if osd.in_ else 'out'})"
        for osd in after.ceph.osds
        if not (osd.up and osd.in_) and any(known.id == osd.id and known.up and known.in_ for known in before.ceph.osds)
    ]
    ok = not wrong and after.ceph.all_clean
    states = ", ".join(f"{count} {state}" for state, count in sorted(after.ceph.pgs_by_state.items()))
    return Check("every OSD is up and in, every PG active+clean", ok, ", ".join(wrong) or states)


def power_and_led(after: After) -> Check:
    power, led = after.hardware.power, after.hardware.led_on
    ok = power is Power.ON and led is False
    shown = "not known" if led is None else "on" if led else "off"
    return Check("the node is on and its LED is off", ok, f"power {power.value}, LED {shown}")


def fan_quiet(after: After) -> Check:
    """Judged by the watch from what the BMC said since the repair alone."""
    bad: list[str] = []
    counted = 0
    since = after.state.node_on_at or after.state.opened_at
    # A BMC shows old entries too: only what was logged since the repair tells of it.
    polls = [replace(each, log=tuple(e for e in each.log if e.at >= since)) for each in after.since_repair]
    for verdict in judge(polls, after.at):
        counted += 1
        stalls: tuple[Episode, ...] = verdict.episodes
        if verdict.condition not in (Condition.OK, Condition.HUNTING) or stalls:
            bad.append(f"{verdict.sensor}: {verdict.condition.value}, {len(stalls)} episodes")
    evidence = ", ".join(bad) or f"{counted} sensors quiet over {len(after.since_repair)} polls"
    return Check("the fan has not stopped since the repair", not bad and counted > 0, evidence)


def nobody_waited(after: After) -> Check:
    """No interruption over the limit on a guest that moved live, as probes saw it (QEMU's figure proves nothing)."""
    live = {each.guest for each in after.state.moved if each.kind is MoveKind.LIVE}
    measured = [each for each in after.experiences if each.guest in live and each.measured]
    long = [
        f"{each.name}: {'still going on' if cut.length is None else f'{cut.length.total_seconds():.1f} s'}"
        f" ({cut.probe}, exact to {cut.resolution_s:g} s at either end)"
        for each in measured
        for cut in each.interruptions
        if cut.length is None or cut.length.total_seconds() > INTERRUPTION_S_MAX
    ]
    worst = max((each.longest_gap_s or 0.0 for each in measured), default=0.0)
    resolution = max((each.resolution_s or 0.0 for each in measured), default=0.0)
    if resolution > INTERRUPTION_S_MAX:
        long.append(f"asked only every {resolution:.1f} s at the longest: such a pause could have gone unseen")
    evidence = (
        f"longest pause between two answers {worst:.1f} s, asked every {resolution:.1f} s at the longest"
        f" ({len(measured)} of {len(live)} guests measured)"
    )
    name = f"no live-migrated guest was interrupted for more than {INTERRUPTION_S_MAX:.0f} s"
    return Check(name, not long and bool(measured), ", ".join(long) or evidence)


def relocations_told(after: After) -> Check:
    """A guest that was restarted shows as an interruption: nothing is passed off as unnoticed."""
    restarted = {each.guest for each in after.state.moved if each.kind in (MoveKind.RELOCATE, MoveKind.SHUTDOWN)}
    measured = [each for each in after.experiences if each.guest in restarted and each.measured]
    silent = [
        each.name
        for each in measured
        if not any(cut.cause in (Cause.RELOCATION, Cause.RESTART) for cut in each.interruptions)
    ]
    told = f"{len(restarted)} restarts, shown as such"
    if len(measured) < len(restarted):
        told = f"{len(measured)} of {len(restarted)} restarts measured and shown as such; the others say so"
    evidence = f"not shown: {', '.join(silent)}" if silent else told
    return Check("every restart is told as an interruption", not silent, evidence)


def journal_whole(after: After) -> Check:
    """The chain is unbroken, and no effect was verified that was not intended before."""
    error = chain_error(after.events)
    intended: set[str] = set()
    for event in after.events:
        key = str(event.data.get("key", ""))
        if event.kind == Kind.INTENT:
            intended.add(key)
        elif event.kind in (Kind.STARTED, Kind.DONE) and key not in intended:
            error = error or f"event {event.seq} ({event.kind} {key}) has no intent before it"
    evidence = error or f"{len(after.events)} events, {len(intended)} effects, each with its intent before it"
    return Check("the journal is whole", error is None, evidence)
