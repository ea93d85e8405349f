"""Words and figures: the three catalogues say the same things, and no pause is rounded down."""

from __future__ import annotations

import string
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noout.tell.say import CATALOGUES, NBSP, Say

LANGUAGES = sorted(CATALOGUES)


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_text_is_missing_empty_or_asks_for_another_field(language: str) -> None:
    english, words = CATALOGUES["en"], CATALOGUES[language]
    assert words.keys() == english.keys()
    assert [key for key, text in words.items() if not text.strip()] == []
    assert {key: fields(text) for key, text in words.items()} == {key: fields(text) for key, text in english.items()}


def test_the_languages_are_three_and_not_copies_of_each_other() -> None:
    assert LANGUAGES == ["en", "es", "nl"]
    sentences = [key for key, text in CATALOGUES["en"].items() if len(text.split()) > 4]
    for key in sentences:
        assert len({CATALOGUES[language][key] for language in LANGUAGES}) == 3, key


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_voice_has_no_exclamation_mark_and_no_promise_beyond_the_facts(language: str) -> None:
    banned = ("!", "seamless", "zero downtime", "no impact", "repaired", "gerepareerd", "reparado", "naadloos")
    found = [(key, word) for key, text in CATALOGUES[language].items() for word in banned if word in text.lower()]
    cured = (
        "probation.cured.title",
        "probation.cured",
        "notice.repaired",
        "notice.repaired.lede",
        "portal.state.repaired",
    )  # after its probation
    assert [(key, word) for key, word in found if key not in cured] == []


@pytest.mark.parametrize(
    "seconds, shown",
    [
        (0.1, "0.1 s"),
        (0.21, "0.21 s"),
        (0.205, "0.21 s"),
        (0.4, "0.4 s"),
        (1.0, "1 s"),
        (11.4, "11.4 s"),
        (11.41, "11.5 s"),
        (119.95, "120 s"),
        (134, "2 min 14 s"),
        (3600, "1 h"),
        (3661, "1 h 2 min"),
    ],
)
def test_pauses_are_rounded_up(seconds: float, shown: str) -> None:
    assert Say("en").pause(seconds).replace(NBSP, " ") == shown


@given(st.integers(min_value=1, max_value=119_000_000))
def test_no_pause_is_shown_shorter_than_it_was_nor_as_nothing(micros: int) -> None:
    shown = float(Say("nl").pause(timedelta(microseconds=micros)).split(NBSP)[0].replace(",", "."))
    assert round(shown * 1_000_000) >= micros
    assert shown * 1_000_000 - micros < 100_000
    assert shown > 0


def test_each_language_writes_times_dates_and_lists_its_own_way() -> None:
    start = datetime(2026, 11, 17, 9, 0, tzinfo=UTC)
    end = start + timedelta(minutes=51)
    shown = {
        language: Say(language, "Europe/Amsterdam").clocks(start, end).replace(NBSP, " ") for language in LANGUAGES
    }
    assert shown == {"en": "10:00 – 10:51", "nl": "10.00 – 10.51 uur", "es": "10:00 – 10:51"}
    dates = {language: Say(language).date(start).replace(NBSP, " ") for language in LANGUAGES}
    assert dates == {"en": "17 November 2026", "nl": "17 november 2026", "es": "17 de noviembre de 2026"}
    assert Say("es").names(["db", "web", "indice"]) == "db, web e indice"
    assert Say("nl").names(["db", "web"]) == "db en web"
    assert Say("nl").pause(0.4) == f"0,4{NBSP}s"


def test_a_stretch_is_as_long_as_the_two_times_that_are_printed_say() -> None:
    begins = datetime(2026, 11, 17, 9, 0, 5, tzinfo=UTC)
    say, ends = Say("en"), begins + timedelta(minutes=50, seconds=36)
    assert say.clocks(begins, ends).replace(NBSP, " ") == "09:00 – 09:50"
    assert say.took(begins, ends).replace(NBSP, " ") == "50 min"
    assert say.took(begins, begins + timedelta(seconds=119)).replace(NBSP, " ") == "119 s"
    assert say.took(begins, begins + timedelta(seconds=120)).replace(NBSP, " ") == "2 min"


def test_a_stretch_over_midnight_names_both_days() -> None:
    start = datetime(2026, 11, 17, 22, 50, tzinfo=UTC)
    shown = Say("en", "Europe/Amsterdam").clocks(start, start + timedelta(minutes=20)).replace(NBSP, " ")
    assert shown == "17 November, 23:50 – 18 November, 00:10"


def test_an_unknown_zone_is_utc_and_says_so() -> None:
    say = Say("en", "Nowhere/Land")
    assert (say.zone_name, say.clock(datetime(2026, 1, 1, 9, 30, tzinfo=UTC))) == ("UTC", "09:30")
