"""A move that HA made between two looks: its task is found afterwards, with QEMU's own pause in its log."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from noout.domain.cluster import Guest, GuestId, MigrationProgress
from noout.run.look import CLOCKS_DIFFER, _past
from noout.steps import actions
from noout.steps.site import Site
from tests.contract.pve.test_lab import PVE1, PVE3, on, virtual
from tests.support.labsite import LabSite
from tests.unit.steps.scene import cluster, move, pending, seen

HA_GUEST = 101


async def told(site: LabSite, guest: Guest) -> tuple[MigrationProgress | None, int]:
    """What is known afterwards of its move to pve1, asked for now; and how many requests that took."""
    asked = replace(
        pending(actions.move("evacuate", replace(move(HA_GUEST), guest=guest.id, ha=True), guest)),
        since=site.clock.now(),
    )
    assert asked.action.verb == "ha-migrate"
    await site.clock.sleep(120)
    state = await site.hypervisor.observe()
    before = len(site.network.requests)
    doors = Site(site.hypervisor, None, site.bmcs[PVE3], site.clock, lambda node: None)
    return await _past(asked, replace(seen(cluster()), cluster=state), doors), len(site.network.requests) - before


@virtual
async def test_a_move_that_nobody_saw_running_is_told_by_its_log(site: LabSite) -> None:
    guest = on(await site.hypervisor.observe(), HA_GUEST)
    await site.hypervisor.ha_migrate(guest, PVE1)
    found, requests = await told(site, guest)
    assert found is not None and found.target == "pve1"
    assert found.blackout_ms is not None
    (task,) = (each for each in site.cluster.tasks.values() if (each.type, each.id) == ("qmigrate", str(HA_GUEST)))
    assert any(f"downtime {found.blackout_ms} ms" in line for line in task.log)
    assert requests == 2, "the list, and one log, once"


@virtual
async def test_a_move_elsewhere_or_one_of_long_ago_is_not_taken_for_it(site: LabSite) -> None:
    guest = on(await site.hypervisor.observe(), HA_GUEST)
    await site.hypervisor.ha_migrate(guest, PVE1)
    await site.clock.sleep(120)
    there = on(await site.hypervisor.observe(), HA_GUEST)
    late = site.clock.now() + timedelta(seconds=1)
    assert len(await site.hypervisor.moves_made(guest, PVE3, late - timedelta(seconds=130))) == 1
    assert not await site.hypervisor.moves_made(guest, PVE3, late)
    assert not await site.hypervisor.moves_made(on(await site.hypervisor.observe(), 104), PVE3, late - CLOCKS_DIFFER)
    found, _ = await told(site, replace(there, id=GuestId("ams1", HA_GUEST)))
    assert found is None, "it has been there for two minutes"
