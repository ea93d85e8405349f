"""Can noout get at what it needs, and nobody else at what it holds? Privileges, certificates, shells, secrets."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

from noout.app.doctor.diagnosis import HERE, Finding, finding
from noout.app.doctor.picture import KEY_FILE, ClusterPicture, Picture, Trouble
from noout.app.fitness import CEPH_STORAGES
from noout.app.privileges import ACT, LOOK, ONBOOT, missing
from noout.domain.cluster import NodeId
from noout.domain.reasons import Blocker, Caution

FOR_LOOKING = frozenset({"VM.Migrate"})  # also what Proxmox VE wants for asking whether a guest could move
HOW_TO = "docs/how-to/connect-a-cluster.md"


def check(cluster: ClusterPicture, picture: Picture) -> Iterator[Finding]:
    name = cluster.name
    if cluster.trouble is not None:
        code = "cluster.untrusted" if cluster.trouble.untrusted else "cluster.unreadable"
        remedy = cluster.trouble.remedy or "check entrypoints, token_file and the network to the nodes"
        yield finding(name, Blocker(code, name, cluster.trouble.message, remedy))
        if not cluster.granted:
            return
    yield from _privileges(name, cluster.granted)
    if cluster.state is None:
        return
    yield from _entry_points(cluster)
    if not any(each.mode is None and each.key == KEY_FILE.format(name) for each in picture.private):
        yield from _shells(cluster)  # without its key noout gets in nowhere: said once


def _privileges(name: str, granted: Mapping[str, frozenset[str]]) -> Iterator[Finding]:
    blind, idle = [*missing(granted, LOOK)], [*missing(granted, ACT)]
    if blind:
        said = f"noout's token may not see everything: it lacks {_named(blind)}; what it may not see is left out of "
        yield finding(name, Blocker("token.blind", name, said + "every list without a word", _grant(blind)))
    wanted = {(privilege, path) for path, privileges in ACT.items() for privilege in privileges}
    if {privilege for privilege, _ in wanted - set(idle)} <= FOR_LOOKING:
        said = "noout's token can look and plan, and change nothing"
        remedy = f"if noout is to carry maintenances out: {_grant(idle)}"
        yield finding(name, Caution("token.read-only", name, said, remedy))
    elif idle:
        said = f"noout's token lacks {_named(idle)}: a maintenance would be refused"
        yield finding(name, Blocker("token.privilege", name, said, _grant(idle)))
    elif early := [*missing(granted, ONBOOT)]:
        said = f"noout's token lacks {_named(early)}: guests that stay may start before a repair is accepted"
        yield finding(name, Caution("token.onboot", name, said, _grant(early)))


def _named(lacking: list[tuple[str, str]]) -> str:
    return ", ".join(f"{privilege} on {path}" for privilege, path in lacking)


def _grant(lacking: list[tuple[str, str]]) -> str:
    names = " ".join(sorted({privilege for privilege, _ in lacking}))
    return f'pveum role modify noout --append 1 --privs "{names}" (and nothing taken away further down; {HOW_TO})'


def _entry_points(cluster: ClusterPicture) -> Iterator[Finding]:
    points = cluster.survey.entry_points if cluster.survey else {}
    for address, why in points.items():
        if "certificate" in why:
            remedy = "find out why it changed; if it is right, set the new fingerprint in the configuration"
            yield finding(cluster.name, Blocker("entrypoint.untrusted", address, f"{address}: {why}", remedy))
        elif why:
            remedy = "start pveproxy there, or take it out of entrypoints"
            yield finding(
                cluster.name, Caution("entrypoint.silent", address, f"{address} gives no answer: {why}", remedy)
            )
    if len(points) == 1 and cluster.state is not None and len(cluster.state.nodes) > 1:
        said = f"noout knows one entry point ({next(iter(points))}): with that node away it sees nothing"
        remedy = f"add another node to [clusters.{cluster.name}] entrypoints"
        yield finding(cluster.name, Caution("entrypoint.single", cluster.name, said, remedy))


def _shells(cluster: ClusterPicture) -> Iterator[Finding]:
    state, name = cluster.state, cluster.name
    assert state is not None
    stores = sorted({store.name for store in state.storages if store.kind in CEPH_STORAGES})
    if cluster.settings.shell is None:
        remedy = f"set [clusters.{name}.shell] ({HOW_TO})"
        if stores and cluster.settings.ceph.enabled:
            said = f"it keeps data in Ceph ({', '.join(stores)}), and noout has no shell to hold it with"
            yield finding(name, Blocker("shell.missing", name, said, remedy))
        elif state.ha_requests or any(guest.ha is not None for guest in state.guests):
            said = "noout has no shell: HA maintenance mode, which keeps newcomers off a node, is not in the API"
            yield finding(name, Caution("shell.missing", name, said, remedy))
    alike: dict[Trouble, list[NodeId]] = defaultdict(list)
    for node, trouble in sorted(cluster.shells.items()):
        if trouble is not None:
            alike[trouble].append(node)
    for trouble, nodes in alike.items():
        names = ", ".join(node.name for node in nodes)
        place = str(nodes[0]) if len(nodes) == 1 else name
        said = f"noout's commands do not run on {names}: {trouble.message}"
        remedy = trouble.remedy or f"install noout's key and command on {names} ({HOW_TO})"
        code = "shell.refused" if trouble.refused else "shell.unreachable"
        yield finding(place, Blocker(code, place, said, remedy))


def here(picture: Picture) -> Iterator[Finding]:
    """Of this installation's own files."""
    for each in picture.private:
        if each.mode is None:
            said = f"{each.path} (key {each.key}) is not there or cannot be looked at"
            yield finding(HERE, Blocker("secret.missing", each.key, said, "put it there, readable by noout only"))
        elif each.mode & 0o077:
            said = f"{each.path} (key {each.key}) can be read or written by others (mode {each.mode:04o})"
            yield finding(HERE, Blocker("secret.readable", each.key, said, f"chmod 600 {each.path}"))
