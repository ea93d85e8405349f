"""A provider's checklists: what is shipped can be written out, read back as the same, and edited; what is wrong with
a file is said by its name and its key."""

from __future__ import annotations

from pathlib import Path

import pytest

from noout.app.checklists import as_toml, read_checklists, write_checklists
from noout.domain.cluster import NodeId
from noout.domain.errors import UsageError
from noout.domain.hardware import Fault, Urgency
from noout.domain.workorder import Location
from noout.tell.checklist import SHIPPED, checks_for

FAULT = Fault(NodeId("ams1", "pve3"), "fans", ("FAN3B",), Urgency.SCHEDULE, "it stops", ())


def test_what_is_shipped_comes_back_as_it_was(tmp_path: Path) -> None:
    assert {path.stem for path in write_checklists(tmp_path / "lists")} == set(SHIPPED)
    assert read_checklists(tmp_path / "lists") == SHIPPED
    assert read_checklists(None) == SHIPPED


def test_a_file_of_ones_own_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "fans.toml").write_text("mine")
    assert "fans" not in {path.stem for path in write_checklists(tmp_path)}
    assert (tmp_path / "fans.toml").read_text() == "mine"


def test_an_edited_checklist_is_what_the_work_order_asks(tmp_path: Path) -> None:
    text = as_toml("fans", SHIPPED["fans"])
    more = 'key = "fans.replace"\npart = "FAN-0126L4"'
    (tmp_path / "fans.toml").write_text(text.replace('key = "fans.replace"', more))
    checks = checks_for(FAULT, Location(), read_checklists(tmp_path))
    replace = next(check for check in checks if check.key == "fans.replace")
    assert (replace.text, replace.part) == ("Replace FAN3B", "FAN-0126L4")
    assert replace.told("nl")[0] == "Vervang FAN3B" and replace.told("fr")[0] == "Replace FAN3B"


def edited(old: str, new: str) -> str:
    text = as_toml("fans", SHIPPED["fans"])
    assert old in text
    return text.replace(old, new, 1)


@pytest.mark.parametrize(
    "text, says",
    [
        ("[[check", "is not valid TOML"),
        ("check = []", "key check: "),
        (edited('text = "Wrist strap on"', 'texd = "Wrist strap on"'), "key check.1.text: Field required"),
        (edited('text = "Wrist strap on"', 'text = ""'), "key check.1.text: "),
        (edited('"before.strap"', '"Strap"'), "key check.1.key: "),
        (edited('"before.strap"', '"before.serial"'), "key check.2.key: 'before.serial' is there twice"),
        (edited('"before.strap"', '"cellar.strap"'), "key check.1.section: there is no section 'cellar'"),
        (edited("Serial {serial}", "{password}"), "key check.2.text: only {named} and {serial}"),
        (edited("Serial {serial}", "{serial"), "key check.2.text: only {named} and {serial}"),
        (edited("Serial {serial}", "{serial.__class__}"), "key check.2.text: only {named} and {serial}"),
        (edited('"after.cords-in"', '"after.cords"'), "after.cords-in is missing"),
        (edited('key = "after.lid"', 'required = false\nkey = "after.lid"'), "after.lid is missing, or not required"),
    ],
)
def test_what_is_wrong_is_named_by_file_and_key(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "fans.toml").write_text(text)
    with pytest.raises(UsageError) as error:
        read_checklists(tmp_path)
    assert str(tmp_path / "fans.toml") in error.value.message and says in error.value.message
    assert error.value.remedy


def test_a_checklist_that_no_fault_calls_for_and_a_folder_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "fan.toml").write_text("")
    with pytest.raises(UsageError, match=r"fan\.toml: no fault calls for a checklist 'fan'"):
        read_checklists(tmp_path)
    with pytest.raises(UsageError, match=r"key workorders\.checklists"):
        read_checklists(tmp_path / "not-there")
