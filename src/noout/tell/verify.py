"""Check a report with nothing but the file it came in: the record of what its customer was told, and its own figures.

No configuration, no store, no network. What this cannot prove is said with it (``LIMITS``).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from noout.codec import decode
from noout.domain.errors import UsageError
from noout.domain.heads import Head, head_error
from noout.domain.impact import Experience
from noout.domain.journal import Event, chain_error
from noout.domain.notices import RELEASED, Standing, State, standings
from noout.tell.report import Report
from noout.tell.say import Say

LIMITS = (
    "that the measurements are true: they are the provider's own",
    "that the record was not written anew as a whole: compare its fingerprint with one you kept",
    "that nothing happened while nobody asked",
    "what would have happened without the work: an estimate is an estimate",
)


@dataclass(frozen=True, slots=True)
class Check:
    ok: bool
    says: str


@dataclass(frozen=True, slots=True)
class Verified:
    """``head``: the fingerprint of the record's last line, and how many lines it has."""

    checks: tuple[Check, ...]
    head: str
    events: int

    @property
    def ok(self) -> bool:
        return all(each.ok for each in self.checks)


def canonical(document: Any) -> str:
    """SHA-256 (hex) of the document as JSON with sorted keys, without spaces, in UTF-8."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def verify(document: Any, published: Sequence[Head] = ()) -> Verified:
    """Every check, in order. UsageError for what is no bundle. ``published``: heads kept from before."""
    if not isinstance(document, Mapping) or document.get("format") != "noout.bundle" or document.get("version") != 1:
        raise UsageError("this is no report with its proof", remedy="download it from the portal: the report's proof")
    events = [decode(Event, each, what="bundle") for each in document.get("chain", ())]
    reports = document.get("reports")
    notice = str(document.get("notice", ""))
    if not events or not isinstance(reports, Mapping) or not reports:
        raise UsageError("this proof holds no record, or no report", remedy="download it again")
    checks = [_chain(events), *_released(events, notice, reports)]
    checks += [check for text in reports.values() for check in _figures(decode(Report, text, what="report"))]
    stream = events[0].stream
    for head in published:
        if head.stream == stream:
            wrong = head_error(head, events)
            said = f"the fingerprint kept of {head.at:%Y-%m-%d %H:%M} UTC lies on this record"
            checks.append(Check(wrong is None, wrong or said))
    return Verified(tuple(checks), events[-1].digest, len(events))


def _chain(events: Sequence[Event]) -> Check:
    if len({event.stream for event in events}) != 1:
        return Check(False, "the record is of several streams")
    wrong = chain_error(events)
    return Check(wrong is None, wrong or f"the record is whole: {len(events)} lines, none changed, none missing")


def _released(events: Sequence[Event], notice: str, reports: Mapping[str, Any]) -> list[Check]:
    standing: Standing | None = standings(events).get(notice)
    if standing is None or standing.state is not State.RELEASED or standing.at is None:
        return [Check(False, f"the record does not say that {notice} was released")]
    said = f"{notice} was released by {standing.by} at {standing.at:%Y-%m-%d %H:%M} UTC"
    checks = [Check(True, said)]
    released = (event for event in events if event.kind == RELEASED and event.data["notice"] == notice)
    told: Any = next((event.data.get("reports") for event in released), {})
    for language, report in reports.items():
        ok = isinstance(told, Mapping) and told.get(language) == canonical(report)
        checks.append(Check(ok, f"the report in {language} is {'' if ok else 'not '}the one that was released"))
    if standing.superseded_by:
        checks.append(Check(False, f"it was corrected: {standing.superseded_by} stands in its place"))
    return checks


def _figures(report: Report) -> list[Check]:
    """Each printed pause follows from the measurement in the same file; each measurement agrees with itself."""
    say = Say(report.language, report.timezone)
    seen = {each.name: each for each in report.measurements if each.measured}
    wrong = [why for each in seen.values() if (why := _at_odds(each))]
    for row in report.services:
        measured = seen.get(row.service)
        shown = say.pause(measured.longest_gap_s) if measured and measured.longest_gap_s is not None else None
        if shown is not None and row.longest != shown:
            wrong.append(f"{row.service} is printed with {row.longest}, and was measured with {shown}")
    figures = {row.longest for row in report.services}
    if report.headline.measured and report.headline.figure not in figures:
        wrong.append(f"the large figure {report.headline.figure} is no service's")
    told = f"the figures of the report in {report.language} follow from the {len(seen)} measurements in it"
    return [Check(False, each) for each in wrong] or [Check(True, told)]


def _at_odds(each: Experience) -> str:
    if each.answered > each.samples:
        return f"{each.name} answered more often than it was asked"
    lengths = [gap.length.total_seconds() for gap in each.interruptions if gap.length is not None]
    if lengths and each.longest_gap_s is not None and max(lengths) > each.longest_gap_s + 1e-6:
        return f"{each.name} has an interruption longer than its longest pause"
    return ""
