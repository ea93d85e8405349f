"""Who is asking, and what they may do: API tokens, tickets, privileges path by path."""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass
from urllib.parse import unquote

from noout.lab.wire.pve.words import PRIVILEGES
from noout.lab.world.model import Cluster, Token

TICKET_SECONDS = 7200

# Which privileges a ticket's "cap" lists under which heading.
CAPABILITIES = {
    "access": r"(User|Group)\.|Permissions\.Modify",
    "dc": r"Sys\.Audit|Sys\.Modify|SDN\.",
    "mapping": r"Mapping\.|Permissions\.Modify",
    "nodes": r"Sys\.|Permissions\.Modify",
    "sdn": r"SDN\.|Permissions\.Modify",
    "storage": r"Datastore\.|Permissions\.Modify",
    "vms": r"VM\.|Permissions\.Modify",
}
CAPABILITY_PATHS = {
    "access": "/access",
    "dc": "/",
    "mapping": "/mapping",
    "nodes": "/nodes",
    "sdn": "/sdn",
    "storage": "/storage",
    "vms": "/vms",
}


@dataclass(frozen=True)
class Principal:
    """Who makes a call: a token, or a user with a ticket."""

    token: Token

    @property
    def userid(self) -> str:
        return self.token.userid

    @property
    def full_id(self) -> str:
        """As tasks record it: ``noout@pve!lab``."""
        return self.userid if self.token.name is None else f"{self.userid}!{self.token.name}"


def privileges(cluster: Cluster, who: Principal, path: str) -> frozenset[str]:
    """What ``who`` may do at ``path``; the most specific entry counts, and a guest's pool adds to its own."""
    found = _at(who.token.acl, path)
    if (match := re.fullmatch(r"/vms/(\d+)", path)) and (guest := cluster.guests.get(int(match[1]))) and guest.pool:
        found |= _at(who.token.acl, f"/pool/{guest.pool}")
    return frozenset(PRIVILEGES) if "*" in found else found


def _at(acl: dict[str, frozenset[str]], path: str) -> frozenset[str]:
    while True:
        if path in acl:
            return acl[path]
        if path in ("/", ""):
            return frozenset()
        path = path.rsplit("/", 1)[0] or "/"


def allowed(cluster: Cluster, who: Principal, path: str, wanted: str) -> bool:
    """``wanted``: one privilege, or several of which one is enough (``A|B``)."""
    return not privileges(cluster, who, path).isdisjoint(wanted.split("|"))


def capabilities(cluster: Cluster, who: Principal) -> dict[str, dict[str, int]]:
    """The ``cap`` of a ticket."""
    return {
        heading: {
            p: 1 for p in sorted(privileges(cluster, who, CAPABILITY_PATHS[heading])) if re.match(f"(?:{pattern})", p)
        }
        for heading, pattern in CAPABILITIES.items()
    }


# --- credentials ----------------------------------------------------------------------------------------------


def by_token_header(cluster: Cluster, header: str) -> Principal | None:
    """``PVEAPIToken=user@realm!name=secret``; None if unknown or wrong."""
    match = re.fullmatch(r"PVEAPIToken[= ]([^!=]+)!([^=]+)=(.+)", header.strip())
    if match is None:
        return None
    for token in cluster.tokens:
        if (token.userid, token.name) == (match[1], match[2]) and hmac.compare_digest(token.secret, match[3]):
            return Principal(token)
    return None


def by_password(cluster: Cluster, userid: str, password: str, now: float) -> Principal | None:
    """A login with a password, or the renewal of a ticket (the ticket given as the password)."""
    if password.startswith("PVE:"):
        who = by_ticket(cluster, password, now)
        return who if who is not None and who.userid == userid else None
    for token in cluster.tokens:
        if token.name is None and token.userid == userid and hmac.compare_digest(token.secret, password):
            return Principal(token)
    return None


def _sign(cluster: Cluster, message: str) -> str:
    key = hashlib.sha256(("|".join(t.secret for t in cluster.tokens) + cluster.name).encode()).digest()
    return hmac.new(key, message.encode(), hashlib.sha256).hexdigest()


def make_ticket(cluster: Cluster, who: Principal, now: float) -> tuple[str, str]:
    """(ticket, CSRF prevention token), both good for two hours."""
    stamp = f"{int(now):08X}"
    plain = f"PVE:{who.userid}:{stamp}"
    return f"{plain}::{_sign(cluster, plain)}", f"{stamp}:{_sign(cluster, f'csrf:{stamp}:{who.userid}')}"


def by_ticket(cluster: Cluster, ticket: str, now: float) -> Principal | None:
    match = re.fullmatch(r"(PVE:([^:]+):([0-9A-F]{8}))::([0-9a-f]+)", unquote(ticket))
    if match is None or not hmac.compare_digest(match[4], _sign(cluster, match[1])):
        return None
    if not -300 <= now - int(match[3], 16) <= TICKET_SECONDS:
        return None
    return next((Principal(t) for t in cluster.tokens if t.name is None and t.userid == match[2]), None)


def csrf_fits(cluster: Cluster, who: Principal, token: str, now: float) -> bool:
    stamp, _, signature = token.partition(":")
    if not re.fullmatch(r"[0-9A-F]{8}", stamp) or not -300 <= now - int(stamp, 16) <= TICKET_SECONDS:
        return False
    return hmac.compare_digest(signature, _sign(cluster, f"csrf:{stamp}:{who.userid}"))
