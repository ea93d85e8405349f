"""OpenID Connect with a provider that others wrote, over sockets: who comes back is who went there."""

from __future__ import annotations

import re
import socket
import subprocess
from collections.abc import Iterator
from urllib.parse import parse_qsl, urlsplit

import httpx2
import pytest

from noout.adapters.people import Leaving, Provider
from noout.domain.errors import Refused, Retryable
from tests.support.ownvenv import python_with

pytestmark = pytest.mark.real
BACK = "https://noout.test/sign-in/back"
CLAIMS = '{"sub": "anna", "preferred_username": "anna@example.net", "groups": ["noc", "office"]}'
STARTS_S = 60.0


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    python = python_with("oidc-provider-mock==0.3.4")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [python, "-m", "oidc_provider_mock", "--port", str(port), "--require-nonce", "true", "--user-claims", CLAIMS],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if "running on" in line.lower():
                break
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def provider(issuer: str, client: str = "noout") -> Provider:
    return Provider(issuer, client, "a secret")


async def visit(leaving: Leaving, sub: str = "anna") -> dict[str, str]:
    """A person at the provider: says who they are, and is sent back with this."""
    async with httpx2.AsyncClient() as browser:
        page = await browser.get(leaving.url)
        assert page.status_code == 200, page.text
        answer = await browser.post(leaving.url, data={"sub": sub})
    assert answer.headers["location"].startswith(BACK)
    return dict(parse_qsl(urlsplit(answer.headers["location"]).query))


async def test_who_comes_back_has_a_name_and_groups(issuer: str) -> None:
    ours = provider(issuer)
    leaving = await ours.leave(BACK)
    assert re.search(r"code_challenge_method=S256", leaving.url) and "a secret" not in leaving.url
    assert await ours.back(leaving, await visit(leaving), BACK) == ("anna@example.net", frozenset({"noc", "office"}))


async def test_an_answer_to_another_sign_in_is_refused(issuer: str) -> None:
    ours = provider(issuer)
    mine, theirs = await ours.leave(BACK), await ours.leave(BACK)
    told = await visit(theirs)
    with pytest.raises(Refused, match="no answer to this sign-in"):
        await ours.back(mine, told, BACK)
    # Somebody who puts their own code into another's answer: the verifier does not fit.
    with pytest.raises(Refused):
        await ours.back(mine, {**told, "state": mine.state}, BACK)


async def test_a_code_counts_once(issuer: str) -> None:
    ours = provider(issuer)
    leaving = await ours.leave(BACK)
    told = await visit(leaving)
    await ours.back(leaving, told, BACK)
    with pytest.raises(Refused):
        await ours.back(leaving, told, BACK)


async def test_a_no_is_a_no(issuer: str) -> None:
    ours = provider(issuer)
    leaving = await ours.leave(BACK)
    with pytest.raises(Refused, match="access_denied"):
        await ours.back(leaving, {"state": leaving.state, "error": "access_denied"}, BACK)


async def test_a_nonce_of_another_sign_in_is_refused(issuer: str) -> None:
    ours = provider(issuer)
    leaving = await ours.leave(BACK)
    told = await visit(leaving)
    other = Leaving(leaving.url, leaving.state, "another nonce", leaving.verifier)
    with pytest.raises(Refused, match="does not hold"):
        await ours.back(other, told, BACK)


async def test_a_provider_that_does_not_answer_is_told_by_name() -> None:
    with pytest.raises(Retryable, match=r"the identity provider .* does not answer"):
        await provider("http://127.0.0.1:9").leave(BACK)
