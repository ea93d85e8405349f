"""The ways in that the configuration names."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from urllib.parse import urlsplit

from noout.adapters.people import Accounts, Passwords, Provider
from noout.adapters.tls import context_for
from noout.app.access.sign_in import Access
from noout.app.compose import Installation, servers_of
from noout.settings import Settings, secret
from noout.settings_access import OidcSettings


@asynccontextmanager
async def access_of(found: Installation) -> AsyncIterator[Access]:
    """UsageError where a hash or a secret cannot be read."""
    settings = found.settings
    hashes = {
        name: secret(settings, user.hash, user.hash_file, f"access.users.{name}.hash_file")
        for name, user in settings.access.users.items()
    }
    async with AsyncExitStack() as stack:
        accounts = {}
        for name in settings.access.proxmox:
            accounts[name] = Accounts(name, servers_of(settings, settings.clusters[name]))
            stack.push_async_callback(accounts[name].close)
        provider = _provider(settings, settings.access.oidc) if settings.access.oidc else None
        yield Access(settings.access, found.journal, found.sittings, found.clock, Passwords(hashes), accounts, provider)


def _provider(settings: Settings, oidc: OidcSettings) -> Provider:
    public = oidc.client_secret is None and oidc.client_secret_file is None
    ca = settings.file(oidc.ca) if oidc.ca else None
    return Provider(
        oidc.issuer,
        oidc.client_id,
        None
        if public
        else secret(settings, oidc.client_secret, oidc.client_secret_file, "access.oidc.client_secret_file"),
        tls=context_for(urlsplit(oidc.issuer).netloc, None, ca) if ca else None,
        scopes=oidc.scopes,
        name_claim=oidc.name_claim,
        groups_claim=oidc.groups_claim,
    )
