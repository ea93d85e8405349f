"""The standalone check: what a customer can find out with the file alone, and every way of cheating that it sees."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from noout.app.drafting import Drafting
from noout.app.outbox import Outbox
from noout.app.portal import bundle_of
from noout.domain.errors import UsageError
from noout.domain.heads import Head
from noout.domain.notices import stream_of
from noout.tell.verify import canonical, verify
from tests.support.telling import House
from tests.unit.tell.cast import at


async def bundle(house: House | None = None) -> dict[str, Any]:
    house = house or House.make()
    await house.open()
    await house.carry_through()
    outbox = Outbox(house.found)
    made = next(each for each in await Drafting(house.found).look() if each.customer == "libreria")
    await outbox.release(made.id, "operator:anna")
    events = await house.found.journal.read(stream_of("libreria"))
    return json.loads(json.dumps(bundle_of(await outbox.get(made.id), events)))  # type: ignore[no-any-return]


async def test_what_was_released_holds_and_says_by_whom_and_when() -> None:
    found = verify(await bundle())
    assert found.ok and found.events == 2
    told = " ".join(each.says for each in found.checks)
    assert "released by operator:anna at 2026-11-17 10:00 UTC" in told
    assert "the figures of the report in nl follow from the 2 measurements" in told


def _in_report(change: Callable[[dict[str, Any]], None]) -> Callable[[dict[str, Any]], None]:
    """A forger who also writes the digest anew, everywhere but in the chain that was kept."""

    def work(document: dict[str, Any]) -> None:
        change(document["reports"]["en"])

    return work


BARE = {"format": "noout.bundle", "version": 1}
CHEATS: dict[str, Callable[[dict[str, Any]], None]] = {
    "a word": _in_report(lambda report: report.update(lede="Nothing happened at all.")),
    "the large figure": _in_report(lambda report: report["headline"].update(figure="0.1\u00a0s")),
    "a service left out": _in_report(lambda report: report["services"].pop()),
    "a measurement": _in_report(lambda report: report["measurements"][1].update(longest_gap_s=0.1)),
    "a line taken out": lambda document: document["chain"].pop(0),
    "who released it": lambda document: document["chain"][1].update(actor="operator:piet"),
    "never released": lambda document: document["chain"].pop(),
    "another's report": lambda document: document.update(notice="boekhuis-1"),
}


@pytest.mark.parametrize("cheat", sorted(CHEATS))
async def test_every_way_of_cheating_is_seen(cheat: str) -> None:
    document = await bundle()
    CHEATS[cheat](document)
    assert not verify(document).ok, cheat


async def test_figures_are_held_against_the_measurements_even_where_the_digests_were_made_anew() -> None:
    document = await bundle()
    report = document["reports"]["en"]
    row = next(each for each in report["services"] if each["service"] == "wiki")
    row["longest"] = "1\u00a0s"
    found = verify(document)
    assert any("printed with 1\u00a0s" in each.says and not each.ok for each in found.checks)
    assert canonical({"b": 1, "a": "é"}) == canonical({"a": "é", "b": 1})


async def test_a_correction_shows_and_a_kept_fingerprint_must_lie_on_the_record() -> None:
    house = House.make()
    document = await bundle(house)
    first = verify(document)
    outbox = Outbox(house.found)
    again = await Drafting(house.found).correct(document["notice"], "a clock was wrong.")
    await outbox.release(again.id, "operator:anna")
    events = await house.found.journal.read(stream_of("libreria"))
    old = json.loads(json.dumps(bundle_of(await outbox.get(document["notice"]), events)))
    new = json.loads(json.dumps(bundle_of(await outbox.get(again.id), events)))
    kept = Head(stream_of("libreria"), first.events, first.head, at(10, 0))
    assert verify(new, [kept]).ok
    assert any("was corrected" in each.says for each in verify(old).checks if not each.ok)
    assert not verify(new, [replace(kept, digest="0" * 64)]).ok


@pytest.mark.parametrize("document", [None, [], {}, {**BARE, "version": 2}, BARE])
def test_what_is_no_bundle_is_said_to_be_none(document: Any) -> None:
    with pytest.raises(UsageError):
        verify(document)
