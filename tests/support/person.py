"""A person at a shell of the lab's cluster, who types what noout prints.

Each command goes to the lab's own wire, through no adapter of noout but the HTTP client. After each the person looks
until the cluster is quiet, as the comments ask: no task runs, HA is settled, no placement group is on its way.
"""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Iterable
from typing import Any

from noout.domain.cluster import NodeId
from tests.support.labsite import LabSite

VERBS = {"create": "POST", "set": "PUT", "delete": "DELETE"}
QUIET_S_MAX = 3600.0


class Person:
    """Types on ``node``. A line that begins with # is read, not typed."""

    def __init__(self, lab: LabSite, node: str) -> None:
        self.lab = lab
        self.node = NodeId(lab.cluster.name, node)
        self.typed: list[str] = []

    async def type(self, lines: Iterable[str]) -> None:
        for line in lines:
            if line.startswith("#"):
                continue
            self.typed.append(line)
            await self._run(shlex.split(line, comments=True))
            await self._until_quiet(line)

    async def _run(self, words: list[str]) -> None:
        match words:
            case ["pvesh", verb, path, *options]:
                await self.lab.client.effect(VERBS[verb], path, **_form(options))
            case ["ha-manager", "migrate", sid, target]:
                await self.lab.client.effect("POST", f"/cluster/ha/resources/{sid}/migrate", node=target)
            case ["ha-manager", "set", sid, *options]:
                await self.lab.client.effect("PUT", f"/cluster/ha/resources/{sid}", **_form(options))
            case ["ceph" | "ha-manager", *_]:
                done = await self.lab.shell.run(self.node, words)
                assert done.exit == 0, f"{shlex.join(words)}: {done.stderr}"
            case ["ipmitool", "-H", bmc, *_]:
                await self._chassis(NodeId(self.node.cluster, bmc.removeprefix("BMC-OF-")), words)
            case _:
                raise AssertionError(f"nobody can type this here: {shlex.join(words)}")

    async def _chassis(self, node: NodeId, words: list[str]) -> None:
        bmc = self.lab.bmcs[node]
        match words[words.index("chassis") + 1 :]:
            case ["power", "on"]:
                await bmc.power_on()
            case ["identify", how]:
                await bmc.locate(how != "0")
            case other:
                raise AssertionError(f"no such chassis command: {other}")

    async def _until_quiet(self, line: str) -> None:
        """Two looks in a row, half a minute apart, at which nothing is under way."""
        began, quiet = self.lab.clock.now(), 0
        while quiet < 2:
            await asyncio.sleep(30)
            quiet = quiet + 1 if await self._quiet() else 0
            waited_s = (self.lab.clock.now() - began).total_seconds()
            assert waited_s < QUIET_S_MAX, f"an hour after `{line}` the cluster is still busy"

    async def _quiet(self) -> bool:
        laws, cluster = self.lab.laws, self.lab.cluster
        laws.advance()
        busy_ha = any(service.state in ("migrate", "relocate") for service in cluster.ha.services.values())
        booting = any(node.power and not node.online for node in cluster.nodes.values())
        tasks = any(task.status == "running" for task in cluster.tasks.values())
        moving = any({"peering", "backfilling", "recovering"} & set(s.split("+")) for s in laws.pg_states(cluster))
        return not (busy_ha or booting or tasks or moving)


def _form(options: list[str]) -> dict[str, Any]:
    """``--target pve1 --online 1`` -> {"target": "pve1", "online": "1"}."""
    assert len(options) % 2 == 0, options
    return {key.removeprefix("--"): value for key, value in zip(options[::2], options[1::2], strict=True)}
