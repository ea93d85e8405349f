"""The report: what it says stands on facts and measurements, and it shows one customer only."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noout.domain.cluster import GuestId
from noout.domain.customers import Customer
from noout.domain.impact import Cause
from noout.domain.maintenance import Phase
from noout.tell.report import Policy, Report, make_report
from noout.tell.say import NBSP
from tests.unit.tell.cast import (
    BOEKHUIS,
    CUSTOMERS,
    EXPERIENCES,
    GUESTS,
    KADE,
    LIBRERIA,
    at,
    interruption,
    journal,
    make_maintenance,
    seen,
)


def report(customer: Customer, language: str = "en", **change: object) -> Report:
    m = make_maintenance()
    given_: dict[str, object] = {
        "m": m,
        "experiences": EXPERIENCES,
        "guests": GUESTS,
        "generated_at": at(10, 0),
        "events": journal(m),
        **change,
    }
    return make_report(customer=customer, language=language, **given_)  # type: ignore[arg-type]


def texts(value: object) -> Iterator[str]:
    """Every text of a document, however deep."""
    if isinstance(value, str):
        yield value.replace(NBSP, " ")
    elif is_dataclass(value) and not isinstance(value, type):
        for each in fields(value):
            yield from texts(getattr(value, each.name))
    elif isinstance(value, tuple):
        for item in value:
            yield from texts(item)


def prose(made: Report) -> str:
    return "\n".join(texts(made))


def test_the_headline_is_the_longest_measured_pause_with_its_method() -> None:
    made = report(BOEKHUIS)
    assert made.headline.figure.replace(NBSP, " ") == "0.4 s"
    said = " ".join(made.headline.paragraphs).replace(NBSP, " ")
    assert "every 0.1 s" in said and "100,800 times" in said and "shop-db" in said
    assert "A pause shorter than 0.1 s would not show up" in said


def test_every_figure_of_the_table_is_the_measurement_it_came_from() -> None:
    rows = {row.service: row for row in report(BOEKHUIS).services}
    assert {name: row.longest.replace(NBSP, " ") for name, row in rows.items()} == {
        "shop-db": "0.4 s",
        "shop-web-1": "0.1 s",
        "shop-web-2": "0.21 s",
        "shop-search": "48 s",
    }
    assert rows["shop-db"].own.replace(NBSP, " ") == "212 ms"
    assert rows["shop-search"].told and "no link with our work" in rows["shop-search"].notes[0]
    assert not rows["shop-db"].told  # a live move's ordinary pause


def test_an_unrelated_interruption_of_a_guest_left_alone_is_shown_but_is_not_the_headline() -> None:
    assert "48" not in report(BOEKHUIS).headline.figure


def test_that_it_is_not_nothing_is_said_of_a_short_pause_and_never_of_a_restart() -> None:
    assert "not “nothing”" in prose(report(BOEKHUIS)) and "not “nothing”" not in prose(report(LIBRERIA))
    assert "would not show up in this measurement" in prose(report(LIBRERIA))


def test_a_relocation_is_an_interruption_with_its_measured_length() -> None:
    made = report(LIBRERIA)
    assert made.headline.label == "During the work, the longest pause was"
    assert made.headline.figure.replace(NBSP, " ") == "11.4 s"
    wiki = next(row for row in made.services if row.service == "wiki")
    assert wiki.told and wiki.interruptions.replace(NBSP, " ") == "2, up to 11.4 s"
    assert "restarted elsewhere, 11.4 s, as agreed" in wiki.notes[0].replace(NBSP, " ")
    assert "For wiki that meant 11.4 s without an answer, measured by opening a connection" in prose(made)
    assert made.columns[-1].kind == "told"


def test_where_no_probe_asks_it_says_not_measured_and_never_that_nothing_was_noticed() -> None:
    made = report(KADE)
    assert (made.headline.figure, made.headline.measured) == ("not measured", False)
    assert {row.longest for row in made.services} == {"not measured"}
    assert "How long render-gpu gave no answer was not measured." in prose(made)
    assert "none seen" not in prose(made)


def test_it_is_on_probation_until_a_date_and_nothing_is_called_mended() -> None:
    made = report(BOEKHUIS)
    assert made.story[-1].title.replace(NBSP, " ") == "On probation until 24 November"
    assert not re.search(r"\b(repaired|fixed|solved|mended)\b", prose(made), re.IGNORECASE)


def test_it_is_called_repaired_only_after_its_probation_and_not_when_the_fault_came_back() -> None:
    done = make_maintenance()
    assert done.probation_until is not None
    cured = report(BOEKHUIS, m=replace(done, probation_over_at=done.probation_until))
    assert cured.story[-1].title.replace(NBSP, " ") == "Repaired: the fault stayed away until 24 November"
    back = report(BOEKHUIS, m=replace(done, probation_over_at=done.closed_at, probation_failed="FAN3B again"))
    assert back.story[-1].title.replace(NBSP, " ") == "The fault came back on 17 November"
    assert not re.search(r"\b(repaired|fixed|solved|mended)\b", prose(back), re.IGNORECASE)


def test_it_says_what_the_test_proves_and_nothing_where_that_is_not_known() -> None:
    done = make_maintenance()
    proves = replace(done, facts={**done.facts, "acceptance": {"ok": True, "chance_between": [0.622, 0.9991]}})
    assert "shown it with a chance of 62 to 99 %" in prose(report(BOEKHUIS, m=proves)).replace(NBSP, " ")
    unknown = replace(done, facts={**done.facts, "acceptance": {"ok": True, "chance_between": [0.0, 1.0]}})
    assert "with a chance of" not in prose(report(BOEKHUIS, m=unknown))


def test_an_estimate_is_left_out_unless_enabled_and_then_prints_its_assumptions() -> None:
    assert [column.kind for column in report(BOEKHUIS).columns] == ["did", "mea"]
    made = report(BOEKHUIS, policy=Policy(show_estimates=True))
    estimate = made.columns[1]
    assert (estimate.kind, estimate.figure.replace(NBSP, " ")) == ("est", "34 min – 59 min")
    assert "30 min measured with the server off" in estimate.fine.replace(NBSP, " ")
    assert [column.kind for column in report(KADE, policy=Policy(show_estimates=True)).columns] == ["did", "unk"]


def test_a_long_interruption_by_a_live_move_is_admitted() -> None:
    bad = seen(101, 7.0, interruption(101, at(9, 1, 28), 7.0, Cause.MOVE))
    made = report(BOEKHUIS, experiences=(bad, *EXPERIENCES[1:]))
    assert made.columns[-1].kind == "told"
    assert "shop-db was interrupted by our work. That should not have happened." in made.columns[-1].text


def test_a_service_still_silent_at_the_end_is_the_headline() -> None:
    down = replace(interruption(101, at(9, 40), 1, Cause.MOVE), next_good=None)
    made = report(BOEKHUIS, experiences=(seen(101, 660.0, down), *EXPERIENCES[1:]))
    assert (made.headline.figure, made.headline.measured) == ("no answer", False)
    assert "shop-db gave no good answer from 10:40" in made.headline.paragraphs[0]


def test_a_coarse_measurement_says_how_coarse_it_was() -> None:
    coarse = replace(seen(101, 30.0), resolution_s=30.0)
    said = " ".join(report(BOEKHUIS, experiences=(coarse,)).headline.paragraphs).replace(NBSP, " ")
    assert "30 s lay between two of our questions" in said
    assert "Not measured: shop-web-1 and shop-web-2." in said


def test_what_was_measured_for_a_part_of_the_work_is_not_told_of_all_of_it() -> None:
    cut = tuple(replace(each, until=at(9, 20)) for each in EXPERIENCES)
    made = report(BOEKHUIS, experiences=cut)
    assert made.headline.label.startswith("While we measured")
    assert "About the rest we cannot say anything." in prose(made)
    whole = report(BOEKHUIS)
    assert whole.headline.label.startswith("During the work")
    assert "About the rest" not in prose(whole)


def test_nothing_is_told_as_tested_or_caught_up_before_it_was() -> None:
    done = make_maintenance()
    under_test = replace(done, phase=Phase.REINTEGRATING, closed_at=None, probation_until=None)
    told, without_ceph = report(BOEKHUIS), report(BOEKHUIS, events=())
    assert "Then the storage caught up" in prose(told)
    assert "started and tested" in prose(without_ceph)
    assert "Then the storage caught up" not in prose(without_ceph)
    assert "started and tested" not in prose(report(BOEKHUIS, m=under_test))


def test_drives_and_cables_are_not_told_as_checked_when_one_was_not() -> None:
    done = make_maintenance()
    left = tuple(each for each in done.findings if each.check != "hardware.cables")
    assert "checked memory, drives and cables" in prose(report(BOEKHUIS))
    assert "checked memory, drives and cables" not in prose(report(BOEKHUIS, m=replace(done, findings=left)))


def test_a_maintenance_called_off_says_so() -> None:
    m = replace(make_maintenance(), phase=Phase.ABORTED, aborting=True, node_off_at=None, node_on_at=None, findings=())
    made = report(BOEKHUIS, m=m)
    assert "called off" in made.title
    titles = [chapter.title for chapter in made.story]
    assert titles[-1] == "The work was called off"
    assert "A technician opens the server" not in titles and not any("probation" in title for title in titles)


def test_the_seal_is_the_journals_last_line() -> None:
    m = make_maintenance()
    assert report(BOEKHUIS).seal.digest == journal(m)[-1].digest
    still_open = report(BOEKHUIS, events=journal(m)[:-1], m=replace(m, closed_at=None))
    assert "figures may still change" in still_open.seal.text
    named = report(BOEKHUIS, m=replace(m, id="ams1-pve3-1"))
    assert named.maintenance == journal(m)[0].digest[:12]
    assert "pve3" not in prose(named)


@pytest.mark.parametrize("language", ["en", "nl", "es"])
@pytest.mark.parametrize("customer", CUSTOMERS, ids=lambda each: each.key)
def test_no_bare_nought_no_node_rack_note_or_other_customer(customer: Customer, language: str) -> None:
    made = report(customer, language, policy=Policy(show_estimates=True))
    said = prose(made)
    assert not re.search(r"(?<![\d.,:])0 (s|ms|min)\b", said)
    others = [each.name for each in CUSTOMERS if each != customer]
    foreign = [guest.name for guest in GUESTS if not customer.owns(guest)]
    secret = ["pve3", "pve5", "B07", "R2", "FAN3B", "CZ2D5007K41", "7K41", "J36", "ruben", "anna"]
    found = [word for word in (*others, *foreign, *secret) if re.search(rf"\b{re.escape(word)}\b", said)]
    assert found == []


@given(st.lists(st.sampled_from(["boekhuis", "kade", None]), min_size=len(GUESTS), max_size=len(GUESTS)))
def test_however_guests_are_shared_out_a_report_holds_its_customers_alone(pools: list[str | None]) -> None:
    shared = tuple(
        replace(guest, pool=pool, name=f"guest-{guest.id.vmid}-x", tags=frozenset())
        for guest, pool in zip(GUESTS, pools, strict=True)
    )
    named = tuple(replace(each, name=f"guest-{each.guest.vmid}-x") for each in EXPERIENCES)
    m = make_maintenance()
    m = replace(m, moved=tuple(replace(move, name=f"guest-{move.guest.vmid}-x") for move in m.moved))
    made = report(BOEKHUIS, guests=shared, experiences=named, m=m)
    own = {guest.id for guest in shared if guest.pool == "boekhuis"}
    mentioned = {GuestId("ams1", int(vmid)) for vmid in re.findall(r"guest-(\d+)-x", prose(made))}
    assert mentioned == own
    assert {each.guest for each in made.measurements} <= own


@pytest.mark.parametrize("language", ["en", "nl", "es"])
@pytest.mark.parametrize("urgent", [False, True])
def test_a_server_that_went_back_as_it_was_is_never_told_as_repaired_or_proved(language: str, urgent: bool) -> None:
    m = replace(
        make_maintenance(), closing_up="the spare does not fit", urgent=urgent, probation_until=None, findings=()
    )
    said = prose(report(BOEKHUIS, language, m=m, events=journal(m), policy=Policy(show_estimates=True)))
    whole = prose(report(BOEKHUIS, language))
    still = {"en": "still to be mended", "nl": "moet nog worden verholpen", "es": "sigue por reparar"}[language]
    soak = {"en": "without a sign of the fault", "nl": "zonder een teken", "es": "sin rastro"}[language]
    assert still in said and still not in whole
    assert soak not in said
    assert "spare" not in said, "the reason is the provider's own, and may name what is not the customer's to know"
