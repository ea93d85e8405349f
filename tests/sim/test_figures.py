"""Every figure of what customers noticed, walked back to the samples in the store by a few lines that share no code.

The report's JSON is read as a customer's machine would; the samples come from the store, one guest at a time; of noout
only the two intervals that were configured are taken.
"""

from __future__ import annotations

import asyncio
import json
import re
from datetime import datetime, timedelta
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

import pytest

from noout.app.telling import reports_of
from noout.domain.cluster import GuestId
from noout.domain.impact import Sample
from noout.domain.maintenance import MoveKind
from tests.sim.test_demo import story

UNITS = {"s": 1.0, "min": 60.0, "h": 3600.0, "u": 3600.0}
Gap = tuple[datetime, datetime | None, int]


def time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def shown_s(text: str) -> float:
    """ "0,31 s" or "1 min 5 s" as it is printed."""
    parts = re.findall(r"([\d.,]+)\s(s|min|h|u)\b", text)
    assert parts, text
    return sum(float(number.replace(",", ".")) * UNITS[unit] for number, unit in parts)


def never_less(text: str, length: timedelta) -> None:
    """What is printed is the measured length or, rounded up, one step more."""
    true = length.total_seconds()
    step = 0.01 if true < 1 else 0.1 if true < 120 else 60.0
    assert -1e-9 <= shown_s(text) - true < step, (text, true)


class Recount:
    """One guest's samples, counted again."""

    def __init__(
        self, samples: list[Sample], opened: datetime, closed: datetime, finest_s: float, calm_s: float
    ) -> None:
        rows = sorted(
            (each.at, each.ok) for each in samples if each.lag_s <= finest_s / 2 and opened <= each.at <= closed
        )
        self.count, self.good = len(rows), sum(ok for _, ok in rows)
        self.first, self.last = max(opened, rows[0][0] - timedelta(seconds=finest_s)), rows[-1][0]
        asked = [self.first, *(at for at, _ in rows)]
        marks = [self.first, *(at for at, ok in rows if ok), self.last]
        self.widest = max(b - a for a, b in pairwise(asked))
        self.longest = max(b - a for a, b in pairwise(marks))
        self.gaps: list[Gap] = []
        runs = [(ok, [at for at, _ in run]) for ok, run in groupby(rows, key=lambda row: row[1])]
        for number, (ok, times) in enumerate(runs):
            if ok:
                continue
            before = runs[number - 1][1][-1] if number else self.first
            after = runs[number + 1][1][0] if number + 1 < len(runs) else None
            if number == 0 or after is None or after - before > timedelta(seconds=1.5 * finest_s):
                self.gaps.append((before, after, len(times)))
        self.silent = sum(((after or self.last) - before for before, after, _ in self.gaps), timedelta(0))
        blind = [
            (a, b)
            for a, b in pairwise(asked)
            if b - a > timedelta(seconds=2.5 * calm_s) and not any(x <= a and b <= (y or b) for x, y, _ in self.gaps)
        ]
        self.measured = self.last - self.first - sum((b - a for a, b in blind), timedelta(0))


def us(length: timedelta) -> int:
    return length // timedelta(microseconds=1)


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    play, told = story(2)
    out: Path = tmp_path_factory.mktemp("reports")
    files = asyncio.run(reports_of(play.found, told.state, out, formats=("json",)))
    return {path.stem: json.loads(path.read_text("utf-8"))["report"] for path in files}


def recounted(measurement: dict[str, Any]) -> Recount | None:
    play, told = story(2)
    guest = GuestId(measurement["guest"]["cluster"], measurement["guest"]["vmid"])
    samples = asyncio.run(play.found.measurements.samples(told.state.id, guest))
    probes = play.found.settings.probes
    finest_s, calm_s = sorted((probes.every_s, probes.every_moving_s))
    opened, closed = told.state.opened_at, told.state.closed_at
    assert closed is not None
    return Recount(list(samples), opened, closed, finest_s, calm_s) if samples else None


def test_every_measurement_follows_from_its_samples_alone(reports: dict[str, dict[str, Any]]) -> None:
    state = story(2)[1].state
    counted = interrupted = 0
    for report in reports.values():
        for said in report["measurements"]:
            again = recounted(said)
            if again is None:
                assert (said["samples"], said["answered"], said["longest_gap_s"]) == (0, 0, None)
                continue
            counted += 1
            assert (said["samples"], said["answered"]) == (again.count, again.good)
            assert (time(said["since"]), time(said["until"])) == (again.first, again.last)
            assert said["resolution_s"] == again.widest.total_seconds()
            assert said["longest_gap_s"] == again.longest.total_seconds()
            told = said["interruptions"]
            interrupted += len(told)
            assert [
                (time(gap["last_good"]), time(gap["next_good"]) if gap["next_good"] else None, gap["missed"])
                for gap in told
            ] == again.gaps
            assert all((gap["confidence"] == "single") == (gap["missed"] == 1) for gap in told)
            assert all(gap["probe"] == said["probe"] != "" and gap["resolution_s"] > 0 for gap in told)
            assert said["availability"] == {"measured_us": us(again.measured), "unanswered_us": us(again.silent)}
            begun = min(each.started for each in state.moved if each.guest.vmid == said["guest"]["vmid"])
            usual = said["baseline"]
            if usual is not None:
                before = [
                    gap
                    for gap, one in zip(again.gaps, told, strict=True)
                    if one["cause"] == "unrelated" and gap[0] < begun
                ]
                assert (usual["interruptions"], time(usual["until"])) == (len(before), begun)
    assert counted >= 5 and interrupted >= 2  # or this test has nothing to hold on to


def test_every_printed_figure_follows_from_the_samples_too(reports: dict[str, dict[str, Any]]) -> None:
    state = story(2)[1].state
    touched = {each.guest.vmid for each in state.moved}
    for report in reports.values():
        accounts = {each["name"]: recounted(each) for each in report["measurements"]}
        hit = {each["name"] for each in report["measurements"] if each["guest"]["vmid"] in touched}
        affected = [again for name, again in accounts.items() if name in hit and again is not None]
        if report["headline"]["measured"]:
            never_less(report["headline"]["figure"], max(again.longest for again in affected))
            digits = re.sub(r"(?<=\d)[.,](?=\d{3}\b)", "", report["headline"]["paragraphs"][0])
            assert re.search(rf"\b{sum(again.count for again in affected)}\b", digits)
        for row in report["services"]:
            again = accounts.get(row["service"])
            if again is None:
                assert not re.search(r"\d", row["longest"] + row["interruptions"])
                continue
            never_less(row["longest"], again.longest)
            lengths = [after - before for before, after, _ in again.gaps if after is not None]
            if not again.gaps:
                assert not re.search(r"\d", row["interruptions"])
            else:
                assert int(re.match(r"\d+", row["interruptions"])[0]) == len(again.gaps)  # type: ignore[index]
                never_less(
                    re.split(r"[×,] ", row["interruptions"].replace("\u00a0", " "), maxsplit=1)[-1], max(lengths)
                )


def test_a_restart_is_never_told_shorter_than_it_was_seen(reports: dict[str, dict[str, Any]]) -> None:
    """Of the guests that were restarted, the story's own sentence."""
    state = story(2)[1].state
    restarted = {each.guest.vmid for each in state.moved if each.kind in (MoveKind.RELOCATE, MoveKind.SHUTDOWN)}
    seen = 0
    for report in reports.values():
        prose = " ".join(chapter["text"] for chapter in report["story"]).replace("\u00a0", " ")
        for said in report["measurements"]:
            again = recounted(said)
            if said["guest"]["vmid"] not in restarted or again is None:
                continue
            longest = max((after or again.last) - before for before, after, _ in again.gaps)
            sentence = next(
                part for part in re.split(r"(?<=[a-z])\. ", prose) if said["name"] in part and re.search(r"\d s", part)
            )
            never_less(re.findall(r"[\d.,]+ (?:min|s)(?: [\d]+ s)?", sentence)[0], longest)
            seen += 1
    assert seen
