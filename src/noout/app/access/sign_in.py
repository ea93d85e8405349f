"""Coming in: by a password, a Proxmox VE account or an identity provider; and the session that follows."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta

from noout import codec
from noout.adapters.people import Accounts, Challenge, Passwords, Provider
from noout.adapters.people.oidc import Leaving
from noout.app.access import audit
from noout.app.access.secret import digest
from noout.app.access.tries import Tries
from noout.domain.access import Grant, Person, Session
from noout.domain.errors import Refused, UsageError
from noout.ports import Clock, Journal, Sittings
from noout.settings_access import AccessSettings

WRONG = "that name and password are not known here"
NAME_CHARS_MAX = 130
AWAY = timedelta(minutes=10)  # at the identity provider
SEEN_EVERY = timedelta(minutes=1)  # a session's last use is written down no more often


@dataclass(frozen=True, slots=True)
class SignedIn:
    """``secret`` goes into the cookie and nowhere else."""

    session: Session
    secret: str = field(repr=False)


class Access:
    """``accounts``: by cluster; ``provider``: None without OpenID Connect."""

    def __init__(
        self,
        settings: AccessSettings,
        journal: Journal,
        sittings: Sittings,
        clock: Clock,
        passwords: Passwords,
        accounts: Mapping[str, Accounts],
        provider: Provider | None = None,
    ) -> None:
        self.settings = settings
        self._journal, self._sittings, self._clock = journal, sittings, clock
        self._passwords, self._accounts, self.provider = passwords, accounts, provider
        self._tries = Tries()

    @property
    def clusters(self) -> list[str]:
        """Those whose accounts may sign in."""
        return list(self._accounts)

    # --- by a password ------------------------------------------------------------------------------------------

    async def sign_in(self, name: str, password: str, address: str) -> SignedIn | Challenge:
        """``name``: a local user, or CLUSTER/USER@REALM. Refused in one sentence, whatever was wrong."""
        now = self._clock.now()
        self._tries.check(name, address, now)
        cluster, slash, user = name.partition("/")
        found: str | Challenge | None = None
        if len(name) > NAME_CHARS_MAX:
            found = None
        elif not slash:
            found = name if await self._passwords.knows(name, password) else None
        elif cluster in self._accounts:
            found = await self._accounts[cluster].enter(user, password)
        if found is None:
            raise await self._wrong(name, address)
        if isinstance(found, Challenge):
            return found
        return await self._come_in(name, address, _named(cluster, found) if slash else found)

    async def second_factor(self, name: str, challenge: str, code: str, address: str) -> SignedIn:
        """The answer to a challenge that ``sign_in`` returned for that name."""
        self._tries.check(name, address, self._clock.now())
        cluster, _, user = name.partition("/")
        found = await self._accounts[cluster].answer(user, challenge, code) if cluster in self._accounts else None
        if found is None:
            raise await self._wrong(name, address)
        return await self._come_in(name, address, _named(cluster, found))

    async def _wrong(self, name: str, address: str) -> Refused:
        self._tries.wrong(name, address, self._clock.now())
        # What was typed may be a password in the wrong field: only names that exist are written down.
        known = name if name in self.settings.users or any(name == each.who for each in self.settings.grants) else ""
        await audit.write(self._journal, audit.NOT_SIGNED_IN, {"name": known, "from": address}, "nobody")
        return Refused(WRONG, remedy="CLUSTER/USER@REALM for an account of Proxmox VE")

    async def _come_in(self, name: str, address: str, known_as: str, groups: frozenset[str] = frozenset()) -> SignedIn:
        self._tries.right(name, address)
        person = Person(known_as, self.grants_of(known_as, groups))
        if not person.grants:
            await audit.write(self._journal, audit.NOT_SIGNED_IN, {"name": known_as, "from": address}, "nobody")
            raise Refused(f"{known_as} was recognised, and may do nothing here", remedy="an administrator adds a grant")
        now, secret = self._clock.now(), secrets.token_urlsafe(32)
        session = Session(digest(secret), person, groups, secrets.token_urlsafe(24), now, now, address)
        await self._sittings.tidy(now)
        await self._sittings.keep(session.key, {"session": codec.encode(session)}, now + self._idle)
        data = {"from": address, "roles": codec.encode(list(person.grants), list[Grant])}
        await audit.write(self._journal, audit.SIGNED_IN, data, f"operator:{person.name}")
        return SignedIn(session, secret)

    def grants_of(self, name: str, groups: frozenset[str] = frozenset()) -> tuple[Grant, ...]:
        """As the configuration has them now."""
        names = {name, *(f"oidc-group:{group}" for group in groups)}
        return tuple(
            Grant(each.role, None if each.clusters is None else frozenset(each.clusters))
            for each in self.settings.grants
            if each.who in names
        )

    # --- by an identity provider --------------------------------------------------------------------------------

    async def leave(self, back_to: str) -> tuple[str, str]:
        """The address to send the browser to, and the secret that has to come back with it (a cookie)."""
        leaving = await self._the_provider().leave(back_to)
        secret = secrets.token_urlsafe(32)
        kept = {"state": leaving.state, "nonce": leaving.nonce, "verifier": leaving.verifier}
        await self._sittings.keep(digest(secret), {"leaving": kept}, self._clock.now() + AWAY)
        return leaving.url, secret

    async def back(self, secret: str, answer: Mapping[str, str], back_to: str, address: str) -> SignedIn:
        """What was kept counts once."""
        self._tries.check("oidc", address, self._clock.now())
        key = digest(secret)
        found = await self._sittings.find(key, self._clock.now())
        await self._sittings.drop(key)
        kept = found.get("leaving") if found else None
        if not isinstance(kept, dict):
            self._tries.wrong("oidc", address, self._clock.now())
            raise Refused("that sign-in has taken too long", remedy="begin again")
        leaving = Leaving("", str(kept["state"]), str(kept["nonce"]), str(kept["verifier"]))
        name, groups = await self._the_provider().back(leaving, answer, back_to)
        return await self._come_in("oidc", address, f"oidc:{name}", groups)

    def _the_provider(self) -> Provider:
        if self.provider is None:
            raise UsageError("no identity provider is configured", remedy="add [access.oidc]")
        return self.provider

    # --- sessions -----------------------------------------------------------------------------------------------

    @property
    def _idle(self) -> timedelta:
        return timedelta(minutes=self.settings.idle_minutes)

    async def session(self, secret: str) -> Session | None:
        """The session of a cookie, which is used by this: it ends when it is not for a while, or after its hours.

        What the person may do is what the configuration says now, not what it said when they came in.
        """
        now, key = self._clock.now(), digest(secret)
        found = await self._sittings.find(key, now)
        if found is None or "session" not in found:
            return None
        session = codec.decode(Session, found["session"])
        person = Person(session.person.name, self.grants_of(session.person.name, session.groups))
        ends = session.began + timedelta(hours=self.settings.session_hours)
        if now >= ends or not person.grants:
            await self._sittings.drop(key)
            return None
        session = replace(session, person=person)
        if now - session.seen >= min(SEEN_EVERY, self._idle / 10):
            session = replace(session, seen=now)
            await self._sittings.keep(key, {"session": codec.encode(session)}, min(ends, now + self._idle))
        return session

    async def sign_out(self, session: Session) -> None:
        if await self._sittings.drop(session.key):
            data = {"from": session.address}
            await audit.write(self._journal, audit.SIGNED_OUT, data, f"operator:{session.person.name}")


def _named(cluster: str, user: str) -> str:
    """Accounts of two clusters may have the same name and be two people."""
    return f"{cluster}/{user}"
