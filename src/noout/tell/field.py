"""The technician's language: phrases as data, and what they read like in English, Dutch and Spanish.

What the page shows is put together where nobody knows who reads it; so it is kept as phrases, and put into words by
whoever draws the page. A test holds the catalogues to the same keys and fields.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from noout.domain.errors import Refused
from noout.tell import field_en, field_es, field_nl

CATALOGUES: Mapping[str, Mapping[str, str]] = {"en": field_en.WORDS, "nl": field_nl.WORDS, "es": field_es.WORDS}
LANGUAGES: Mapping[str, str] = {"en": "English", "nl": "Nederlands", "es": "Español"}


@dataclass(frozen=True, slots=True)
class Phrase:
    """``str()`` is English."""

    key: str
    fields: Mapping[str, str | int] = field(default_factory=dict)

    def told(self, language: str) -> str:
        return CATALOGUES.get(language, field_en.WORDS)[self.key].format(**self.fields)

    def __str__(self) -> str:
        return self.told("en")

    def __bool__(self) -> bool:
        return bool(self.key)


NOTHING = Phrase("")


def phrase(key: str, **fields: str | int) -> Phrase:
    """KeyError for one that no catalogue has."""
    assert key in field_en.WORDS, key
    return Phrase(key, fields)


def quoted(text: str) -> Phrase:
    """What somebody wrote, as it is."""
    return Phrase("quoted", {"text": text})


class Declined(Refused):
    """A refusal that the technician reads in their own language; its message is English."""

    def __init__(self, why: Phrase, remedy: Phrase = NOTHING) -> None:
        super().__init__(str(why), remedy=str(remedy) if remedy else "")
        self.why = why
        self.what_to_do = remedy


def best_language(accepted: str, *, known: Mapping[str, str] = LANGUAGES) -> str:
    """The first language of an ``Accept-Language`` header (by its weights) that there is; English else."""
    wishes = []
    for place, part in enumerate(accepted.split(",")[:20]):
        tag, _, weight = part.partition(";q=")
        try:
            wishes.append((-float(weight or 1), place, tag.strip().partition("-")[0].lower()))
        except ValueError:
            continue
    return next((tag for _, _, tag in sorted(wishes) if tag in known), "en")
