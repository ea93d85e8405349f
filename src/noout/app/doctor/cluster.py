"""The cluster as a whole: what is open there, HA, versions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from noout.app.doctor.diagnosis import Finding, finding
from noout.app.doctor.picture import ClusterPicture, Picture
from noout.app.support import support_in
from noout.domain.cluster import ClusterState
from noout.domain.reasons import Blocker, Caution

_LOST = frozenset({"error", "fence", "recovery"})


def check(cluster: ClusterPicture, picture: Picture) -> Iterator[Finding]:
    if cluster.state is None:
        return
    for each in cluster.open_ones:
        said = f"maintenance {each.id} of {each.node.name} is open ({each.phase.value}): one at a time in a cluster"
        remedy = f"noout status {each.id}; finish or abort it first"
        yield finding(str(each.node), Caution("cluster.maintenance-open", each.id, said, remedy))
    for odd in cluster.oddities:
        yield finding(cluster.name, Caution(f"ledger.{odd.what}", odd.subject, odd.message, odd.command))
    yield from _ha(cluster, cluster.state)
    yield from _versions(cluster, cluster.state)


def _ha(cluster: ClusterPicture, state: ClusterState) -> Iterator[Finding]:
    asked = {name for name, mode in state.ha_requests if mode == "maintenance"}
    for node in state.nodes:
        if node.ha_state == "maintenance" or node.id.name in asked:
            said = (
                f"{node.id.name} is in HA maintenance mode: HA puts nothing there, and sends its guests back after it"
            )
            remedy = f"if nobody works there: ha-manager crm-command node-maintenance disable {node.id.name}"
            yield finding(str(node.id), Caution("node.in-maintenance", str(node.id), said, remedy))
    for guest in state.guests:
        if guest.ha is not None and guest.ha.state in _LOST and not guest.running:
            said = f"HA has {guest.ha.sid} ({guest.name}) in state {guest.ha.state}: it does nothing for it any more"
            remedy = f"look into its last task, then: ha-manager set {guest.ha.sid} --state disabled, and started again"
            yield finding(str(guest.node), Caution("ha.service-error", str(guest.id), said, remedy))


def _versions(cluster: ClusterPicture, state: ClusterState) -> Iterator[Finding]:
    support = support_in(state)
    accepted = cluster.settings.accept_version
    if not support.acts(accepted):
        remedy = "look and plan only, carry out by hand with `noout plan NODE --runbook`; or upgrade the cluster"
        if support.kind == "unrecorded" and support.minor:
            remedy += f'; to let noout act: [clusters.{state.name}] accept_version = "{support.minor}"'
        said = f"noout changes nothing there: {support.sentence}"
        yield finding(state.name, Blocker("cluster.version", state.name, said, remedy, {"version": state.version}))
    elif support.kind != "recorded":
        remedy = "compare every plan with what you see before it begins"
        yield finding(state.name, Caution("cluster.version", state.name, support.sentence, remedy))
    by_package: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for node in cluster.survey.nodes if cluster.survey else ():
        for package, version in node.packages.items():
            by_package[package][version].append(node.node.name)
    mixed = {package: versions for package, versions in by_package.items() if len(versions) > 1}
    if mixed:
        said = "; ".join(
            f"{package} {', '.join(f'{version} on {_few(names)}' for version, names in sorted(versions.items()))}"
            for package, versions in sorted(mixed.items())
        )
        remedy = (
            "upgrade the older ones first: guests move live from an older to a newer node, the way back is not tested"
        )
        message = f"not all nodes run the same: {said}"
        yield finding(state.name, Caution("cluster.mixed-versions", state.name, message, remedy))


def _few(names: list[str]) -> str:
    return ", ".join(names) if len(names) <= 3 else f"{len(names)} nodes"
