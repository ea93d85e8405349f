"""The world outside noout: the lab's control API, used by the demo's technician and its stage manager only."""

from __future__ import annotations

from typing import Any

import httpx2

from noout.domain.errors import Broken


class LabHands:
    """What hands and accidents can do in the lab, over its control API at ``url``."""

    def __init__(self, client: httpx2.AsyncClient, cluster: str) -> None:
        self.client = client
        self.cluster = cluster

    async def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        answer = await self.client.request(method, f"/lab/v1{path}", json=body)
        if answer.status_code >= 400:
            raise Broken(f"the lab refused {method} {path}: {answer.text[:200]}")
        return answer.json() if answer.content else None

    async def fault(self, name: str, **params: Any) -> None:
        await self._ask("POST", "/faults", {"cluster": self.cluster, "name": name, **params})

    async def clear(self, name: str, **params: Any) -> None:
        await self._ask("DELETE", f"/faults/{name}", {"cluster": self.cluster, **params})

    async def hands(self, node: str, action: str, **params: Any) -> Any:
        return await self._ask("POST", "/hands", {"cluster": self.cluster, "node": node, "action": action, **params})

    async def state(self) -> Any:
        document = await self._ask("GET", f"/state?cluster={self.cluster}")
        return document["clusters"][self.cluster]

    async def happened(self) -> list[Any]:
        document = await self._ask("GET", "/happened")
        return [row for row in document["happened"] if row["cluster"] == self.cluster]
