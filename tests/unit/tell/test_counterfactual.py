"""Had this server failed: conditional, from zero, with its assumptions, and only where it could have happened."""

from __future__ import annotations

from dataclasses import replace

import pytest

from noout.adapters.render import html, pdf
from noout.domain.cluster import Guest, HaService
from noout.domain.maintenance import Phase
from noout.tell.counterfactual import Assumptions, could_copy
from noout.tell.report import Policy, Report, make_report
from noout.tell.say import CATALOGUES, NBSP
from tests.unit.tell.cast import BOEKHUIS, EXPERIENCES, GUESTS, NODE, at, journal, make_maintenance

HA = HaService("vm:101", "started", "pve3")
SHOWN = Policy(show_estimates=True)


def report(policy: Policy = SHOWN, language: str = "en", hosts: int = 6, **change: object) -> Report:
    m = replace(make_maintenance(), facts={"baseline": {"hosts": hosts, "copies": 3}})
    m = replace(m, **change)  # type: ignore[arg-type]
    guests = tuple(replace(each, ha=HA) if each.name == "shop-db" else each for each in GUESTS)
    return make_report(
        m, BOEKHUIS, EXPERIENCES, guests, language=language, generated_at=at(10, 0), events=journal(m), policy=policy
    )


def test_it_is_hidden_until_the_provider_shows_estimates() -> None:
    assert report(Policy()).had_it_failed is None
    assert report().had_it_failed is not None


def test_each_range_begins_at_zero_and_ends_where_the_assumptions_say() -> None:
    found = report(Policy(show_estimates=True, assumptions=Assumptions((10, 90), (600, 1200), (60, 120)))).had_it_failed
    assert found is not None
    assert [(each.services, each.low_s, each.high_s) for each in found.ranges] == [
        (("shop-db",), 0.0, 90.0),
        (("shop-search", "shop-web-1", "shop-web-2"), 0.0, 1320.0),
    ]
    assert [each.figure.replace(NBSP, " ") for each in found.ranges] == ["0 – 90 s", "0 – 22 min"]
    told = " ".join(found.assumptions).replace(NBSP, " ")
    for printed in ("10 s to 90 s", "10 min to 20 min", "60 s to 2 min", "not added up"):
        assert printed in told


def test_with_as_many_hosts_as_copies_nothing_is_said_to_have_been_spared_the_storage() -> None:
    for hosts, spared in ((3, False), (4, True)):
        made = report(hosts=hosts)
        assert made.had_it_failed is not None
        assert bool(made.had_it_failed.storage) is spared
        words = " ".join(each.text for each in (*made.story, *made.possible))
        assert ("copying everything elsewhere" in words) is spared
        assert ("copied needlessly" in words) is spared


@pytest.mark.parametrize("facts", [{}, {"baseline": {}}, {"baseline": {"hosts": None, "copies": 3}}])
def test_what_is_not_known_is_not_claimed(facts: dict[str, object]) -> None:
    assert could_copy(facts) is False


@pytest.mark.parametrize(
    "change",
    [
        {"fault": None},
        {"phase": Phase.ABORTED},
        {"closing_up": "no spare part"},
        {"node_off_at": None},
    ],
)
def test_no_claim_where_nothing_was_suspected_or_done(change: dict[str, object]) -> None:
    assert report(**change).had_it_failed is None  # type: ignore[arg-type]


def test_a_service_that_was_elsewhere_or_off_is_in_no_range() -> None:
    def elsewhere(each: Guest) -> Guest:
        return replace(each, node=replace(NODE, name="pve6")) if each.name == "shop-search" else each

    m = make_maintenance()
    guests = tuple(elsewhere(each) for each in GUESTS)
    made = make_report(m, BOEKHUIS, EXPERIENCES, guests, generated_at=at(10, 0), policy=SHOWN)
    assert made.had_it_failed is not None
    assert all("shop-search" not in each.services for each in made.had_it_failed.ranges)


@pytest.mark.parametrize("language", sorted(CATALOGUES))
def test_it_reads_as_a_condition_in_each_language_and_stands_on_the_page_and_in_print(language: str) -> None:
    made = report(language=language)
    found = made.had_it_failed
    assert found is not None
    for word in {"en": ("Had", "would"), "nl": ("Als", "had"), "es": ("Si", "hubiera")}[language]:
        assert word in f"{found.title} {found.lede} {found.ranges[0].text} {found.storage}"
    page = html.render(made).decode()
    assert found.title in page and found.assumptions[-1] in page
    assert len(pdf.render(made)) > 10_000
