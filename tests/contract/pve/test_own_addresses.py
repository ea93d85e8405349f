"""What a guest tells of its own addresses, over the lab's wire: every way in which it may not."""

from __future__ import annotations

import pytest

from noout.adapters.pve import PveHypervisor
from noout.adapters.pve.own_addresses import ADDRESSES_MAX, by_agent, by_node, cards
from noout.domain.errors import Forbidden, Refused
from noout.lab.world.model import GuestLink
from tests.contract.pve.test_lab import on, virtual
from tests.support.labsite import LabSite

VM, CONTAINER = 104, 200


def may_ask_agents(site: LabSite) -> None:
    for token in site.cluster.tokens:
        token.acl = {path: granted | {"VM.GuestAgent.Audit"} for path, granted in token.acl.items()}


async def told(site: LabSite, vmid: int = VM) -> list[str]:
    return [*await site.hypervisor.own_addresses(on(await site.hypervisor.observe(), vmid))]


@virtual
async def test_a_vms_agent_tells_the_addresses_of_its_cards_in_their_order_and_no_others(site: LabSite) -> None:
    may_ask_agents(site)
    guest = site.cluster.guests[VM]
    guest.ip, guest.bridges = "192.0.2.4", ["vmbr0", "vmbr0"]
    guest.links = [
        GuestLink("docker0", ["172.17.0.1/16"]),
        GuestLink("wg0", ["10.99.0.2/24"]),
        GuestLink("ens19", ["198.51.100.4/24", "2001:db8::4/64"], card=1),
        GuestLink("ens18.120", ["203.0.113.4/24"], card=0),
        GuestLink("ens20"),
    ]
    first = ["192.0.2.4", "fe80::be24:11ff:fe00:1", "203.0.113.4"]
    assert await told(site) == [*first, "198.51.100.4", "2001:db8::4"]


@virtual
async def test_a_container_is_looked_into_by_its_node(site: LabSite) -> None:
    site.cluster.guests[CONTAINER].ip = "192.0.2.200"
    site.cluster.guests[CONTAINER].links = [GuestLink("docker0", ["172.17.0.1/16"])]
    assert await told(site, CONTAINER) == ["192.0.2.200", "fe80::be24:11ff:fe00:1"]
    site.cluster.guests[CONTAINER].status = "stopped"
    with pytest.raises(Refused, match="does not run"):
        await told(site, CONTAINER)


@virtual
async def test_an_agent_that_does_not_tell_is_refused_with_its_reason_and_asked_once(site: LabSite) -> None:
    may_ask_agents(site)
    guest = site.cluster.guests[VM]
    seen = on(await site.hypervisor.observe(), VM)
    for trouble, said in (
        ("silent", r"^QEMU guest agent is not running"),
        ("timeout", r"^VM 104 qmp command 'guest-network-get-interfaces' failed - got timeout"),
        ("disabled", r"^its guest agent says: Command guest-network-get-interfaces has been disabled"),
    ):
        guest.agent_trouble = trouble
        before, since = len(site.network.requests), site.clock.now()
        with pytest.raises(Refused, match=said) as refused:
            await site.hypervisor.own_addresses(seen)
        assert "/nodes/" not in refused.value.message
        assert len(site.network.requests) - before == 2, "its configuration and its agent: no second try"
        assert (site.clock.now() - since).total_seconds() < 1
    guest.agent_trouble, guest.status = "", "stopped"
    with pytest.raises(Refused, match=r"^VM 104 is not running"):
        await site.hypervisor.own_addresses(seen)


@virtual
async def test_without_the_privilege_it_says_which(site: LabSite) -> None:
    guest = on(await site.hypervisor.observe(), VM)
    with pytest.raises(Forbidden) as refused:
        await site.hypervisor.own_addresses(guest)
    assert (refused.value.path, refused.value.privilege.split("|")[0]) == ("/vms/104", "VM.GuestAgent.Audit")
    reader = PveHypervisor(site.client_for("plan"))
    container = on(await site.hypervisor.observe(), CONTAINER)
    assert await reader.own_addresses(container), "a container needs no more than VM.Audit"


def test_cards_are_known_in_either_spelling() -> None:
    config = {
        "net10": "virtio=BC:24:11:00:00:0A,bridge=vmbr0",
        "net2": "model=e1000,macaddr=BC:24:11:00:00:02,bridge=vmbr1",
        "net0": "name=eth0,bridge=vmbr0,hwaddr=BC:24:11:00:00:00,ip=dhcp,type=veth",
        "network": "virtio=BC:24:11:00:00:FF",
    }
    assert cards(config) == ("bc:24:11:00:00:00", "bc:24:11:00:00:02", "bc:24:11:00:00:0a")


@pytest.mark.parametrize(
    "data", [None, [], {}, {"result": None}, {"result": "x"}, {"result": [None, 1, {"name": "lo"}]}]
)
def test_an_answer_of_another_shape_tells_nothing(data: object) -> None:
    assert by_agent(data, ("bc:24:11:00:00:00",)) == ()


def test_a_guest_that_tells_very_much_is_cut_short() -> None:
    own = "bc:24:11:00:00:00"
    many = [{"ip-address": f"10.0.{n // 250}.{n % 250}"} for n in range(5000)]
    row = {"hwaddr": own.upper(), "hardware-address": own.upper(), "ip-addresses": many}
    assert len(by_agent({"result": [row]}, (own,))) == ADDRESSES_MAX
    assert by_node([{"name": "eth0", "hwaddr": own, "inet": "192.0.2.1/24", "inet6": "2001:db8::1/64"}], (own,)) == (
        "192.0.2.1",
        "2001:db8::1",
    ), "as older versions tell it"
    said = by_said({"error": {"class": "GenericError", "desc": "no\x1b[31m\n" + "x" * 5000}})
    assert "\x1b" not in said and "\n" not in said and len(said) < 300


def by_said(result: object) -> str:
    with pytest.raises(Refused) as refused:
        by_agent({"result": result}, ())
    return refused.value.message
