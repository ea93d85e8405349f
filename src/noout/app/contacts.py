"""Who is written to at a customer's: kept beside the journal, never in it, so that it can be erased."""

from __future__ import annotations

from collections.abc import Sequence
from zoneinfo import ZoneInfo

from noout.codec import decode, encode
from noout.domain.customers import Contact, Customer
from noout.domain.errors import UsageError
from noout.ports import Papers
from noout.settings_tell import is_mail

KIND = "contact"


class Contacts:
    def __init__(self, papers: Papers, customers: Sequence[Customer]) -> None:
        self._papers = papers
        self._customers = {each.key: each for each in customers}

    def customer(self, key: str) -> Customer:
        """UsageError, naming those there are."""
        if key not in self._customers:
            known = ", ".join(sorted(self._customers)) or "none"
            raise UsageError(f"there is no customer {key}", remedy=f"known: {known}")
        return self._customers[key]

    async def of(self, key: str | None = None) -> list[Contact]:
        """By customer and mail address."""
        return [decode(Contact, each) for each in await self._papers.all(KIND, key)]

    async def keep(self, contact: Contact) -> None:
        """In place of the contact of the same customer and mail address. UsageError for what cannot be."""
        self.customer(contact.customer)
        if not is_mail(contact.mail):
            raise UsageError(f"{contact.mail!r} is no mail address", remedy="such as desk@example.net")
        if contact.language not in ("", "en", "nl", "es"):
            raise UsageError(f"{contact.language!r} is no language of ours", remedy="en, nl or es")
        if contact.timezone:
            try:
                ZoneInfo(contact.timezone)
            except (ValueError, KeyError, OSError):
                raise UsageError(f"{contact.timezone!r} is no time zone", remedy="such as Europe/Amsterdam") from None
        await self._papers.put(KIND, _key(contact.customer, contact.mail), contact.customer, encode(contact))

    async def drop(self, customer: str, mail: str) -> None:
        """UsageError when there is none."""
        if not await self._papers.drop(KIND, _key(customer, mail)):
            raise UsageError(f"{customer} has no contact {mail}", remedy="see `noout customers contacts`")


def _key(customer: str, mail: str) -> str:
    return f"{customer}/{mail.lower()}"


def zone_of(contact: Contact, customer: Customer) -> str:
    return contact.timezone or customer.timezone


def language_of(contact: Contact, customer: Customer) -> str:
    return contact.language or customer.language
