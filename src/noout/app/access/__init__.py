"""Who is there, what they may do, and the record of it."""

from noout.adapters.people import Challenge, hashed
from noout.app.access.opening import access_of
from noout.app.access.sign_in import Access, SignedIn
from noout.app.access.tokens import Tokens

__all__ = ["Access", "Challenge", "SignedIn", "Tokens", "access_of", "hashed"]
