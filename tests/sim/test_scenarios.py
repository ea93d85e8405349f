"""What goes wrong in the story: a scenario fails exactly the checks it should, and stands where a person can act."""

from __future__ import annotations

import pytest

from noout.cli.demo.checks import check_all
from noout.domain.maintenance import Maintenance
from tests.sim import scenario
from tests.unit.demo.world import after, before


def next_action(state: Maintenance) -> bool:
    """Somebody who reads the state knows what to do: nothing (it is closed), a remedy for each blocker, or a wait
    that says what it is for and who ends it."""
    if not state.open:
        return bool(state.outcome)
    if state.blockers:
        return all(blocker.message and blocker.remedy for blocker in state.blockers)
    return bool(state.waiting_for and state.needs)


QUICK = {"restart-not-told", "task-ok-customer-down"}
NAMES = [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in scenario.names()]


@pytest.mark.parametrize("name", NAMES)
def test_a_scenario(name: str) -> None:
    told_of = scenario.load(name)
    expect = told_of.expect
    play, told = told_of.play()
    log = play.log()
    evidence = {check.name: check.evidence for check in told.checks if not check.ok}
    assert sorted(evidence) == sorted(expect["fails"]), f"{evidence}\n{log}"
    assert not told.ok  # and so the demo would end with 1
    state = told.state
    assert (state.phase.value, state.outcome, state.needs) == (expect["phase"], expect["outcome"], expect["needs"])
    assert sorted({blocker.code for blocker in state.blockers}) == sorted(expect["blockers"])
    assert next_action(state)
    assert log == told_of.log.read_text("utf-8")


def test_every_check_has_a_scenario_that_fails_it() -> None:
    failing = {check for name in scenario.names() for check in scenario.load(name).expect["fails"]}
    assert failing == {check.name for check in check_all(before(), after())}


def test_every_scenario_says_in_words_what_it_is() -> None:
    for name in scenario.names():
        readme = (scenario.FOLDER / name / "README.md").read_text("utf-8")
        assert readme.startswith("# ") and len(readme.splitlines()) > 2, name
