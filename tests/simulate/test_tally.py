"""What histories have shown adds up, run after run."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from tests.simulate.stage import Told
from tests.simulate.tally import Tally


def test_a_run_goes_on_where_the_one_before_was_stopped(tmp_path: Path) -> None:
    file = tmp_path / "counts.json"
    first = Tally.read(file)
    assert first.next_seed == 1
    first.add(Told(1, "done", [], 1.0, Counter(a=1), Counter(migrate=2), Counter({("a", "migrate"): 3})))
    first.add(Told(4, "aborted", ["a promise"], 1.0, missed=Counter({("a", "led-on"): 1})))
    first.write(file)
    then = Tally.read(file)
    assert then == first
    assert (then.histories, then.next_seed, then.broken) == (2, 5, [(4, "a promise")])
    then.add(Told(5, "done", ["a promise"], 1.0, pairs=Counter({("a", "migrate"): 1})))
    assert then.seen.pairs["a", "migrate"] == 4
    assert then.lines()[-1] == "seeds with a broken promise: 4, 5"
