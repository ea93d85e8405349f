"""Which messages a run takes when, and with which words it refuses the others."""

from __future__ import annotations

from typing import Any

import pytest

from noout.domain.journal import Message, MessageKind
from noout.domain.maintenance import Maintenance
from noout.domain.workorder import Answer, Check, Finding, Location, WorkOrder
from noout.run.inbox import refusal
from tests.unit.steps.scene import NODE, T0, maintenance

ORDER = WorkOrder(
    "WO-1", "m1", NODE, Location(serial="ABC123"), "a fan",
    (Check("fans.clean", "fans", "Clean all fans"), Check("fans.replace", "fans", "Replace", required=False)),
)  # fmt: skip
DONE = Finding("fans.clean", Answer.DONE, "", T0, "technician:ruben")


def refused(m: Maintenance, kind: MessageKind, **data: Any) -> str:
    return refusal(m, Message("k", kind, "technician:ruben", T0, data))


@pytest.mark.parametrize(
    ("changes", "serial", "words"),
    [
        ({}, "ABC123", "no work order"),
        ({"work_order": ORDER}, "XYZ", "another machine"),
        ({"work_order": ORDER}, "", "another machine"),
        ({"work_order": ORDER, "aborting": True}, "ABC123", "no work order"),
        ({"work_order": ORDER, "hands_on_by": "technician:eva"}, "ABC123", "at the node already"),
        ({"work_order": ORDER}, " abc123 ", ""),
    ],
)
def test_hands_on(changes: dict[str, Any], serial: str, words: str) -> None:
    said = refused(maintenance(**changes), MessageKind.HANDS_ON, serial=serial)
    assert (words in said) if words else said == ""


@pytest.mark.parametrize(
    ("changes", "data", "words"),
    [
        ({}, {"check": "fans.clean", "answer": "done"}, "opens when the node is off"),
        ({"node_off_at": T0}, {"check": "fans.paint", "answer": "done"}, "not on this checklist"),
        ({"node_off_at": T0}, {"check": "fans.clean", "answer": "maybe"}, "no answer"),
        ({"node_off_at": T0, "signed_off_by": "x"}, {"check": "fans.clean", "answer": "done"}, "signed off already"),
        ({"node_off_at": T0}, {"check": "fans.clean", "answer": "problem"}, ""),
    ],
)
def test_findings(changes: dict[str, Any], data: dict[str, str], words: str) -> None:
    said = refused(maintenance(work_order=ORDER, **changes), MessageKind.FINDING, **data)
    assert (words in said) if words else said == ""


def test_a_sign_off_needs_every_required_answer_unless_all_that_matters_is_hands_off() -> None:
    off = {"work_order": ORDER, "node_off_at": T0}
    assert "Clean all fans" in refused(maintenance(**off), MessageKind.SIGN_OFF)
    assert refused(maintenance(**off, findings=(DONE,)), MessageKind.SIGN_OFF) == ""
    assert refused(maintenance(**off, aborting=True), MessageKind.SIGN_OFF) == ""
    assert "not the technician's" in refused(maintenance(work_order=ORDER), MessageKind.SIGN_OFF)


def test_a_confirmation_says_what_it_confirms() -> None:
    assert refused(maintenance(), MessageKind.CONFIRM) != ""
    assert refused(maintenance(), MessageKind.CONFIRM, action="evacuate/migrate/ams1/100") == ""
