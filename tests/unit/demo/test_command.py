"""The demo ends with 0 exactly when every check holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from noout.cli.demo import command
from noout.cli.demo.checks import check_all
from noout.cli.demo.director import Told
from noout.cli.main import app
from noout.domain.ceph import CephState
from tests.unit.demo.world import after, before, ceph, state


def plays(monkeypatch: pytest.MonkeyPatch, pool: CephState) -> None:
    async def play(config: Path, out_dir: Path, *rest: Any) -> Told:
        report = out_dir / "report-boekhuis.html"
        return Told(state(), None, check_all(before(), after(ceph=pool)), 1800.0, [report])  # type: ignore[arg-type]

    monkeypatch.setattr(command, "_play", play)


def test_all_checks_hold(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    plays(monkeypatch, ceph())
    found = CliRunner().invoke(app, ["demo", "--out", str(tmp_path)])
    assert found.exit_code == 0
    assert "report-boekhuis.html" in found.output.replace("\n", "")


def test_one_check_fails(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    plays(monkeypatch, ceph(flags=frozenset({"noout"})))
    found = CliRunner().invoke(app, ["demo", "--out", str(tmp_path)])
    assert found.exit_code == 1
    lines = [line for line in found.output.splitlines() if line.startswith("✗")]
    assert len(lines) == 1 and "no flag and no cordon" in lines[0]
    assert "1 check failed" in found.output
