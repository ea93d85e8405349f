"""The nodes' BMCs: one IPMI simulator each, and the power that both sides may switch."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Sequence
from pathlib import Path

from noout.lab.real.ipmi import FULL_RPM, IpmiSim


class Boards:
    def __init__(self, folder: Path, serials: dict[str, str]) -> None:
        self.sims: dict[str, IpmiSim] = {}
        for node, serial in serials.items():
            home = folder / f"bmc-{node}"
            home.mkdir()
            self.sims[node] = IpmiSim(home, serial=serial, every_ms=200)
        self._power = dict.fromkeys(serials, True)  # as the nodes have it

    async def start(self) -> None:
        for sim in self.sims.values():
            sim.start()
        await asyncio.gather(*(asyncio.to_thread(sim.set_clock) for sim in self.sims.values()))

    def power(self, node: str) -> bool:
        """As the BMC has it."""
        return (self.sims[node].home / "power").read_text().strip() == "1"

    def pressed(self) -> list[str]:
        """Nodes whose BMC was told another power than the node has."""
        return [node for node, is_on in self._power.items() if self.power(node) != is_on]

    def set_power(self, node: str, on: bool) -> None:
        """The node went down or came up by itself, or did as its BMC says."""
        self._power[node] = on
        (self.sims[node].home / "power").write_text(f"{int(on)}\n")

    def turn(self, node: str, fan: str, turns: bool) -> None:
        self.sims[node].turn(fan, FULL_RPM if turns else 0)

    def mute(self, node: str, on: bool) -> None:
        self.sims[node].mute(on)

    async def history(self, node: str, fan: str, stops: Sequence[float]) -> None:
        """``stops``: Unix seconds, in the past, oldest first."""
        at = [dt.datetime.fromtimestamp(each, dt.UTC) for each in stops]
        await asyncio.to_thread(self.sims[node].history, fan, at)
