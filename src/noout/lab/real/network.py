"""Nodes as network namespaces, inside a network namespace of the lab's own: that one is the switches, and the clients.

Three networks, each a bridge of the lab's with a cable to every node: the guests' (each node has a bridge with its
guests' taps on it), the migrations', held to 1 Gbit/s, and the storage's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

CLIENTS = "10.77.0.1"
MIGRATION, STORAGE = "10.78.0.", "10.79.0."
OWN_STORAGE = "10.79.0.254"
LINK_BITS_PER_S = 1_000_000_000


async def ip(lines: Sequence[str], inside: str = "", program: str = "ip") -> None:
    """RuntimeError with the program's words when one of the lines fails."""
    argv = [program, *(["-n", inside] if inside else []), "-batch", "-"]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*argv, stdin=pipe, stdout=pipe, stderr=asyncio.subprocess.STDOUT)
    told, _ = await process.communicate("\n".join(lines).encode() + b"\n")
    if process.returncode:
        raise RuntimeError(f"{program} in {inside or 'the lab'}: {told.decode().strip()}")


async def run(*argv: str) -> str:
    """A program's output; RuntimeError with its words when it fails."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*argv, stdout=pipe, stderr=asyncio.subprocess.STDOUT)
    told, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"{' '.join(argv)}: {told.decode().strip()}")
    return told.decode()


def guest_address(vmid: int) -> str:
    return f"10.77.0.{vmid % 200 + 10}"


class Network:
    """``nodes`` in order: the first is .1 in each network."""

    def __init__(self, nodes: Sequence[str]) -> None:
        self.number = {name: i for i, name in enumerate(nodes, 1)}

    def migration_address(self, node: str) -> str:
        return f"{MIGRATION}{self.number[node]}"

    def storage_address(self, node: str) -> str:
        return f"{STORAGE}{self.number[node]}"

    async def lay(self) -> None:
        await ip(
            [
                "link set lo up",
                *(f"link add name {name} type bridge" for name in ("guests", "moves", "store")),
                f"addr add {CLIENTS}/24 dev guests",
                f"addr add {OWN_STORAGE}/24 dev store",
                *(f"link set {name} up" for name in ("guests", "moves", "store")),
                *(f"netns add {node}" for node in self.number),
            ]
        )
        await asyncio.gather(*(self._connect(node) for node in self.number))

    async def _connect(self, node: str) -> None:
        number = self.number[node]
        cables = (("guests", "uplink"), ("moves", "mig"), ("store", "sto"))
        await ip(
            [
                *(f"link add name {there}{number} type veth peer name {here} netns {node}" for there, here in cables),
                *(f"link set {there}{number} master {there} up" for there, _ in cables),
            ]
        )
        await ip(
            [
                "link set lo up",
                "link add name br0 type bridge",
                "link set br0 up",
                "link set uplink master br0 up",
                f"addr add {self.migration_address(node)}/24 dev mig",
                f"addr add {self.storage_address(node)}/24 dev sto",
                "link set mig up",
                "link set sto up",
            ],
            node,
        )
        await self.shape(node, LINK_BITS_PER_S, "add")

    async def shape(self, node: str, bits_per_s: int = LINK_BITS_PER_S, verb: str = "change") -> None:
        """What the node can send over the migrations' network."""
        shaped = f"qdisc {verb} dev mig root tbf rate {bits_per_s}bit burst 256kb latency 50ms"
        await ip([shaped], node, program="tc")

    async def plug(self, node: str, tap: str, *, learned: bool = True) -> None:
        """A guest's card on its node's bridge. Not ``learned``: on no bridge, as with a port that was forgotten."""
        joined = [f"link set {tap} master br0"] if learned else []
        await ip([f"tuntap add dev {tap} mode tap", *joined, f"link set {tap} up"], node)

    async def unplug(self, node: str, tap: str) -> None:
        await ip([f"link del {tap}"], node)

    async def replug(self, node: str, tap: str) -> None:
        await ip([f"link set {tap} master br0"], node)

    async def cable(self, node: str, *, up: bool, names: Sequence[str] = ("uplink", "mig", "sto")) -> None:
        await ip([f"link set {name} {'up' if up else 'down'}" for name in names], node)
