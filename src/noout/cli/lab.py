"""``noout lab``: simulated clusters on this machine, to try everything on."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from noout.domain.errors import Broken, UsageError
from noout.lab.scenarios import ScenarioError, build
from noout.lab.wire.serve import BMC, CONTROL, LOOPBACK, NEXT_CLUSTER, SSH, LabServer, PortTaken


def banner(server: LabServer, config: Path | None) -> str:
    """What a person who has just started the lab needs to know."""
    lines = []
    for index, (name, cluster) in enumerate(server.world.clusters.items()):
        nodes, first = list(cluster.nodes), server.base + index * NEXT_CLUSTER
        last, running = len(nodes) - 1, sum(g.status == "running" for g in cluster.guests.values())
        lines.append(f"{name}: {len(nodes)} nodes ({nodes[0]} to {nodes[-1]}), {running} guests running")
        lines.append(f"  Proxmox VE  https://{LOOPBACK}:{first} to {first + last}")
        lines.append(f"  Redfish     https://{LOOPBACK}:{first + BMC} to {first + BMC + last}")
        lines.append(f"  SSH         {LOOPBACK}:{first + SSH} to {first + SSH + last}, user root")
    lines.append(f"control       {server.control_url} (port {server.base + CONTROL}: faults, hands, what happened)")
    speed = "" if server.clock.speed == 1 else f", {server.clock.speed:g} times as fast as the wall clock"
    lines.append(f"seed {server.world.seed}{speed}")
    if config is None:
        lines.append("No configuration was written: start with --write-config noout.toml to use it.")
    else:
        key = config.with_name(f"{config.stem}.id_ed25519")
        known = config.with_name(f"{config.stem}.known_hosts")
        ssh = f"ssh -i {key} -o UserKnownHostsFile={known} -p {server.base + SSH} root@{LOOPBACK} ceph -s"
        name, cluster = next(iter(server.world.clusters.items()))
        node = list(cluster.nodes)[:3][-1]
        node = node if len(server.world.clusters) == 1 else f"{name}/{node}"
        tries = [f"noout {each} --config {config}" for each in ("health", f"plan {node}", f"maintain {node}")]
        lines += [f"configuration {config}", "Try:", *(f"  {each}" for each in [*tries, ssh])]
    lines.append("Stop it with Ctrl-C.")
    return "\n".join(lines)


async def run(server: LabServer, config: Path | None, console: Console) -> None:
    """Serve until SIGINT or SIGTERM."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with server:
        if config is not None:
            server.write_config(config)
        console.print(banner(server, config), highlight=False, soft_wrap=True, markup=False)
        serving = asyncio.create_task(server.serve_forever())
        stopping = asyncio.create_task(stop.wait())
        done, _ = await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await stopping
        if serving in done:
            await serving  # raises what went wrong


def _sentence(error: Exception) -> tuple[str, str]:
    """The lab says what is wrong and what to do in one breath, with a semicolon between them."""
    sentence, _, remedy = str(error).partition("; ")
    return sentence, remedy or "see `noout lab --help`"


def lab(
    nodes: Annotated[int, typer.Option(min=1, max=50, help="Nodes in each cluster.")] = 6,
    guests: Annotated[int, typer.Option(min=0, max=2000, help="Guests in each cluster.")] = 24,
    seed: Annotated[int, typer.Option(help="The same seed makes the same world.")] = 1,
    speed: Annotated[float, typer.Option(min=0.01, max=3600, help="Virtual seconds per second.")] = 1.0,
    port: Annotated[int, typer.Option(min=0, max=64000, help="Base of the ports; 0 finds a free one.")] = 8006,
    write_config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a noout.toml (0600) with everything in it.")
    ] = None,
    scenario: Annotated[str, typer.Option(metavar="NAME", help="A named world with its faults.")] = "default",
) -> None:
    """Serve simulated Proxmox VE + Ceph clusters with their BMCs on loopback, until Ctrl-C."""
    try:
        world, switch_on = build(scenario, nodes=nodes, guests=guests, seed=seed)
        server = LabServer(world, port=port, speed=speed)
        switch_on(server.laws)
    except (ScenarioError, ValueError) as error:
        sentence, remedy = _sentence(error)
        raise UsageError(sentence, remedy=remedy) from None
    try:
        asyncio.run(run(server, write_config, Console()))
    except PortTaken as error:
        sentence, remedy = _sentence(error)
        raise Broken(sentence, remedy=remedy) from None
    except OSError as error:
        raise Broken(f"{write_config} cannot be written: {error.strerror}", remedy="choose another file") from None
