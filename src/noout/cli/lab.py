"""``noout lab``: simulated clusters on this machine, to try everything on; or one with real parts."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from noout.domain.errors import Broken, Refused, UsageError
from noout.lab.real import box
from noout.lab.real.lab import real_lab
from noout.lab.real.needs import lacking_for_lab
from noout.lab.real.serve import RealServer
from noout.lab.real.world import GUESTS_MAX
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
    async with server:
        if config is not None:
            server.write_config(config)
        console.print(banner(server, config), highlight=False, soft_wrap=True, markup=False)
        await _until_told(server)


async def _until_told(server: LabServer) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    serving = asyncio.create_task(server.serve_forever())
    stopping = asyncio.create_task(stop.wait())
    done, _ = await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await stopping
    if serving in done:
        await serving  # raises what went wrong


# --- with real parts ----------------------------------------------------------------------------------------


def real_banner(server: RealServer, config: Path | None) -> str:
    (name, cluster), *_ = server.world.clusters.items()
    nodes = list(cluster.nodes)
    last = server.base + len(nodes) - 1
    lines = [
        f"{name}: {len(nodes)} nodes ({nodes[0]} to {nodes[-1]}) in their own network, {len(cluster.guests)} guests",
        f"  Proxmox VE  https://{LOOPBACK}:{server.base} to {last}",
        f"control       {server.control_url}",
        f"network       nsenter --net={server.place} COMMAND",
    ]
    if config is not None:
        lines += [f"configuration {config}", "Try, as root:"]
        lines += [f"  noout {each} --config {config}" for each in ("health", "plan pve3", "maintain pve3")]
    return "\n".join([*lines, "Stop it with Ctrl-C."])


def _boxed(folder: Path, guests: int, port: int, config: Path | None, with_ceph: bool) -> None:
    """The lab itself, as the first process of its box."""
    console = Console()

    async def serve() -> None:
        def say(text: str) -> None:
            console.print(text, highlight=False, markup=False)

        async with real_lab(folder, port=port, guests=guests, with_ceph=with_ceph, say=say) as server:
            if config is not None:
                server.write_config(config)
            console.print(real_banner(server, config), highlight=False, soft_wrap=True, markup=False)
            await _until_told(server)

    asyncio.run(serve())


def _outside(guests: int, port: int, config: Path | None, with_ceph: bool) -> None:
    """Put it into a box, and wait until it, or we, are told to stop."""
    why = lacking_for_lab()
    if why:
        raise Refused(f"no lab with real parts here: {why}", remedy="`noout lab` simulates one anywhere")
    with box.folder() as folder:
        argv = [sys.executable, "-m", "noout", "lab", "--real", "--boxed", str(folder), "--port", str(port)]
        argv += ["--guests", str(guests), *([] if with_ceph else ["--no-ceph"])]
        argv += [] if config is None else ["--write-config", str(config.resolve())]
        process = box.start(folder, argv)
        signal.signal(signal.SIGTERM, lambda *_: process.kill())
        try:
            code = process.wait()
        except KeyboardInterrupt:
            code = 0
        finally:
            process.kill()
            process.wait()
    if code > 0:
        raise Broken("the lab ended by itself", remedy="what it said stands above")


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
    real: Annotated[
        bool, typer.Option("--real", help="Real QEMU, IPMI and Ceph in namespaces of its own; needs root.")
    ] = False,
    ceph: Annotated[bool, typer.Option("--ceph/--no-ceph", help="With --real: a real Ceph too.")] = True,
    boxed: Annotated[Path | None, typer.Option("--boxed", hidden=True)] = None,
) -> None:
    """Serve simulated Proxmox VE + Ceph clusters with their BMCs on loopback, until Ctrl-C."""
    if real:
        count = min(guests, GUESTS_MAX) if guests != 24 else 6
        if boxed is None:
            _outside(count, port, write_config, ceph)
        else:
            _boxed(boxed, count, port, write_config, ceph)
        return
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
