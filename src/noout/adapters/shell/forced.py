"""The forced command between noout's SSH key and a node: the file to install, and the line that names it."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files

PLACE = "/usr/local/sbin/noout-shell"


def script() -> str:
    """The text of the forced command: one file, for Python 3's standard library, to be installed at ``PLACE``."""
    return files("noout").joinpath("data", "noout-shell").read_text(encoding="utf-8")


def authorized_keys_line(
    public_key: str, *, ceph_user: str | None = None, hosts: Sequence[str] = (), sources: Sequence[str] = ()
) -> str:
    """The line for root's ``authorized_keys`` on every node.

    ``public_key`` as ``ssh-keygen`` writes it; ``ceph_user`` the only Ceph client it may act as; ``hosts`` the CRUSH
    hosts that it may flag (none: any); ``sources`` the addresses that it may come from (none: any).
    ValueError when a word would end the quoted command or option.
    """
    words = [PLACE]
    if ceph_user is not None:
        words += ["--ceph", ceph_user]
    if hosts:
        words += ["--hosts", ",".join(hosts)]
    come_from = ",".join(sources)
    command = " ".join(words)
    if any(not sign.isascii() or not (sign.isalnum() or sign in "_.,:=/- ") for sign in command + come_from):
        raise ValueError(f"not for authorized_keys: {command} {come_from}")
    limits = [*([f'from="{come_from}"'] if come_from else []), "restrict", f'command="{command}"']
    return f"{','.join(limits)} {public_key.strip()}"
