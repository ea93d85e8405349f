"""A node without a BMC in the configuration: exporters and alerts may tell of it, nothing can switch its power."""

from __future__ import annotations

from dataclasses import dataclass

from noout.domain.cluster import NodeId
from noout.domain.errors import Refused
from noout.domain.hardware import HardwareState
from noout.ports import Clock


@dataclass(slots=True)
class NoBoard:
    """In a BMC's place where the configuration names none: it says nothing, exporters and alerts may."""

    node: NodeId
    clock: Clock

    async def observe(self, *, log: bool = True) -> HardwareState:
        return HardwareState(self.node, self.clock.now(), reachable=False, trouble="no BMC is configured")

    async def power_on(self) -> None:
        raise Refused(f"{self.node} has no BMC in the configuration")

    async def force_off(self) -> None:
        raise Refused(f"{self.node} has no BMC in the configuration")

    async def locate(self, on: bool) -> None:
        raise Refused(f"{self.node} has no BMC in the configuration")
