"""Each node: what its next boot would bring that nobody expects, and what it serves besides guests."""

from __future__ import annotations

import re
from collections.abc import Iterator
from statistics import median

from noout.app.doctor.diagnosis import HERE, Finding, finding
from noout.app.doctor.picture import ClusterPicture, Picture
from noout.domain.cluster import Node
from noout.domain.reasons import Blocker, Caution
from noout.domain.survey import ClusterSurvey, NodeSurvey

CLOCK_S = 2.0  # between nodes, beyond what the question's own time leaves in doubt
WORN_PERCENT = 5.0
SOUND = frozenset({"PASSED", "OK", "UNKNOWN", ""})
DISKS = frozenset({"images", "rootdir"})


def check(cluster: ClusterPicture, picture: Picture) -> Iterator[Finding]:
    if cluster.state is None or cluster.survey is None:
        return
    for node in cluster.state.nodes:
        if node.online:
            yield from _boot(node, cluster.survey.node(node.id))
        yield from _serves(node, cluster, cluster.survey)
    yield from _clocks(cluster, cluster.survey)
    for task in cluster.state.running_tasks:
        if task.kind == "vzdump":
            place = f"{cluster.name}/{task.node}"
            said = f"a backup runs on {task.node}: its guests are locked until it has ended"
            yield finding(place, Caution("node.backup-running", place, said, "wait for it, or begin another hour"))


def _boot(node: Node, survey: NodeSurvey) -> Iterator[Finding]:
    name, place = node.id.name, str(node.id)
    running = survey.kernel_running or node.kernel
    if running and survey.kernel_newest and _order(survey.kernel_newest) > _order(running):
        said = (
            f"{name} runs kernel {running} and would boot {survey.kernel_newest}: what comes back is not what went down"
        )
        pin = f"proxmox-boot-tool kernel pin {running}"
        remedy = f"reboot it once beforehand, at an hour of your choice; or {pin} (then nothing is left to do)"
        yield finding(place, Caution("node.kernel-pending", place, said, remedy))
    if survey.network_changes:
        said = f"{name} has network changes that are not applied: it would boot with them"
        remedy = "apply them (ifreload -a) and look, or revert them, before it goes down"
        yield finding(place, Caution("node.network-pending", place, said, remedy))
    for disk in survey.disks:
        if disk.health.upper() not in SOUND:
            said = f"{name}'s own disk {disk.path} says {disk.health}: it may not boot again"
            remedy = f"replace {disk.path} in the same maintenance, or before"
            yield finding(place, Caution("node.disk-failing", f"{place} {disk.path}", said, remedy))
        elif disk.wear_left_percent is not None and disk.wear_left_percent <= WORN_PERCENT:
            said = f"{name}'s own disk {disk.path} is worn out: {disk.wear_left_percent:.0f} % left"
            yield finding(place, Caution("node.disk-worn", f"{place} {disk.path}", said, f"replace {disk.path} soon"))


def _order(release: str) -> tuple[int, ...]:
    return tuple(int(digits) for digits in re.findall(r"\d+", release))


def _serves(node: Node, cluster: ClusterPicture, survey: ClusterSurvey) -> Iterator[Finding]:
    name, place = node.id.name, str(node.id)
    for zone, by in survey.exits:
        if by == name and not any(each == zone and other != name for each, other in survey.exits):
            said = f"{name} is the only exit node of SDN zone {zone}: guests there would lose the outside"
            remedy = f"give {zone} another exit node, and see that it carries the traffic"
            yield finding(place, Blocker("node.serves-sdn", f"{place} {zone}", said, remedy))
    for store in survey.storages:
        if store.server.split(".")[0] != name and (not node.ip or store.server != node.ip):
            continue
        holds = bool(store.content & DISKS) and store.kind != "pbs"
        said = f"{name} serves storage {store.name} ({store.kind}): " + (
            "the disks on it are gone while it is away"
            if holds
            else "backups to it fail while it is away"
            if store.kind == "pbs"
            else f"{', '.join(sorted(store.content)) or 'what it holds'} cannot be read while it is away"
        )
        remedy = "move the guests' disks to another storage" if holds else "tell who needs it, or move the service away"
        reason = (Blocker if holds else Caution)("node.serves-storage", f"{place} {store.name}", said, remedy)
        yield finding(place, reason)
    for job in survey.jobs:
        if job.node == name:
            said = f"{job.kind} job {job.id} ({job.about}) is bound to {name}: it does not run while the node is away"
            remedy = "run it before, or see that nobody counts on it meanwhile"
            yield finding(place, Caution("node.bound-job", f"{place} {job.id}", said, remedy))
    for daemon in cluster.ceph_survey.daemons if cluster.ceph_survey else ():
        if daemon.host == name and not _another(cluster, daemon.kind, name):
            said = f"{name} runs the only {daemon.kind} of Ceph ({daemon.name}): what it serves is away with the node"
            remedy = "pveceph mds create, on another node" if daemon.kind == "mds" else "start another one elsewhere"
            yield finding(place, Blocker("node.serves-ceph", f"{place} {daemon.kind}", said, remedy))


def _another(cluster: ClusterPicture, kind: str, name: str) -> bool:
    known = cluster.ceph_survey.daemons if cluster.ceph_survey else ()
    return any(each.kind == kind and each.host != name for each in known)


def _clocks(cluster: ClusterPicture, survey: ClusterSurvey) -> Iterator[Finding]:
    told = {each.node: each.clock_ahead_s for each in survey.nodes if each.clock_ahead_s is not None}
    doubt = {each.node: each.clock_doubt_s for each in survey.nodes}
    if not told:
        return
    middle = median(told.values())
    for node, ahead_s in sorted(told.items()):
        off_s = ahead_s - middle
        if len(told) > 2 and abs(off_s) > CLOCK_S + doubt[node]:
            said = f"{node.name}'s clock is {abs(off_s):.0f} s {'ahead of' if off_s > 0 else 'behind'} the other nodes"
            remedy = f"chronyc tracking on {node.name}; mons and tickets do not bear it"
            yield finding(str(node), Caution("node.clock", str(node), said, remedy))
    if abs(middle) > CLOCK_S + max(doubt.values()):
        way = "behind" if middle > 0 else "ahead of"
        said = f"noout's own clock is {abs(middle):.0f} s {way} the nodes of {cluster.name}"
        yield finding(
            HERE, Caution("noout.clock", cluster.name, said, "chronyc tracking, on the machine noout runs on")
        )
