"""Mails through a real SMTP server: some are refused, some are taken later; every try is seen and none is doubled."""

from __future__ import annotations

import asyncio
import email
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from email.message import EmailMessage
from email.policy import default
from typing import Any

import icalendar
import pytest
from aiosmtpd.smtp import SMTP

from noout.adapters.notify.mail import Mailer
from noout.app.drafting import Drafting
from noout.app.outbox import Outbox
from noout.app.sending import Delivery, Sending
from noout.domain.customers import Contact, Wants
from noout.domain.notices import Class
from tests.support.telling import House

ANNA = "operator:anna"
TELL = {
    "channels": ["portal", "mail", "maintnote", "digest"],
    "account_manager": "account@havenstad.example",
    "mail": {"host": "127.0.0.1", "sender": "operations@havenstad.example", "tls": "none"},
}


@dataclass
class Taken:
    """A mail server's memory. ``refuse``: answers by recipient, each used up once."""

    mails: list[EmailMessage] = field(default_factory=list)
    to: list[str] = field(default_factory=list)
    refuse: dict[str, list[str]] = field(default_factory=dict)

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        if self.refuse.get(address):
            return self.refuse[address].pop(0)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.to += envelope.rcpt_tos
        self.mails.append(email.message_from_bytes(envelope.content, policy=default))  # type: ignore[arg-type]
        return "250 taken"


@asynccontextmanager
async def smtp(taken: Taken) -> AsyncIterator[Mailer]:
    server = await asyncio.get_running_loop().create_server(lambda: SMTP(taken), "127.0.0.1", 0)
    async with server:
        yield Mailer("127.0.0.1", server.sockets[0].getsockname()[1], "none", None, None, None)


async def released(house: House, kinds: set[Class]) -> None:
    outbox = Outbox(house.found)
    for each in await Drafting(house.found).look():
        if each.kind in kinds:
            await outbox.release(each.id, ANNA)


async def people(house: House) -> None:
    contacts = Outbox(house.found).contacts
    await contacts.keep(Contact("libreria", "ana@sol.example", "Ana Sol", wants=Wants.EVERY))
    await contacts.keep(Contact("libreria", "pia@sol.example", "Pía", "en", "Europe/London", Wants.EVERY))
    await contacts.keep(Contact("libreria", "silent@sol.example", wants=Wants.SILENT))
    await contacts.keep(Contact("boekhuis", "marit@vandam.example", "Marit van Dam", wants=Wants.DIGEST))


async def test_only_the_released_leave_only_to_those_concerned_each_in_their_own_words() -> None:
    house, taken = House.make(tell=TELL), Taken()
    await people(house)
    await house.open()
    async with smtp(taken) as mailer:
        sending = Sending(house.found, mailer)
        drafted = await Drafting(house.found).look()
        assert await sending.look() == [] and taken.mails == []  # drafts stay
        mine = next(each for each in drafted if each.customer == "libreria")
        await Outbox(house.found).release(mine.id, ANNA)
        assert {each.state for each in await sending.look()} == {"sent"}
        assert await sending.look() == []  # once
        assert await Sending(house.found, mailer).look() == []  # by another process too
    assert sorted(taken.to) == ["ana@sol.example", "pia@sol.example"]
    spanish, english = sorted(taken.mails, key=lambda mail: str(mail["To"]))
    assert spanish["Content-Language"] == "es" and english["Content-Language"] == "en"
    assert "08:55" in english.get_body(("plain",)).get_content()  # London  # type: ignore[union-attr]
    assert "09:55" in spanish.get_body(("plain",)).get_content()  # type: ignore[union-attr]
    page = english.get_body(("html",)).get_content()  # type: ignore[union-attr]
    assert not {"<style", "<img", "http-equiv", "<script", "style="} & set(page.split()) and "<img" not in page
    calendar = icalendar.Calendar.from_ical(next(english.iter_attachments()).get_content())
    event = calendar.walk("VEVENT")[0]
    assert event["X-MAINTNOTE-ACCOUNT"] == "libreria" and event["X-MAINTNOTE-STATUS"] == "CONFIRMED"
    for mail in taken.mails:
        assert "pve" not in mail.as_string() and "shop-" not in mail.as_string()


async def test_what_is_not_taken_is_tried_again_and_what_is_refused_is_given_up_and_seen() -> None:
    house, taken = House.make(tell=TELL), Taken()
    taken.refuse = {"ana@sol.example": ["450 greylisted", "451 later"], "pia@sol.example": ["550 no such user"]}
    await people(house)
    await house.open()
    await released(house, {Class.PLANNED})
    async with smtp(taken) as mailer:
        sending = Sending(house.found, mailer)
        first = {each.to: each for each in await sending.look()}
        assert first["pia@sol.example"].state == "given up" and "550" in first["pia@sol.example"].why
        assert first["ana@sol.example"].state == "waiting" and "450" in first["ana@sol.example"].why
        assert await sending.look() == []  # not before its time
        tries = []
        for minutes in (2, 6):
            house.clock.at += timedelta(minutes=minutes)
            tries += await sending.look()
    assert [(each.to, each.state, each.tries) for each in tries] == [
        ("ana@sol.example", "waiting", 2), ("ana@sol.example", "sent", 3),
    ]  # fmt: skip
    assert taken.to == ["ana@sol.example"]
    assert [each.to for each in await sending.all(failed=True)] == ["pia@sol.example"]


async def test_a_server_that_is_not_there_loses_nothing() -> None:
    house = House.make(tell=TELL)
    await people(house)
    await house.open()
    await released(house, {Class.PLANNED})
    gone = Mailer("127.0.0.1", 1, "none", None, None, None)
    tried = await Sending(house.found, gone).look()
    assert {each.state for each in tried} == {"waiting"} and all(each.next_at for each in tried)


async def test_an_incident_goes_to_the_account_manager_alone() -> None:
    house, taken = House.make(tell=TELL), Taken()
    contacts = Outbox(house.found).contacts
    await contacts.keep(Contact("boekhuis", "marit@vandam.example", wants=Wants.EVERY))
    await house.open()
    await house.carry_through(silent_s=20)
    await released(house, {Class.INCIDENT})
    async with smtp(taken) as mailer:
        await Sending(house.found, mailer).look()
    assert taken.to == ["account@havenstad.example"]


@pytest.mark.parametrize("off", [[], ["portal"], ["portal", "digest"]])
async def test_a_way_that_is_off_is_off(off: list[str]) -> None:
    house, taken = House.make(tell={**TELL, "channels": off}), Taken()
    await people(house)
    await house.open()
    await released(house, {Class.PLANNED})
    async with smtp(taken) as mailer:
        assert await Sending(house.found, mailer).look() == []
    assert taken.mails == []


def test_the_key_of_a_delivery_is_the_same_however_an_address_is_written() -> None:
    assert Delivery("n", "c", "mail", "A@b.example").key == Delivery("n", "c", "mail", "a@B.example").key
