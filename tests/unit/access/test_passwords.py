"""Local passwords are kept as argon2id hashes of the recommended cost."""

from __future__ import annotations

import pytest

from noout.adapters.people import Passwords, hashed
from noout.domain.errors import UsageError


async def test_a_hash_knows_its_password_alone() -> None:
    kept = hashed("correct horse")
    assert kept.startswith("$argon2id$v=19$m=65536,t=3,p=4$") and "correct" not in kept
    passwords = Passwords({"anna": kept})
    assert await passwords.knows("anna", "correct horse")
    assert not await passwords.knows("anna", "correct horse ")
    assert not await passwords.knows("piet", "correct horse")
    assert not await passwords.knows("piet", "")  # an unknown name is compared with something, and is never right


@pytest.mark.parametrize("kept", ["correct horse", "$2b$12$abc", "", "{SSHA}abc"])
def test_what_is_no_such_hash_is_refused_at_once(kept: str) -> None:
    with pytest.raises(UsageError, match="the hash of user anna is no argon2id hash") as caught:
        Passwords({"anna": kept})
    assert kept == "" or kept not in str(caught.value)
