"""Nothing of another customer's: no page, mail, feed, calendar, report, month, message or document holds another's
name, guest or address, whoever's guests the node carried and whatever they are called."""

from __future__ import annotations

import asyncio
import io
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from email.message import EmailMessage

import httpx2
import pypdf
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from noout.adapters.notify.calendar import Entry, maintnote
from noout.adapters.notify.mail import Envelope, compose
from noout.adapters.render import month as rendered
from noout.app.drafting import Drafting
from noout.app.months import Months
from noout.app.outbox import Kept, Outbox
from noout.app.portal import Portals
from noout.app.reports import FORMATS
from noout.app.sending import outside
from noout.codec import decode, encode
from noout.domain.cluster import Guest, GuestId
from noout.domain.customers import Contact, Customer, Wants
from noout.domain.maintenance import Moved
from noout.domain.notices import Class, Notice, Purpose
from noout.tell.report import Policy, Report, make_report
from noout.web.base import bare_app
from noout.web.portal.mount import add_portal
from tests.support import telling
from tests.support.telling import House
from tests.unit.tell.cast import CUSTOMERS, EXPERIENCES, GUESTS, MOVES, at, journal, make_maintenance

ANNA = "operator:anna"
# What is each one's alone: names, guests and the addresses of people.
THEIRS = {
    "boekhuis": ("Boekhuis", "shop-db", "shop-web-1", "shop-web-2", "shop-search", "marit@vandam.example"),
    "libreria": ("Librer", "wiki", "tienda", "ana@sol.example"),
    "kade": ("Kade Studio", "render-gpu", "desk@kade.example"),
}
NOBODYS = ("nobodys-machine", "pve3", "pve5", "B07", "CZ2D5007K41", "ruben")


def foreign(key: str) -> set[str]:
    return {word for other, words in THEIRS.items() if other != key for word in words} | set(NOBODYS)


def in_print(pdf: bytes) -> str:
    return "".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(pdf)).pages)


def _parts(mail: EmailMessage) -> list[EmailMessage]:
    return [part for part in mail.walk() if isinstance(part, EmailMessage) and not part.is_multipart()]


async def everything(house: House, customer: Customer) -> Iterator[tuple[str, str]]:
    """All that leaves for one customer, as text, each by what it is."""
    portals, outbox, months = Portals(house.found), Outbox(house.found), Months(house.found)
    token = await portals.make_link(customer.key, Purpose.PORTAL, ANNA)
    app = bare_app(schema=False)
    add_portal(app, portals, "")
    found: list[tuple[str, str]] = []
    kept: list[Kept] = await outbox.published(customer.key)
    client = httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://h.test", follow_redirects=True)
    async with client as browser:
        paths = [f"/p/{token}", "/portal/verify", f"/p/{token}/calendar.ics", f"/p/{token}/feed.atom"]
        paths += [f"/portal/message/{each.notice.id}" for each in kept]
        paths += [
            f"/portal/report/{each.notice.id}.{kind}"
            for each in kept
            if each.reports
            for kind in ("html", "json", "proof")
        ]
        for path in paths:
            found += [(path, (await browser.get(f"{path}?lang={each}")).text) for each in ("en", "nl", "es")]
        for each in kept:
            if each.reports:
                printed = await browser.get(f"/portal/report/{each.notice.id}.pdf")
                found.append(("report in print", in_print(printed.content)))
            answer = await browser.post(f"/portal/message/{each.notice.id}/acknowledge")
            found.append(("acknowledged", answer.text))
    for each in kept:
        for text in each.notice.texts:
            envelope = Envelope(each.notice.id, "o@h.example", "Havenstad", f"x@{customer.key}.example", "X", "", {})
            mail = compose(text, envelope)
            found.append(("mail", mail.as_bytes().decode()))
            found += [(f"mail, {part.get_content_type()}", str(part.get_content())) for part in _parts(mail)]
            found.append(("maintnote", maintnote(Entry(each.notice, text), "h.example").decode()))
            found.append(("webhook", json.dumps(outside(each.notice, text), ensure_ascii=False)))
    made = await months.one(customer, "2026-11")
    found += [("month", rendered.html(made).decode()), ("month", rendered.data(made).decode())]
    found.append(("month in print", in_print(rendered.pdf(made))))
    documents = await portals.documents(frozenset())
    found.append(("document", json.dumps(documents[f"portal/{customer.key}"], ensure_ascii=False)))
    return iter(found)


async def public(house: House) -> list[tuple[str, str]]:
    """All that anybody may read."""
    portals = Portals(house.found)
    app = bare_app(schema=False)
    add_portal(app, portals, "")
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://h.test") as browser:
        paths = [
            f"/status{path}?lang={each}" for path in ("", "/calendar.ics", "/feed.atom") for each in ("en", "nl", "es")
        ]
        found = [(path, (await browser.get(path)).text) for path in paths]
    documents = await portals.documents(frozenset())
    return [*found, ("status document", json.dumps(documents["status"], ensure_ascii=False))]


async def released(drafting: Drafting) -> list[Notice]:
    """What is drafted now, all of it released: also what is said before the work, which later drafts withdraw."""
    made = await drafting.look()
    for each in made:
        await drafting.outbox.release(each.id, ANNA)
    return made


@pytest.mark.parametrize("silent_s", [0.0, 20.0])
async def test_nothing_that_leaves_for_a_customer_holds_anything_of_anothers(silent_s: float) -> None:
    house = House.make(tell={"channels": ["portal", "public", "calendar", "feed", "digest"]})
    outbox, drafting = Outbox(house.found), Drafting(house.found)
    for key, mail in (
        ("boekhuis", "marit@vandam.example"),
        ("libreria", "ana@sol.example"),
        ("kade", "desk@kade.example"),
    ):
        await outbox.contacts.keep(Contact(key, mail, wants=Wants.EVERY))
    await house.open()
    made = await released(drafting)
    await house.carry_through(silent_s=silent_s)
    made += await released(drafting)
    for customer in house.found.customers:
        seen = 0
        for what, text in await everything(house, customer):
            seen += 1
            for word in foreign(customer.key):
                assert word not in text, f"{what} of {customer.key} holds {word}"
        assert seen > 30
    for what, text in await public(house):
        for words in THEIRS.values():
            assert not any(word in text for word in (*words, *NOBODYS)), what
    assert any(each.kind is Class.INTERRUPTED for each in made) is bool(silent_s)


# Marked, so that a chance likeness is none: every name holds its owner's mark.
names = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=0, max_size=6)


def marked(vmid: int) -> str:
    return f"zq{vmid}qz"


def unfolded(text: str) -> str:
    """Without what mails and calendars put into long lines."""
    return re.sub(r"=\r?\n|\r?\n[ \t]", "", text)


async def of_the_guests(owners: list[str], called: list[str]) -> None:
    """A whole maintenance of guests with these owners ("": nobody) and names, and all that leaves of it, read."""
    guests = tuple(
        replace(guest, name=f"{marked(guest.id.vmid)}{name}", pool=owner or None, tags=frozenset())
        for guest, owner, name in zip(GUESTS, owners, called, strict=True)
    )
    names = {guest.id: guest.name for guest in guests}
    of_whom = {guest.id.vmid: owner for guest, owner in zip(guests, owners, strict=True)}
    probed = {str(guest.id): f"tcp:198.51.100.{number + 1}:443" for number, guest in enumerate(guests)}
    customers = {key: {"name": f"zq{key}qz", "pools": [key], "acknowledge_h": 4} for key in ("a", "b", "c")}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(telling, "GUESTS", guests)
        patch.setattr(telling, "MOVES", tuple(replace(each, name=names[each.guest]) for each in MOVES))
        house = House.make(
            customers=customers, policy={"show_estimates": True},
            tell={"channels": ["portal", "public", "calendar", "feed", "digest"]},
            probes={"every_s": telling.EVERY_S, "every_moving_s": telling.EVERY_S, "services": probed},
        )  # fmt: skip
        drafting = Drafting(house.found)
        await house.open()
        before = await released(drafting)
        await house.carry_through(silent_s=20.0)
        await released(drafting)
    assert {each.kind for each in before} <= {Class.PLANNED}
    moved = {each.guest.vmid for each in MOVES}
    for customer in house.found.customers:
        read = [(what, unfolded(text)) for what, text in await everything(house, customer)]
        for vmid, owner in of_whom.items():
            if owner == customer.key:
                assert vmid not in moved or any(marked(vmid) in text for _, text in read)
                continue
            address = probed[f"ams1/{vmid}"].split(":")[1]
            for what, text in read:
                assert marked(vmid) not in text, f"{what} of {customer.key} holds the name of a guest of {owner!r}"
                assert not re.search(rf"{re.escape(address)}(?!\d)", text), f"{what} of {customer.key}: its address"
        others = [f"zq{other}qz" for other in customers if other != customer.key]
        assert not [(what, other) for what, text in read for other in others if other in text]
    for what, text in await public(house):
        assert not re.search(r"zq\w+qz|198\.51\.100", text), what


@settings(max_examples=10, deadline=None)
@given(
    st.lists(st.sampled_from(["a", "b", "c", ""]), min_size=len(GUESTS), max_size=len(GUESTS)),
    st.lists(names, min_size=len(GUESTS), max_size=len(GUESTS)),
)
def test_nothing_of_anothers_leaves_however_guests_are_shared_out_and_called(
    owners: list[str], called: list[str]
) -> None:
    asyncio.run(of_the_guests(owners, called))


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["a", "b", "c", ""]), names), min_size=1, max_size=8), st.booleans())
def test_a_report_holds_its_own_guests_alone_whoever_else_was_there(guests: list[tuple[str, str]], shown: bool) -> None:
    known = {key: Customer(key, f"Customer-{key}-mark", frozenset({f"pool-{key}"})) for key in ("a", "b", "c")}
    made: list[Guest] = []
    moved: list[Moved] = []
    for number, (key, name) in enumerate(guests):
        template = GUESTS[0]
        one = replace(
            template,
            id=GuestId("ams1", 500 + number),
            name=f"⟦{key or 'z'}⟧{name}",
            pool=f"pool-{key}" if key else None,
        )
        made.append(one)
        moved.append(replace(MOVES[0], guest=one.id, name=one.name))
    seen = [replace(EXPERIENCES[0], guest=one.id, name=one.name) for one in made]
    m = replace(make_maintenance(), moved=tuple(moved))
    for key, customer in known.items():
        report = make_report(
            m, customer, seen, made, language="en", generated_at=at(10, 0), events=journal(m),
            policy=Policy(show_estimates=shown),
        )  # fmt: skip
        text = FORMATS["json"](report).decode()
        for other in {"a", "b", "c", "z"} - {key}:
            assert f"⟦{other}⟧" not in text and f"Customer-{other}-mark" not in text
        assert all(f"⟦{key}⟧" in row.service for row in report.services)


async def test_every_figure_of_a_report_is_walked_back_to_its_events() -> None:
    """From what is printed to the measurement, from that to the samples, from a time to the journal's event."""
    house = House.make()
    await house.open()
    await house.carry_through()
    outbox = Outbox(house.found)
    mid = "ams1-pve3-1"
    events = await house.found.journal.read(mid)
    times = {event.at for event in events}
    moved = [e.data["moved"] for e in events if e.kind == "guest.moved" and e.data["moved"]["kind"] != "shutdown"]
    moves = {(str(each["guest"]), each["started"]) for each in moved}  # what was switched off went nowhere
    for notice in await Drafting(house.found).look():
        kept = await outbox.get(notice.id)
        report = decode(Report, kept.reports["en"])
        own = {each.name for each in report.measurements}
        assert own <= {row.service for row in report.services}
        for seen in report.measurements:
            samples = await house.found.measurements.samples(mid, seen.guest)
            assert seen.samples == len(samples) and seen.answered == sum(sample.ok for sample in samples)
            for gap in seen.interruptions:
                bad = [s.at for s in samples if not s.ok and gap.last_good < s.at < (gap.next_good or s.at)]
                assert len(bad) == gap.missed > 0
        guests = {str(encode(each.guest)) for each in report.measurements}
        count = sum(guest in guests for guest, _ in moves)
        did = next(column for column in report.columns if column.kind == "did")
        assert (f"{count} move" in did.fine) if count else ("move" not in did.fine)
        assert report.since in {m.started for m in (await house.found.known.get(mid)).moved}
        off = next(e.at for e in events if e.data.get("name") == "node-off")
        on = next(e.at for e in events if e.data.get("name") == "node-on")
        assert f"switched off for {round((on - off).total_seconds() / 60)}" in did.fine.replace("\u00a0", " ")
        assert {off, on} <= times and report.seal.digest == events[-1].digest
    assert {each.key for each in CUSTOMERS} == set(THEIRS)
