"""The SSH shell against a real SSH server on loopback: the lab's, one per node."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import asyncssh
import pytest

from noout.adapters.ceph import CephCli
from noout.adapters.clock import SystemClock
from noout.adapters.shell import SshHost, SshShell
from noout.domain.cluster import NodeId
from noout.domain.errors import Broken, Forbidden, Retryable, UnknownOutcome, Untrusted
from noout.lab.clock import ManualClock
from noout.lab.wire.ssh import Place, private_key, serve_ssh
from noout.lab.world.build import build_world
from noout.lab.world.laws import Laws
from noout.lab.world.model import Cluster

NODES = ("pve1", "pve2", "pve3")
PVE1, PVE2, PVE3 = (NodeId("ams1", name) for name in NODES)


@dataclass
class Rack:
    """Three SSH servers, and a shell that knows their keys."""

    laws: Laws
    cluster: Cluster
    ports: dict[str, int]
    shell: SshShell
    folder: Path

    def hosts(self) -> dict[NodeId, SshHost]:
        return {NodeId("ams1", name): SshHost("127.0.0.1", port) for name, port in self.ports.items()}


@pytest.fixture
async def rack(tmp_path: Path) -> AsyncIterator[Rack]:
    world = build_world(nodes=3, guests=3)
    laws, cluster = Laws(world, ManualClock(world.epoch)), world.clusters["ams1"]
    secret = b"a secret of this test"
    client = private_key(secret, "client")
    allowed = asyncssh.import_authorized_keys(client.export_public_key().decode())
    ports, acceptors, known = {}, [], ""
    for name in NODES:
        sock = socket.create_server(("127.0.0.1", 0))
        sock.setblocking(False)
        ports[name] = sock.getsockname()[1]
        host_key = private_key(secret, "host", name)
        # No second of the world takes any on the wall: what hangs for ever still does.
        acceptors.append(await serve_ssh(Place(laws, cluster, name, lambda _: 0.0), sock, host_key, allowed))
        known += f"[127.0.0.1]:{ports[name]} {host_key.export_public_key().decode().strip()}\n"
    (tmp_path / "known_hosts").write_text(known)
    (tmp_path / "key").write_bytes(client.export_private_key())
    (tmp_path / "key").chmod(0o600)
    rack = Rack(laws, cluster, ports, None, tmp_path)  # type: ignore[arg-type]
    rack.shell = SshShell(rack.hosts(), key_file=tmp_path / "key", known_hosts_file=tmp_path / "known_hosts")
    yield rack
    await rack.shell.close()
    for acceptor in acceptors:
        acceptor.close()
        await acceptor.wait_closed()


async def test_a_command_and_its_outputs(rack: Rack) -> None:
    done = await rack.shell.run(PVE1, ["hostname"])
    assert (done.exit, done.stdout, done.stderr) == (0, "pve1\n", "")
    missing = await rack.shell.run(PVE2, ["no-such-command"])
    assert missing.exit == 127
    assert "command not found" in missing.stderr


async def test_words_are_never_interpreted(rack: Rack) -> None:
    """A host called ``pve1; reboot`` reaches the command as one word."""
    done = await rack.shell.run(PVE1, ["ceph", "osd", "set-group", "noout", "pve1; ceph osd set noout `x` $HOME"])
    assert done.exit == 22
    assert "pve1; ceph osd set noout `x` $HOME" in done.stderr
    assert rack.cluster.ceph is not None
    assert not rack.cluster.ceph.flags
    assert not rack.cluster.ceph.crush_node_flags


async def test_ceph_through_ssh(rack: Rack) -> None:
    ceph = CephCli(rack.shell, [PVE1, PVE2, PVE3], SystemClock())
    state = await ceph.observe()
    assert state.hosts == NODES
    await ceph.set_host_flags("pve3", frozenset({"noout"}))
    assert (await ceph.observe()).host_flags == {"pve3": frozenset({"noout"})}


async def test_a_node_that_is_off_refuses_and_the_next_is_asked(rack: Rack) -> None:
    rack.cluster.nodes["pve1"].power = False
    with pytest.raises(Retryable, match="pve1"):
        await rack.shell.run(PVE1, ["hostname"])
    assert (await CephCli(rack.shell, [PVE1, PVE2], SystemClock()).observe()).fsid


async def test_a_connection_that_died_is_made_anew(rack: Rack) -> None:
    assert (await rack.shell.run(PVE1, ["hostname"])).exit == 0
    rack.cluster.nodes["pve1"].power = False
    with pytest.raises((Retryable, UnknownOutcome)):
        await rack.shell.run(PVE1, ["hostname"])
    rack.cluster.nodes["pve1"].power = True
    assert (await rack.shell.run(PVE1, ["hostname"])).stdout == "pve1\n"


async def test_a_command_that_hangs_is_ended_on_the_node_and_may_have_run(rack: Rack) -> None:
    assert rack.cluster.ceph is not None
    for mgr in rack.cluster.ceph.mgrs.values():
        mgr.running = False  # then the mgr's commands hang
    with pytest.raises(UnknownOutcome, match=r"pve1.*within 7 s: it was ended there"):
        await rack.shell.run(PVE1, ["ceph", "osd", "df", "--format", "json"], timeout_s=6.5)
    assert (await rack.shell.run(PVE1, ["hostname"])).exit == 0


async def test_what_the_forced_command_refuses_is_told_as_a_missing_right(rack: Rack) -> None:
    said = "noout-shell: refused: not a ceph command that is allowed"
    rack.laws.fault(rack.cluster, "shell-error", pattern="osd set-group", text=said, exit=126)
    ceph = CephCli(rack.shell, [PVE1, PVE2], SystemClock())
    with pytest.raises(Forbidden, match="noout-shell: refused") as caught:
        await ceph.set_host_flags("pve3", frozenset({"noout"}))
    assert "syslog" in caught.value.remedy


async def test_another_host_key_is_not_trusted(rack: Rack) -> None:
    wrong = rack.folder / "wrong_hosts"
    key = private_key(b"somebody else", "host").export_public_key().decode().strip()
    wrong.write_text(f"[127.0.0.1]:{rack.ports['pve1']} {key}\n")
    shell = SshShell(rack.hosts(), key_file=rack.folder / "key", known_hosts_file=wrong)
    with pytest.raises(Untrusted, match="wrong_hosts") as caught:
        await shell.run(PVE1, ["hostname"])
    assert caught.value.remedy


async def test_another_client_key_is_refused(rack: Rack) -> None:
    other = rack.folder / "other"
    other.write_bytes(private_key(b"somebody else", "client").export_private_key())
    other.chmod(0o600)
    shell = SshShell(rack.hosts(), key_file=other, known_hosts_file=rack.folder / "known_hosts")
    with pytest.raises(Broken, match="refused the SSH key"):
        await shell.run(PVE1, ["hostname"])


async def test_files_and_addresses_that_are_missing(rack: Rack) -> None:
    known = rack.folder / "known_hosts"
    shell = SshShell(rack.hosts(), key_file=rack.folder / "none", known_hosts_file=known)
    with pytest.raises(Broken, match="key"):
        await shell.run(PVE1, ["hostname"])
    with pytest.raises(Broken, match="ams1/pve9"):
        await rack.shell.run(NodeId("ams1", "pve9"), ["hostname"])
