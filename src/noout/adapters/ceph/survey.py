"""What the doctor asks of a Ceph cluster beside the observation, and whether every node's shell lets noout ask."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any

from noout.adapters.ceph.cluster import COMMAND_TIMEOUT_S, CONNECT_TIMEOUT_S
from noout.domain.cluster import NodeId
from noout.domain.errors import NooutError, Untrusted
from noout.domain.survey import CephDaemon, CephSurvey, Unread
from noout.ports import Shell

MISSING = 127  # exit code of a shell that has no such program
NO_CEPH_HERE = "ObjectNotFound"  # the program is there (Proxmox VE brings it), this node's Ceph configuration is not


class CephShells:
    """Asks one Ceph cluster through ``nodes`` (the first that answers); ``user`` as in ``CephCli``. Without Ceph
    (``has_ceph``) only whether the shells can be reached counts."""

    def __init__(
        self, shell: Shell, nodes: Sequence[NodeId], *, user: str | None = None, has_ceph: bool = True
    ) -> None:
        self._shell = shell
        self._has_ceph = has_ceph
        self._nodes = list(nodes)
        self._user = user

    async def try_shells(self, nodes: Sequence[NodeId]) -> Mapping[NodeId, NooutError | str]:
        """Run one harmless command on each node. "" = it was carried out, or the node has no Ceph; else why not."""
        return dict(zip(nodes, await asyncio.gather(*(self._try(node) for node in nodes)), strict=True))

    async def _try(self, node: NodeId) -> NooutError | str:
        try:
            done = await self._shell.run(node, self._argv("mon", "dump"), timeout_s=COMMAND_TIMEOUT_S)
        except NooutError as error:
            return error
        if not self._has_ceph or done.exit in (0, MISSING) or NO_CEPH_HERE in done.stderr:
            return ""
        return (done.stderr.strip().splitlines() or [f"exit code {done.exit}"])[-1]

    async def survey(self) -> CephSurvey:
        """Raises nothing but Untrusted: what cannot be read is named."""
        unread: list[Unread] = []
        metadata = await self._ask(unread, "on which machines the OSDs run", "osd", "metadata")
        dump = await self._ask(unread, "the pools", "osd", "dump")
        rules = await self._ask(unread, "over what the pools spread their copies", "osd", "crush", "rule", "dump")
        status = await self._ask(unread, "its other daemons", "status")
        return CephSurvey(
            machines=machines(metadata), spread=spread(dump, rules), daemons=daemons(status), unread=tuple(unread)
        )

    def _argv(self, *words: str) -> list[str]:
        name = ["--name", self._user] if self._user else []
        return ["ceph", *name, "--connect-timeout", str(CONNECT_TIMEOUT_S), *words, "--format", "json"]

    async def _ask(self, unread: list[Unread], what: str, *words: str) -> Any:
        why = "no node to ask on"
        for node in list(self._nodes):
            try:
                done = await self._shell.run(node, self._argv(*words), timeout_s=COMMAND_TIMEOUT_S)
                if done.exit == 0:
                    self._nodes.sort(key=lambda each: each != node)
                    return json.loads(done.stdout)
                why = (done.stderr.strip().splitlines() or [f"exit code {done.exit}"])[-1]
            except Untrusted:
                raise
            except NooutError as error:
                why = error.message
            except ValueError:
                why = f"{node} did not answer with JSON"
        unread.append(Unread(f"Ceph: {what}", why))
        return None


# --- what the answers mean ------------------------------------------------------------------------------------


def machines(metadata: Any) -> dict[int, str]:
    rows = metadata if isinstance(metadata, list) else []
    return {int(row["id"]): str(row["hostname"]).split(".")[0] for row in rows if "id" in row and row.get("hostname")}


def spread(dump: Any, rules: Any) -> dict[str, str]:
    """Pool -> the bucket type of its rule's (last) choose step; "osd" where a rule chooses OSDs directly."""
    kinds: dict[int, str] = {}
    for rule in rules if isinstance(rules, list) else []:
        steps = [step for step in rule.get("steps") or () if str(step.get("op", "")).startswith("choose")]
        # A rule may choose twice (hosts, then OSDs of each): copies are apart by the first that is not the last leaf.
        kinds[int(rule.get("rule_id", -1))] = str(steps[0].get("type") or "osd") if steps else ""
    pools = dump.get("pools") or () if isinstance(dump, Mapping) else ()
    found = {str(row.get("pool_name")): kinds.get(int(row.get("crush_rule", -1)), "") for row in pools}
    return {pool: kind for pool, kind in found.items() if kind}


def daemons(status: Any) -> tuple[CephDaemon, ...]:
    """MDS of ``fsmap`` (by name: PVE names them after their node), and what the service map holds (RGW and others)."""
    document = status if isinstance(status, Mapping) else {}
    found = [
        CephDaemon("mds", str(row["name"]), str(row["name"]).split(".")[0])
        for row in (document.get("fsmap") or {}).get("by_rank") or ()
        if row.get("name")
    ]
    if int((document.get("fsmap") or {}).get("up:standby") or 0):
        found.append(CephDaemon("mds", "a standby", "", active=False))  # which node it is on is not said here
    for kind, service in sorted(((document.get("servicemap") or {}).get("services") or {}).items()):
        for key, row in sorted((service.get("daemons") or {}).items()):
            if isinstance(row, Mapping):  # beside them lies a text, "summary"
                told = row.get("metadata") or {}
                host = str(told.get("hostname") or "").split(".")[0]
                found.append(CephDaemon(str(kind), str(told.get("id") or key), host))
    return tuple(found)
