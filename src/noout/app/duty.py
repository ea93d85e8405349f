"""What one noout process of several does: whoever holds its lease, as long as it does."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from noout.domain.errors import NooutError
from noout.ports import Leases

log = logging.getLogger(__name__)

WATCH = "watch"  # the BMCs, the exporters, and whether the clusters are as the ledger says
WEBHOOKS = "webhooks"  # telling others' programs what the journal tells
PUBLIC = "public"  # telling the public process what it may show, and doing what is wanted there
COMMAND = "command"  # carrying out what is open, of those commands that only run until something is over
LOOK_EVERY_S = 1.0  # wall seconds between two looks whether it is ours


async def on_duty(leases: Leases, name: str, work: Callable[[], Awaitable[None]]) -> None:
    """Do ``work`` whenever this process holds ``name``, from its beginning each time; until cancelled, or until the
    work ends by itself."""
    while True:
        if await _held(leases, name):
            working = asyncio.ensure_future(work())
            try:
                while leases.holds(name) and not working.done():
                    await asyncio.wait({working}, timeout=LOOK_EVERY_S)
            finally:
                working.cancel()
                await asyncio.gather(working, return_exceptions=True)
            if not working.cancelled():
                return working.result()
            log.warning("the %s is another process's now", name)
        await asyncio.sleep(LOOK_EVERY_S)


async def _held(leases: Leases, name: str) -> bool:
    try:
        return name in await leases.take([name])
    except NooutError:  # the leases themselves say that the store does not answer
        return False
