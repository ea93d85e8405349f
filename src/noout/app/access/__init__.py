"""Who is there, what they may do, and the record of it."""

from noout.app.access.signing import Access, SignedIn
from noout.app.access.tokens import Tokens

__all__ = ["Access", "SignedIn", "Tokens"]
