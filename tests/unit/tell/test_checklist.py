"""The work order follows the fault's template and never forgets the ends: before touching, and after."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from noout.domain.cluster import NodeId
from noout.domain.hardware import Fault, Urgency
from noout.domain.maintenance import Maintenance, Mode
from noout.domain.workorder import Location
from noout.tell.checklist import SECTIONS, checks_for, make_work_order

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
