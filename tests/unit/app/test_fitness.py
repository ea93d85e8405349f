"""What the configuration leaves out is not taken for what is not there: no node with overlooked data goes down."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import pytest

from noout.app.compose import Installation
from noout.app.fitness import require_fit
from noout.app.maintain import Maintenances
from noout.domain.cluster import NodeId
from noout.domain.errors import Refused, UsageError
from noout.domain.maintenance import Maintenance, Mode
from tests.sim.play import installation, settings_of
from tests.support.labsite import LabSite, lab_site
from tests.support.virtual import run_virtual

PVE3 = NodeId("ams1", "pve3")


def virtual(test: Callable[[LabSite, Installation], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    def run() -> None:
        async def main() -> None:
            lab = lab_site()
            found, _ = installation(lab, settings_of(lab))
            await test(lab, found)

        run_virtual(main(), limit_s=7200)

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


@virtual
async def test_a_node_whose_osds_are_all_known_is_fit(lab: LabSite, found: Installation) -> None:
    await require_fit(found, await lab.hypervisor.observe(), PVE3)


@virtual
async def test_osds_under_another_crush_host_are_not_overlooked(lab: LabSite, found: Installation) -> None:
    class Renamed:
        """The machine is called pve3, its CRUSH host is not: as if the OSDs of host pve4 ran on pve3."""

        async def osd_machines(self) -> dict[int, str]:
            machines = await lab.ceph.osd_machines()
            return {osd: {"pve3": "elsewhere", "pve4": "pve3"}.get(name, name) for osd, name in machines.items()}

        observe = lab.ceph.observe

    found.cephs = {"ams1": Renamed()}  # type: ignore[dict-item]
    with pytest.raises(Refused, match=r"overlooked.*under pve4, not under pve3") as refused:
        await require_fit(found, await lab.hypervisor.observe(), PVE3)
    assert 'hosts = { pve3 = "pve4" }' in refused.value.remedy


@virtual
async def test_a_crush_host_with_osds_of_other_machines_is_refused(lab: LabSite, found: Installation) -> None:
    class Mixed:
        async def osd_machines(self) -> dict[int, str]:
            machines = dict(await lab.ceph.osd_machines())
            first = min(osd for osd, name in machines.items() if name == "pve3")
            return machines | {first: "pve5"}

        observe = lab.ceph.observe

    found.cephs = {"ams1": Mixed()}  # type: ignore[dict-item]
    with pytest.raises(Refused, match="runs on pve5"):
        await require_fit(found, await lab.hypervisor.observe(), PVE3)


@virtual
async def test_ceph_storages_without_a_way_to_ask_ceph_are_refused(lab: LabSite, found: Installation) -> None:
    found.cephs = {}
    state = await lab.hypervisor.observe()
    with pytest.raises(Refused, match="keeps data in Ceph"):
        await require_fit(found, state, PVE3)
    await require_fit(found, replace(state, storages=()), PVE3)


@virtual
async def test_an_older_version_and_a_node_without_a_bmc_are_refused(lab: LabSite, found: Installation) -> None:
    state = await lab.hypervisor.observe()
    with pytest.raises(Refused, match=r"Proxmox VE 8\.4\.1"):
        await require_fit(found, replace(state, version="8.4.1"), PVE3)
    found.bmcs = {}
    with pytest.raises(UsageError, match="no BMC"):
        await require_fit(found, state, PVE3)


@virtual
async def test_a_version_that_was_not_recorded_is_acted_on_only_where_it_was_accepted(
    lab: LabSite, found: Installation
) -> None:
    ahead = replace(await lab.hypervisor.observe(), version="9.3.1")
    with pytest.raises(Refused, match=r"9\.3 was not recorded") as refused:
        await require_fit(found, ahead, PVE3)
    assert '[clusters.ams1] accept_version = "9.3"' in refused.value.remedy

    def accepting(version: str) -> None:
        clusters = found.settings.clusters
        accepted = {**clusters, "ams1": clusters["ams1"].model_copy(update={"accept_version": version})}
        found.settings = found.settings.model_copy(update={"clusters": accepted})

    accepting("9.4")
    with pytest.raises(Refused, match=r"9\.3 was not recorded"):
        await require_fit(found, ahead, PVE3)
    accepting("9.3")
    await require_fit(found, ahead, PVE3)
    accepting("8.4")
    with pytest.raises(Refused, match="HA groups"):
        await require_fit(found, replace(ahead, version="8.4.1"), PVE3)


@virtual
async def test_the_technician_is_told_of_no_data_where_the_run_found_none(lab: LabSite, found: Installation) -> None:
    opened = Maintenance("m1", PVE3, "fans", Mode.AUTO, found.clock.now(), "anna", 1)
    look = Maintenances(found).look
    assert (await look(opened)).has_ceph
    assert (await look(replace(opened, facts={"crush_host": "store3"}))).host == "store3"
    assert not (await look(replace(opened, facts={"crush_host": ""}))).has_ceph
