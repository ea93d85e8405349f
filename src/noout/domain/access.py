"""Who may do what: people, the roles that somebody gave them for some clusters, and what each role permits."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Role(StrEnum):
    """Each permits what the one before it does, and more."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    APPROVER = "approver"
    ADMIN = "admin"


class Right(StrEnum):
    SEE = "see"
    OPERATE = "operate"  # open a maintenance, tell its run something, decide about proposals, hand out work orders
    APPROVE = "approve"  # say yes to a plan
    ADMINISTER = "administer"  # stop and allow everything, release what was left behind, make and revoke tokens


_RIGHTS = (Right.SEE, Right.OPERATE, Right.APPROVE, Right.ADMINISTER)  # in the order of the roles


def permits(role: Role, right: Right) -> bool:
    return _RIGHTS.index(right) <= tuple(Role).index(role)


@dataclass(frozen=True, slots=True)
class Grant:
    """``clusters`` None: every cluster, those to come included, and what belongs to no cluster."""

    role: Role
    clusters: frozenset[str] | None = None

    def covers(self, cluster: str | None) -> bool:
        return self.clusters is None or cluster in self.clusters


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who was recognised, or a program with a token ("token:NAME"). ``name`` as the journal names them."""

    name: str
    grants: tuple[Grant, ...] = ()

    def may(self, right: Right, cluster: str | None) -> bool:
        """``cluster`` None: what concerns the whole installation, for which a role in every cluster is needed."""
        return any(permits(grant.role, right) and grant.covers(cluster) for grant in self.grants)

    def some(self, right: Right, clusters: Iterable[str]) -> list[str]:
        """Those of the clusters, in their order."""
        return [cluster for cluster in clusters if self.may(right, cluster)]


@dataclass(frozen=True, slots=True)
class Session:
    """``key``: SHA-256 of the secret in the cookie, in hex. ``csrf``: what each form has to bring along."""

    key: str
    person: Person
    groups: frozenset[str]  # as an identity provider named them at the sign-in
    csrf: str
    began: datetime
    seen: datetime
    address: str


@dataclass(frozen=True, slots=True)
class Token:
    """A program's way in. ``digest``: SHA-256 of its secret, in hex; the secret is shown once and kept nowhere."""

    name: str
    digest: str
    grants: tuple[Grant, ...]
    expires: datetime
    made_by: str

    @property
    def person(self) -> Person:
        return Person(f"token:{self.name}", self.grants)
