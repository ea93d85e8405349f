"""An effect whose answer was lost: what became of it is looked up, and a task of it that runs is taken for it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from noout.adapters.pve import PveClient, PveHypervisor
from noout.domain.cluster import NodeId
from noout.domain.errors import UnknownOutcome
from noout.domain.maintenance import Maintenance, Pending
from noout.run.look import adopted, look
from noout.steps import actions
from noout.steps.guest_effects import has_moved
from noout.steps.site import Site
from noout.steps.step import NotYet, Verified
from tests.contract.pve.test_lab import PVE1, PVE2, PVE3, on, virtual
from tests.support.labsite import LabSite, servers
from tests.unit.steps.scene import maintenance, move


def context(site: LabSite) -> Any:
    """As much of a run's context as a look needs."""

    async def nothing(m: Maintenance) -> Any:
        return {}

    def doors(node: NodeId) -> Site:
        return Site(site.hypervisor, None, None, site.clock, lambda _: None)  # type: ignore[arg-type]

    return SimpleNamespace(
        site=doors, clock=site.clock, answered=nothing, silent=nothing, sightings={}, logs={}, stall_s=60.0, rules=None
    )


async def asked_and_lost(site: LabSite, target: NodeId) -> Maintenance:
    """A migration of guest 104 was asked for, and the answer never came."""
    guest = on(await site.hypervisor.observe(), 104)
    site.laws.fault(site.cluster, "api-lost-answer", pattern="POST .*/migrate", times=1)
    action = actions.move("evacuate", move(104, target.name), guest)
    since = site.clock.now()
    doors = servers(site.network, site.cluster, read_timeout_s=3.0)  # it still runs when that is over
    hasty = PveHypervisor(PveClient("ams1", doors, site.tokens["lab"], site.clock))
    with pytest.raises(UnknownOutcome):
        await hasty.migrate(guest, target, online=True)
    return maintenance(pending=(Pending(action, since, 1, started=True),))


@virtual
async def test_the_task_that_runs_is_adopted_not_begun_again(site: LabSite) -> None:
    m = await asked_and_lost(site, PVE1)
    [asked] = m.pending
    seen = await look(context(site), m, frozenset())
    [running] = [task for task in seen.cluster.running_tasks if task.subject == "104"]
    assert adopted(asked, seen) == running.upid
    assert isinstance(has_moved(asked, m, seen), NotYet)
    assert len([task for task in site.cluster.tasks.values() if task.type == "qmigrate"]) == 1


@virtual
async def test_the_end_that_nobody_heard_of_is_seen(site: LabSite) -> None:
    m = await asked_and_lost(site, PVE1)
    await site.clock.sleep(120)
    seen = await look(context(site), m, frozenset())
    assert adopted(m.pending[0], seen) is None, "nothing runs any more"
    assert isinstance(has_moved(m.pending[0], m, seen), Verified)


@virtual
async def test_a_migration_to_elsewhere_is_somebody_elses(site: LabSite) -> None:
    since = (await asked_and_lost(site, PVE2)).pending[0].since
    elsewhere = Pending(actions.move("evacuate", move(104, "pve1"), on(await site.hypervisor.observe(), 104)), since, 1)
    seen = await look(context(site), maintenance(pending=(elsewhere,)), frozenset())
    assert [task.node for task in seen.cluster.running_tasks] == [PVE3.name]
    assert adopted(elsewhere, seen) is None
