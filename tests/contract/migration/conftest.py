"""One saved guest for all migrations of a session."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.savedguest import saved_guest


@pytest.fixture(scope="session")
def template() -> Iterator[Path]:
    with saved_guest() as template:
        yield template
