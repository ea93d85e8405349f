"""A request to the API as its door looks at it, made without a web framework."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


class Asked:
    """A request as the door of the API looks at it, made without taking an address apart."""

    cookies: Mapping[str, str] = {}

    def __init__(
        self, method: str, path: str, query: Mapping[str, str], question: str, fields: Mapping[str, str],
        headers: Mapping[str, str],
    ) -> None:  # fmt: skip
        self.method = method
        self.path_params = {"format": "json", "path": path}
        self.query_params = _Pairs(query)
        self.headers = {key.lower(): value for key, value in headers.items()}
        self.url = _Url(question)
        self._fields = _Pairs(fields)

    async def form(self) -> _Pairs:
        return self._fields


class _Pairs(dict[str, str]):
    def multi_items(self) -> list[tuple[str, str]]:
        return list(self.items())


@dataclass(frozen=True)
class _Url:
    query: str
