"""A lab in process with the doctor's surveyors, and what they find in it. All in virtual time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from noout.adapters.ceph.survey import CephShells
from noout.adapters.pve.client import PveClient
from noout.adapters.pve.survey import PveSurveyor
from noout.app.compose import Installation
from noout.app.doctor import Diagnosis, diagnose, gather
from noout.domain.cluster import NodeId
from noout.lab import scenarios
from noout.lab.world.model import World
from noout.settings import Settings
from tests.sim.play import installation, settings_of
from tests.support.labsite import LabSite, lab_site, servers
from tests.support.virtual import run_virtual

Tables = dict[str, Any]
SMALL = {"guests": 12}  # the whole cast, and one of the crowd


@dataclass(frozen=True)
class Seed:
    """One thing made wrong. ``shape``: of the world; ``world`` before noout looks at it, ``lab`` once it runs;
    ``tables`` of the configuration, given what they would be. ``finds``: the code that says it; ``also``: other
    blockers that follow from it."""

    name: str
    finds: str
    place: str
    world: Callable[[World], None] | None = None
    lab: Callable[[LabSite], None] | None = None
    tables: Callable[[Tables], None] | None = None
    token: str = "lab"
    shape: dict[str, int] = field(default_factory=dict)
    also: frozenset[str] = frozenset()
    scenario: str = "healthy"
    wait_s: float = 0.0
    key_mode: int = 0o600
    points: int = 6  # entry points


def examined(seed: Seed, folder: Path) -> Diagnosis:
    """What the doctor says of that world."""

    async def main() -> Diagnosis:
        world, switch_on = scenarios.build(seed.scenario, **(SMALL | seed.shape))
        if seed.world is not None:
            seed.world(world)
        lab = lab_site(world, token=seed.token)
        switch_on(lab.laws)
        if seed.lab is not None:
            seed.lab(lab)
        await lab.clock.sleep(1 + seed.wait_s)
        found = doctored(lab, folder, seed.tables)
        (folder / "key").chmod(seed.key_mode)
        if seed.points < len(lab.cluster.nodes):
            few = servers(lab.network, lab.cluster)[: seed.points]
            found.surveyors = {"ams1": PveSurveyor(PveClient("ams1", few, lab.tokens[seed.token], lab.clock))}
        return diagnose(await gather(found))

    return run_virtual(main(), limit_s=7200)


def doctored(lab: LabSite, folder: Path, change: Callable[[Tables], None] | None = None) -> Installation:
    key = folder / "key"
    key.touch(0o600)
    plain = settings_of(lab)
    name = lab.cluster.name
    tables: Tables = {"clusters": {name: plain.clusters[name].model_dump(mode="json", exclude_none=True)}}
    tables["clusters"][name]["shell"]["key_file"] = str(key)
    tables["customers"] = {key: each.model_dump(mode="json") for key, each in plain.customers.items()}
    tables["probes"] = {"services": dict(plain.probes.services)}
    if change is not None:
        change(tables)
    settings: Settings = settings_of(lab, clusters=tables["clusters"])
    document = settings.model_dump(mode="json", exclude_none=True, exclude={"path"})
    document |= {"customers": tables["customers"]}
    document["probes"]["services"] = tables["probes"]["services"]
    settings = settings.model_validate({**document, "path": folder / "noout.toml"})
    found, _ = installation(lab, settings)
    ids = [NodeId(name, each) for each in lab.cluster.nodes]
    ceph = settings.clusters[name].ceph.enabled
    found.surveyors = {name: PveSurveyor(lab.client)}
    found.ceph_surveyors = {name: CephShells(lab.shell, ids, has_ceph=ceph)}
    if not ceph:
        found.cephs = {}
    found.bmcs = {node: bmc for node, bmc in lab.bmcs.items() if node.name in settings.clusters[name].bmc}
    return found
