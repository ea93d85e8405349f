"""What brings a node and its data back: power, daemons, flags, in the order that moves no data twice.

Shared by the reintegration and by every undo. Each flag goes only when what it protected is seen to be safe.
"""

from __future__ import annotations

from collections.abc import Iterable

from noout.domain.ceph import Osd
from noout.domain.cluster import GuestId
from noout.domain.hardware import Power
from noout.domain.maintenance import Action, Maintenance, Observation
from noout.domain.reasons import Caution
from noout.steps import actions, checks
from noout.steps.effects import has_flag
from noout.steps.rules import RULES, Rules
from noout.steps.step import Decision, Hold, attempt, blocked, exhausted, is_pending, owns, waited_s, warn_once

BOOT_S_MAX = 1200.0
DAEMON_S_MAX = 180.0  # a daemon that the boot should have started is started by us after this long
POLL_S = 5.0


def power_up(step: str, m: Maintenance, seen: Observation) -> Decision | None:
    """Power on, boot, membership; None when the node is online in a quorate cluster."""
    node = seen.cluster.node(m.node)
    # Corosync says "online" for some seconds after the power is gone: the BMC knows better.
    off = seen.hardware is not None and seen.hardware.reachable and seen.hardware.power is Power.OFF
    if node is not None and node.online and seen.cluster.quorate and not off:
        return None
    if blockers := checks.bmc_answers(m, seen):
        return blocked(blockers[0].code, blockers[0].subject, blockers[0].message, blockers[0].remedy)
    if seen.hardware is not None and seen.hardware.power is Power.OFF:
        return attempt(
            m, seen, actions.power_on(step, m.node), code="power.still-off",
            remedy="check its cords and press its power button; the run goes on when it is online",
        )  # fmt: skip
    why = "the node to boot and join the cluster"
    if waited_s(m, seen, why) > BOOT_S_MAX:  # the wait goes on, told as a blocker
        return blocked(
            "node.not-back", str(m.node), f"{m.node.name} has power but is not back in the cluster",
            "look at its console; its data stays held, and the run goes on when it is online",
        )  # fmt: skip
    return Hold("boot", why, POLL_S)


def keep_held(
    step: str, m: Maintenance, seen: Observation, rules: Rules = RULES, *, going_back: bool = False
) -> Decision | None:
    """While the OSDs are down by us, our flags stay: set once more when somebody has cleared them. None: they stand.

    A noout that others had set before us is set by us once they take it away while our OSDs are down: the data must
    stay. noup has done its work once the acceptance was given. ``going_back``: nothing is left to do but to bring the
    node back. A flag that cannot be set is said then, and the way back goes on: it is what ends the need for the flag.
    """
    host = checks.crush_host(m)
    if host is None or seen.ceph is None or any(osd.up for osd in checks.osds_of_node(m, seen)):
        return None
    lost: list[Action] = []
    if owns(m, "cluster-noout") and not m.healing and "noout" not in seen.ceph.flags:
        lost.append(actions.cluster_noout(step, m.node.cluster, True))
    accepted = (m.facts.get("acceptance") or {}).get("ok")
    rushed = m.urgent and m.node_on_at is not None  # the OSDs come up without waiting for the acceptance
    for flag in (*(() if m.healing else ("noout",)), *(() if accepted or rushed else ("noup",))):
        needed = flag == "noout" and owns(m, "osd-stopped") and not checks.is_held(m, seen)
        if (owns(m, flag, host) or needed) and not has_flag(seen, host, flag):
            lost.append(actions.set_flag(step, flag, host))
            refused = flag == "noout" and exhausted(m, lost[-1].key)
            if refused and rules.cluster_noout and not owns(m, "cluster-noout"):
                lost[-1] = actions.cluster_noout(step, m.node.cluster, True)
            if refused and checks.is_held(m, seen):
                lost.pop()
    for action in lost:
        if not (going_back and exhausted(m, action.key)):
            return attempt(m, seen, action, code="ceph.flag", remedy="see who clears it, then resume")
        said = f"{action.says}: it was cleared and cannot be set again, so Ceph may copy the node's data elsewhere"
        if (note := warn_once(m, Caution("ceph.not-held", action.subject, said, action.command))) is not None:
            return note
    return None


def mon_back(step: str, m: Maintenance, seen: Observation) -> Decision | None:
    """Give back the stopped mon: it starts with the node, or is started by us. None when we hold none."""
    owned = next((each for each in m.owned if each.kind == "mon-stopped"), None)
    if owned is None or seen.ceph is None:
        return None
    action = actions.service(step, m.node, "start", owned.subject)
    inside = owned.subject.partition(".")[2] in seen.ceph.quorum
    if not inside and (wait := _booting(m, seen, "the node's mon", action.key)):
        return wait
    remedy = "start it by hand; the run goes on when it is in quorum"
    return attempt(m, seen, action, code="ceph.mon-not-back", remedy=remedy)


def release_data(step: str, m: Maintenance, seen: Observation) -> Decision | None:
    """mon -> noup off -> OSDs up and in -> PGs active+clean -> noout off. None when all is given back."""
    if (decision := mon_back(step, m, seen)) is not None:
        return decision
    host = checks.crush_host(m)
    if seen.ceph is None or host is None:
        return None
    if owns(m, "noup", host):
        return attempt(
            m, seen, actions.unset_flag(step, "noup", host), code="ceph.flag", remedy="release it by hand, then resume"
        )
    touched = m.node_off_at is not None or any(owns(m, kind) for kind in ("osd-stopped", "noout", "cluster-noout"))
    if touched and (decision := _osds_back(step, m, seen, host)) is not None:
        return decision
    if touched and not seen.ceph.all_clean:
        return Hold("clean", "every placement group to be active+clean again", POLL_S)
    if owns(m, "noout", host):
        return attempt(
            m, seen, actions.unset_flag(step, "noout", host), code="ceph.flag", remedy="release it by hand, then resume"
        )
    if owns(m, "cluster-noout"):
        action = actions.cluster_noout(step, m.node.cluster, False)
        return attempt(m, seen, action, code="ceph.flag", remedy="release it by hand, then resume")
    if "noout" in seen.ceph.flags:
        return note_foreign(m, "noout", "the whole cluster")
    return note_foreign(m, "noout", host) if has_flag(seen, host, "noout") else None


def note_foreign(m: Maintenance, flag: str, where: str) -> Decision | None:
    """Said once: we neither own it nor will clear it."""
    said = f"{flag} is set for {where}, not by this maintenance: it will stay set"
    return warn_once(m, Caution(f"ceph.foreign-{flag}", where, said, "find out who set it; it is theirs to clear"))


def _osds_back(step: str, m: Maintenance, seen: Observation, host: str) -> Decision | None:
    down = [osd for osd in checks.osds_of_node(m, seen) if not osd.up]
    if down and has_flag(seen, host, "noup"):
        return blocked(
            "ceph.foreign-noup", host, f"noup is set for host {host}, not by this maintenance: its OSDs cannot come up",
            f"find out who set it, then `ceph osd unset-group noup {host}`",
        )  # fmt: skip
    names_down = {f"osd.{osd.id}" for osd in down}
    for subject in sorted(owned.subject for owned in m.owned if owned.kind == "osd-stopped"):
        action = actions.service(step, m.node, "start", subject)
        if subject in names_down and (wait := _booting(m, seen, "the OSDs", action.key)):
            return wait
        remedy = f"see its log on {m.node.name}; noout stays set, and the run goes on when it is up"
        return attempt(m, seen, action, code="ceph.osd-not-back", remedy=remedy)
    if down and m.node_on_at is not None:  # not stopped by us: they come with the boot, or somebody is told
        said = f"OSDs {_numbers(down)} of {host} are down, and were before this maintenance held the node's data"
        note = warn_once(m, Caution("ceph.osd-stays-down", host, said, f"see their logs on {m.node.name}"))
        if note is not None:
            return _booting(m, seen, "the OSDs", "") or note
    out = [osd for osd in checks.osds_of_node(m, seen) if osd.up and not osd.in_]
    if out:
        numbers = _numbers(out)
        return blocked(
            "ceph.osd-out", host, f"OSDs {numbers} of {host} are up but out: their data would move",
            f"`ceph osd in {numbers}`; the run goes on by itself",
        )  # fmt: skip
    return None


def _numbers(osds: Iterable[Osd]) -> str:
    return " ".join(str(osd.id) for osd in osds)


def _booting(m: Maintenance, seen: Observation, what: str, key: str) -> Decision | None:
    """After a boot, daemons come by themselves: wait for them a while before starting them (``key``: that action's)."""
    why = f"{what} to come up with the node"
    if m.node_on_at is None or m.failed.get(key) or is_pending(m, key) or waited_s(m, seen, why) > DAEMON_S_MAX:
        return None
    return Hold("daemons", why, POLL_S)


def start_again(step: str, m: Maintenance, seen: Observation) -> Decision | None:
    """Start the guests that were shut down by consent; None when there is none left."""
    for owned in (each for each in m.owned if each.kind == "guest-down"):
        guest = seen.cluster.guest(GuestId.parse(owned.subject))
        if guest is not None:
            return attempt(
                m, seen, actions.start_guest(step, guest), code="guest.not-started",
                remedy="start it by hand; the run goes on when it runs",
            )  # fmt: skip
    return None
