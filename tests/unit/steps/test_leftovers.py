"""At the end every guest that is not home is named, with where it is, why, and what can be done."""

from __future__ import annotations

from dataclasses import replace

import pytest

from noout.app.sentences import sentence
from noout.domain.cluster import GuestId
from noout.domain.journal import Event, Kind
from noout.domain.maintenance import Moved, MoveKind, Stay
from noout.steps.homecoming import Homecoming
from noout.steps.step import Finished
from noout.steps.whereabouts import leftovers
from tests.unit.steps.scene import T0, cluster, guest, maintenance, move, node, plan, seen

AWAY = Moved(GuestId("ams1", 100), "g100", MoveKind.LIVE, node("pve3"), node("pve1"), T0, T0, None, False)
STAYS = Stay(GuestId("ams1", 100), "g100", node("pve1"), "pve3 lacks 4 GiB for it", "make room on pve3")


def _one(on: str = "pve1", stays: tuple[Stay, ...] = (), **more: object) -> dict[str, object]:
    m = maintenance(plan=replace(plan(move(100)), stays=stays), moved=(AWAY,), **more)
    found = leftovers(m, seen(cluster(guest(100, on))))
    assert len(found) == 1
    return found[0]


def test_one_that_cannot_come_home_is_named_with_the_plans_reason_and_what_to_do() -> None:
    told = _one(stays=(STAYS,))
    assert (told["guest"], told["node"], told["why"], told["next"]) == (
        "ams1/100", "pve1", "pve3 lacks 4 GiB for it", "make room on pve3",
    )  # fmt: skip
    assert told["planned"] is False


@pytest.mark.parametrize(
    ("on", "more", "why"),
    [
        ("pve2", {}, "somebody moved it on from pve1"),
        ("pve1", {"left_away": frozenset({GuestId("ams1", 100)})}, "an operator said that it may stay there"),
        ("pve1", {}, "it was not brought back to pve3"),
    ],
)
def test_without_a_word_of_the_plan_what_happened_is_the_reason(on: str, more: dict[str, object], why: str) -> None:
    told = _one(on, **more)
    assert told["why"] == why and "move it to pve3 by hand" in str(told["next"])
    assert told["planned"] is False


def test_one_that_was_to_stay_is_planned_until_somebody_moves_it_on() -> None:
    planned = replace(STAYS, remedy="")
    assert _one(stays=(planned,))["planned"] is True
    assert _one("pve2", stays=(planned,))["planned"] is False


def test_the_way_home_ends_with_those_that_stay_and_the_journal_says_so() -> None:
    m = maintenance(plan=replace(plan(move(100)), stays=(STAYS,)), moved=(AWAY,))
    done = Homecoming().plan(m, seen(cluster(guest(100, "pve1"))))
    assert isinstance(done, Finished)
    data = {"outcome": "done, guests left away", **done.evidence}
    event = Event("m", 1, T0, Kind.CLOSED, data, "noout", "")
    said = sentence(event)
    assert said is not None
    assert "g100 (ams1/100) stays on pve1: pve3 lacks 4 GiB for it → make room on pve3" in said
