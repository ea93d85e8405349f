"""The lab on real sockets: every node's API, BMC and SSH, and the control API, in one event loop on 127.0.0.1.

Ports from a base P: PVE of node i at P+i-1, its BMC at P+100+i-1, its SSH at P+200+i-1; control at P+300; each further
cluster 400 higher.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import random
import secrets
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

import asyncssh
import uvicorn
from starlette.applications import Starlette

from noout.lab.clock import LabClock
from noout.lab.wire.config import Address, cluster_table, customers, services, toml, write_private
from noout.lab.wire.control import control_app
from noout.lab.wire.http import LabH11Protocol
from noout.lab.wire.pve.app import pve_app
from noout.lab.wire.redfish import BmcLogin, redfish_app
from noout.lab.wire.ssh import Elsewhere, Place, private_key, serve_ssh
from noout.lab.wire.tls import self_signed
from noout.lab.world.laws import Laws
from noout.lab.world.model import Cluster, World

LOOPBACK = "127.0.0.1"
BMC, SSH, CONTROL, SERVE, NEXT_CLUSTER = 100, 200, 300, 350, 400
NODES_MAX = 100
PROBE_EVERY_S = 0.2  # an answer costs the lab a microsecond, so it is asked as densely as real movers are
TICK_S = 1.0  # the world is advanced at least so often, so that no request has to catch up with hours


class PortTaken(Exception):
    """A port that the lab needs is in use; ``port`` says which."""

    def __init__(self, port: int) -> None:
        super().__init__(f"port {port} on {LOOPBACK} is in use; choose another base with --port")
        self.port = port


def _protocol(reachable: Callable[[], bool] | None) -> type[LabH11Protocol]:
    class Protocol(LabH11Protocol):
        """Turns connections away at the door while the app's machine is off."""

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            if reachable is not None and not reachable():
                transport.abort()

    return Protocol


class _Web:
    """One uvicorn server, driven from here: no signal handlers, no loop of its own, no log."""

    def __init__(self, app: Starlette, sock: socket.socket, context: ssl.SSLContext | None) -> None:
        config = uvicorn.Config(
            app,
            http=_protocol(getattr(app.state, "reachable", None)),
            lifespan="off",
            ws="none",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=1,
        )
        config.load()
        config.ssl = context
        self.socket = sock
        self.server = uvicorn.Server(config)
        self.server.lifespan = config.lifespan_class(config)

    async def start(self) -> None:
        await self.server.on_tick(0)
        await self.server.startup(sockets=[self.socket])

    async def stop(self) -> None:
        self.server.should_exit = True
        for connection in list(self.server.server_state.connections):
            connection.transport.abort()  # whoever hangs in an answer learns that nobody waits for it
        await self.server.shutdown(sockets=[self.socket])


class LabServer:
    """All sockets of one world: ``async with LabServer(world, port=0) as lab: lab.write_config(path)``.

    ``port`` 0 finds a free base. ``speed``: virtual seconds a wall second.
    """

    has_redfish = True
    elsewhere: Elsewhere | None = None  # runs the nodes' commands for real, where that is so

    def __init__(self, world: World, *, port: int = 8006, speed: float = 1.0, clock: LabClock | None = None) -> None:
        largest = max(len(cluster.nodes) for cluster in world.clusters.values())
        if largest > NODES_MAX:
            raise ValueError(f"the ports hold {NODES_MAX} nodes a cluster, not {largest}")
        self.world = world
        self.clock = clock or LabClock.from_now(world.epoch, speed)
        self.laws = self.make_laws()
        self.base = port
        self.addresses: dict[str, dict[str, Address]] = {}
        self._secret = secrets.token_bytes(32)
        self.client_key = private_key(self._secret, "client")
        self._sockets: dict[int, socket.socket] = {}
        self._webs: list[_Web] = []
        self._acceptors: list[asyncssh.SSHAcceptor] = []
        self._places: list[Place] = []
        self._ticker: asyncio.Task[None] | None = None

    def make_laws(self) -> Laws:
        return Laws(self.world, self.clock)

    # --- life --------------------------------------------------------------------------------------------

    async def __aenter__(self) -> LabServer:
        try:
            await self.start()
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Bind everything, then serve. PortTaken when the base is not free."""
        self._bind()
        self.laws.advance()
        for index, cluster in enumerate(self.world.clusters.values()):
            self.addresses[cluster.name] = {}
            for i, node in enumerate(cluster.nodes):
                self.addresses[cluster.name][node] = await self._start_node(cluster, node, self._port(index, i))
        control = _Web(control_app(self.laws, self.clock.speed), self._sockets[self.base + CONTROL], None)
        self._webs.append(control)
        for web in self._webs:
            await web.start()
        self._ticker = asyncio.create_task(self._tick())

    async def stop(self) -> None:
        if self._ticker is not None:
            self._ticker.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._ticker
            self._ticker = None
        for acceptor in self._acceptors:
            acceptor.close()
        for place in self._places:
            for connection in list(place.connections):
                connection.abort()
        await asyncio.gather(*(web.stop() for web in self._webs if web.server.started))
        for sock in self._sockets.values():
            sock.close()
        self._webs, self._acceptors, self._sockets = [], [], {}

    async def serve_forever(self) -> None:
        """Returns only by being cancelled, or raises what went wrong in the world."""
        assert self._ticker is not None, "start it first"
        await self._ticker

    async def _tick(self) -> None:
        while True:
            self.laws.advance()
            for web in self._webs:
                await web.server.on_tick(0)  # renews the Date header
            for place in self._places:
                place.drop_if_dark()
            await asyncio.sleep(TICK_S)

    # --- sockets -----------------------------------------------------------------------------------------

    def _port(self, cluster_index: int, node_index: int) -> int:
        return self.base + NEXT_CLUSTER * cluster_index + node_index

    def _wanted(self) -> list[int]:
        ports = [
            self._port(index, i) + shift
            for index, cluster in enumerate(self.world.clusters.values())
            for i in range(len(cluster.nodes))
            for shift in (0, BMC, SSH)
        ]
        return [*ports, self.base + CONTROL]

    def _bind(self) -> None:
        if self.base:
            self._bind_all()
            return
        dice = random.SystemRandom()
        for attempt in range(50):
            self.base = dice.randrange(10_000, 30_000)  # below the range that outgoing connections take from
            try:
                self._bind_all()
            except PortTaken:
                if attempt == 49:
                    raise
            else:
                return

    def _bind_all(self) -> None:
        for port in self._wanted():
            sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                sock.bind((LOOPBACK, port))
                sock.listen(100)
            except (OSError, OverflowError) as error:
                sock.close()
                for bound in self._sockets.values():
                    bound.close()
                self._sockets = {}
                raise PortTaken(port) from error
            sock.setblocking(False)
            self._sockets[port] = sock

    async def _start_node(self, cluster: Cluster, node: str, port: int) -> Address:
        since = dt.datetime.fromtimestamp(self.clock.started, dt.UTC) - dt.timedelta(days=1)
        pve, bmc = self_signed(f"{node}.{cluster.name}.lab", since), self_signed(f"bmc-{node}", since)
        cluster.nodes[node].fingerprint = pve.fingerprint
        login = BmcLogin("noout", secrets.token_urlsafe(12))
        apps = [(pve_app(self.laws, cluster.name, node), port, pve)]
        if self.has_redfish:
            apps.append((redfish_app(self.laws, cluster, node, login), port + BMC, bmc))
        self._webs += [_Web(app, self._sockets[where], cert.server_context()) for app, where, cert in apps]
        host_key = private_key(self._secret, "host", cluster.name, node)
        place = Place(self.laws, cluster, node, self.clock.wall_seconds, elsewhere=self.elsewhere)
        self._places.append(place)
        allowed = asyncssh.import_authorized_keys(self.client_key.export_public_key().decode())
        self._acceptors.append(await serve_ssh(place, self._sockets[port + SSH], host_key, allowed))
        return Address(
            pve=port,
            bmc=port + BMC,
            ssh=port + SSH,
            pve_fingerprint=pve.fingerprint,
            bmc_fingerprint=bmc.fingerprint,
            bmc_user=login.user,
            bmc_password=login.password,
            ssh_host_key=host_key.export_public_key().decode().strip(),
        )

    # --- what clients need -------------------------------------------------------------------------------

    @property
    def control_url(self) -> str:
        return f"http://{LOOPBACK}:{self.base + CONTROL}/lab/v1"

    def config(self, path: Path) -> dict[str, Any]:
        """The configuration as nested dicts; ``path`` is where it will lie, its neighbours are named after it."""
        key, known = f"{path.stem}.id_ed25519", f"{path.stem}.known_hosts"
        clusters = self.world.clusters
        return {
            "lab": {
                "epoch": self.clock.epoch,
                "started": self.clock.started,
                "speed": self.clock.speed,
                "control": self.control_url,
            },
            "clusters": {
                name: cluster_table(cluster, self.addresses[name], key, known) for name, cluster in clusters.items()
            },
            "customers": customers(clusters),
            "probes": {
                "via": self.control_url,
                "every_s": PROBE_EVERY_S,
                "every_moving_s": PROBE_EVERY_S,
                "services": services(clusters),
            },
            "store": {"url": f"sqlite:///{path.resolve().with_suffix('.db')}"},
            "serve": {
                "listen": f"{LOOPBACK}:{self.base + SERVE}",
                "operator_token": secrets.token_urlsafe(24),
                "provider": "Lab Hosting",
            },
        }

    def write_config(self, path: Path) -> None:
        """Write noout.toml at ``path`` (0600), and beside it the SSH key (0600) and the known hosts."""
        config = self.config(path)
        known = "".join(
            f"[{LOOPBACK}]:{address.ssh} {address.ssh_host_key}\n"
            for addresses in self.addresses.values()
            for address in addresses.values()
        )
        write_private(path.with_name(f"{path.stem}.known_hosts"), known)
        write_private(path.with_name(f"{path.stem}.id_ed25519"), self.client_key.export_private_key().decode())
        head = "# Written by `noout lab` for its simulated clusters. It holds their secrets literally.\n"
        write_private(path, head + toml(config))
