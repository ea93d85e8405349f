"""What the technician's templates are drawn from."""

from __future__ import annotations

import secrets
from datetime import datetime
from itertools import groupby
from typing import Any
from zoneinfo import ZoneInfo

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from noout.app.technician import Bench
from noout.app.touch import FRESH_S
from noout.domain.workorder import Answer, Touch
from noout.web.services import WebServices

_SECTIONS = {
    "before": "Before you touch anything",
    "fans": "Fans",
    "power": "Power supplies",
    "bus": "Bus",
    "connectors": "Connectors",
    "hardware": "Hardware",
    "after": "Before you sign off",
}
_PANEL = {Touch.NODE_OFF: "", Touch.DO_NOT_TOUCH: "no", Touch.UNKNOWN: "old", Touch.YOU_MAY_LEAVE: "leave"}
_PANEL[Touch.CLOSE_UP] = "no"
_ANSWERS = {Answer.DONE: "done", Answer.NOT_NEEDED: "not needed", Answer.PROBLEM: "problem"}

_env = Environment(
    loader=PackageLoader("noout.web", "technician/templates"),
    autoescape=select_autoescape(default=True),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_env.filters["first_upper"] = lambda text: text[:1].upper() + text[1:]


def page(template: str, token: str, bench: Bench, services: WebServices, **more: Any) -> str:
    """A page of this bench; every text is escaped."""
    return _env.get_template(template).render(**_context(token, bench, services), **more)


def closed_page(*, other_device: bool) -> str:
    """For a link that is not good, or that another device holds: tells nothing about the work."""
    return _env.get_template("closed.html").render(other=other_device)


def _context(token: str, bench: Bench, services: WebServices) -> dict[str, Any]:
    """What the templates may use."""
    now, zone = services.field.clock.now(), ZoneInfo(services.timezone)

    def clock(at: datetime | None) -> str:
        return at.astimezone(zone).strftime("%H:%M:%S") if at else ""

    return {
        "token": token,
        "bench": bench,
        "order": bench.work_order,
        "node": bench.work_order.node.name,
        "verdict": bench.verdict,
        "panel": _PANEL[bench.verdict.touch],
        "title_lines": bench.verdict.title.split(", "),
        "age_s": max(0, round((now - bench.verdict.at).total_seconds())),
        "fresh_s": FRESH_S,
        "zone": services.timezone,
        "clock": clock,
        "new_key": lambda: secrets.token_hex(12),
        "sections": [
            (_SECTIONS.get(section, section), list(lines))
            for section, lines in groupby(bench.lines, lambda line: line.check.section)
        ],
        "answer_words": _ANSWERS,
        "answered": sum(line.answer is not None for line in bench.lines),
        # what the page was drawn from: when it changes, the page is drawn anew
        "state": "/".join(
            (
                bench.phase.value,
                str(bench.hands_on),
                str(bench.signed_off),
                *(f"{line.answer}{len(line.note)}" for line in bench.lines),
            )
        ),
    }
