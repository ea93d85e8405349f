"""Ceph is asked as the user that the configuration names, as the node's admin where it names none."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path

import pytest

from noout.adapters.shell import SshShell
from noout.app.compose import installation
from noout.domain.cluster import NodeId
from noout.domain.errors import Retryable, UsageError
from noout.ports import Completed
from noout.settings import parse

CONFIG = """
[clusters.c1]
entrypoints = ["https://pve1.example.net:8006"]
token_file = "token"
[clusters.c1.shell]
key_file = "key"
known_hosts_file = "known_hosts"
hosts = {{ pve1 = "pve1.example.net" }}
[clusters.c1.ceph]
{ceph}
"""


@pytest.mark.parametrize(
    ("ceph", "said"), [("", []), ('user = "client.noout"', ["--name", "client.noout"])], ids=["admin", "its own"]
)
async def test_the_user_is_named_to_ceph(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ceph: str, said: list[str]
) -> None:
    ran: list[Sequence[str]] = []

    async def run(shell: SshShell, node: NodeId, argv: Sequence[str], *, timeout_s: float = 30.0) -> Completed:
        ran.append(argv)
        raise Retryable("nobody is there")

    monkeypatch.setattr(SshShell, "run", run)
    (tmp_path / "token").write_text("noout@pve!control=secret\n")
    (tmp_path / "token").chmod(0o600)
    settings = parse(tomllib.loads(CONFIG.format(ceph=ceph)), tmp_path / "noout.toml")
    async with installation(settings) as found:
        with pytest.raises(Retryable):
            await found.cephs["c1"].set_host_flags("pve1", frozenset({"noout"}))
    words = ["osd", "set-group", "noout", "pve1", "--format", "json"]
    assert ran == [["ceph", *said, "--connect-timeout", "10", *words]]


@pytest.mark.parametrize("user", ["osd.3", "noout", "client.", "client.noout --admin", "client.a\\n"])
def test_what_is_no_ceph_client_is_refused_with_its_key(user: str) -> None:
    with pytest.raises(UsageError, match=r"clusters\.c1\.ceph\.user"):
        parse(tomllib.loads(CONFIG.format(ceph=f'user = "{user}"')), Path("noout.toml"))
