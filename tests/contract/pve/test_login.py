"""A user and a password instead of a token, against the lab's own tickets: two hours, a CSRF token, renewal."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import pytest

from noout.adapters.pve import PveClient, PveHypervisor
from noout.adapters.pve.login import TicketLogin
from noout.domain.cluster import NodeId
from noout.domain.errors import Broken, Forbidden, Retryable, UnknownOutcome
from noout.lab.world.model import Token
from tests.support.labsite import LabSite, lab_site, servers
from tests.support.virtual import run_virtual

USER, PASSWORD = "noout@pve", "Zo/p+ e!n"
LOGIN = "/api2/json/access/ticket"


@dataclass
class Visit:
    site: LabSite
    client: PveClient

    def logins(self) -> int:
        return sum(url.endswith(LOGIN) for _, url in self.site.network.requests)


def virtual(test: Callable[[Visit], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """Run the test on a fresh lab whose noout logs in with a password."""

    def run() -> None:
        async def main() -> None:
            site = lab_site()
            granted = next(token.acl for token in site.cluster.tokens if token.name == "lab" and token.userid == USER)
            site.cluster.tokens.append(Token(USER, None, PASSWORD, granted))
            await test(Visit(site, client_of(site, PASSWORD)))

        run_virtual(main(), limit_s=5 * 3600)

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


def client_of(site: LabSite, password: str, **kwargs: Any) -> PveClient:
    login = TicketLogin("ams1", USER, password, site.clock)
    return PveClient("ams1", servers(site.network, site.cluster), login, site.clock, **kwargs)


@virtual
async def test_it_sees_and_does_what_a_token_does(at: Visit) -> None:
    hypervisor = PveHypervisor(at.client)
    state = await hypervisor.observe()
    assert state == await at.site.hypervisor.observe()
    guest = next(each for each in state.guests if each.id.vmid == 104)
    assert (await hypervisor.migrate(guest, NodeId("ams1", "pve1"), online=True)).running
    assert at.logins() == 1, "one login serves requests in flight at once, and effects"


@virtual
async def test_a_ticket_is_renewed_without_the_password(at: Visit) -> None:
    await at.client.get("/version")
    for _ in range(5):
        await at.site.clock.sleep(50 * 60)
        assert (await at.client.get("/version"))["version"] == "9.2.11"
    # After 0, 100 and 200 minutes: the second and third with the ticket, which is younger than two hours.
    assert at.logins() == 3


@virtual
async def test_an_old_ticket_is_not_shown_any_more(at: Visit) -> None:
    await at.client.get("/version")
    await at.site.clock.sleep(3 * 3600)
    await at.client.get("/version")
    assert at.logins() == 2, "the ticket was not tried first"


@virtual
async def test_after_a_long_silence_the_password_is_used_again(at: Visit) -> None:
    await at.client.get("/version")
    await at.site.clock.sleep(3 * 3600)
    await at.client.effect("POST", "/nodes/pve3/ceph/stop", service="osd.7")
    assert at.logins() == 2


@virtual
async def test_a_ticket_that_is_refused_is_replaced_once(at: Visit) -> None:
    """The cluster's key was changed: 401 comes before anything is looked at, so an effect may be asked for again."""
    await at.client.get("/version")
    at.site.cluster.tokens.append(Token("x@pve", None, "one secret more", {}))  # signs with another key from now on
    await at.client.effect("POST", "/nodes/pve3/ceph/stop", service="osd.7")
    assert at.logins() == 2
    assert [task.type for task in at.site.cluster.tasks.values()] == ["srvstop"]


@virtual
async def test_a_renewal_that_fails_leaves_the_ticket_in_use(at: Visit) -> None:
    await at.client.get("/version")
    await at.site.clock.sleep(90 * 60)
    at.site.laws.fault(at.site.cluster, "api-error", pattern="POST /access/ticket", status=500, times=1)
    assert await at.client.get("/version")


@virtual
async def test_a_wrong_password_is_tried_once_and_never_told(at: Visit) -> None:
    client = client_of(at.site, "guessed-wrong")
    for _ in range(3):
        with pytest.raises(Broken, match="password of noout@pve") as caught:
            await asyncio.gather(client.get("/version"), client.get("/nodes"))
        assert "guessed-wrong" not in str(caught.value)
        assert "password_file" in caught.value.remedy
    assert at.logins() == 1, "more tries would look like an attack"
    await at.site.clock.sleep(61)
    with pytest.raises(Broken):
        await client.get("/version")
    assert at.logins() == 2


@virtual
async def test_secrets_are_in_no_address(at: Visit) -> None:
    await PveHypervisor(at.client).observe()
    assert not [url for _, url in at.site.network.requests if "PVE%3A" in url or "Zo" in url]
    assert PASSWORD not in repr(vars(at.client))


@virtual
async def test_another_entry_point_takes_the_login(at: Visit) -> None:
    at.site.network.unplugged |= {("pve1.ams1", 8006), ("pve2.ams1", 8006)}
    assert await at.client.get("/version")
    await at.client.effect("POST", "/nodes/pve3/ceph/stop", service="osd.7")


@virtual
async def test_an_effect_whose_login_was_lost_was_never_asked_for(at: Visit) -> None:
    at.site.laws.fault(at.site.cluster, "api-lost-answer", pattern="POST /access/ticket", times=99)
    with pytest.raises(Retryable, match=r"was not done.*no login"):
        await at.client.effect("POST", "/nodes/pve3/ceph/stop", service="osd.7")
    assert not at.site.cluster.tasks


@virtual
async def test_an_effect_whose_own_answer_was_lost_is_unknown(at: Visit) -> None:
    at.site.laws.fault(at.site.cluster, "api-lost-answer", pattern="POST /nodes/pve3/ceph/stop", times=1)
    with pytest.raises(UnknownOutcome):
        await at.client.effect("POST", "/nodes/pve3/ceph/stop", service="osd.7")
    assert len(at.site.cluster.tasks) == 1


@virtual
async def test_a_missing_privilege_is_named_for_a_user_too(at: Visit) -> None:
    at.site.cluster.tokens[-1].acl = {"/": frozenset({"Sys.Audit"})}
    with pytest.raises(Forbidden) as caught:
        await at.client.effect("POST", "/nodes/pve3/status", command="shutdown")
    assert (caught.value.privilege, caught.value.path) == ("Sys.PowerMgmt", "/nodes/pve3")
    assert "Sys.PowerMgmt on /nodes/pve3" in caught.value.remedy
