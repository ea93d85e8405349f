"""Figures, times and lists as each language writes them. A pause is never rounded down; number and unit stay together.

Texts come from one catalogue per language (``words_en`` and ``told_en``, and so on); a test holds them to the same keys
and fields. A provider may have sentences of their own (``wording``).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from functools import cached_property
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from noout.tell import portal_en, portal_es, portal_nl, told_en, told_es, told_nl, words_en, words_es, words_nl

SHIPPED: Mapping[str, Mapping[str, str]] = {
    "en": words_en.WORDS | told_en.WORDS | portal_en.WORDS,
    "nl": words_nl.WORDS | told_nl.WORDS | portal_nl.WORDS,
    "es": words_es.WORDS | told_es.WORDS | portal_es.WORDS,
}
CATALOGUES: dict[str, Mapping[str, str]] = dict(SHIPPED)  # in force: with a provider's own wording, where they have one
_DECIMAL = {"en": ".", "nl": ",", "es": ","}
_GROUP = {"en": ",", "nl": ".", "es": "."}
NBSP = "\u00a0"


def reword(wording: Mapping[str, Mapping[str, str]]) -> None:
    """From now on customers read these texts (``wording.check`` made them), and the shipped ones where there are none.
    Once, when the program starts: what was drafted before keeps its words."""
    for language, shipped in SHIPPED.items():
        CATALOGUES[language] = {**shipped, **wording.get(language, {})}


@dataclass(frozen=True)
class Say:
    """One reader's language and time zone (an unknown zone falls back to UTC, and the report says which it used)."""

    language: str
    timezone: str = "UTC"

    @cached_property
    def _words(self) -> Mapping[str, str]:
        return CATALOGUES.get(self.language, CATALOGUES["en"])

    @cached_property
    def zone(self) -> tzinfo:
        try:
            return ZoneInfo(self.timezone)
        except (ZoneInfoNotFoundError, ValueError):
            return UTC

    @property
    def zone_name(self) -> str:
        return "UTC" if self.zone is UTC else self.timezone

    def __call__(self, key: str, **fields: object) -> str:
        """The catalogue's text; KeyError for a key that is not in it."""
        return self._words[key].format(**fields)

    def counted(self, key: str, count: int, **fields: object) -> str:
        """``key.one`` or ``key.many``, with ``{n}`` as a number."""
        return self(f"{key}.{'one' if count == 1 else 'many'}", **{"n": self.whole(count), **fields})

    def whole(self, n: int) -> str:
        return f"{n:,}".replace(",", _GROUP.get(self.language, ","))

    def in_words(self, n: int) -> str:
        """two to nine as words, in a sentence; others as figures."""
        return self(f"number.{n}") if 2 <= n <= 9 else self.whole(n)

    def _decimal(self, n: int, places: int) -> str:
        """``n`` counts units of the last place: (4, 1) is 0.4."""
        text = f"{n / 10**places:.{places}f}"
        return text.replace(".", _DECIMAL.get(self.language, "."))

    def pause(self, seconds: float | timedelta) -> str:
        """A measured length, rounded up: hundredths below a second (tenths if exact), tenths below two minutes."""
        micros = _micros(seconds)
        if micros < 1_000_000:
            hundredths = -(-micros // 10_000)
            exact = hundredths % 10 == 0
            return self._unit(self._decimal(hundredths // 10, 1) if exact else self._decimal(hundredths, 2), "s")
        if micros < 120_000_000:
            tenths = -(-micros // 100_000)
            return self._unit(self._decimal(tenths, 1) if tenths % 10 else self.whole(tenths // 10), "s")
        return self._long(-(-micros // 1_000_000))

    def interval(self, seconds: float) -> str:
        """An interval as it was set: 0.1 s, 1 s, 10 s."""
        return self._unit(f"{seconds:g}".replace(".", _DECIMAL.get(self.language, ".")), "s")

    def span(self, length: timedelta) -> str:
        """How long work took, to the minute (to the second below two minutes)."""
        whole = math.ceil(length.total_seconds())
        return self._unit(self.whole(whole), "s") if whole < 120 else self._minutes(round(whole / 60))

    def took(self, since: datetime, until: datetime) -> str:
        """How long work took, as the two times printed beside it say: both to the minute, from two minutes on."""
        exact = until - since
        if exact.total_seconds() < 120:
            return self.span(exact)
        return self.span(until.replace(second=0, microsecond=0) - since.replace(second=0, microsecond=0))

    def _long(self, whole_s: int) -> str:
        """Minutes and seconds; from an hour on minutes, rounded up."""
        minutes, rest = divmod(whole_s, 60)
        if minutes >= 60:
            return self._minutes(minutes + (rest > 0))
        return self._minutes(minutes) + (f" {self._unit(str(rest), 's')}" if rest else "")

    def _minutes(self, minutes: int) -> str:
        hours, left = divmod(minutes, 60)
        parts = [self._unit(str(hours), self("unit.h"))] if hours else []
        return " ".join([*parts, *([self._unit(str(left), "min")] if left or not hours else [])])

    def percent(self, part: int, whole: int) -> str:
        """Of ``whole`` (positive), rounded down to thousandths of a percent: availability is never flattered."""
        text = self._decimal(part * 100_000 // whole, 3)
        return self._unit(text.rstrip("0").rstrip(self._point) if self._point in text else text, "%")

    def how(self, probe: str) -> str:
        """The method behind a probe's text (``tcp:443``), as a customer reads it."""
        scheme = probe.partition(":")[0]
        return self(f"how.{scheme}" if f"how.{scheme}" in self._words else "how.other")

    @property
    def _point(self) -> str:
        return _DECIMAL.get(self.language, ".")

    def rate(self, per_hour: float) -> str:
        """Two significant figures and no more: it is a count of few."""
        return f"{per_hour:.2g}".replace(".", self._point) if per_hour < 100 else self.whole(round(per_hour))

    def millis(self, ms: int) -> str:
        return self._unit(self.whole(ms), "ms")

    def _unit(self, number: str, unit: str) -> str:
        return f"{number}{NBSP}{unit}"

    def local(self, at: datetime) -> datetime:
        return at.astimezone(self.zone)

    def clock(self, at: datetime) -> str:
        """To the minute."""
        return self("clock", time=self._hm(at))

    def _hm(self, at: datetime) -> str:
        return self.local(at).strftime("%H.%M" if self.language == "nl" else "%H:%M")

    def clocks(self, since: datetime, until: datetime) -> str:
        """A stretch of one day; one time when both are in the same minute; with its days when they differ."""
        if self.local(since).date() != self.local(until).date():
            return f"{self.day(since)}, {self.clock(since)} – {self.day(until)}, {self.clock(until)}"
        if self._hm(since) == self._hm(until):
            return self.clock(since)
        return self("clock", time=f"{self._hm(since)}{NBSP}–{NBSP}{self._hm(until)}")

    def day(self, at: datetime) -> str:
        """17 November."""
        local = self.local(at)
        return self("date", day=local.day, month=self(f"month.{local.month}"))

    def date(self, at: datetime) -> str:
        """17 November 2026."""
        return self("date.year", date=self.day(at), year=self.local(at).year)

    def weekday(self, at: datetime) -> str:
        """Tuesday 17 November."""
        return self("date.weekday", weekday=self(f"weekday.{self.local(at).isoweekday()}"), date=self.day(at))

    def days(self, since: datetime, until: datetime) -> str:
        """12 – 16 November; one day when it is one."""
        first, last = self.local(since), self.local(until)
        if first.date() == last.date():
            return self.day(since)
        if (first.year, first.month) == (last.year, last.month):
            return self("date", day=f"{first.day}{NBSP}–{NBSP}{last.day}", month=self(f"month.{first.month}"))
        return f"{self.day(since)} – {self.day(until)}"

    def names(self, names: Sequence[str]) -> str:
        """a, b and c."""
        if len(names) < 2:
            return "".join(names)
        # In Spanish "y" becomes "e" before the sound i (but not before "ia", "ie").
        like_i = re.match(r"h?i(?![ae])", names[-1].lower()) is not None
        joint, last = "and.e" if like_i else "and", names[-1]
        return f"{', '.join(names[:-1])} {self(joint)} {last}"


def _micros(seconds: float | timedelta) -> int:
    length = seconds if isinstance(seconds, timedelta) else timedelta(seconds=seconds)
    return round(length / timedelta(microseconds=1))
