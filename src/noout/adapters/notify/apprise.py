"""A line to the provider's own people, by whatever apprise knows (chat, SMS, ...): an optional extra."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from noout.domain.errors import Retryable, UsageError


async def tell(urls: Sequence[str], title: str, body: str) -> None:
    """Raises UsageError without the extra, Retryable where one of them did not take it. The URLs are secrets: neither
    names one."""
    try:
        apprise: Any = import_module("apprise")
    except ImportError:
        raise UsageError("apprise is not installed", remedy="pip install 'noout[apprise]'") from None

    def work() -> bool:
        sender = apprise.Apprise()
        known = [bool(sender.add(url)) for url in urls]
        return all(known) and bool(sender.notify(title=title, body=body))

    if not await asyncio.to_thread(work):
        raise Retryable("apprise could not hand over the message to every one of its addresses")
