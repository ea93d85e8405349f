"""A virtual day of a prober that drops out, through the ledger: what the benchmark tells of many, here of one each."""

from __future__ import annotations

import pytest
from benchmarks.witness.virtual import judged


@pytest.mark.slow
@pytest.mark.parametrize("name", ["one place", "two places"])
def test_a_day_with_the_probers_own_drop_outs_makes_nothing_up_and_hides_nothing(name: str) -> None:
    told = judged(name, 2)
    assert (told.false, told.found, told.services) == (0, 2, 2)
    assert told.samples > 150_000
    assert (told.disputed > 20) == (name == "two places")
    assert (told.unmeasured_s > 3600) == (name == "one place")
