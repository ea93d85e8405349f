"""One look at a BMC: reading what is not indispensable, within a time and an amount that nothing it says can exceed."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from noout.adapters.bmc.client import RedfishClient
from noout.adapters.bmc.parse import Document, documents, link, log_time, number_of
from noout.domain.errors import Broken, Refused, Retryable

LOOK_S = 45.0  # a look ends with the request that is under way then
MEMBERS_MAX = 200  # members of one collection read one by one
LOG_MAX = 200  # newest entries read at once
LOG_PAGES_MAX = 100


class Look:
    """What fails is left out, and after a lost answer nothing more is asked. ``trouble``: why, in one sentence."""

    def __init__(self, client: RedfishClient) -> None:
        self._client = client
        self._until = asyncio.get_running_loop().time() + LOOK_S
        self.trouble = ""

    async def at(self, path: str | None, query: Mapping[str, str] | None = None) -> Document:
        """A document; empty where there is none."""
        if path is None or self.trouble:
            return {}
        if asyncio.get_running_loop().time() > self._until:
            self.trouble = f"the BMC of {self._client.node} takes longer than {LOOK_S:.0f} s: the rest was not read"
            return {}
        try:
            return await self._client.get(path, query, missing_ok=True)
        except (Retryable, Broken) as error:
            self.trouble = error.message
        except Refused:
            pass  # this BMC does not do that query
        return {}

    async def members(self, path: str | None) -> list[Document]:
        """A collection's members in full: expanded if the BMC can, else one by one."""
        if path is None:
            return []
        expanded = documents((await self.at(path, {"$expand": "."})).get("Members"))
        rows = expanded or documents((await self.at(path)).get("Members"))
        return [row if len(row) > 1 else await self.at(link({"row": row}, "row")) for row in rows[:MEMBERS_MAX]]

    async def log(self, path: str | None, last: str | None) -> list[Document]:
        """The newest entries, oldest first; ``last``: the Id of the newest one of the look before.

        Some BMCs begin with the newest, some with the oldest; most answer in pages, some in one answer however long.
        """
        page = await self.at(path)
        rows = documents(page.get("Members"))
        if rows and not any(log_time(row) for row in rows[:LOG_MAX]):
            newest = rows[:LOG_MAX] if _newest_first(rows) else rows[-LOG_MAX:]
            # Only links: ask for their contents.
            rows = [row if len(row) > 1 else await self.at(link({"row": row}, "row")) for row in newest]
        if _newest_first(rows):
            return (await self._newest_first(page, rows, last))[:LOG_MAX][::-1]
        return (await self._oldest_first(path, page, rows))[-LOG_MAX:]

    async def _newest_first(self, page: Document, rows: list[Document], last: str | None) -> list[Document]:
        for _ in range(LOG_PAGES_MAX):
            more = _next(page)
            if more is None or len(rows) >= LOG_MAX or any(str(row.get("Id")) == last for row in rows):
                break
            page = await self.at(more)
            rows += documents(page.get("Members"))
        return rows

    async def _oldest_first(self, path: str | None, page: Document, rows: list[Document]) -> list[Document]:
        """The newest are at the end: go there at once, or page by page where the BMC knows no ``$skip``."""
        total = page.get("Members@odata.count")
        if isinstance(total, int) and total > len(rows) > 1:
            end = await self.at(path, {"$skip": str(max(total - LOG_MAX, 0))})
            skipped = documents(end.get("Members"))
            if skipped and skipped[0].get("Id") != rows[0].get("Id"):
                rows, page = skipped, end
        for _ in range(LOG_PAGES_MAX):
            more = _next(page)
            if more is None:
                break
            page = await self.at(more)
            rows = (rows + documents(page.get("Members")))[-LOG_MAX:]
        return rows


def _next(page: Document) -> str | None:
    """The link to the next page; an empty page has none, whatever it says."""
    more = page.get("Members@odata.nextLink") or page.get("@odata.nextLink")
    return more if isinstance(more, str) and documents(page.get("Members")) else None


def _newest_first(rows: list[Document]) -> bool:
    """By their numbers, which a clock that was set cannot turn round; by their times where they have none."""
    if len(rows) < 2:
        return True
    first, last = rows[0], rows[-1]
    numbers = number_of(first.get("Id")), number_of(last.get("Id"))
    if numbers[0] is not None and numbers[1] is not None and numbers[0] != numbers[1]:
        return numbers[0] > numbers[1]
    times = log_time(first), log_time(last)
    return times[0] is not None and times[1] is not None and times[0] > times[1]
