"""How much a run looks at while guests move, and when it looks again."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from noout.domain.cluster import MigrationProgress, Near
from noout.domain.maintenance import Doubted
from noout.domain.reasons import Blocker
from noout.run.nearby import LONG, closer, enough, near
from noout.steps import actions
from noout.steps.flights import CLEANUP_S, FIRST_S, REST_S, SETTLED_S, next_look_s, soonest_s
from noout.steps.step import Act, Blocked, Finished, Hold, Note
from tests.unit.steps.scene import GIB, T0, cluster, guest, maintenance, move, node, owning, pending, plan, seen

LEAD_S = 5.0
FLYING = pending(actions.move("evacuate", move(100, expected_s=60.0), guest(100)), upid="UPID:100")
BY_HA = pending(actions.move("evacuate", move(101, ha=True, expected_s=40.0), guest(101, ha=True)))
PLAN = replace(plan(move(100, expected_s=60.0), move(102)), lead_s=LEAD_S, stream_bytes_s=100e6)
M = maintenance(plan=PLAN, step="evacuate", pending=(FLYING,))
NEXT = actions.move("evacuate", move(102, target="pve2"), guest(102))


def test_while_a_move_is_under_way_only_what_it_concerns_is_looked_at() -> None:
    assert near(M, "evacuate", T0) == Near(flying=frozenset({guest(100).id}))
    late = near(M, "evacuate", T0 + LONG)
    assert late is not None and late.tasks == {node("pve3")}, "is it still among those that run?"
    both = near(replace(M, pending=(FLYING, BY_HA)), "evacuate", T0)
    assert both is not None and both.ha and both.flying == {guest(100).id, guest(101).id}


@pytest.mark.parametrize(
    "change",
    [
        {"pending": ()},
        {"pending": (replace(FLYING, upid=None),)},
        {"pending": (replace(FLYING, started=False),)},
        {"pending": (replace(FLYING, unknown="the answer was lost"),)},
        {"pending": (FLYING, pending(actions.maintenance_mode("evacuate", node("pve3"), True)))},
        {"blockers": (Blocker("guest.iso", "ams1/104", "it holds an ISO", "take it out"),)},
        {"doubted": (Doubted(FLYING, T0),)},
        {"paused": True},
        {"aborting": True},
        {"facts": {}},
        {"replan_wanted_at": T0},
        {"owned": owning(("osd-stopped", "osd.4"))},
        {"step": "hold-data"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_whenever_anything_else_goes_on_everything_is(change: dict[str, Any]) -> None:
    assert near(replace(M, **change), "evacuate", T0) is None


def test_a_start_has_a_look_of_its_own() -> None:
    first = Near(flying=frozenset({guest(100).id}))
    assert not enough(first, Act((NEXT,)), NEXT)
    close = closer(first, NEXT)
    assert close == replace(
        first, guests=frozenset({(guest(102).id, node("pve3"))}), nodes=frozenset({node("pve2")}), effect=True
    )
    assert enough(close, Act((NEXT,)), NEXT)
    other = actions.move("evacuate", move(103, target="pve4"), guest(103))
    assert not enough(close, Act((other,)), other), "each has its own"
    by_ha = closer(first, BY_HA.action)
    assert by_ha is not None and by_ha.ha


@pytest.mark.parametrize(
    "decision",
    [
        Finished(),
        Note("locks", {}),
        Blocked((Blocker("guest.locked", "ams1/100", "it is locked", "see why"),)),
        Hold("lock", "a lock to go", 5.0),
        Hold("answer", "a service to answer", 2.0),
    ],
    ids=lambda decision: type(decision).__name__,
)
def test_any_other_decision_rests_on_a_whole_look(decision: Any) -> None:
    assert not enough(Near(effect=True), decision, None) and closer(Near(), None) is None
    cordon = actions.maintenance_mode("evacuate", node("pve3"), True)
    assert not enough(Near(effect=True), Act((cordon,)), cordon) and closer(Near(), cordon) is None


def test_who_waits_for_arrivals_needs_no_more() -> None:
    assert enough(Near(), Hold("arrivals", "guests to arrive", 5.0), None)


# --- when ------------------------------------------------------------------------------------------------------


def told(sent: float, **changes: Any) -> MigrationProgress:
    return replace(MigrationProgress(int(sent), 4 * GIB, 100e6, target="pve1"), **changes)


def at(age_s: float) -> Any:
    return T0 + timedelta(seconds=age_s)


def test_its_log_is_read_when_it_should_be_ending_and_when_it_should_be_over() -> None:
    assert next_look_s(FLYING, M, None, at(0)) == FIRST_S, "what fails at once is seen before long"
    left_s = 10.0
    ending = next_look_s(FLYING, M, told(4 * GIB - left_s * 100e6), at(35))
    assert ending == pytest.approx(left_s - LEAD_S, abs=0.1)
    over = next_look_s(FLYING, M, told(4 * GIB - 1 * 100e6), at(44))
    assert over == pytest.approx(1 + CLEANUP_S + SETTLED_S, abs=0.1)
    assert next_look_s(FLYING, M, told(0), at(2)) == REST_S, "and now and then anyway"


def test_what_cannot_be_foreseen_is_read_the_more_seldom_the_longer_it_takes() -> None:
    silent = told(0, total_bytes=0, rate_bytes_s=None)
    times = [next_look_s(FLYING, M, silent, at(age_s)) for age_s in (4, 40, 80, 400)]
    assert times == [2.0, 10.0, 20.0, REST_S]


def test_the_run_wakes_for_the_first_of_them() -> None:
    observed = seen(cluster(guest(100)), after_s=10, due={guest(100).id: at(17)})
    assert soonest_s(M, observed, 5.0) == 7.0
    assert soonest_s(replace(M, pending=(FLYING, BY_HA)), observed, 5.0) == 7.0
    assert soonest_s(replace(M, pending=(BY_HA,)), observed, 5.0) == 30.0, "HA's own takes its time"
    assert soonest_s(replace(M, pending=(BY_HA,)), seen(cluster(), after_s=38), 5.0) == 10.0, "and HA thinks in rounds"
