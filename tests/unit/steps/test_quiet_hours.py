"""A move waits for the end of its customer's quiet hours, the others do not, and what cannot wait does not."""

from __future__ import annotations

from datetime import timedelta

from noout.domain.hardware import Fault, Urgency
from noout.domain.maintenance import Moved
from noout.steps.evacuate import Evacuate
from noout.steps.homecoming import Homecoming
from noout.steps.step import Act, Hold
from tests.unit.steps.scene import NODE, T0, cluster, guest, maintenance, move, node, plan, seen

QUIET = ("Mon-Fri 08:00-18:00 Europe/Amsterdam",)  # T0 is a Monday, 11:00 there
STEP = Evacuate()


def test_the_others_go_and_then_it_is_waited_for_with_a_time() -> None:
    m = maintenance(plan=plan(move(100, quiet=QUIET), move(101)))
    first = STEP.plan(m, seen(cluster(guest(100), guest(101))))
    assert isinstance(first, Act) and [each.subject for each in first.actions] == ["ams1/101"]
    rest = STEP.plan(m, seen(cluster(guest(100), guest(101, "pve1"))))
    assert isinstance(rest, Hold) and rest.code == "quiet-hours" and rest.for_s == 7 * 3600
    assert rest.why == "the quiet hours of g100 (ams1/100) to end, 2026-11-30 18:00 Europe/Amsterdam"


def test_it_goes_when_they_are_over() -> None:
    m = maintenance(plan=plan(move(100, quiet=QUIET)))
    assert isinstance(STEP.plan(m, seen(cluster(guest(100)), after_s=7 * 3600)), Act)


def test_it_does_not_begin_what_would_end_in_them() -> None:
    m = maintenance(plan=plan(move(100, quiet=QUIET, expected_s=1800.0)))
    assert isinstance(STEP.plan(m, seen(cluster(guest(100)), after_s=-3.25 * 3600)), Hold)
    assert isinstance(STEP.plan(m, seen(cluster(guest(100)), after_s=-3.75 * 3600)), Act)


def test_the_way_home_waits_as_well() -> None:
    away = Moved(move(100).guest, "g100", move(100).kind, NODE, node("pve1"), T0 - timedelta(hours=20), T0, 100, False)
    m = maintenance(plan=plan(returns=(move(100, "pve3", "pve1", quiet=QUIET),)), moved=(away,))
    held = Homecoming().plan(m, seen(cluster(guest(100, "pve1"))))
    assert isinstance(held, Hold) and held.code == "quiet-hours"


def test_what_cannot_wait_does_not() -> None:
    fault = Fault(NODE, "fans", (), Urgency.EVACUATE_NOW, "the fans stand still", ())
    world = seen(cluster(guest(100)))
    ordered = plan(move(100, quiet=QUIET))
    assert isinstance(STEP.plan(maintenance(plan=ordered, fault=fault), world), Act)
    assert isinstance(STEP.plan(maintenance(plan=ordered, urgent=True), world), Act)
