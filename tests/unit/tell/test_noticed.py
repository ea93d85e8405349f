"""Every interruption that is told names its method and its resolution; what else is known of it stands beside it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from noout.domain.impact import Availability, Baseline, Cause, Confidence, Experience
from noout.tell.report import Report, make_report
from noout.tell.say import CATALOGUES, NBSP, Say
from tests.unit.tell.cast import BOEKHUIS, GUESTS, at, interruption, journal, make_maintenance, seen

GAP = interruption(101, at(9, 1, 28), 0.4, Cause.MOVE)


def told(account: Experience, language: str = "en") -> Report:
    m = make_maintenance()
    return make_report(m, BOEKHUIS, [account], GUESTS, language=language, generated_at=at(10, 0), events=journal(m))


def notes(account: Experience) -> str:
    row = next(row for row in told(account).services if row.service == account.name)
    return " ".join(row.notes).replace(NBSP, " ")


@pytest.mark.parametrize("language", sorted(CATALOGUES))
@pytest.mark.parametrize("cause", list(Cause))
@pytest.mark.parametrize("probe", ["tcp:443", "https://shop.example/ status=200", "icmp:", "dns:shop.example/A", "x"])
def test_every_interruption_is_told_with_its_method_and_its_resolution(language: str, cause: Cause, probe: str) -> None:
    say = Say(language, BOEKHUIS.timezone)
    gap = replace(GAP, cause=cause, probe=probe, resolution_s=0.35)
    made = told(replace(seen(101, 0.4, gap), probe=probe), language)
    row = next(row for row in made.services if row.service == "shop-db")
    method = [note for note in row.notes if say.how(probe) in note]
    assert len(method) == 1 and say.pause(0.35) in method[0]
    assert say.how(probe) in made.columns[-1].fine


def test_one_question_without_an_answer_is_said_to_be_one_and_many_places_are_counted() -> None:
    assert "lost packet" not in notes(seen(101, 0.4, GAP))
    assert "a lost packet looks the same" in notes(seen(101, 0.4, replace(GAP, confidence=Confidence.SINGLE)))
    agreed = replace(GAP, confidence=Confidence.AGREED, seen_from=("a", "b", "c"))
    assert "Seen from three places at once." in notes(seen(101, 0.4, agreed))


def test_what_was_usual_before_is_told_beside_it() -> None:
    usual = Baseline(at(8, 0), at(9, 0), 3600, 6, 5_000_000)
    account = replace(seen(101, 0.4, GAP), baseline=usual)
    assert "had been silent 6 times already, in 60 min of measuring: 6 an hour." in notes(account).replace(
        "1 h", "60 min"
    )
    quiet = replace(account, baseline=replace(usual, interruptions=0))
    assert "it had not been silent" in notes(quiet)


def test_silences_of_one_place_alone_are_told_and_not_counted() -> None:
    account = replace(seen(101, 0.1), disputed=(GAP, replace(GAP, next_good=GAP.last_good + timedelta(seconds=3))))
    row = next(row for row in told(account).services if row.service == "shop-db")
    assert row.interruptions == "none seen" and not row.told
    assert "2 other silences, up to 3 s, were each seen from one of our places" in notes(account)


def test_held_connections_that_broke_are_told_apart_from_interruptions() -> None:
    account = replace(seen(101, 0.1), held_asked=900, held_broken=2)
    row = next(row for row in told(account).services if row.service == "shop-db")
    assert row.told and row.interruptions == "none seen"
    assert "broke 2 times" in notes(account)
    assert "did not break (900 looks)" in notes(replace(account, held_broken=0))


def test_the_contracts_availability_stands_beside_the_raw_one_and_never_alone() -> None:
    raw = Availability(3_600_000_000, 400_000)
    account = replace(seen(101, 0.4, GAP), availability=raw)
    assert "at least 99.988 %" in notes(account) and "contract" not in notes(account)
    counted = replace(account, contractual=Availability(3_000_000_000, 0), excluded_us=600_000_000)
    assert "at least 99.988 %" in notes(counted)
    assert "your contract, which leaves out 10 min of it: at least 100 %" in notes(counted)


def test_a_share_is_never_rounded_up() -> None:
    say = Say("en")
    assert say.percent(999_999_999, 1_000_000_000).replace(NBSP, " ") == "99.999 %"
    assert say.percent(1, 1).replace(NBSP, " ") == "100 %"
    assert Say("nl").percent(9_995, 10_000).replace(NBSP, " ") == "99,95 %"
