"""What the status says of a repair, while it is on probation and after."""

from __future__ import annotations

from dataclasses import replace

from noout.cli.standing import probation, show_standing
from noout.domain.maintenance import Pending
from noout.steps import actions
from tests.unit.tell.cast import make_maintenance


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
