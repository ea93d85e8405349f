"""Every figure that a customer reads, in a report or a message, is walked back to the journal's events, the
samples in the store, or what the provider's configuration assumes: what is left over has no origin.

The figures are counted again here, from events and samples as they are kept, by code that shares none with ``tell``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, is_dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from noout.app.drafting import Drafting
from noout.app.outbox import Outbox
from noout.codec import decode
from noout.domain.cluster import GuestId
from noout.domain.impact import Sample
from noout.domain.journal import Event
from noout.domain.notices import Notice
from noout.tell.report import Report
from tests.support.telling import EVERY_S, MID, House
from tests.unit.tell.cast import GUESTS

ZONES = {"boekhuis": "Europe/Amsterdam", "libreria": "Europe/Madrid", "kade": "Europe/Amsterdam"}
NAMES = {
    "boekhuis": ("shop-db", "shop-web-1", "shop-web-2", "shop-search"),
    "libreria": ("wiki", "tienda"),
    "kade": ("render-gpu", "files"),
}  # fmt: skip


def texts(value: object, name: str = "") -> Iterator[tuple[str, str]]:
    """(where, text) of all that is printed of a document; measurements are data beside it."""
    if isinstance(value, str):
        yield name, value.replace("\u00a0", " ")
    elif isinstance(value, tuple):
        for number, each in enumerate(value):
            yield from texts(each, f"{name}.{number}")
    elif is_dataclass(value) and not isinstance(value, type):
        for one in fields(value):
            if one.name not in ("measurements", "timezone", "maintenance", "language"):
                yield from texts(getattr(value, one.name), f"{name}.{one.name}".strip("."))


# --- counted again ---------------------------------------------------------------------------------------------


@dataclass
class Known:
    """What was kept of one maintenance, and what this customer may read of it."""

    events: list[Event]
    samples: dict[str, list[Sample]]  # of the customer's guests, by name
    customer: str

    def local(self, at: datetime | str) -> datetime:
        given = datetime.fromisoformat(at) if isinstance(at, str) else at
        return given.astimezone(ZoneInfo(ZONES[self.customer]))

    def clock(self, at: datetime | str) -> str:
        return f"{self.local(at):%H:%M}"

    def day(self, at: datetime | str) -> str:
        return f"{self.local(at).day} {self.local(at):%B}"

    def moves(self) -> list[dict[str, Any]]:
        every = [dict(each.data["moved"]) for each in self.events if each.kind == "guest.moved"]
        return [each for each in every if each["name"] in NAMES[self.customer]]

    def fact(self, name: str) -> datetime:
        return next(each.at for each in self.events if each.kind == "fact" and each.data["name"] == name)

    def opening(self, kind: str) -> Event:
        return next(each for each in self.events if each.kind == kind)

    # Figures, each by what it rests on.

    def shared(self) -> set[str]:
        """What may stand anywhere: the day, its clock times by event, and the customer's own names."""
        opened, closed = self.opening("maintenance.opened"), self.opening("maintenance.closed")
        verdict = opened.data["fault"]["verdicts"][0]["episodes"]
        moved = [each["started"] for each in self.all_moves()] + [each["finished"] for each in self.all_moves()]
        times = [each.at for each in self.events] + [datetime.fromisoformat(each) for each in moved]
        first, last = self.local(verdict[0]["since"]), self.local(verdict[-1]["since"])
        found = {self.clock(each) for each in times} | {self.day(each) for each in times}
        found |= {f"{self.day(opened.at)} 2026", f"{first.day} – {last.day} {first:%B}"}
        found |= {self.day(closed.data["probation_until"]), *NAMES[self.customer]}
        return found | {f"{len(verdict)} times"}

    def all_moves(self) -> list[dict[str, Any]]:
        return [dict(each.data["moved"]) for each in self.events if each.kind == "guest.moved"]

    def pauses(self, guest: str) -> list[float]:
        """Every wait between two good answers of a guest's that lasted longer than one interval."""
        good = [each.at for each in self.samples[guest] if each.ok]
        return [(b - a).total_seconds() for a, b in pairwise(good) if b - a > timedelta(seconds=EVERY_S)]

    def longest(self, guest: str) -> str:
        return f"{max([*self.pauses(guest), EVERY_S]):g} s"

    def of_guest(self, guest: str) -> set[str]:
        """What may stand in the line of one service."""
        found = {f"{each['blackout_ms']} ms" for each in self.moves() if each["name"] == guest}
        if not self.samples.get(guest):
            return found
        every = self.samples[guest]
        span_s = (every[-1].at - every[0].at).total_seconds()
        found |= {f"{EVERY_S} s", self.longest(guest), f"1 × {self.longest(guest)}", f"{span_s / 60:.0f} min"}
        bad = [each.at for each in every if not each.ok]
        good = [each.at for each in every if each.ok]
        if not bad:
            return found
        before, after = max(a for a in good if a < bad[0]), min(a for a in good if a > bad[-1])
        started = min(datetime.fromisoformat(each["started"]) for each in self.moves() if each["name"] == guest)
        usual_s = (started - every[0].at).total_seconds()
        share = int((1 - (after - before).total_seconds() / span_s) * 100_000) / 1000
        return found | {self.clock(before), f"{usual_s // 60:.0f} min", f"{share:g} %"}

    def measured(self) -> set[str]:
        """What may stand where all measured services of the customer's are told of together."""
        touched = {each["name"] for each in self.moves()} & {name for name, own in self.samples.items() if own}
        if not touched:
            return set()
        asked = [each for name in touched for each in self.samples[name]]
        window = (min(each.at for each in asked), max(each.at for each in asked))
        longest = max((self.longest(name) for name in touched), key=lambda text: float(text.split()[0]))
        return {f"{EVERY_S} s", f"{len(asked):,} times", longest, self.clock(window[0]), self.clock(window[1])}

    def done(self) -> set[str]:
        """The column of what was done: from the first move of anybody's to the last, what the technician did."""
        starts = [datetime.fromisoformat(each["started"]) for each in self.all_moves()]
        ends = [datetime.fromisoformat(each["finished"]) for each in self.all_moves()]
        begin, end = min(starts), max(ends)
        minutes = int((end.replace(second=0) - begin.replace(second=0)).total_seconds() / 60)
        off_min = (self.fact("node-on") - self.fact("node-off")).total_seconds() / 60
        moves = sum(each["kind"] != "shutdown" for each in self.moves())
        findings = sum(each.kind == "message" and each.data["kind"] == "finding" for each in self.events)
        told = {f"{minutes} min", self.clock(begin), self.clock(end), f"{off_min:.0f} min", f"{findings} checks"}
        return told | ({f"{moves} moves"} if moves else set())

    def estimated(self) -> set[str]:
        """By the defaults of the configuration: stopping and starting adds 240 to 1740 s; a technician comes after 30
        to 240 min and needs 10 to 60."""
        off = (self.fact("node-on") - self.fact("node-off")).total_seconds()
        span = f"{(off + 240) / 60:.0f} min – {(off + 1740) / 60:.0f} min"
        return {span, f"{off / 60:.0f} min", "4 min", "29 min", "0 – 5 h", "30 min to 4 h", "10 min to 1 h", "0"}


def unexplained(text: str, known: Iterable[str]) -> str:
    """The text without what is known: any figure that is left has no origin."""
    left = text
    for each in sorted(known, key=len, reverse=True):
        left = re.sub(rf"(?<![\d.,:\w-]){re.escape(each)}(?![\d.,:]*\d|\w)", "", left)
    return left


def known_at(where: str, report: Report, known: Known) -> set[str]:
    """By the part of the report: a figure is explained by what stands there, and not by a likeness elsewhere."""
    part, _, rest = where.partition(".")
    found = known.shared()
    if part == "seal":
        return found | {known.events[-1].digest, known.events[0].digest[:12]}
    if part == "services":
        return found | known.of_guest(report.services[int(rest.partition(".")[0])].service)
    if part == "columns":
        kind = report.columns[int(rest.partition(".")[0])].kind
        return found | {"did": known.done, "est": known.estimated}.get(kind, known.measured)()
    if part == "had_it_failed":
        return found | known.estimated()
    if part == "story":
        soak = f"{(known.opening('ownership.released').at - known.fact('node-on')).total_seconds() / 60:.0f} min"
        return found | {soak, *(each for name in NAMES[known.customer] for each in known.of_guest(name))}
    return found | known.measured()


def wrong(report: Report, known: Known) -> list[str]:
    return [
        f"{where}: {text!r} leaves {left!r}"
        for where, text in texts(report)
        if re.search(r"\d", left := unexplained(text, known_at(where, report, known)))
    ]


async def told(silent_s: float) -> list[tuple[Notice, dict[str, Report], Known]]:
    """Every message about a whole maintenance, estimates shown, with its reports and what they must follow from."""
    house = House.make(policy={"show_estimates": True})
    await house.open()
    await house.carry_through(silent_s=silent_s)
    events = await house.found.journal.read(MID)
    names = {each.name: each.id for each in GUESTS}
    found = []
    for notice in await Drafting(house.found).look():
        kept = await Outbox(house.found).get(notice.id)
        samples = {name: await _samples(house, names[name]) for name in NAMES[notice.customer]}
        reports = {language: decode(Report, written) for language, written in kept.reports.items()}
        found.append((notice, reports, Known(list(events), samples, notice.customer)))
    return found


async def _samples(house: House, guest: GuestId) -> list[Sample]:
    return list(await house.found.measurements.samples(MID, guest))


@pytest.mark.parametrize("silent_s", [0.0, 20.0])
async def test_every_figure_of_every_report_has_an_origin(silent_s: float) -> None:
    every = [(reports["en"], known) for _, reports, known in await told(silent_s) if reports]
    assert len(every) == 3
    for report, known in every:
        assert wrong(report, known) == []


async def test_a_figure_that_is_not_the_journals_is_found() -> None:
    report, known = next((r["en"], k) for n, r, k in await told(0.0) if n.customer == "libreria")
    row = report.services[0]
    for forged in (
        replace(report, headline=replace(report.headline, figure="12 s")),
        replace(report, services=(replace(row, longest="3 s"), *report.services[1:])),
        replace(report, services=(replace(row, own="91 ms"), *report.services[1:])),
        replace(report, columns=(replace(report.columns[0], figure="49 min"), *report.columns[1:])),
        replace(report, columns=(replace(report.columns[0], fine="5 moves of your services"), *report.columns[1:])),
        replace(report, lede=f"{report.lede} It was 99.999 % available."),
    ):
        assert len(wrong(forged, known)) == 1


async def test_the_message_that_goes_out_with_a_report_has_its_figures_and_no_others() -> None:
    for notice, reports, known in await told(20.0):
        for text in notice.texts:
            if text.language != "en" or text.timezone != ZONES[notice.customer] or not reports:
                continue
            own = {each for name in NAMES[notice.customer] for each in known.of_guest(name)}
            for said in (text.subject, text.lede, *(line.text for line in text.lines)):
                parts = known.shared() | known.measured() | known.done() | known.estimated() | own
                assert not re.search(r"\d", unexplained(said.replace("\u00a0", " "), parts)), said


@pytest.mark.parametrize("language", ["nl", "es"])
async def test_the_other_languages_have_the_same_figures_in_the_same_places(language: str) -> None:
    def figures(text: str) -> list[str]:
        """Without the points, commas and colons that languages write differently."""
        return sorted(re.sub(r"[.,:](?=\d)", "", each) for each in re.findall(r"\d[\d.,:]*", text))

    for _, reports, _ in await told(20.0):
        if not reports:
            continue
        english, other = list(texts(reports["en"])), list(texts(reports[language]))
        assert [where for where, _ in english] == [where for where, _ in other]
        for (where, one), (_, two) in zip(english, other, strict=True):
            assert [each.rstrip(".,:") for each in figures(one)] == [each.rstrip(".,:") for each in figures(two)], where
