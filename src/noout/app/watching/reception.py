"""What is sent to noout about the nodes' hardware: an Alertmanager's notifications, the BMCs' own events.

Nobody is believed who does not prove who he is: the Alertmanager by its token or password, a BMC by the context of
its subscription. What is believed is in the store before it is acknowledged; whoever gets no acknowledgement sends it
again.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from noout.adapters.alerts import BODY_BYTES_MAX, Naming, notification
from noout.adapters.bmc.subscription import context_of, entries_of
from noout.app.watcher import Watcher
from noout.domain.errors import NooutError, Refused, Retryable, UsageError
from noout.domain.hardware import SensorKind
from noout.domain.maintenance import Json

__all__ = ["BODY_BYTES_MAX", "AlertSource", "Reception", "Stranger", "authorization"]

log = logging.getLogger(__name__)


class Stranger(Refused):
    """Whoever sent it has not proved that he may."""


@dataclass(frozen=True)
class AlertSource:
    """One cluster's Alertmanager. ``authorization``: the header that it must send."""

    naming: Naming
    authorization: str = field(repr=False)
    kinds: Mapping[str, SensorKind] = field(default_factory=dict)


def authorization(user: str, token: str) -> str:
    """The header of a bearer token, or with a user that of a password."""
    if not user:
        return f"Bearer {token}"
    return f"Basic {base64.b64encode(f'{user}:{token}'.encode()).decode()}"


@dataclass(frozen=True)
class Reception:
    """``sources``: by cluster."""

    watcher: Watcher
    sources: Mapping[str, AlertSource]

    async def alerts(self, cluster: str, proof: str, body: Callable[[], Awaitable[bytes]]) -> Mapping[str, Json]:
        """Take in one notification, of which a stranger's is not even read. Raises Stranger, UsageError (it is none;
        sending it again helps nobody), or Retryable."""
        source = self.sources.get(cluster)
        expected = source.authorization if source is not None else ""
        if not _same(proof, expected) or source is None or not expected:
            raise Stranger("this Alertmanager is not known here", remedy="see [clusters.NAME.alerts]")
        try:
            read = notification(await body(), source.naming, source.kinds)
        except UsageError as error:
            log.warning("watch: %s: %s", cluster, error.message)
            raise
        if read.strangers:
            log.info("watch: %s: alerts about no node of it: %r", cluster, read.strangers)
        if read.left_out:
            log.warning(
                "watch: %s: the Alertmanager left out %d alerts: every node is looked at", cluster, read.left_out
            )
            self.watcher.call(cluster)
        told = [self.watcher.tell(node, alerts) for node, alerts in read.alerts.items()]
        results = await asyncio.gather(*told, return_exceptions=True)
        _raise_first(results)
        taken = sum(len(alerts) for alerts in read.alerts.values())
        return {"taken": taken, "about_no_node": len(read.strangers), "left_out": read.left_out}

    async def event(self, body: bytes) -> None:
        """Take in an event of a BMC. Stranger, or Retryable."""
        try:
            event = json.loads(body)
        except (ValueError, RecursionError):
            event = None
        context, upkeep = context_of(event), self.watcher.upkeep
        node = upkeep.node_of(context) if upkeep is not None and context else None
        if node is None:
            raise Stranger("no subscription of this noout has this context")
        await self.watcher.tell(node, entries=entries_of(event))


def _same(given: str, expected: str) -> bool:
    """In a time that tells nothing of what is expected. The scheme's letters may be small or large."""
    scheme, _, rest = given.partition(" ")
    return hmac.compare_digest(f"{scheme.capitalize()} {rest.strip()}".encode(), expected.encode())


def _raise_first(results: list[BaseException | None]) -> None:
    failed = [each for each in results if each is not None]
    for each in failed:
        if not isinstance(each, NooutError):
            raise each
    if failed:
        raise Retryable("; ".join(str(each) for each in failed), remedy="send it again")
