"""The simulation itself: the same seed is the same history, every pair has its turn, and a minute of it is clean."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from noout.steps.effects import EFFECTS
from tests.simulate.family import alone, histories
from tests.simulate.strikes import (
    BEGINS_AT,
    FAMILY,
    IMPOSSIBLE,
    LEADS_TO,
    MOMENT_S,
    NOT_AIMED_AT,
    VERBS,
    WITH,
    Coverage,
    aim,
    impossible_rows,
    pairs,
)
from tests.simulate.troubles import TROUBLES, WAYS

ABORTED_EARLY = 254  # a short one: the operator changes their mind when the LED is to be lit
ROOT = Path(__file__).resolve().parents[2]


def test_every_pair_of_trouble_and_action_has_its_turn() -> None:
    every = pairs()
    assert {aim(seed) for seed in range(len(TROUBLES) * FAMILY)} == {*every, None}
    # ... and a short run does not stay with a few troubles or a few actions
    begun = [pair for seed in range(1, 201) if (pair := aim(seed)) is not None]
    assert {name for name, _ in begun} == set(TROUBLES)
    assert {verb for _, verb in begun} == set(VERBS)


def test_the_lists_of_actions_and_pairs_are_whole_and_have_nothing_twice() -> None:
    assert sorted([*VERBS, *NOT_AIMED_AT]) == sorted(EFFECTS), (
        "every effect of noout is aimed at, or it is said why not"
    )
    every = {(name, verb) for name in TROUBLES for verb in VERBS}
    assert set(pairs()) == every - set(IMPOSSIBLE) and set(IMPOSSIBLE) < every and len(pairs()) == len(set(pairs()))
    assert set(MOMENT_S) | set(BEGINS_AT) | set(WITH) <= set(pairs()) and set(BEGINS_AT.values()) <= set(VERBS)
    assert set(WAYS) <= set(TROUBLES) and all(verb in VERBS for verb in LEADS_TO)
    page = (ROOT / "docs" / "explanation" / "simulation.md").read_text("utf-8")
    assert [row for row in impossible_rows() if row not in page] == [], "the page says what cannot be, and why"


def test_what_was_never_seen_is_told_by_name() -> None:
    name, verb = pairs()[0]
    seen = Coverage(Counter({name: 1}), Counter({verb: 1}), Counter({(name, verb): 3}), Counter({(name, VERBS[1]): 2}))
    told = "\n".join(seen.lines())
    assert f"1 of {len(pairs())} seen" in told
    assert f"never {name} during: {VERBS[1]}, {VERBS[2]} (not tried)" in told
    assert f"never seen at all: {sorted(TROUBLES)[1]}" in told


def test_a_seed_is_one_history_however_it_is_played() -> None:
    """With its family, alone, and with nothing kept of what was asked before: more of them by ``--compare 40``."""
    with_others = histories(ABORTED_EARLY // FAMILY, [ABORTED_EARLY])
    once = alone(ABORTED_EARLY)
    assert with_others == [once]
    assert alone(ABORTED_EARLY, keeps=False) == once
    assert not once.broken
    assert once.actions
    assert once.digest


def test_every_mutant_can_be_applied() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "mutants", "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_a_minute_of_histories_breaks_no_promise() -> None:
    seconds, first = os.environ.get("NOOUT_SIMULATE_S", "60"), os.environ.get("NOOUT_SIMULATE_FIRST", "1")
    argv = [sys.executable, "-m", "tests.simulate", f"--seconds={seconds}", f"--first={first}", "--jobs=2"]
    argv += ["--count=150"]  # the same histories on every machine, however fast; more of them: make simulate
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
