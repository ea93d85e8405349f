"""DNS asked of a real server, and ICMP over loopback and into a network namespace."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from datetime import timedelta

import pytest

from noout.adapters.clock import SystemClock
from noout.adapters.probe import DirectProber
from noout.adapters.probe.echo import Echoes
from noout.domain.cluster import GuestId
from noout.domain.errors import Refused
from noout.domain.impact import Service

WEB = GuestId("ams1", 101)
NAME = "shop.example.net"


async def verdicts(probe: str, instants: int = 3) -> set[bool]:
    prober = DirectProber(SystemClock())
    now = prober.clock.now()
    samples = await prober.collect([Service(WEB, "web", probe)], now, now + timedelta(seconds=0.1 * instants), 0.1)
    await prober.close()
    return {sample.ok for sample in samples}


@pytest.fixture
def dnsmasq() -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    program = shutil.which("dnsmasq", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        pytest.skip("needs Debian's dnsmasq-base; scripts/install-real-parts installs it")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    process = subprocess.Popen(
        [
            program, "--no-daemon", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", f"--port={port}",
            "--listen-address=127.0.0.1", "--bind-interfaces", "--pid-file=", f"--address=/{NAME}/192.0.2.10",
            "--user=root" if os.geteuid() == 0 else "--log-facility=-",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    yield process, port
    process.kill()
    process.wait()


@pytest.mark.real
async def test_a_real_dns_server_answers_refuses_and_is_gone(dnsmasq: tuple[subprocess.Popen[bytes], int]) -> None:
    process, port = dnsmasq
    for _ in range(50):  # until it has started
        if await verdicts(f"dns:{NAME}/A@127.0.0.1:{port}", 1) == {True}:
            break
    assert await verdicts(f"dns:{NAME}/A@127.0.0.1:{port}") == {True}
    assert await verdicts(f"dns:{NAME}/MX@127.0.0.1:{port}") == {False}, "no such record"
    assert await verdicts(f"dns:elsewhere.example.org@127.0.0.1:{port}") == {False}, "it is not asked on to anybody"
    process.kill()
    process.wait()
    assert await verdicts(f"dns:{NAME}/A@127.0.0.1:{port}") == {False}


async def may_echo(address: str) -> None:
    echoes = Echoes()
    try:
        echoes.open_for(address)
    except (Refused, OSError) as error:
        pytest.skip(f"no ICMP here: {error}")
    finally:
        echoes.close()


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
async def test_echoes_over_loopback(address: str) -> None:
    await may_echo(address)
    if address == "::1" and await verdicts(f"icmp:{address}", 1) == set():
        pytest.skip("this machine has no IPv6 on its loopback")
    assert await verdicts(f"icmp:{address}") == {True}


@pytest.fixture
def namespace() -> Iterator[tuple[str, str]]:
    """A machine of its own behind a link: its name, its address."""
    name, here = f"noout-p{os.getpid()}", f"nop{os.getpid() % 100000}"
    ours, theirs = "198.18.77.1", "198.18.77.2"
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("needs root and Debian's iproute2 for a network namespace")
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False)
    if made.returncode != 0:
        pytest.skip("no network namespace can be made here")
    try:
        for command in (
            f"ip link add {here} type veth peer name eth0 netns {name}",
            f"ip addr add {ours}/30 dev {here}", f"ip link set {here} up",
            f"ip -n {name} addr add {theirs}/30 dev eth0", f"ip -n {name} link set eth0 up",
        ):  # fmt: skip
            subprocess.run(command.split(), check=True, capture_output=True)
        yield name, theirs
    finally:
        subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)


def take_away_its_address(name: str) -> None:
    subprocess.run(["ip", "-n", name, "addr", "flush", "dev", "eth0"], check=True)


@pytest.mark.real
async def test_a_machine_that_is_cut_off_gives_no_echo(namespace: tuple[str, str]) -> None:
    name, address = namespace
    await may_echo(address)
    for _ in range(20):
        if True in await verdicts(f"icmp:{address}", 1):
            break
    assert await verdicts(f"icmp:{address}") == {True}
    take_away_its_address(name)
    assert await verdicts(f"icmp:{address}") == {False}
