"""The demo's story, seed by seed, in one process under virtual time; and once as a person starts it, over sockets."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from noout.cli.demo.director import Told
from noout.domain.maintenance import MoveKind, Phase
from noout.run.touched import guests_of
from tests.sim.play import Play, played
from tests.support.virtual import run_virtual

DEMO_S_MAX = 90.0  # what a person is asked to wait for
TIMEOUT_S = 300.0  # ... but a loaded machine is no failure of the story
FILES = ("plan.json", "journal.json", "checks.json")


@cache
def story(seed: int) -> tuple[Play, Told]:
    return run_virtual(played(seed=seed))


SEEDS = [seed if seed < 3 else pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 11)]


@pytest.mark.parametrize("seed", SEEDS)
def test_the_story_holds(seed: int) -> None:
    play, told = story(seed)
    assert [f"{check.name}: {check.evidence}" for check in told.checks if not check.ok] == [], play.log()
    state = told.state
    assert (state.phase, state.outcome, state.owned) == (Phase.DONE, "done", ())
    assert state.fault is not None and state.fault.sensors == ("FAN3B",)
    assert state.probation_until is not None and state.closed_at is not None
    assert state.probation_until > state.closed_at
    kinds = {moved.kind for moved in state.moved}
    assert {MoveKind.LIVE, MoveKind.RELOCATE, MoveKind.SHUTDOWN} <= kinds
    guests = {guest.id: guest for guest in guests_of(state)}
    assert any(guests[moved.guest].ha for moved in state.moved)
    assert "YOU MAY LEAVE" in play.log()


def test_the_journal_names_no_customer_and_nobody_can_be_reached_by_it() -> None:
    """Whoever is no customer any more is taken out of the configuration, and the chain has nothing to lose."""
    play, _ = story(2)
    written = json.dumps([[event.data, event.actor] for event in play.events], ensure_ascii=False)
    assert len(play.events) > 100
    assert [each.name for each in play.found.customers if each.name in written] == []
    assert re.findall(r"[\w.+-]+@[\w-]+\.[\w.]+|\+\d{8,}", written) == [], "an address or a number of somebody"


@pytest.mark.slow
def test_the_same_seed_tells_the_same_story() -> None:
    assert run_virtual(played(seed=2))[0].log() == story(2)[0].log()


def test_what_is_written_is_what_was_played(tmp_path: Path) -> None:
    """Reports are made by threads, so they are written when the virtual time is over."""
    play, told = story(2)
    files = asyncio.run(play.director.write(told, tmp_path))
    assert sorted(files) == sorted(tmp_path.iterdir())
    assert set(FILES) < {path.name for path in files}
    names = {customer.key: customer.name for customer in play.found.customers}
    for customer in ("boekhuis", "mercato", "zonneweb"):
        report = json.loads((tmp_path / f"report-{customer}.json").read_text("utf-8"))["report"]
        assert report["customer"] == names[customer]
        assert (tmp_path / f"report-{customer}.pdf").read_bytes().startswith(b"%PDF")
        assert b"<html" in (tmp_path / f"report-{customer}.html").read_bytes()
    checks = json.loads((tmp_path / "checks.json").read_text("utf-8"))["checks"]
    assert [check["ok"] for check in checks] == [True] * len(told.checks)


@pytest.mark.slow
def test_the_demo_over_sockets(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    out = tmp_path / "out"
    began = time.monotonic()
    demo = subprocess.run(
        [sys.executable, "-m", "noout", "demo", "--seed", "1", "--out", str(out)],
        capture_output=True, text=True, timeout=TIMEOUT_S, cwd=tmp_path, check=False,
    )  # fmt: skip
    took_s = time.monotonic() - began
    record_property("demo_s", round(took_s))
    sys.stdout.write(f"noout demo took {took_s:.0f} s (a person is asked for {DEMO_S_MAX:.0f} s at most)\n")
    assert demo.returncode == 0, demo.stdout[-4000:] + demo.stderr[-2000:]
    assert str(out) in demo.stdout and "Done" in demo.stdout
    names = {path.name for path in out.iterdir()}
    assert set(FILES) <= names
    for customer in ("boekhuis", "mercato", "zonneweb"):
        assert {f"report-{customer}.{ext}" for ext in ("html", "pdf", "json")} <= names
