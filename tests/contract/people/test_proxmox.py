"""Accounts of Proxmox VE, against the lab's own tickets."""

from __future__ import annotations

import contextlib
from typing import Any

import httpx2
import pytest

from noout.adapters.http import Server
from noout.adapters.people import Accounts, Challenge
from noout.domain.errors import Retryable
from noout.lab.world.model import Token
from tests.support.labsite import LabSite, lab_site, servers
from tests.support.virtual import run_virtual

USER, PASSWORD = "anna@pam", "Zo/p+ e!n"


def at_the_lab(site: LabSite) -> Accounts:
    site.cluster.tokens.append(Token(USER, None, PASSWORD, {}))
    return Accounts("ams1", servers(site.network, site.cluster))


def test_an_account_is_known_by_its_password_and_by_nothing_else() -> None:
    async def main() -> None:
        site = lab_site()
        accounts = at_the_lab(site)
        assert await accounts.enter(USER, PASSWORD) == USER
        for user, password in ((USER, "wrong"), (USER, ""), ("piet@pam", PASSWORD), ("anna", PASSWORD), ("@", "x")):
            assert await accounts.enter(user, password) is None
        assert not [url for _, url in site.network.requests if "Zo" in url], "no password is in an address"

    run_virtual(main())


def test_another_entry_point_is_asked_and_silence_is_no_refusal() -> None:
    async def main() -> None:
        site = lab_site()
        accounts = at_the_lab(site)
        site.network.unplugged |= {("pve1.ams1", 8006), ("pve2.ams1", 8006)}
        assert await accounts.enter(USER, PASSWORD) == USER
        site.network.unplugged |= {(f"pve{number}.ams1", 8006) for number in range(1, 9)}
        with pytest.raises(Retryable, match="ams1 does not answer"):
            await accounts.enter(USER, PASSWORD)

    run_virtual(main())


# The lab knows no second factors. These are the documented answers, not recorded ones.
TICKET = {"username": USER, "ticket": "PVE:anna@pam:6743...", "CSRFPreventionToken": "6743:x"}
WANTED = {"username": USER, "ticket": "PVE:!tfa!%7B%22totp%22%3Atrue%7D:6743...", "NeedTFA": 1}


class Answering(httpx2.AsyncBaseTransport):
    def __init__(self) -> None:
        self.forms: list[dict[str, str]] = []

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        form = dict(httpx2.QueryParams((await request.aread()).decode()))
        self.forms.append(form)
        if form.get("tfa-challenge"):
            right = form["password"] == "totp:123456" and form["tfa-challenge"] == WANTED["ticket"]
            return httpx2.Response(200, json={"data": TICKET}) if right else httpx2.Response(401)
        return httpx2.Response(200, json={"data": WANTED})


async def test_a_second_factor_is_asked_for_and_goes_back_with_the_challenge() -> None:
    door = Answering()
    accounts = Accounts("ams1", [Server("https://pve1:8006", transport=door)])
    found = await accounts.enter(USER, PASSWORD)
    assert isinstance(found, Challenge) and found.text not in repr(found)
    assert await accounts.answer(USER, found.text, "123456") == USER
    assert await accounts.answer(USER, found.text, "654321") is None
    asked = len(door.forms)
    for code in ("", "12345", "totp:123456", "abc", "1234567890"):
        assert await accounts.answer(USER, found.text, code) is None
    assert len(door.forms) == asked, "what is no code is not sent"
    assert PASSWORD not in str(door.forms[1:])


@pytest.mark.parametrize("answer", [{"data": None}, {"data": []}, [], None, {"data": {"username": USER}}])
async def test_what_is_no_answer_lets_nobody_in(answer: Any) -> None:
    class Odd(httpx2.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            return httpx2.Response(200, json=answer)

    accounts = Accounts("ams1", [Server("https://pve1:8006", transport=Odd())])
    with contextlib.suppress(Retryable):
        assert await accounts.enter(USER, PASSWORD) is None
