"""Every way to customers can be turned off by itself: the others go on, and it tells nobody anything any more."""

from __future__ import annotations

import typing
from dataclasses import dataclass, field
from datetime import timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from noout.adapters.notify import apprise
from noout.app.drafting import Drafting
from noout.app.months import Months
from noout.app.outbox import Outbox
from noout.app.portal import Portals
from noout.app.post import tell_desk
from noout.app.sending import Sending
from noout.domain.customers import Contact, Wants
from noout.domain.notices import Class, Purpose
from noout.settings_tell import Channel
from noout.web.portal.export import export_status
from tests.support.telling import House
from tests.unit.tell.cast import at
from tests.web.test_portal import ANNA, visitor

WAYS: tuple[str, ...] = typing.get_args(Channel)
GO_WITH = {"mail": {"maintnote"}}  # a notification is part of a mail


@dataclass
class Taken:
    """What a mail server, a customer's webhook and the desk's apprise were given."""

    mails: list[EmailMessage] = field(default_factory=list)
    hooked: list[str] = field(default_factory=list)

    async def send(self, *given: Any) -> None:
        if isinstance(given[0], EmailMessage):
            self.mails.append(given[0])
        else:
            self.hooked.append(given[0])


async def used(folder: Path, monkeypatch: pytest.MonkeyPatch, *, channels: list[str], reports: bool = True) -> set[str]:
    """The ways by which a whole maintenance, and its month, reached anybody."""
    (folder / "apprise").write_text("json://127.0.0.1:9\n")
    tell = {
        "channels": channels, "reports": reports, "apprise_file": "apprise",
        "mail": {"host": "127.0.0.1", "tls": "none", "sender": "noc@havenstad.example"},
        "webhooks": {"libreria": {"url": "https://hook.example/", "secret_file": "never-read"}},
    }  # fmt: skip
    house, taken, desk = House.make(folder, tell=tell), Taken(), []

    async def to_desk(urls: Any, title: str, text: str) -> None:
        desk.append(title)

    monkeypatch.setattr(apprise, "tell", to_desk)
    outbox, drafting = Outbox(house.found), Drafting(house.found)
    await outbox.contacts.keep(Contact("libreria", "ana@libreria.example", wants=Wants.EVERY))
    sending = Sending(house.found, taken, {"libreria": taken})  # type: ignore[dict-item]

    async def round_of(made: list[Any]) -> None:
        await tell_desk(house.found, made)
        for each in made:
            await outbox.release(each.id, ANNA)
        await sending.look()

    await house.open()
    await round_of(await drafting.look())
    await house.carry_through()
    await round_of(await drafting.look())
    found = {"maintnote" for mail in taken.mails if any(p.get_content_type() == "text/calendar" for p in mail.walk())}
    found |= {"mail"} if taken.mails else set()
    before = len(taken.mails)
    found |= await shown(house, folder)
    house.clock.at = at(10, 0) + timedelta(days=20)
    await round_of(await Months(house.found).digests())
    found |= {"digest"} if len(taken.mails) > before else set()
    return found | ({"webhook"} if taken.hooked else set()) | ({"apprise"} if desk else set())


async def shown(house: House, folder: Path) -> set[str]:
    """What a browser or a program finds at the addresses a customer and everybody has."""
    portals = Portals(house.found)
    token = await portals.make_link("libreria", Purpose.PORTAL, ANNA)
    subscribed = await portals.make_link("libreria", Purpose.FEED, ANNA)
    done = next(each for each in await Outbox(house.found).published("libreria") if each.notice.kind is Class.DONE)
    found: set[str] = set()
    async with visitor(portals) as browser:
        await browser.get(f"/p/{token}")
        looked = {
            "portal": ["/portal", f"/portal/message/{done.notice.id}"],
            "public": ["/status"],
            "calendar": [f"/p/{subscribed}/calendar.ics", f"/p/{token}/calendar.ics", "/status/calendar.ics"],
            "feed": [f"/p/{subscribed}/feed.atom", f"/p/{token}/feed.atom", "/status/feed.atom"],
            "reports": [
                "/portal/verify", *(f"/portal/report/{done.notice.id}.{k}" for k in ("html", "pdf", "json", "proof"))
            ],
        }  # fmt: skip
        for way, paths in looked.items():
            answers = {(await browser.get(path)).status_code for path in paths}
            if 200 in answers:
                found.add(way)
        for page in ("/portal", "/status"):  # and no page points to what is not there
            text = (await browser.get(page)).text
            assert ("calendar.ics" in text) <= ("calendar" in found) and ("feed.atom" in text) <= ("feed" in found)
            assert ("/portal/verify" in text or "/portal/report/" in text) <= ("reports" in found)
    if "public" in found:
        names = {path.name for path in await export_status(portals, folder / "out")}
        assert ("calendar.en.ics" in names) == ("calendar" in found) and ("feed.en.atom" in names) == ("feed" in found)
    return found


async def test_all_of_them_on_reach_somebody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert await used(tmp_path, monkeypatch, channels=list(WAYS)) == {*WAYS, "reports"}


@pytest.mark.parametrize("off", WAYS)
async def test_each_is_off_by_itself(off: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on = [each for each in WAYS if each != off]
    lost = {off} | GO_WITH.get(off, set()) | ({"reports"} if off == "portal" else set())
    assert await used(tmp_path, monkeypatch, channels=on) == {*WAYS, "reports"} - lost


async def test_the_reports_are_off_by_themselves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert await used(tmp_path, monkeypatch, channels=list(WAYS), reports=False) == {*WAYS}


async def test_all_of_them_are_off_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert await used(tmp_path, monkeypatch, channels=[], reports=False) == set()
