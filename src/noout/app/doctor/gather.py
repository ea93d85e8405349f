"""Ask everything that the doctor judges, once, side by side; what cannot be had is part of the picture."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path

from noout.app.compose import Installation
from noout.app.doctor.picture import KEY_FILE, ClusterPicture, Picture, Private, Trouble
from noout.app.ledger import odd_in
from noout.app.maintain import Maintenances
from noout.app.own_addresses import with_own_addresses
from noout.domain.ceph import CephState, OkToStop
from noout.domain.cluster import ClusterState, NodeId
from noout.domain.errors import NooutError, Refused, Untrusted
from noout.domain.hardware import Fault, HardwareState
from noout.domain.maintenance import Plan
from noout.domain.survey import CephSurvey, ClusterSurvey
from noout.plan.plan import make_plan
from noout.watch.policy import propose
from noout.watch.verdict import judge

PAST = timedelta(hours=48)  # how far back kept readings are judged with those of now
Say = Callable[[str], None]


def _silent(_: str) -> None: ...


async def gather(
    found: Installation, cluster: str | None = None, only: frozenset[NodeId] = frozenset(), say: Say = _silent
) -> Picture:
    """``cluster``: this one alone; ``only``: plans and boards of these nodes alone; ``say`` hears what is asked."""
    names = [name for name in found.hypervisors if cluster in (None, name)]
    pictures = [await _cluster(found, name, only, say) for name in names]
    return Picture(
        at=found.clock.now(),
        clusters=tuple(pictures),
        customers=found.customers,
        probes=found.settings.probes,
        private=tuple(_private(found, names)),
        only=only,
    )


async def _cluster(found: Installation, name: str, only: frozenset[NodeId], say: Say) -> ClusterPicture:
    settings = found.settings.clusters[name]
    hypervisor = found.hypervisors[name]
    say(f"{name}: what noout may do there, and what is there")
    try:
        granted = await hypervisor.permissions()
    except NooutError as error:
        return ClusterPicture(name, settings, trouble=_trouble(error))
    boards = asyncio.create_task(_boards(found, name, only))
    try:
        state = await hypervisor.observe()
    except NooutError as error:
        seen = await boards
        return ClusterPicture(
            name, settings, trouble=_trouble(error), granted=granted, boards=seen, faults=await _faults(found, seen)
        )
    online = [node.id for node in state.nodes if node.online]
    say(f"{name}: {len(online)} nodes' packages, disks and clocks, and its jobs")
    survey = await _survey(found, name, online)
    say(f"{name}: every node's shell, and Ceph")
    ceph, ceph_trouble, ceph_survey = await _ceph(found, name)
    shells = await _shells(found, name, online)
    ok = await _ok_to_stop(found, name, ceph, [n for n in online if not only or n in only])
    say(f"{name}: each node as if it were taken out")
    plans = await _plans(found, state, ceph, only)
    say(f"{name}: {len(settings.bmc)} BMCs")
    seen = await boards
    return ClusterPicture(
        name=name,
        settings=settings,
        state=state,
        granted=granted,
        survey=survey,
        ceph=ceph,
        ceph_trouble=ceph_trouble,
        ceph_survey=ceph_survey,
        ok_to_stop=ok,
        shells=shells,
        boards=seen,
        faults=await _faults(found, seen),
        plans=plans,
        open_ones=tuple(each for each in await Maintenances(found).all() if each.open and each.node.cluster == name),
        oddities=await odd_in(found, state, ceph),
        unmeasured=(await with_own_addresses(found, state, state.guests)).unmeasured,
    )


def _trouble(error: NooutError) -> Trouble:
    return Trouble(error.message, error.remedy, isinstance(error, Untrusted), isinstance(error, Refused))


async def _survey(found: Installation, name: str, online: list[NodeId]) -> ClusterSurvey | None:
    return await found.surveyors[name].survey(online) if name in found.surveyors else None


async def _ceph(found: Installation, name: str) -> tuple[CephState | None, Trouble | None, CephSurvey | None]:
    known = found.cephs.get(name)
    if known is None:
        return None, None, None
    try:
        state = await known.observe()
    except NooutError as error:
        return None, _trouble(error), None
    surveyor = found.ceph_surveyors.get(name)
    return state, None, await surveyor.survey() if surveyor is not None and state.quorum else None


async def _shells(found: Installation, name: str, online: list[NodeId]) -> dict[NodeId, Trouble | None]:
    surveyor = found.ceph_surveyors.get(name)
    if surveyor is None:
        return {}
    told = await surveyor.try_shells(online)
    return {
        node: _trouble(answer) if isinstance(answer, NooutError) else Trouble(answer, refused=True) if answer else None
        for node, answer in told.items()
    }


async def _ok_to_stop(
    found: Installation, name: str, ceph: CephState | None, nodes: list[NodeId]
) -> dict[NodeId, OkToStop]:
    """Ceph's own answer for each host at once; nothing of those that it does not answer for."""
    answers: dict[NodeId, OkToStop] = {}
    if ceph is None or not ceph.fresh:
        return answers
    for node in nodes:
        here = [osd.id for osd in ceph.osds_of(found.crush_host(node) or node.name) if osd.up]
        if not here:
            continue
        try:
            answers[node] = await found.cephs[name].ok_to_stop(here)
        except NooutError:
            return answers
    return answers


async def _plans(
    found: Installation, state: ClusterState, ceph: CephState | None, only: frozenset[NodeId]
) -> dict[NodeId, Plan | Trouble]:
    plans: dict[NodeId, Plan | Trouble] = {}
    for node in state.nodes:
        if only and node.id not in only:
            continue
        try:
            plans[node.id] = make_plan(state, ceph, node.id, now=found.clock.now(), policy=found.policy_for(state.name))
        except NooutError as error:
            plans[node.id] = _trouble(error)
        await asyncio.sleep(0)  # a plan is a second's computing on a large cluster: let the others breathe
    return plans


async def _boards(found: Installation, name: str, only: frozenset[NodeId]) -> dict[NodeId, HardwareState]:
    asked = {node: bmc for node, bmc in found.bmcs.items() if node.cluster == name and (not only or node in only)}
    states = await asyncio.gather(*(bmc.observe() for bmc in asked.values()))
    return dict(zip(asked, states, strict=True))


async def _faults(found: Installation, boards: Mapping[NodeId, HardwareState]) -> dict[NodeId, Fault]:
    """Judged with what the watch kept; nothing is kept of this look, for the doctor writes nothing."""
    now = found.clock.now()
    faults: dict[NodeId, Fault] = {}
    for node, state in boards.items():
        kept = await found.measurements.hardware(node, now - PAST)
        fault = propose(node, judge([*kept, state], now))
        if fault is not None and state.reachable:
            faults[node] = fault
    return faults


# --- files ----------------------------------------------------------------------------------------------------


def _private(found: Installation, names: list[str]) -> list[Private]:
    """The files that hold secrets, with their modes. Of secrets that noout has read already the modes are good."""
    settings = found.settings
    files: list[Private] = []
    for name in names:
        shell = settings.clusters[name].shell
        if shell is not None:
            files.append(_mode(KEY_FILE.format(name), settings.file(shell.key_file)))
    if found.store_path is not None and found.store_path.exists():
        files.append(_mode("store.url", found.store_path))
    return files


def _mode(key: str, path: Path) -> Private:
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return Private(key, str(path), None)
    return Private(key, str(path), mode)
