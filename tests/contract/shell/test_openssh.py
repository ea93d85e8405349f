"""The SSH shell and the forced command behind a real OpenSSH server: what the lab's server only imitates."""

from __future__ import annotations

import asyncio
import getpass
import os
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import noout
from noout.adapters.ceph import CephCli
from noout.adapters.clock import SystemClock
from noout.adapters.shell import SshHost, SshShell
from noout.adapters.shell.forced import PLACE, authorized_keys_line
from noout.domain.cluster import NodeId
from noout.domain.errors import Forbidden, UnknownOutcome

SSHD = shutil.which("sshd", path="/usr/sbin:/usr/bin:/sbin")
SCRIPT = Path(noout.__file__).parent / "data" / "noout-shell"
NODE = NodeId("ams1", "pve1")
STUB = """#!/bin/sh
echo "$@" >>{folder}/ran
case "$*" in
*"mgr dump"*) exec sleep 1000 ;;
*set-group*) exit 0 ;;
*) echo '{{}}' ;;
esac
"""

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(SSHD is None, reason="no OpenSSH server (scripts/install-real-parts)"),
    pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="no OpenSSH client (scripts/install-real-parts)"),
]


@dataclass
class Door:
    folder: Path
    port: int
    shell: SshShell

    def ran(self) -> list[str]:
        path = self.folder / "ran"
        return path.read_text().splitlines() if path.exists() else []

    def ssh(self, *words: str) -> subprocess.CompletedProcess[str]:
        """OpenSSH's own client, as an attacker with noout's key would use it."""
        options = ["BatchMode=yes", f"UserKnownHostsFile={self.folder}/known_hosts", "IdentitiesOnly=yes"]
        argv = ["ssh", "-F", "none", "-i", f"{self.folder}/key", "-p", str(self.port), "-l", getpass.getuser()]
        argv += [word for option in options for word in ("-o", option)]
        return subprocess.run(
            [*argv, *words], capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False, timeout=60
        )


def keygen(path: Path) -> str:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
    return path.with_suffix(".pub").read_text()


def start(config: Path) -> subprocess.Popen[bytes]:
    assert SSHD is not None
    if os.geteuid() == 0:  # where sshd locks itself up; without root it does not
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    return subprocess.Popen([SSHD, "-D", "-e", "-f", str(config)], stderr=subprocess.PIPE)


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Door]:
    """A server on loopback that lets one key in, to the forced command alone."""
    host_key, public = keygen(tmp_path / "host"), keygen(tmp_path / "key")
    stub = tmp_path / "bin" / "ceph"
    stub.parent.mkdir()
    stub.write_text(STUB.format(folder=tmp_path))
    stub.chmod(0o755)
    line = authorized_keys_line(public, ceph_user="client.noout", hosts=("pve1", "pve3"))
    # The same line as on a node, but that script and programs lie in the test's folder.
    line = line.replace(PLACE, f"/usr/bin/python3 -IS {SCRIPT} --bin {stub.parent}")
    (tmp_path / "authorized").write_text(f"{line}\n")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (tmp_path / "known_hosts").write_text(f"[127.0.0.1]:{port} {host_key}")
    config = [
        f"Port {port}", "ListenAddress 127.0.0.1", f"HostKey {tmp_path}/host", f"PidFile {tmp_path}/pid",
        f"AuthorizedKeysFile {tmp_path}/authorized", "StrictModes no", "UsePAM no", "PasswordAuthentication no",
        "PermitRootLogin yes", "Subsystem sftp internal-sftp",
    ]  # fmt: skip
    (tmp_path / "sshd_config").write_text("\n".join(config) + "\n")
    server = start(tmp_path / "sshd_config")
    shell = SshShell(
        {NODE: SshHost("127.0.0.1", port)},
        key_file=tmp_path / "key",
        known_hosts_file=tmp_path / "known_hosts",
        user=getpass.getuser(),
    )
    try:
        async with asyncio.timeout(20):
            assert server.stderr is not None
            while b"listening" not in (said := await asyncio.to_thread(server.stderr.readline)):
                assert said, "sshd did not start"
        yield Door(tmp_path, port, shell)
    finally:
        await shell.close()
        server.terminate()
        server.communicate(timeout=20)


async def test_noout_gets_through_and_nothing_else_does(door: Door) -> None:
    ceph = CephCli(door.shell, [NODE], SystemClock(), user="client.noout")
    await ceph.set_host_flags("pve3", frozenset({"noout", "noup"}))
    wanted = "--name client.noout --connect-timeout 10 osd set-group noout,noup pve3 --format json"
    assert door.ran() == [wanted]

    with pytest.raises(Forbidden, match="noout-shell: refused"):
        await ceph.set_host_flags("pve4", frozenset({"noout"}))
    with pytest.raises(Forbidden, match="noout-shell: refused"):
        await ceph.set_host_flags("pve3 $(touch x)", frozenset({"noout"}))
    refused = await door.shell.run(NODE, ["sh", "-c", f"touch {door.folder}/x"])
    assert (refused.exit, refused.stdout) == (126, "")
    assert door.ran() == [wanted]
    assert not (door.folder / "x").exists()


async def test_a_command_that_hangs_is_ended_on_the_node(door: Door) -> None:
    argv = ["ceph", "--name", "client.noout", "--connect-timeout", "10", "mgr", "dump", "--format", "json"]
    with pytest.raises(UnknownOutcome, match="ended there"):
        await door.shell.run(NODE, argv, timeout_s=1)
    listed = await asyncio.to_thread(subprocess.run, ["ps", "-eo", "args"], capture_output=True, text=True)
    assert str(door.folder / "bin") not in listed.stdout.replace(f"--bin {door.folder}/bin", "")


async def test_the_key_opens_nothing_else_with_openssh_s_own_client(door: Door, tmp_path: Path) -> None:
    def tries() -> list[subprocess.CompletedProcess[str]]:
        return [
            door.ssh("127.0.0.1"),
            door.ssh("127.0.0.1", "bash -i"),
            door.ssh("127.0.0.1", f"ceph osd set-group noout pve3; touch {tmp_path}/x"),
            door.ssh("127.0.0.1", f"ceph status\ntouch {tmp_path}/x"),
            door.ssh("-o", "SetEnv=LD_PRELOAD=x SSH_ORIGINAL_COMMAND=x", "127.0.0.1", "id"),
        ]

    for done in await asyncio.to_thread(tries):
        assert done.returncode == 126
        assert "noout-shell: refused" in done.stdout + done.stderr
    assert (await asyncio.to_thread(door.ssh, "-s", "127.0.0.1", "sftp")).returncode == 126
    terminal = await asyncio.to_thread(door.ssh, "-tt", "127.0.0.1")
    assert terminal.returncode != 0
    assert "PTY allocation request failed" in terminal.stderr
    forwarded = await asyncio.to_thread(door.ssh, "-W", f"127.0.0.1:{door.port}", "127.0.0.1")
    assert forwarded.returncode != 0
    assert "prohibited" in forwarded.stderr
    assert door.ran() == []
    assert not (tmp_path / "x").exists()
