"""What others' programs read of our calendars and feeds: the notification convention's parser, a feed reader."""

from __future__ import annotations

import asyncio
import json
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import feedparser
import icalendar
import pytest

from noout.adapters.notify.calendar import Entry, maintnote, subscription
from noout.adapters.notify.feed import atom
from noout.app.drafting import Drafting
from noout.app.outbox import Outbox
from noout.domain.journal import Kind
from noout.domain.notices import Class, Notice
from tests.support.ownvenv import python_with
from tests.support.telling import House
from tests.unit.tell.cast import at

ANNA = "operator:anna"
READ = """
import json, sys
from circuit_maintenance_parser import NotificationData, init_provider
found = []
for path in sys.argv[1:]:
    data = NotificationData.init_from_raw("ical", open(path, "rb").read())
    for each in init_provider("genericprovider").get_maintenances(data):
        found.append({
            "provider": each.provider, "account": each.account, "id": each.maintenance_id, "start": each.start,
            "end": each.end, "status": each.status.value, "sequence": each.sequence, "stamp": each.stamp,
            "circuits": {one.circuit_id: one.impact.value for one in each.circuits},
        })
print(json.dumps(found))
"""


async def story() -> dict[Class, Notice]:
    """What the bookshop of Madrid is told: before, on change, after."""
    house = House.make()
    await house.open()
    drafting, outbox = Drafting(house.found), Outbox(house.found)
    told: list[Notice] = []

    async def all_of_it() -> None:
        for each in await drafting.look():
            await outbox.release(each.id, ANNA)
            told.append(each)

    await all_of_it()
    until = {"why": "the window", "code": "window", "needs": "time", "until": at(8, 59).replace(hour=13).isoformat()}
    await house.write(at(8, 56), Kind.WAITING, until)
    await all_of_it()
    await house.carry_through()
    await all_of_it()
    return {each.kind: each for each in told if each.customer == "libreria"}


def entry(notice: Notice, language: str = "en") -> Entry:
    return Entry(notice, notice.text_for(language, "Europe/Madrid"))


@pytest.mark.real
def test_the_conventions_own_parser_reads_each_notification(tmp_path: Path) -> None:
    python = python_with("circuit-maintenance-parser")
    told = asyncio.run(story())
    paths = []
    for kind in (Class.PLANNED, Class.CHANGED, Class.DONE):
        paths.append(tmp_path / f"{kind.value}.ics")
        paths[-1].write_bytes(maintnote(entry(told[kind]), "status.havenstad.example"))
    ran = subprocess.run([python, "-c", READ, *map(str, paths)], capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr
    planned, changed, done = json.loads(ran.stdout)
    assert planned["circuits"] == {"tienda": "REDUCED-REDUNDANCY", "wiki": "DEGRADED"}
    assert [each["status"] for each in (planned, changed, done)] == ["CONFIRMED", "RE-SCHEDULED", "COMPLETED"]
    assert [each["sequence"] for each in (planned, changed, done)] == [0, 1, 2]
    assert len({each["id"] for each in (planned, changed, done)}) == 1
    assert changed["start"] > planned["start"] == told[Class.PLANNED].since.timestamp()
    assert (planned["provider"], planned["account"]) == ("status.havenstad.example", "libreria")


async def test_a_calendar_to_subscribe_to_keeps_each_maintenance_in_its_place() -> None:
    told = await story()
    before = icalendar.Calendar.from_ical(subscription([entry(told[Class.PLANNED])], "h.example", "Maintenance"))
    after = icalendar.Calendar.from_ical(subscription([entry(told[Class.CHANGED])], "h.example", "Maintenance"))
    one, other = before.walk("VEVENT")[0], after.walk("VEVENT")[0]
    assert one["UID"] == other["UID"] and other["SEQUENCE"] > one["SEQUENCE"]
    assert other.decoded("DTSTART") > one.decoded("DTSTART") and other["TRANSP"] == "TRANSPARENT"
    assert "NO-IMPACT" not in maintnote(entry(told[Class.PLANNED]), "h.example").decode()


async def test_a_feed_reader_reads_the_feed_newest_first_whatever_the_words_hold() -> None:
    told = await story()
    hostile = 'Ana & Co <b>"x"</b>'
    made = atom(
        [entry(each, "es") for each in told.values()],
        title=hostile, author="Havenstad", url="https://status.havenstad.example/portal", id="urn:noout:libreria",
        updated=datetime(2026, 1, 1, tzinfo=UTC),
    )  # fmt: skip
    read = feedparser.parse(made)
    assert not read.bozo and read.feed.title.startswith("Ana &")
    assert len(read.entries) == len(told)
    assert [each.updated for each in read.entries] == sorted((each.updated for each in read.entries), reverse=True)
    subject = told[Class.DONE].text_for("es", "Europe/Madrid").subject
    assert read.entries[0].title.replace("\u00a0", " ") == subject.replace("\u00a0", " ")
