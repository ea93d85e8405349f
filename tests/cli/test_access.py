"""noout token and password, as an administrator types them."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from noout.adapters.clock import SystemClock
from noout.adapters.store.sql import SqlStore
from noout.app.access import Tokens
from noout.domain.access import Person, Right
from tests.cli.conftest import Noout


def whose(place: Path, secret: str) -> Person | None:
    async def main() -> Person | None:
        store = await SqlStore.open(f"sqlite:///{place / 'noout.db'}", SystemClock())
        try:
            return await Tokens(store, SystemClock()).person(secret)
        finally:
            await store.close()

    return asyncio.run(main())


def test_a_token_from_making_to_revoking(noout: Noout, place: Path) -> None:
    made = noout("token", "make", "ci", "--role", "operator", "--cluster", "ams1", "--days", "30")
    assert made.code == 0 and made.out.startswith("noout_") and made.out.count("\n") == 1
    person = whose(place, made.out.strip())
    assert person is not None and person.may(Right.OPERATE, "ams1") and not person.may(Right.SEE, None)

    listed = noout("token", "list")
    assert listed.out.startswith("ci: operator in ams1, until 20") and made.out.strip() not in listed.out
    (line,) = json.loads(noout("token", "list", "--json").out)["tokens"]
    assert (line["name"], line["grants"]) == ("ci", [{"role": "operator", "clusters": ["ams1"]}])

    assert noout("token", "make", "ci").code == 3
    assert noout("token", "revoke", "ci").out == "ci is no token any more\n"
    assert whose(place, made.out.strip()) is None
    assert noout("token", "revoke", "ci").code == 3
    assert noout("token", "list").out == "no token is good now\n"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--cluster", "rtm9"), "--cluster rtm9: is not configured"),
        (("--days", "0"), "a token lives for more than 0"),
        (("--days", "9999"), "at most 400 days"),
    ],
)
def test_what_cannot_be_is_refused_by_name(noout: Noout, given: tuple[str, ...], said: str) -> None:
    answer = noout("token", "make", "ci", *given)
    assert answer.code == 2 and said in answer.err + answer.out


def test_a_password_becomes_a_hash(noout: Noout) -> None:
    answer = noout("password", stdin="correct horse battery\n")
    assert answer.code == 0 and answer.out.startswith("$argon2id$") and "horse" not in answer.out
    answer = noout("password", stdin="short\n")
    assert answer.code == 2 and "that password has 5 characters" in answer.err + answer.out
