"""Coming in and going: what is told, what is written down, how long it lasts, and that nothing secret stays."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from argon2 import PasswordHasher

from noout.adapters.people import Passwords
from noout.adapters.store.memory import MemoryStore
from noout.adapters.store.sittings import MemorySittings
from noout.app.access import Access, SignedIn, Tokens, audit
from noout.domain.access import Grant, Right, Role
from noout.domain.errors import Refused, UsageError
from noout.settings_access import AccessSettings
from tests.unit.run.test_settle import Hand

PASSWORD = "correct horse battery staple"
HASH = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)  # as good, and quick
FROM = "192.0.2.7"


class House:
    def __init__(self, **changes: Any) -> None:
        self.clock = Hand()
        self.journal = MemoryStore(self.clock)  # type: ignore[arg-type]
        self.sittings = MemorySittings()
        told = {
            "users": {"anna": {"hash": HASH}, "idle": {"hash": HASH}},
            "grants": [
                {"who": "anna", "role": "operator", "clusters": ["ams1"]}, {"who": "anna", "role": "viewer"},
                {"who": "oidc-group:noc", "role": "admin"},
            ],
        }  # fmt: skip
        self.access = self.configured(**(told | changes))

    def configured(self, **told: Any) -> Access:
        settings = AccessSettings.model_validate(told)
        hashes = {name: each.hash or "" for name, each in settings.users.items()}
        return Access(settings, self.journal, self.sittings, self.clock, Passwords(hashes), {})

    async def come_in(self) -> SignedIn:
        found = await self.access.sign_in("anna", PASSWORD, FROM)
        assert isinstance(found, SignedIn)
        return found

    async def record(self) -> list[tuple[str, str]]:
        return [(event.kind, event.actor) for event in await audit.read(self.journal)]

    def later(self, **how: float) -> None:
        self.clock.at += timedelta(**how)


async def test_a_local_user_comes_in_with_the_roles_of_the_configuration() -> None:
    house = House()
    found = await house.come_in()
    session = await house.access.session(found.secret)
    assert session is not None and session.person.name == "anna"
    assert session.person.may(Right.OPERATE, "ams1") and not session.person.may(Right.OPERATE, "ams2")
    assert await house.record() == [(audit.SIGNED_IN, "operator:anna")]


@pytest.mark.parametrize(
    ("name", "password"), [("anna", "wrong"), ("nobody", PASSWORD), ("ams1/anna@pam", "x"), ("", "")]
)
async def test_whatever_is_wrong_is_told_alike(name: str, password: str) -> None:
    house = House()
    with pytest.raises(Refused, match="that name and password are not known here"):
        await house.access.sign_in(name, password, FROM)
    assert await house.record() == [(audit.NOT_SIGNED_IN, "nobody")]


async def test_a_password_typed_as_the_name_is_written_down_nowhere() -> None:
    house = House()
    with pytest.raises(Refused):
        await house.access.sign_in("my secret passphrase", "", FROM)
    assert "passphrase" not in repr(await audit.read(house.journal))


async def test_somebody_without_a_role_is_recognised_and_stays_outside() -> None:
    house = House()
    with pytest.raises(Refused, match="idle was recognised, and may do nothing here"):
        await house.access.sign_in("idle", PASSWORD, FROM)


async def test_no_secret_is_kept() -> None:
    house = House()
    found = await house.come_in()
    kept = repr(house.sittings._kept) + repr(await audit.read(house.journal))
    assert found.secret not in kept and PASSWORD not in kept
    assert found.secret not in repr(found)


async def test_a_session_ends_when_it_is_not_used() -> None:
    house = House(idle_minutes=60)
    secret = (await house.come_in()).secret
    for _ in range(3):
        house.later(minutes=50)
        assert await house.access.session(secret) is not None
    house.later(minutes=61)
    assert await house.access.session(secret) is None


async def test_a_session_ends_after_its_hours_however_much_it_is_used() -> None:
    house = House(session_hours=2)
    secret = (await house.come_in()).secret
    for _ in range(3):
        house.later(minutes=39)
        assert await house.access.session(secret) is not None
    house.later(minutes=3)
    assert await house.access.session(secret) is None


async def test_who_signs_out_is_out() -> None:
    house = House()
    found = await house.come_in()
    await house.access.sign_out(found.session)
    assert await house.access.session(found.secret) is None
    assert (await house.record())[-1] == (audit.SIGNED_OUT, "operator:anna")


async def test_a_role_that_is_taken_away_ends_at_once() -> None:
    house = House()
    secret = (await house.come_in()).secret
    less = house.configured(users={"anna": {"hash": HASH}}, grants=[{"who": "anna", "role": "viewer"}])
    session = await less.session(secret)
    assert session is not None and session.person.grants == (Grant(Role.VIEWER),)
    assert await house.configured(users={"anna": {"hash": HASH}}).session(secret) is None
    assert await less.session(secret) is None, "it was ended"


async def test_a_made_up_cookie_is_nobody() -> None:
    house = House()
    assert await house.access.session("") is None
    assert await house.access.session((await house.come_in()).session.key) is None, "the kept digest is no secret"


# --- tokens ---------------------------------------------------------------------------------------------------------


async def test_a_token_may_what_it_was_given_until_it_expires() -> None:
    house = House()
    tokens = Tokens(house.journal, house.clock)
    secret = await tokens.make("ci", [Grant(Role.VIEWER, frozenset({"ams1"}))], 30, "operator:anna")
    person = await tokens.person(secret)
    assert person is not None and person.name == "token:ci"
    assert person.may(Right.SEE, "ams1") and not person.may(Right.SEE, "ams2")
    assert secret not in repr(await audit.read(house.journal))
    house.later(days=31)
    assert await tokens.person(secret) is None


async def test_a_revoked_token_is_dead_in_every_process() -> None:
    house = House()
    here, there = Tokens(house.journal, house.clock), Tokens(house.journal, house.clock)
    secret = await here.make("ci", [Grant(Role.ADMIN)], 1, "operator:anna")
    assert await there.person(secret) is not None
    await here.revoke("ci", "operator:anna")
    assert await there.person(secret) is None and await here.person(secret) is None
    with pytest.raises(Refused, match="there is no token ci"):
        await here.revoke("ci", "operator:anna")


async def test_a_name_is_taken_while_its_token_is_good() -> None:
    house = House()
    tokens = Tokens(house.journal, house.clock)
    await tokens.make("ci", [Grant(Role.VIEWER)], 1, "operator:anna")
    with pytest.raises(Refused, match="there is a token ci"):
        await tokens.make("ci", [Grant(Role.ADMIN)], 1, "operator:piet")
    with pytest.raises(UsageError):
        await tokens.make("other", [Grant(Role.VIEWER)], 4000, "operator:anna")
    assert await tokens.person("noout_guess") is None and await tokens.person("guess") is None
