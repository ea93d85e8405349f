"""A guest that is probed at an address of its own: where it comes from, and who is not measured without one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from noout.app.carrying import context_of
from noout.app.doctor import diagnose, gather
from noout.app.maintain import Maintenances
from noout.app.own_addresses import PATIENCE_S, with_own_addresses
from noout.app.planning import plan_now
from noout.app.sentences import sentence
from noout.app.witnessing import services_of
from noout.domain.cluster import GuestId, NodeId
from noout.domain.journal import Kind
from noout.domain.maintenance import Mode
from noout.run.touched import guests_of
from tests.contract.pve.test_own_addresses import may_ask_agents
from tests.sim.play import installation, settings_of
from tests.support.labsite import LabSite, lab_site
from tests.support.virtual import run_virtual

PVE3 = NodeId("ams1", "pve3")
WEB, DB, SEARCH, DNS = (GuestId("ams1", vmid) for vmid in (100, 101, 104, 200))
PROBES: dict[str, Any] = {
    "via": "direct",
    "networks": ["192.0.2.0/24"],
    "services": {"ams1/104": "tcp:198.51.100.9:9200"},
    "tags": {"prod": ["tcp:443", "held:443"]},
    "pools": {"zonneweb": "dns:example.net"},
}


def lab_with_addresses() -> LabSite:
    lab = lab_site()
    may_ask_agents(lab)
    guests = lab.cluster.guests
    guests[100].ip, guests[101].ip, guests[102].ip = "192.0.2.100", "10.0.0.101", "192.0.2.102"
    guests[200].ip = "192.0.2.200"
    guests[106].settings["ipconfig0"] = "ip=192.0.2.102/24,gw=192.0.2.1"
    guests[109].agent = False
    return lab


def test_only_who_is_probed_and_has_no_address_is_asked_for_one() -> None:
    async def main() -> None:
        lab = lab_with_addresses()
        found, _ = installation(lab, settings_of(lab, probes=PROBES))
        state = await lab.hypervisor.observe()
        before = len(lab.network.requests)
        told = await with_own_addresses(found, state, [each for each in state.guests if each.node == PVE3])
        asked = [str(each) for each in lab.network.requests[before:] if "interfaces" in str(each)]
        assert len(asked) == 4, (
            asked
        )  # 100, 101, 102 and 200: not 104 (its probe names a host), nor 106 (it states one)
        assert told.asked == {WEB: "192.0.2.100", DNS: "192.0.2.200"}
        assert told.unmeasured == {
            DB: "it tells 10.0.0.101: not within [probes] networks",
            GuestId("ams1", 102): "it tells 192.0.2.102, so does ams1/106",
        }
        services = {each.guest: each for each in services_of(told.guests, found.settings.probes)}
        assert services[WEB].addresses == ("192.0.2.100",) and services[DB].addresses == ()
        assert services[GuestId("ams1", 106)].addresses == ("192.0.2.102",), "its configuration counts, not the claim"

    run_virtual(main())


def test_the_opening_writes_down_where_guests_are_asked_and_who_is_not_measured_and_why() -> None:
    async def main() -> None:
        lab = lab_with_addresses()
        lab.cluster.guests[101].agent_trouble = "silent"
        found, store = installation(lab, settings_of(lab, probes=PROBES))
        desk = Maintenances(found)
        plan = await plan_now(found, PVE3)
        mid = await desk.open(PVE3, reason="fans", mode=Mode.STEP, actor="operator:anna", plan=plan)
        guests = {each.id: each for each in guests_of(await desk.get(mid))}
        assert guests[WEB].addresses == ("192.0.2.100",)
        (told,) = [each for each in await store.read(mid) if each.data.get("name") == "own-addresses"]
        assert told.kind == Kind.FACT
        said = sentence(told)
        assert said is not None
        assert "boekhuis-web (ams1/100) at 192.0.2.100" in said
        assert "not measured: boekhuis-db (ams1/101): its address is not known: QEMU guest agent is not running" in said

    run_virtual(main())


def test_a_guest_that_a_new_plan_adds_is_asked_for_its_address_and_may_not_take_one_that_is_given() -> None:
    async def main() -> None:
        lab = lab_with_addresses()
        lab.cluster.guests[103].ip = "192.0.2.100"
        found, _ = installation(lab, settings_of(lab, probes=PROBES))
        state = await lab.hypervisor.observe()
        by_id = {guest.id.vmid: guest for guest in state.guests}
        recorded = replace(by_id[100], addresses=("192.0.2.100",))
        guests, told = await context_of(found, {}).addressed(state, [recorded, by_id[102], by_id[103]])
        assert [guest.addresses for guest in guests] == [("192.0.2.100",), (), ()]
        assert told["unmeasured"]["ams1/103"]["why"] == "it tells 192.0.2.100, so does ams1/100"

    run_virtual(main())


def test_a_guest_is_not_believed_to_have_an_address_in_another_customers_network() -> None:
    async def main() -> None:
        lab = lab_with_addresses()
        lab.cluster.guests[101].ip = "192.0.2.101"
        theirs = {
            "mercato": {"name": "Mercato", "pools": ["mercato"], "networks": ["192.0.2.101/32", "192.0.2.103/32"]}
        }
        lab.cluster.guests[103].ip = "192.0.2.103"
        found, _ = installation(lab, settings_of(lab, probes=PROBES, customers=theirs))
        state = await lab.hypervisor.observe()
        told = await with_own_addresses(found, state, state.guests)
        assert told.unmeasured[DB] == "it tells 192.0.2.101: in a network of another customer"
        assert told.asked[GuestId("ams1", 103)] == "192.0.2.103", "its own customer's"

    run_virtual(main())


def test_without_networks_no_guest_is_asked_for_its_address() -> None:
    async def main() -> None:
        lab = lab_with_addresses()
        found, _ = installation(lab, settings_of(lab, probes={**PROBES, "networks": []}))
        state = await lab.hypervisor.observe()
        before = len(lab.network.requests)
        told = await with_own_addresses(found, state, state.guests)
        assert len(lab.network.requests) == before and not told.asked
        assert "[probes] networks" in told.unmeasured[WEB]

    run_virtual(main())


def test_agents_that_hang_do_not_keep_a_maintenance_waiting() -> None:
    class Hanging:
        name = "ams1"

        async def own_addresses(self, guest: object) -> list[str]:
            import asyncio

            await asyncio.sleep(3600)
            return []

    async def main() -> None:
        lab = lab_with_addresses()
        found, _ = installation(lab, settings_of(lab, probes=PROBES))
        state = await lab.hypervisor.observe()
        found.hypervisors = {"ams1": Hanging()}  # type: ignore[dict-item]
        since = lab.clock.now()
        told = await with_own_addresses(found, state, state.guests)
        assert (lab.clock.now() - since).total_seconds() == pytest.approx(PATIENCE_S)
        assert told.unmeasured[WEB] == "it did not tell its address within 20 s"

    run_virtual(main())


def test_the_doctor_names_who_would_not_be_measured_and_the_privilege_that_is_missing() -> None:
    async def main() -> None:
        lab = lab_with_addresses()
        for token in lab.cluster.tokens:
            token.acl = {path: granted - {"VM.GuestAgent.Audit"} for path, granted in token.acl.items()}
        lab.cluster.guests[103].status = "stopped"
        found, _ = installation(lab, settings_of(lab, probes=PROBES))
        said = {each.message: each for each in diagnose(await gather(found)).findings}
        told = [each for each in said.values() if each.code == "probes.no-address"]
        lacking = next(each for each in told if "lacks VM.GuestAgent.Audit" in each.message)
        assert "100 boekhuis-web, 101 boekhuis-db, 102 mercato-shop-a" in lacking.message
        assert '--privs "VM.GuestAgent.Audit"' in lacking.remedy
        assert any("103 mercato-shop-b: it does not run" in each.message for each in told)

    run_virtual(main())
