"""What noout changes for the time of a maintenance, and puts back: HA rules, failback, onboot, the rebalancer."""

from __future__ import annotations

import pytest

from noout.adapters.pve import PveHypervisor
from noout.domain.cluster import Affinity, GuestKind
from noout.domain.errors import Broken, Forbidden, Refused
from tests.contract.pve.test_lab import PVE3, on, virtual
from tests.support.labsite import LabSite


@virtual
async def test_a_strict_rule_is_seen_and_moves_nobody_who_is_on_its_nodes(site: LabSite) -> None:
    state = await site.hypervisor.observe()
    away = [guest for guest in state.guests if guest.ha and guest.node != PVE3]
    others = [node.id.name for node in state.nodes if node.id != PVE3]
    where = {guest.vmid: guest.node for guest in site.cluster.guests.values()}
    await site.hypervisor.add_node_rule("noout-ams1-pve3-1", away, others)
    rule = next(each for each in (await site.hypervisor.observe()).rules if each.name == "noout-ams1-pve3-1")
    assert (rule.kind, rule.strict, rule.enabled) == (Affinity.NODE, True, True)
    assert rule.guests == {guest.id for guest in away}
    assert [name for name, _ in rule.nodes] == sorted(others)
    await site.clock.sleep(120)
    await site.hypervisor.delete_rule("noout-ams1-pve3-1")
    await site.clock.sleep(120)
    assert {guest.vmid: guest.node for guest in site.cluster.guests.values()} == where
    assert "noout-ams1-pve3-1" not in {each.name for each in (await site.hypervisor.observe()).rules}


@virtual
async def test_a_strict_rule_keeps_newcomers_away(site: LabSite) -> None:
    """Why it stands: HA would carry out a wish for that node, and the next recovery could choose it."""
    state = await site.hypervisor.observe()
    guest = next(each for each in state.guests if each.ha and each.node != PVE3 and each.id.vmid != 103)
    others = [node.id.name for node in state.nodes if node.id != PVE3]
    await site.hypervisor.add_node_rule("noout-x", [guest], others)
    await site.hypervisor.ha_migrate(guest, PVE3)
    await site.clock.sleep(300)
    assert on(await site.hypervisor.observe(), guest.id.vmid).node != PVE3


@virtual
async def test_a_rule_that_contradicts_another_is_refused(site: LabSite) -> None:
    guest = next(each for each in (await site.hypervisor.observe()).guests if each.ha)
    await site.hypervisor.add_node_rule("first", [guest], [guest.node.name])
    with pytest.raises(Refused, match="another node affinity rule"):
        await site.hypervisor.add_node_rule("second", [guest], [guest.node.name])
    with pytest.raises(Refused, match="no such ha rule"):
        await site.hypervisor.delete_rule("second")


@virtual
async def test_failback_is_changed_and_seen(site: LabSite) -> None:
    guest = on(await site.hypervisor.observe(), 101)
    assert guest.ha is not None and guest.ha.failback
    for wanted in (False, True):
        await site.hypervisor.set_failback(guest, wanted)
        now = on(await site.hypervisor.observe(), 101)
        assert now.ha is not None and now.ha.failback is wanted
        assert site.cluster.ha.resources["vm:101"].state == "started", "nothing else of it is changed"


@virtual
async def test_onboot_is_changed_and_seen_at_the_next_look(site: LabSite) -> None:
    """Configurations are kept for a minute: what noout itself has changed must not be believed from there."""
    for vmid in (106, 200):
        guest = on(await site.hypervisor.observe(), vmid)
        assert guest.onboot
        for wanted in (False, True):
            await site.hypervisor.set_onboot(guest, wanted)
            assert on(await site.hypervisor.observe(), vmid).onboot is wanted


@virtual
async def test_onboot_without_the_privilege_names_it(site: LabSite) -> None:
    guest = on(await site.hypervisor.observe(), 106)
    with pytest.raises(Forbidden) as caught:
        await PveHypervisor(site.client_for("plan")).set_onboot(guest, False)
    assert "VM.Config.Options" in caught.value.privilege.split("|")


@virtual
async def test_the_rebalancer_is_changed_and_put_back_exactly(site: LabSite) -> None:
    assert (await site.hypervisor.observe()).crs == ""
    site.cluster.options["crs"] = "ha=static,ha-rebalance-on-start=1,ha-auto-rebalance=1"
    options = dict(site.cluster.options)
    was = (await site.hypervisor.observe()).crs
    assert was == "ha=static,ha-auto-rebalance=1,ha-rebalance-on-start=1"
    await site.hypervisor.set_crs("ha=static")
    assert (await site.hypervisor.observe()).crs == "ha=static"
    await site.hypervisor.set_crs(was)
    assert (await site.hypervisor.observe()).crs == was
    await site.hypervisor.set_crs("")
    assert {**site.cluster.options, "crs": options["crs"]} == options, "no other option was touched"


@virtual
async def test_without_a_shell_it_says_so(site: LabSite) -> None:
    alone = PveHypervisor(site.client)
    assert site.hypervisor.has_shell and not alone.has_shell
    with pytest.raises(Broken, match="no shell"):
        await alone.maintenance_mode(PVE3, True)


@virtual
async def test_a_machine_has_the_uuid_that_it_sees_itself(site: LabSite) -> None:
    guests = (await site.hypervisor.observe()).guests
    machines = [guest.uuid for guest in guests if guest.kind is GuestKind.QEMU]
    assert all(len(uuid) == 36 and uuid == uuid.lower() for uuid in machines) and len(set(machines)) == len(machines)
    assert {guest.uuid for guest in guests if guest.kind is GuestKind.LXC} == {""}


@virtual
async def test_a_description_that_somebody_changed_meanwhile_is_not_overwritten(site: LabSite) -> None:
    do = site.hypervisor
    await do.set_description(PVE3, "rack 4", (await do.describe(PVE3)).digest)
    read = await do.describe(PVE3)
    assert read.text.rstrip("\n") == "rack 4"
    await do.set_description(PVE3, "rack 5", read.digest)
    with pytest.raises(Refused, match="detected modified configuration"):
        await do.set_description(PVE3, "rack 6", read.digest)
    assert (await do.describe(PVE3)).text.rstrip("\n") == "rack 5"
    await do.set_description(PVE3, "", (await do.describe(PVE3)).digest)
    assert (await do.describe(PVE3)).text == ""
