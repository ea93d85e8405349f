"""What every way of asking has in common: who says what came of a question, and whose fault a failure is."""

from __future__ import annotations

import errno
import ipaddress
import socket
from collections.abc import Callable
from functools import lru_cache

# True: a good answer. False: none, and it is the service's doing. None: the prober's own trouble, evidence of nothing.
Settle = Callable[[bool | None], None]
Cancel = Callable[[], None]

# No socket, no port or no memory of ours; no permission; no network of ours.
_OWN = frozenset(
    getattr(errno, name)
    for name in (
        "EMFILE",
        "ENFILE",
        "ENOBUFS",
        "ENOMEM",
        "EADDRNOTAVAIL",
        "EACCES",
        "EPERM",
        "ENETDOWN",
        "EAFNOSUPPORT",
    )
)


def blamed(error: int | None, *, at_once: bool) -> bool | None:
    """What an errno says. ``at_once``: this machine refused before anything was sent; no route is its own trouble then,
    and a router's word about the guest's network later."""
    if error in _OWN or (at_once and error in (errno.ENETUNREACH, errno.EHOSTUNREACH)):
        return None
    return False


def family_of(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


@lru_cache(maxsize=65536)
def is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def nothing() -> None: ...
