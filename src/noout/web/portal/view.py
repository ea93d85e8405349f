"""What the portal's templates are drawn from: a document, and the reader's words."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache

from jinja2 import Environment

from noout.domain.notices import BEFORE, Class, Text
from noout.tell.portal import DAYS, Day, Portal, Public, Status, Work
from noout.tell.say import CATALOGUES, Say
from noout.web.templates import environment

LANGUAGES = {"en": "English", "nl": "Nederlands", "es": "Español"}
_PILL = {
    Class.PLANNED: ("", "wait"), Class.CHANGED: ("", "wait"), Class.DONE: ("ok", "ok"), Class.REPAIRED: ("ok", "ok"),
    Class.CORRECTION: ("ok", "ok"), Class.CALLED_OFF: ("caution", "caution"), Class.CAME_BACK: ("caution", "caution"),
    Class.INTERRUPTED: ("stop", "stop"),
}  # fmt: skip
_BAR = {"m": (6, 24), "x": (14, 16), "r": (10, 20), "u": (22, 8), "w": (0, 30)}  # top and height, of 30


@cache
def _env() -> Environment:
    return environment("portal")


def render(template: str, say: Say, **more: object) -> str:
    """Every text is escaped."""
    shown = {"say": say, "languages": LANGUAGES, "language": say.language, "silent": False, "name": "", **more}
    return _env().get_template(template).render(**shown)


def language_of(asked: str | None, accepted: str, own: str = "") -> str:
    """Asked for by the address; else the customer's own; else the browser's first that we have; else English."""
    if asked in CATALOGUES:
        return str(asked)
    if own in CATALOGUES:
        return own
    for part in accepted.split(","):
        code = part.partition(";")[0].strip()[:2].lower()
        if code in CATALOGUES:
            return code
    return "en"


@dataclass(frozen=True, slots=True)
class Bar:
    """A day in a strip. ``path``: of an SVG of 897 by 30."""

    state: str
    path: str


def strip(days: str) -> list[Bar]:
    """One path for each kind of day: height tells the state too."""
    found = []
    for state in dict.fromkeys(days):
        top, height = _BAR[state]
        at = [n for n, each in enumerate(days) if each == state]
        found.append(Bar(state, "".join(f"M{10 * n} {top}h7v{height}h-7z" for n in at)))
    return found


@dataclass(frozen=True, slots=True)
class Row:
    name: str
    bars: list[Bar]
    recent: list[Bar]  # of the last 30 days: a phone has no room for more
    label: str
    short: str
    table: list[tuple[str, str]]  # days that say something: date and words


def rows(portal: Portal, say: Say) -> list[Row]:
    last = date.fromisoformat(portal.today)
    found = []
    for each in portal.services:
        count = {day: each.days.count(day.value) for day in Day}
        measured = DAYS - count[Day.UNMEASURED]
        told = {"measured": measured, "restarted": count[Day.RESTARTED], "interrupted": count[Day.INTERRUPTED]}
        table = [
            (day_of(last, DAYS - 1 - n, say), say(f"portal.day.{state}"))
            for n, state in enumerate(each.days)
            if state != Day.UNMEASURED.value
        ]
        found.append(
            Row(
                each.service,
                strip(each.days),
                strip(each.days[-30:]),
                say("portal.days", service=each.service, n=DAYS, **told),
                say("portal.days.short", **told),
                table,
            )
        )
    return found


def day_of(last: date, back: int, say: Say) -> str:
    day = last - timedelta(days=back)
    return say("date", day=day.day, month=say(f"month.{day.month}"))


def text_of(work: Work, say: Say) -> Text:
    own = [each for each in work.texts if each.language == say.language]
    return next((each for each in own if each.timezone == say.timezone), (own or list(work.texts))[0])


@dataclass(frozen=True, slots=True)
class Item:
    """One maintenance as a line of the list."""

    work: Work
    day: str
    clock: str
    title: str
    lede: str
    tone: str
    icon: str
    state: str
    figure: str
    label: str


def items(portal: Portal, say: Say) -> tuple[list[Item], list[Item]]:
    """What comes, and what was."""
    coming: list[Item] = []
    past: list[Item] = []
    for work in portal.works:
        text = text_of(work, say)
        tone, icon = _PILL[work.kind]
        state = say(f"portal.state.{work.kind.value}")
        if work.kind is Class.CORRECTION:
            state = f"{state}, {work.number}"
        measured = say.language == portal.language and work.figure
        item = Item(
            work, say.weekday(work.since), say.clocks(work.since, work.until), text.subject, text.lede, tone, icon,
            state, work.figure if measured else "", work.figure_label if measured else "",
        )  # fmt: skip
        (coming if work.kind in BEFORE else past).append(item)
    return coming, past


def lede(portal: Portal, say: Say) -> str:
    coming = sum(work.kind in BEFORE for work in portal.works)
    if coming:
        return say.counted("portal.lede.coming", coming)
    past = next((work for work in portal.works if work.kind not in BEFORE), None)
    return say("portal.lede.past", date=say.date(past.since)) if past is not None else say("portal.lede.none")


@dataclass(frozen=True, slots=True)
class Story:
    """One maintenance for everybody."""

    day: str
    clock: str
    title: str
    sentences: list[str]
    technology: list[tuple[str, str]]
    planned: bool
    tone: str
    icon: str
    state: str


def stories(status: Status, say: Say) -> list[Story]:
    return [_story(each, say) for each in status.works]


def _story(work: Public, say: Say) -> Story:
    sentences = []
    if work.planned:
        kind = Class.PLANNED
        sentences.append(say("status.coming.text"))
    else:
        kind = Class.CALLED_OFF if work.called_off else Class.REPAIRED if work.repaired else Class.DONE
        if work.moves:
            sentences.append(say.counted("status.moves", work.moves))
        if work.checks and not work.called_off:
            sentences.append(say("status.did", done=say.names([say(f"did.{check}") for check in work.checks])))
        if work.interrupted:
            sentences.append(say("status.interrupted"))
    technology = [
        *([(say("tech.live"), say("tech.live.text"))] if work.moves else []),
        *([(say("tech.noout"), say("tech.noout.plain"))] if work.held else []),
    ]
    tone, icon = _PILL[kind]
    return Story(
        say.weekday(work.since), say.clocks(work.since, work.until), say(f"status.fault.{work.fault}"), sentences,
        technology, work.planned, tone, icon, say(f"portal.state.{kind.value}"),
    )  # fmt: skip


def status_lede(status: Status, say: Say) -> str:
    coming = sum(work.planned for work in status.works)
    return say.counted("status.lede", coming) if coming else say("status.lede.none")
