"""What is kept of a secret."""

from __future__ import annotations

import hashlib


def digest(secret: str) -> str:
    """SHA-256 in hex: good for secrets that are random and long, not for passwords."""
    return hashlib.sha256(secret.encode()).hexdigest()
