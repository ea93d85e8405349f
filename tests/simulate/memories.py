"""What the adapters remember from one look to the next, as far as it has its part in what they see."""

from __future__ import annotations

import pickle
from collections.abc import Hashable
from datetime import datetime
from typing import Any

from noout.adapters.pve.client import PveClient
from noout.adapters.pve.observe import Observer, _Kept
from tests.simulate.kept import Answers


class OfAttributes:
    """Plain attributes: lists of what is hashable, or what is."""

    def __init__(self, owner: object, *names: str) -> None:
        self._owner, self._names = owner, names

    def now(self) -> Hashable:
        found = [getattr(self._owner, name) for name in self._names]
        return tuple(tuple(each) if isinstance(each, list) else each for each in found)

    def learned(self) -> Any:
        return [getattr(self._owner, name) for name in self._names]

    def restore(self, after: Any) -> None:
        for name, value in zip(self._names, after, strict=True):
            setattr(self._owner, name, list(value) if isinstance(value, list) else value)


class OfObserver:
    """The configurations it has read, which of them are to be read again, and whom it asks first."""

    def __init__(self, client: PveClient, observer: Observer, answers: Answers) -> None:
        self.client, self.observer, self.answers = client, observer, answers
        self.at: datetime = client.clock.now()
        self.keep_s = 0.0  # of the look that comes
        self._marks: tuple[tuple[tuple[str, ...], object, int], ...] = ()  # of what it remembers, and which it is
        self._those: list[_Kept] = []
        self._read: Hashable = ()  # what it says
        self._newest = self._oldest = self.at

    def now(self) -> Hashable:
        remembered = self.observer._kept
        marks = tuple([(key, each.mark, id(each)) for key, each in remembered.items()])
        if marks != self._marks:
            self._marks, self._those = marks, list(remembered.values())
            self._read = tuple([(key, each.mark, self._number(each)) for key, each in remembered.items()])
            ats = [each.at for each in self._those] or [self.at]
            self._newest, self._oldest = max(ats), min(ats)
        all_hold = self._newest <= self.at and (self.at - self._oldest).total_seconds() < self.keep_s
        return self.client._good, self._read, all_hold or tuple(map(self._holds, self._those))

    def _holds(self, kept: _Kept) -> bool:
        return 0 <= (self.at - kept.at).total_seconds() < self.keep_s

    def _number(self, kept: _Kept) -> int:
        """The same for what is the same, however often it was read."""
        known = self.answers.numbers.get(id(kept.data))
        if known is None:
            read = pickle.dumps(kept.data)
            kept.data = self.answers.same.setdefault(read, kept.data)
            known = self.answers.numbers.setdefault(id(kept.data), len(self.answers.numbers))
        return known

    def learned(self) -> Any:
        """Who is asked first, what was read in this look (its data), and what was only marked anew (None)."""
        before = {key: (mark, those) for key, mark, those in self._marks}
        found: list[tuple[tuple[str, ...], object, Any]] = []
        for key, each in self.observer._kept.items():
            mark, those = before.get(key, (None, 0))
            if those != id(each):
                self._number(each)
                found.append((key, each.mark, each.data))
            elif mark != each.mark:
                found.append((key, each.mark, None))
        return self.client._good, found

    def restore(self, after: Any) -> None:
        self.client._good, found = after
        for key, mark, data in found:
            if data is not None:
                self.observer._kept[key] = _Kept(self.at, mark, data)
            else:
                self.observer._kept[key].mark = mark
