"""Local users: a name and an argon2id hash, as RFC 9106 recommends (64 MiB, 3 passes, 4 lanes)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError

from noout.domain.errors import UsageError

PASSWORD_CHARS_MAX = 1000
AT_ONCE = 2  # each takes 64 MiB and a tenth of a second: more would be a way to stop the program

_hasher = PasswordHasher()


def hashed(password: str) -> str:
    return _hasher.hash(password)


class Passwords:
    """``hashes``: user name -> what ``hashed`` gave. UsageError for what is no such hash."""

    def __init__(self, hashes: Mapping[str, str]) -> None:
        for name, text in hashes.items():
            if not text.startswith("$argon2id$"):
                raise UsageError(f"the hash of user {name} is no argon2id hash", remedy="make one: `noout password`")
        self._hashes = dict(hashes)
        self._turn = asyncio.Semaphore(AT_ONCE)

    async def knows(self, name: str, password: str) -> bool:
        """Whether that is the user's password. An unknown name takes as long as a wrong password."""
        text = self._hashes.get(name)
        if text is None:
            text = await asyncio.to_thread(_nobodys)
        async with self._turn:
            right = await asyncio.to_thread(_right, text, password[:PASSWORD_CHARS_MAX])
        return right and name in self._hashes


@cache
def _nobodys() -> str:
    return hashed("")


def _right(text: str, password: str) -> bool:
    try:
        return _hasher.verify(text, password)
    except (VerifyMismatchError, VerificationError, InvalidHashError):
        return False
