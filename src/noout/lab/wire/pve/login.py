"""/version and /access: tickets, permissions, realms."""

from __future__ import annotations

from typing import Any

from noout.lab.wire.pve.access import by_password, capabilities, make_ticket, privileges
from noout.lab.wire.pve.call import Call, Methods, PveError
from noout.lab.wire.pve.parameters import flag, text

methods = Methods()
REPOID = "14a22df35955d97d"
_ALWAYS = ("/", "/access", "/access/groups", "/nodes", "/pool", "/sdn", "/storage", "/vms")


def version_document(call: Call) -> dict[str, Any]:
    version = call.cluster.version
    return {"release": ".".join(version.split(".")[:2]), "repoid": REPOID, "version": version}


@methods.serve("GET", "/version")
def version(call: Call) -> Any:
    return version_document(call)


@methods.serve("GET", "/access/domains", perm="world")
def domains(call: Call) -> Any:
    return [
        {"comment": "Linux PAM standard authentication", "realm": "pam", "type": "pam"},
        {"comment": "Proxmox VE authentication server", "realm": "pve", "type": "pve"},
    ]


@methods.serve("GET", "/access/ticket", perm="world")
def ticket_page(call: Call) -> Any:
    """Exists for form-based logins; says nothing."""
    return None


@methods.serve(
    "POST",
    "/access/ticket",
    [
        text("username", max_length=64, required=True),
        text("password", required=True),
        text("realm", max_length=32, format="pve-realm"),
        text("otp"),
        text("path", max_length=64),
        text("privs", max_length=64, format="pve-priv-list"),
        text("tfa-challenge"),
        flag("new-format"),
    ],
    perm="world",
)
def ticket(call: Call) -> Any:
    """A login, or the renewal of a ticket that is given as the password."""
    user = call.params["username"]
    if "realm" in call.params and "@" not in user:
        user = f"{user}@{call.params['realm']}"
    who = by_password(call.cluster, user, call.params["password"], call.now)
    if who is None:
        raise PveError("authentication failure", 401)
    made, csrf = make_ticket(call.cluster, who, call.now)
    return {
        "CSRFPreventionToken": csrf,
        "cap": capabilities(call.cluster, who),
        "clustername": call.cluster.name,
        "ticket": made,
        "username": who.userid,
    }


@methods.serve(
    "GET",
    "/access/permissions",
    [text("path"), text("userid", pattern=r"[^\s:/]+@[A-Za-z][A-Za-z0-9.\-_]+(![A-Za-z][A-Za-z0-9.\-_]+)?")],
)
def permissions(call: Call) -> Any:
    """Only one's own: the lab keeps no directory of users."""
    if call.params.get("userid", call.who.full_id) != call.who.full_id:
        call.require("/access", "Sys.Audit")
    path = call.params.get("path")
    paths = [path] if path else sorted({*_ALWAYS, *call.who.token.acl})
    found = {p: {name: 1 for name in sorted(privileges(call.cluster, call.who, p))} for p in paths}
    return {p: names for p, names in found.items() if names}
