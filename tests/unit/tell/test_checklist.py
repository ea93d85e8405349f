"""The work order follows the fault's template and never forgets the ends: before touching, and after."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from string import Formatter

import pytest

from noout.domain.cluster import NodeId
from noout.domain.hardware import Fault, Urgency
from noout.domain.maintenance import Maintenance, Mode
from noout.domain.workorder import Location
from noout.tell.checklist import SECTIONS, SHIPPED, checks_for, make_work_order
from noout.tell.field import CATALOGUES, best_language

NODE = NodeId("ams1", "pve3")
FAULT = Fault(NODE, "fans", ("FAN3B",), Urgency.SCHEDULE, "FAN3B stalls and restarts", ())
PLACE = Location("R2", "B07", "U14-15", "CZ2D7K41")
M = Maintenance("M-1", NODE, "fans", Mode.AUTO, datetime(2026, 11, 17, tzinfo=UTC), "anna", 1, fault=FAULT)


def test_a_fan_fault_asks_for_fans_bus_connectors_and_hardware_in_that_order() -> None:
    order = make_work_order(M, PLACE, "WO-ams1-0001")
    sections = list(dict.fromkeys(check.section for check in order.checks))
    assert sections == ["before", "fans", "bus", "connectors", "hardware", "after"]
    assert [check.key for check in order.checks if check.section == "fans"] == [
        "fans.clean",
        "fans.inspect",
        "fans.replace",
    ]
    assert "Inspect FAN3B" in [check.text for check in order.checks]
    assert (order.number, order.reason, order.location) == ("WO-ams1-0001", FAULT.summary, PLACE)


@pytest.mark.parametrize("template", ["fans", "power", "memory", "something else", None])
def test_every_template_has_its_ends_unique_keys_and_known_sections(template: str | None) -> None:
    checks = checks_for(replace(FAULT, template=template) if template else None, PLACE)
    assert len({check.key for check in checks}) == len(checks)
    assert {check.section for check in checks} <= set(SECTIONS)
    assert checks[0].section == "before" and checks[-1].key == "after.cords-in"
    assert any("…7K41" in check.text for check in checks)


def test_without_a_known_serial_the_check_does_not_invent_one() -> None:
    texts = [check.text for check in checks_for(FAULT, Location())]
    assert "Serial of the work order read from the label" in texts


def test_the_shipped_checklists_are_in_three_languages_and_say_the_same_fields() -> None:
    for name, checks in SHIPPED.items():
        for check in checks:
            assert set(check.also) == {"nl", "es"}, (name, check.key)
            for text, hint in check.also.values():
                assert text and bool(hint) == bool(check.hint)
                assert ("{named}" in text, "{serial}" in text) == ("{named}" in check.text, "{serial}" in check.text)
    order = make_work_order(replace(M, fault=replace(FAULT, sensors=())), Location(), "WO-1")
    texts = {language: [check.told(language)[0] for check in order.checks] for language in ("en", "nl", "es")}
    assert "Inspecteer de verdachte ventilator" in texts["nl"] and "Inspeccione el ventilador sospechoso" in texts["es"]
    assert not set(texts["en"]) & set(texts["nl"]) and not any("{" in text for text in texts["es"])


def test_the_technicians_words_are_the_same_in_every_language() -> None:
    names = {
        language: {key: {name for _, name, _, _ in Formatter().parse(text) if name} for key, text in words.items()}
        for language, words in CATALOGUES.items()
    }
    assert names["nl"] == names["en"] and names["es"] == names["en"]
    titles = [key for key in names["en"] if key.startswith("title.")]
    for words in CATALOGUES.values():
        assert len({words[key] for key in titles}) == len(titles)
        assert all(words[key] == words[key].upper() for key in titles)


@pytest.mark.parametrize(
    "header, language",
    [("nl-BE,nl;q=0.9,en;q=0.8", "nl"), ("de,es;q=0.5,nl;q=0.7", "nl"), ("fr", "en"), ("", "en"), ("es;q=x,nl", "nl")],
)
def test_the_phones_own_language_is_found(header: str, language: str) -> None:
    assert best_language(header) == language
