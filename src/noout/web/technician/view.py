"""What the technician's templates are drawn from, in the reader's language."""

from __future__ import annotations

import secrets
from datetime import datetime
from itertools import groupby
from typing import Any
from zoneinfo import ZoneInfo

from noout.app.technician import SERIAL_TAIL, Bench
from noout.app.touch import FRESH_S
from noout.domain.errors import Refused
from noout.domain.workorder import Answer, Touch
from noout.tell.field import CATALOGUES, LANGUAGES, Declined, Phrase, phrase
from noout.web.services import TechnicianServices
from noout.web.templates import environment

_PANEL = {
    Touch.NODE_OFF: "", Touch.DO_NOT_TOUCH: "no", Touch.UNKNOWN: "old", Touch.YOU_MAY_LEAVE: "leave",
    Touch.CLOSE_UP: "close",
}  # fmt: skip

_env = environment("technician")


def page(
    template: str,
    token: str,
    bench: Bench,
    services: TechnicianServices,
    language: str,
    *,
    error: Refused | None = None,
    shell: bool = False,
) -> str:
    """A page of this bench; every text is escaped. ``shell``: one to be kept on the phone, without any verdict."""
    context = _context(token, bench, services, language)
    says = refusal(error, language) if error is not None else ("", "")
    return _env.get_template(template).render(**context, error=error is not None, error_says=says, shell=shell)


def closed_page(language: str, *, other_device: bool) -> str:
    """For a link that is not good, or that another device holds: tells nothing about the work."""
    return _env.get_template("closed.html").render(other=other_device, language=language, t=_words(language))


def refusal(error: Refused, language: str) -> tuple[str, str]:
    """Why, and what to do about it, as the technician reads it."""
    if not isinstance(error, Declined):
        return error.message, error.remedy
    return error.why.told(language), error.what_to_do.told(language) if error.what_to_do else ""


def _words(language: str) -> Any:
    return lambda key, **fields: phrase(key, **fields).told(language)


def _context(token: str, bench: Bench, services: TechnicianServices, language: str) -> dict[str, Any]:
    """What the templates may use."""
    now, zone = services.field.clock.now(), ZoneInfo(bench.timezone)
    verdict, order = bench.verdict, bench.work_order
    age_s = max(0.0, (now - verdict.at).total_seconds())

    def clock(at: datetime | None) -> str:
        return at.astimezone(zone).strftime("%H:%M:%S") if at else ""

    return {
        "token": token,
        "language": language,
        "languages": LANGUAGES,
        "t": _words(language),
        "told": lambda each: _shown(each, language),
        "bench": bench,
        "order": order,
        "node": order.node.name,
        "tail": order.location.serial[-SERIAL_TAIL:],
        "verdict": verdict,
        "panel": _PANEL[verdict.touch],
        "title_lines": verdict.title.told(language).split(", "),
        "age_s": round(age_s, 1),
        "left_s": max(0, int(FRESH_S - age_s)),
        # a projection may come late: whoever draws the page holds it to the same limit
        "expired": verdict.touch is not Touch.UNKNOWN and not verdict.fresh(now),
        "fresh_s": FRESH_S,
        "zone": bench.timezone,
        "clock": clock,
        "new_key": lambda: secrets.token_hex(16),
        "sections": [
            (_section(section, language), list(lines))
            for section, lines in groupby(bench.lines, lambda line: line.check.section)
        ],
        "first_left": next(
            (line.check.told(language)[0] for line in bench.lines if line.check.required and line.answer is None), ""
        ),
        "answers": [answer.value for answer in Answer],
        "answered": sum(line.answer is not None for line in bench.lines),
        "state": _state(bench),
    }


def _shown(each: Phrase, language: str) -> str:
    return each.told(language) if each else ""


def _section(section: str, language: str) -> str:
    key = f"section.{section}"
    return phrase(key).told(language) if key in CATALOGUES["en"] else section


def _state(bench: Bench) -> str:
    """What the page was drawn from: when it changes, the page is drawn anew."""
    lines = (f"{line.answer}{len(line.note)}{len(line.part)}{len(line.photos)}" for line in bench.lines)
    allowed = (str(int(not why)) for why in bench.why_not.values())
    return "/".join((bench.phase.value, str(bench.hands_on), str(bench.signed_off), *allowed, *lines))
