"""What noout's own Ceph user may do: read, set and unset a host's noout and noup, fail a mgr or MDS over. No more.

Tested against a real cluster, both that it is enough and that it is no more. Ceph cannot limit which host a flag is set
for (a rule that names the target denies every one of them): the forced command can (``noout-shell --hosts``).
``mds fail`` asks for some right to write beside its own rule: that on a service which does not exist is one, and opens
nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping

USER = "client.noout"
_FLAGS = 'flags regex "^no(out|up)(,no(out|up))*$"'
CAPS: Mapping[str, str] = {
    "mon": (
        f'allow r, allow command "osd set-group" with {_FLAGS}, allow command "osd unset-group" with {_FLAGS}, '
        'allow command "mgr fail", allow command "mds fail", allow service noout w'
    ),
    "mgr": "allow r",
}


def create_user(user: str = USER) -> tuple[str, ...]:
    """The command that makes it, to be run once by Ceph's admin; it prints the keyring."""
    return ("ceph", "auth", "get-or-create", user, *(word for pair in CAPS.items() for word in pair))
