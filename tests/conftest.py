"""Shared by all tests: where the recordings are, and what a skipped test means."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

DATA = Path(os.environ.get("NOOUT_TEST_DATA") or Path(__file__).parents[2] / "shared" / "data")

NO_RECORDINGS = "the recordings of real systems are not here (set NOOUT_TEST_DATA)"


@pytest.fixture(scope="session")
def recordings() -> Path:
    """The folder of recordings of real clusters and machines; skips where it is not beside the checkout."""
    if not DATA.is_dir():
        pytest.skip(NO_RECORDINGS)
    return DATA


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test for each recording, where there is none, says so; pytest's own words are about parameter sets."""
    for item in items:
        item.own_markers = [_in_our_words(mark) for mark in item.own_markers]


def _in_our_words(mark: pytest.Mark) -> pytest.Mark:
    without = mark.name == "skip" and "empty parameter set" in str(mark.kwargs.get("reason", ""))
    return pytest.mark.skip(reason=NO_RECORDINGS).mark if without and not DATA.is_dir() else mark


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Where real parts are promised (NOOUT_REQUIRE_REAL=1), a skipped test is a failure."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("NOOUT_REQUIRE_REAL") != "1" or reporter is None:
        return
    skipped = reporter.stats.get("skipped", [])
    if skipped and exitstatus == 0:
        reporter.write_line(f"{len(skipped)} tests were skipped, and NOOUT_REQUIRE_REAL=1 allows none", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
