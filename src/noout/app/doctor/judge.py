"""From what was gathered to what is said: every check in turn, said once, blockers first."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from noout.app.doctor import access, boards, ceph, cluster, nodes, people, plans
from noout.app.doctor.diagnosis import FORMAT, HERE, VERSION, Diagnosis, Finding, Level, Looked
from noout.app.doctor.picture import ClusterPicture, Picture

Check = Callable[[ClusterPicture, Picture], Iterator[Finding]]
CHECKS: tuple[Check, ...] = (
    access.check,
    cluster.check,
    plans.check,
    ceph.check,
    nodes.check,
    boards.check,
    people.check,
)


def diagnose(picture: Picture) -> Diagnosis:
    """Pure, and the same for the same picture."""
    found = [*access.here(picture)]
    for each in picture.clusters:
        found += [finding for check in CHECKS for finding in check(each, picture)]
    wanted = {str(node) for node in picture.only}
    said = [each for each in _once(found) if not wanted or "/" not in each.place or each.place in wanted]
    return Diagnosis(
        format=FORMAT,
        version=VERSION,
        at=picture.at,
        findings=tuple(sorted(said, key=_order)),
        looked=tuple(look for each in picture.clusters for look in _looked(each, picture)),
        unreachable=tuple(each.name for each in picture.clusters if each.state is None),
    )


def _once(found: Iterable[Finding]) -> Iterator[Finding]:
    """What is said word for word of several nodes is said once, of their cluster."""
    places: dict[tuple[Level, str, str, str], list[Finding]] = defaultdict(list)
    for each in found:
        places[each.level, each.code, each.subject, each.message].append(each)
    for same in places.values():
        where = sorted({each.place for each in same})
        yield same[0] if len(where) == 1 else replace(same[0], place=where[0].partition("/")[0])


def _order(finding: Finding) -> tuple[object, ...]:
    """noout itself, then each cluster and its nodes (pve2 before pve10); blockers before cautions."""
    cluster, _, node = finding.place.partition("/")
    name = node.rstrip("0123456789")
    digits = node[len(name) :]
    first = finding.place != HERE
    return (first, cluster, name, int(digits or 0), finding.level is Level.CAUTION, finding.code, finding.subject)


# --- what was looked at ---------------------------------------------------------------------------------------


def _looked(each: ClusterPicture, picture: Picture) -> Iterator[Looked]:
    state = each.state
    if state is None:
        yield Looked(each.name, "nothing: it could not be read", whole=False)
        return
    online = sum(1 for node in state.nodes if node.online)
    yield Looked(
        each.name,
        f"Proxmox VE {state.version}: {online} of {len(state.nodes)} nodes online, {len(state.guests)} guests",
    )
    yield Looked(each.name, f"each of {len(each.plans)} nodes as if it were taken out")
    if each.survey is not None:
        points = each.survey.entry_points
        answered = sum(1 for why in points.values() if not why)
        yield Looked(each.name, f"{answered} of {len(points)} entry points", whole=answered == len(points))
        yield Looked(each.name, f"packages, kernel, network, disks and clock of {len(each.survey.nodes)} nodes")
    if each.ceph is not None:
        said = f"Ceph: {len(each.ceph.osds)} OSDs on {len(each.ceph.hosts)} hosts, {len(each.ceph.mons)} mons, "
        yield Looked(each.name, said + f"{len(each.ceph.pools)} pools")
    if each.shells:
        reached = sum(1 for trouble in each.shells.values() if trouble is None)
        said = f"the shells of {reached} of {len(each.shells)} nodes"
        yield Looked(each.name, said, whole=reached == len(each.shells))
    heard = sum(1 for board in each.boards.values() if board.reachable)
    yield Looked(each.name, f"{heard} of {len(each.boards)} BMCs", whole=heard == len(each.boards))
    yield from people.looked(each, picture)
    unread = [*(each.survey.unread if each.survey else ()), *(each.ceph_survey.unread if each.ceph_survey else ())]
    for missing in unread:
        yield Looked(each.name, f"not {missing.what}: {missing.why}", whole=False)
