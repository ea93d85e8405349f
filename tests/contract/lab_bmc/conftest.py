"""A node's BMC reached in process, with a clock that the test moves."""

from __future__ import annotations

import base64
from typing import Any

import httpx2
import pytest

from noout.lab.clock import ManualClock
from noout.lab.wire.redfish import BmcLogin, redfish_app
from noout.lab.world.build import EPOCH, build_world
from noout.lab.world.laws import Laws
from noout.lab.world.model import Bmc, Cluster
from tests.support.asgi import AsgiNetwork

URL = "https://127.0.0.1:8108"


class Board:
    """pve3's BMC: ``await get(path)`` gives JSON, ``forward(seconds)`` lets time pass."""

    def __init__(self) -> None:
        self.clock = ManualClock(EPOCH)
        self.laws = Laws(build_world(), self.clock)
        self.cluster: Cluster = self.laws.world.clusters["ams1"]
        self.login = BmcLogin("noout", "a secret")
        app = redfish_app(self.laws, self.cluster, "pve3", self.login)
        self.network = AsgiNetwork({("127.0.0.1", 8108): app})
        basic = base64.b64encode(b"noout:a secret").decode()
        self.client = httpx2.AsyncClient(
            transport=self.network, base_url=URL, headers={"Authorization": f"Basic {basic}"}
        )
        self.stranger = httpx2.AsyncClient(transport=self.network, base_url=URL)

    @property
    def bmc(self) -> Bmc:
        return self.cluster.bmcs["pve3"]

    async def get(self, path: str, **params: str) -> Any:
        response = await self.client.get(path, params=params or None)
        assert response.status_code == 200, response.text
        return response.json()

    async def reset(self, kind: str) -> httpx2.Response:
        return await self.client.post("/redfish/v1/Systems/1/Actions/ComputerSystem.Reset", json={"ResetType": kind})

    def forward(self, seconds: float) -> None:
        self.clock.forward(seconds)
        self.laws.advance()

    def fault(self, name: str, **params: Any) -> None:
        self.laws.fault(self.cluster, name, **params)

    async def power_after(self, wanted: str, within: int) -> int:
        """Seconds until PowerState is ``wanted``."""
        for second in range(within + 1):
            if (await self.get("/redfish/v1/Systems/1"))["PowerState"] == wanted:
                return second
            self.forward(1)
        raise AssertionError(f"PowerState did not become {wanted} within {within} s")


@pytest.fixture
def board() -> Board:
    return Board()
