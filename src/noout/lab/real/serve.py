"""The simulated lab's sockets over a world whose guests, BMCs and Ceph are real."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from noout.lab.clock import LabClock
from noout.lab.real.boards import Boards
from noout.lab.real.ceph import RealCeph
from noout.lab.real.ipmi import PASSWORD, USER
from noout.lab.real.laws import RealLaws
from noout.lab.real.machines import Machines
from noout.lab.real.network import Network, guest_address
from noout.lab.wire.outcome import Outcome
from noout.lab.wire.serve import LabServer
from noout.lab.world.laws import Laws
from noout.lab.world.model import World

CEPH = ("ceph", "rbd", "rados")
COMMAND_S = 300.0
SOAK_S, WATCH_EVERY_S = 40.0, 15.0
EVERY_S, EVERY_MOVING_S, PER_HOST_PER_S = 0.2, 0.1, 50


class RealServer(LabServer):
    """``place``: the network namespace that all of it is in, as others find it."""

    has_redfish = False

    def __init__(
        self, world: World, network: Network, machines: Machines, boards: Boards, ceph: RealCeph | None, *,
        port: int, place: str,
    ) -> None:  # fmt: skip
        self.parts = network, machines, boards, ceph
        self.place = place
        super().__init__(world, port=port, clock=LabClock(world.epoch, world.epoch))
        if ceph is not None:
            self.elsewhere = self._run

    def make_laws(self) -> Laws:
        return RealLaws(self.world, self.clock, *self.parts)

    async def _run(self, node: str, argv: list[str]) -> Outcome | None:
        """Ceph's own commands, by Ceph's own programs."""
        ceph, limit_s, rest = self.parts[3], COMMAND_S, list(argv)
        if rest[:1] == ["timeout"]:
            rest = [word for word in rest[1:] if not word.startswith("--kill-after=")]
            limit_s = float(rest.pop(0))
        if ceph is None or not rest or rest[0] not in CEPH:
            return None
        try:
            return await ceph.run(rest, timeout_s=limit_s)
        except TimeoutError:
            return Outcome(124)

    def config(self, path: Path) -> dict[str, Any]:
        config = super().config(path)
        _, _, boards, _ = self.parts
        for name, cluster in self.world.clusters.items():
            config["clusters"][name]["bmc"] = {
                node: {"url": sim.url, "user": USER, "password": PASSWORD} for node, sim in boards.sims.items()
            }
            config["probes"] = {
                "every_s": EVERY_S,
                "every_moving_s": EVERY_MOVING_S,
                "per_host_per_s": PER_HOST_PER_S,
                "services": {
                    f"{name}/{vmid}": [f"tcp:{guest_address(vmid)}:80", f"held:{guest_address(vmid)}:7"]
                    for vmid in cluster.guests
                },
            }
        config["lab"]["namespace"] = self.place
        config["policy"] = {"soak_s": SOAK_S, "watch_every_s": WATCH_EVERY_S}
        return config
