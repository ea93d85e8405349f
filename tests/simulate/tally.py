"""What all histories so far have shown, added up in a file, so that a long run can be stopped and go on."""

from __future__ import annotations

import json
import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.simulate.stage import Told
from tests.simulate.strikes import Coverage


def _nothing() -> Coverage:
    return Coverage(Counter(), Counter(), Counter(), Counter())


@dataclass
class Tally:
    histories: int = 0
    took_s: float = 0.0
    next_seed: int = 1
    outcomes: Counter[str] = field(default_factory=Counter)
    broken: list[tuple[int, str]] = field(default_factory=list)  # seed, promise
    seen: Coverage = field(default_factory=_nothing)

    def add(self, told: Told) -> None:
        self.histories += 1
        self.next_seed = told.seed + 1
        self.outcomes[told.outcome] += 1
        self.broken += [(told.seed, each) for each in told.broken]
        self.seen.add(told)

    def line(self, a_second: float) -> str:
        return f"{self.histories} histories, {a_second:.1f} a second, {len(self.broken)} promises broken"

    def lines(self) -> list[str]:
        told = ["outcomes: " + ", ".join(f"{name} {n}" for name, n in self.outcomes.most_common())]
        told += self.seen.lines()
        if self.broken:
            told.append(
                "seeds with a broken promise: " + ", ".join(map(str, sorted({seed for seed, _ in self.broken})))
            )
        return told

    # --- in a file -------------------------------------------------------------------------------------------

    @classmethod
    def read(cls, file: Path) -> Tally:
        """What is in ``file``; nothing yet where there is none."""
        if not file.exists():
            return cls()
        was: dict[str, Any] = json.loads(file.read_text())
        seen = {name: Counter({_key(key): n for key, n in counts.items()}) for name, counts in was["seen"].items()}
        return cls(
            was["histories"], was["took_s"], was["next_seed"], Counter(was["outcomes"]),
            [(seed, promise) for seed, promise in was["broken"]], Coverage(**seen),
        )  # fmt: skip

    def write(self, file: Path | None) -> None:
        """Whole or not at all."""
        if file is None:
            return
        seen = {name: {_text(key): n for key, n in counts.items()} for name, counts in vars(self.seen).items()}
        new = file.with_suffix(".new")
        new.write_text(json.dumps(vars(self) | {"seen": seen}, indent=1))
        os.replace(new, file)


def _text(key: str | tuple[str, str]) -> str:
    return key if isinstance(key, str) else "|".join(key)


def _key(text: str) -> Any:
    return tuple(text.split("|")) if "|" in text else text
