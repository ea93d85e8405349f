"""The adapters joined to a lab in the same process: real clients, real wire, no sockets, virtual time.

    site = await lab_site()
    state = await site.hypervisor.observe()

Run it under ``tests.support.virtual.run_virtual``: the lab's clock and noout's are the loop's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from noout.adapters.bmc import RedfishBmc
from noout.adapters.ceph import CephCli
from noout.adapters.clock import LabClock
from noout.adapters.http import Server
from noout.adapters.pve import PveClient, PveHypervisor
from noout.domain.cluster import NodeId
from noout.domain.errors import Retryable, UnknownOutcome
from noout.lab import clock as lab_clock
from noout.lab.wire.pve import pve_app
from noout.lab.wire.redfish import BmcLogin, redfish_app
from noout.lab.wire.shell import run_command
from noout.lab.world.build import build_world
from noout.lab.world.laws import Laws
from noout.lab.world.model import Cluster, World
from noout.ports import Clock, Completed
from tests.support.asgi import AsgiNetwork

PVE_PORT, BMC_PORT = 8006, 443
CONNECT_TIMEOUT_S = 5.0


class LabShell:
    """The Shell port over the lab's own dispatch; hangs and refusals happen in virtual time."""

    def __init__(self, laws: Laws, cluster: Cluster, clock: Clock) -> None:
        self.laws = laws
        self.clock = clock
        self.cluster = cluster
        self.ran: list[tuple[str, tuple[str, ...]]] = []
        self.refused: set[str] = set()

    async def run(self, node: NodeId, argv: Sequence[str], *, timeout_s: float = 30.0) -> Completed:
        self.laws.advance()
        name = node.name
        if not self.cluster.nodes[name].online or name in self.refused or self.laws.ssh_refused(self.cluster, name):
            await asyncio.sleep(CONNECT_TIMEOUT_S)
            raise Retryable(f"no SSH connection to {node}")
        self.ran.append((node.name, tuple(argv)))
        outcome = run_command(self.laws, self.cluster, node.name, list(argv))
        hangs_s = timeout_s if outcome.after_s is None else self.clock.wall_s(outcome.after_s)
        if hangs_s >= timeout_s:
            await asyncio.sleep(timeout_s)
            raise UnknownOutcome(f"`{argv[0]}` on {node}: not finished within {timeout_s:g} s")
        await asyncio.sleep(hangs_s)
        return Completed(outcome.exit, outcome.stdout, outcome.stderr)


@dataclass
class LabSite:
    """One lab cluster and every adapter to it."""

    world: World
    laws: Laws
    cluster: Cluster
    clock: LabClock
    network: AsgiNetwork
    hypervisor: PveHypervisor
    client: PveClient
    shell: LabShell
    ceph: CephCli
    bmcs: Mapping[NodeId, RedfishBmc]
    tokens: Mapping[str, str] = field(default_factory=dict)

    def node(self, name: str) -> NodeId:
        return NodeId(self.cluster.name, name)

    def client_for(self, token: str, **kwargs: object) -> PveClient:
        """Another client of the same cluster, with the token of that name (or that literal text)."""
        return PveClient(
            self.cluster.name,
            servers(self.network, self.cluster),
            self.tokens.get(token, token),
            self.clock,
            **kwargs,  # type: ignore[arg-type]
        )


def servers(network: AsgiNetwork, cluster: Cluster, read_timeout_s: float = 30.0) -> list[Server]:
    return [
        Server(f"https://{name}.{cluster.name}:{PVE_PORT}", transport=network, read_timeout_s=read_timeout_s)
        for name in cluster.nodes
    ]


def lab_site(
    world: World | None = None,
    *,
    wall: Callable[[], float] | None = None,
    keep_s: float = 60.0,
    token: str = "lab",
    speed: float = 1.0,
) -> LabSite:
    """Build it all (call it inside a running loop unless ``wall`` is given). ``speed``: lab seconds in one of the loop.

    At a speed of 1, what counts in wall seconds (time-outs, looks at the journal) counts in the lab's own.
    """
    world = world or build_world()
    wall = wall or asyncio.get_running_loop().time
    laws = Laws(world, lab_clock.LabClock(world.epoch, wall(), speed, wall))
    clock = LabClock(world.epoch, wall(), speed, wall)
    cluster = next(iter(world.clusters.values()))
    network, login = AsgiNetwork(), BmcLogin()
    for name in cluster.nodes:
        network.apps[(f"{name}.{cluster.name}", PVE_PORT)] = pve_app(laws, cluster.name, name)
        network.apps[(f"bmc-{name}.{cluster.name}", BMC_PORT)] = redfish_app(laws, cluster, name, login)
    tokens = {
        str(each.name): f"{each.userid}!{each.name}={each.secret}"
        for each in cluster.tokens
        if each.name and each.userid.startswith("noout@")
    }
    shell = LabShell(laws, cluster, clock)
    client = PveClient(cluster.name, servers(network, cluster), tokens[token], clock)
    ids = {name: NodeId(cluster.name, name) for name in cluster.nodes}
    return LabSite(
        world=world,
        laws=laws,
        cluster=cluster,
        clock=clock,
        network=network,
        client=client,
        hypervisor=PveHypervisor(client, shell, keep_s=keep_s),
        shell=shell,
        ceph=CephCli(shell, list(ids.values()), clock),
        bmcs={
            node: RedfishBmc(
                node,
                Server(f"https://bmc-{name}.{cluster.name}", transport=network, read_timeout_s=10.0),
                login.user,
                login.password,
                clock,
            )
            for name, node in ids.items()
        },
        tokens=tokens,
    )
