"""What the status says of a repair, while it is on probation and after."""

from __future__ import annotations

from dataclasses import replace

from noout.cli.standing import probation, show_standing
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
