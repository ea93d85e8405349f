"""The tables of who may use noout: local users, Proxmox VE accounts, OpenID Connect, and what each of them may do."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from noout.domain.access import Role
from noout.domain.errors import UsageError
from noout.settings_kinds import Url

UserName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,60}$")]
# A local user; CLUSTER/USER@REALM of Proxmox VE; what the identity provider calls a person, or a group of persons.
Who = Annotated[
    str,
    StringConstraints(
        pattern=r"^([A-Za-z0-9._-]{1,60}|[A-Za-z0-9._-]{1,60}/[^\s:/@]+@[A-Za-z][A-Za-z0-9.\-_]*|oidc(-group)?:\S{1,120})$"
    ),
]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class UserSettings(_Table):
    hash_file: Path | None = None  # what `noout password` printed
    hash: str | None = Field(default=None, repr=False)


class OidcSettings(_Table):
    issuer: Url
    client_id: str = Field(min_length=1)
    client_secret_file: Path | None = None  # none: a public client, by PKCE alone
    client_secret: str | None = Field(default=None, repr=False)
    ca: Path | None = None
    label: str = "single sign-on"  # on the sign-in page
    scopes: list[str] = ["openid", "profile", "email"]
    name_claim: str = "preferred_username"
    groups_claim: str = "groups"


class GrantSettings(_Table):
    who: Who
    role: Role
    clusters: list[str] | None = None  # None: every cluster


class AccessSettings(_Table):
    users: dict[UserName, UserSettings] = {}
    proxmox: list[str] = []  # clusters whose accounts may sign in, as CLUSTER/USER@REALM
    oidc: OidcSettings | None = None
    grants: list[GrantSettings] = []
    idle_minutes: float = Field(default=60, gt=0)
    session_hours: float = Field(default=12, gt=0)


def check_access(access: AccessSettings, clusters: Collection[str], path: Path, *, literal: bool) -> None:
    """What no single key tells: clusters and users that are not there, secrets in plain text, grants to nobody.

    ``literal``: secrets may stand in this file. UsageError names the key.
    """
    for key, names in (
        ("access.proxmox", access.proxmox),
        *((f"access.grants.{number}.clusters", each.clusters or []) for number, each in enumerate(access.grants)),
    ):
        for name in names:
            if name not in clusters:
                raise UsageError(
                    f"{path}: key {key}: {name} is no cluster of this file",
                    remedy=f"known: {', '.join(clusters)}",
                )
    for name, user in access.users.items():
        if user.hash is None and user.hash_file is None:
            raise UsageError(f"{path}: key access.users.{name}.hash_file is missing", remedy="see `noout password`")
        if user.hash is not None and not literal:
            raise UsageError(f"{path}: key access.users.{name}.hash: keep it in a file", remedy="set hash_file")
    oidc = access.oidc
    if oidc is not None and not literal:
        if oidc.client_secret is not None:
            raise UsageError(
                f"{path}: key access.oidc.client_secret holds a secret in plain text", remedy="set client_secret_file"
            )
        if not oidc.issuer.startswith("https://"):
            raise UsageError(f"{path}: key access.oidc.issuer is not https", remedy="its answers decide who is who")
    for number, grant in enumerate(access.grants):
        if (said := _nobody(grant.who, access)) is not None:
            raise UsageError(f"{path}: key access.grants.{number}.who: {grant.who}: {said[0]}", remedy=said[1])


def _nobody(who: str, access: AccessSettings) -> tuple[str, str] | None:
    """Why nobody could ever be ``who``, and what to do; None where somebody can."""
    if who.startswith(("oidc:", "oidc-group:")):
        return None if access.oidc else ("no identity provider is configured", "add [access.oidc]")
    cluster, slash, _ = who.partition("/")
    if slash:
        here = cluster in access.proxmox
        return None if here else (f"accounts of {cluster} may not sign in", f'add "{cluster}" to access.proxmox')
    if who in access.users:
        return None
    return "is no local user", f"add [access.users.{who}], or write CLUSTER/USER@REALM, oidc:NAME, oidc-group:GROUP"
