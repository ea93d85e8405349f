"""What the status says of a repair, while it is on probation and after."""

from __future__ import annotations

import asyncio
import importlib
from dataclasses import replace
from datetime import timedelta

import pytest

from noout.cli.maintain import exit_code
from noout.cli.standing import probation, show_standing
from noout.domain.errors import UnknownOutcome
from noout.domain.maintenance import Doubted, Maintenance, Pending
from noout.steps import actions
from tests.unit.tell.cast import make_maintenance

command = importlib.import_module("noout.cli.maintain")


def test_it_is_called_repaired_only_when_its_probation_is_over() -> None:
    done = make_maintenance()
    assert "under observation until 2026-11-24" in str(probation(done))
    assert "✓[/] repaired" in str(probation(replace(done, probation_over_at=done.probation_until)))
    assert probation(replace(done, probation_until=None)) is None


def test_a_fault_that_came_back_is_named_with_what_to_do(capsys) -> None:  # type: ignore[no-untyped-def]
    done = make_maintenance()
    show_standing(replace(done, probation_over_at=done.closed_at, probation_failed="pve3: not cured: FAN3B again"))
    said = " ".join(capsys.readouterr().out.split())
    assert "not cured: FAN3B again" in said and f"noout maintain {done.node} takes this maintenance up again" in said
    assert "repaired" not in said


def test_an_outcome_that_nobody_knows_is_said_with_what_to_do(capsys) -> None:  # type: ignore[no-untyped-def]
    action = actions.service("hold-data", make_maintenance().node, "stop", "osd.4")
    asked = Pending(action, make_maintenance().opened_at, 1, started=True, unknown="the answer was lost")
    show_standing(replace(make_maintenance(), closed_at=None, outcome="", pending=(asked,)))
    said = " ".join(capsys.readouterr().out.split())
    assert "nobody knows whether this was taken up: Stop osd.4" in said and "(the answer was lost)" in said
    assert "look before you act" in said


def test_a_wait_says_since_when(capsys) -> None:  # type: ignore[no-untyped-def]
    since = make_maintenance().opened_at
    state = replace(make_maintenance(), closed_at=None, outcome="", waiting_for="the node to boot", waiting_since=since)
    show_standing(state)
    assert f"waits for the node to boot (since {since:%Y-%m-%d %H:%M:%S} UTC)" in " ".join(
        capsys.readouterr().out.split()
    )


def said_of(capsys, **changes) -> str:  # type: ignore[no-untyped-def]
    show_standing(replace(make_maintenance(), closed_at=None, outcome="", **changes))
    return " ".join(capsys.readouterr().out.split())


def test_a_wait_says_until_when_and_what_to_do(capsys) -> None:  # type: ignore[no-untyped-def]
    since = make_maintenance().opened_at
    wait = {"waiting_for": "the node to boot", "waiting_since": since, "waiting_code": "boot"}
    said = said_of(capsys, **wait, waiting_limit=since + timedelta(minutes=30))
    assert f"until {since + timedelta(minutes=30):%Y-%m-%d %H:%M:%S} UTC at the latest)" in said
    assert "→ look at the console of ams1/" in said


def test_a_wait_for_a_decision_says_whose(capsys) -> None:  # type: ignore[no-untyped-def]
    since = make_maintenance().opened_at
    said = said_of(capsys, waiting_for="hands", waiting_since=since, waiting_code="hands-on", needs="technician")
    assert "until the technician decides)" in said and "--link, or noout abort" in said


def test_what_is_under_way_is_shown_with_its_beginning(capsys) -> None:  # type: ignore[no-untyped-def]
    since = make_maintenance().opened_at
    asked = Pending(actions.service("hold-data", make_maintenance().node, "stop", "osd.4"), since, 1, started=True)
    assert f"under way since {since:%Y-%m-%d %H:%M:%S} UTC: Stop osd.4" in said_of(capsys, pending=(asked,))


def test_a_doubted_effect_whose_answer_was_lost_leaves_the_outcome_unknown(capsys) -> None:  # type: ignore[no-untyped-def]
    since = make_maintenance().opened_at
    action = actions.service("hold-data", make_maintenance().node, "stop", "osd.4")
    lost = Doubted(Pending(action, since, 1, started=True, unknown="the answer was lost"), since)
    over = replace(make_maintenance(), outcome="done")
    assert exit_code(over) == 0 and exit_code(replace(over, outcome="aborted")) == 1
    assert exit_code(replace(over, doubted=(lost,))) == exit_code(replace(over, pending=(lost.pending,))) == 4
    assert "nobody knows whether this was taken up: Stop osd.4" in said_of(capsys, doubted=(lost,))


@pytest.mark.parametrize("unknown", ["the answer was lost", ""])
async def test_stopping_the_command_then_says_that_the_outcome_is_unknown(
    monkeypatch: pytest.MonkeyPatch, unknown: str
) -> None:
    action = actions.service("hold-data", make_maintenance().node, "stop", "osd.4")
    asked = Pending(action, make_maintenance().opened_at, 1, started=True, unknown=unknown)
    state = replace(make_maintenance(), closed_at=None, pending=(asked,))

    async def stopped(*_: object) -> None:
        raise asyncio.CancelledError

    async def get(*_: object) -> Maintenance:
        return state

    monkeypatch.setattr(command, "follow", stopped)
    monkeypatch.setattr(command.Maintenances, "get", get)
    with pytest.raises(UnknownOutcome if unknown else asyncio.CancelledError) as told:
        await command._followed(None, state.id)  # type: ignore[arg-type]
    assert getattr(told.value, "exit_code", 130) == (4 if unknown else 130)
