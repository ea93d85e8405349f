"""A provider's own wording: the sentences that customers read are theirs to edit, figures and what vouches for them
are not. Pure: a file's content in, checked texts out."""

from __future__ import annotations

import difflib
import re
import string
from collections.abc import Iterator, Mapping

from noout.domain.errors import UsageError
from noout.tell.say import SHIPPED

# How figures are written, what stands where one is missing, how they were got, what is estimated, and what is proved.
FIXED = frozenset({
    "and", "unit", "clock", "date", "month", "weekday", "number", "times", "not-measured", "none-seen", "up-to",
    "headline", "mea", "felt", "note", "how", "est", "whatif", "verify", "seal",
})  # fmt: skip
FIXED_BELOW = ("portal.day", "portal.method", "status.day", "status.method", "test.proves")
# Said once a probation is over, and in no other sentence.
CURE = ("repaired", "gerepareerd", "verholpen", "reparad")
CURED = ("notice.repaired", "portal.state.repaired", "probation.cured", "probation")
LONGEST = 1000
_DIGITS = re.compile(r"\d+")

Wording = Mapping[str, Mapping[str, str]]  # language -> key -> text


def editable(key: str) -> bool:
    """Whether a provider may put it in their own words."""
    return key.partition(".")[0] not in FIXED and not key.startswith(FIXED_BELOW)


def check(given: Mapping[str, object], where: str) -> Wording:
    """The wording, checked; ``where``: the file, for the message. UsageError names the first key that is wrong."""
    return {language: dict(_texts(language, texts, where)) for language, texts in given.items()}


def _texts(language: str, texts: object, where: str) -> Iterator[tuple[str, str]]:
    if language not in SHIPPED:
        raise UsageError(f"{where}: [{language}] is no language", remedy=f"known: {', '.join(SHIPPED)}")
    if not isinstance(texts, Mapping):
        raise UsageError(f"{where}: key {language} is no table", remedy=f'write [{language}], then "KEY" = "TEXT"')
    for key, text in texts.items():
        if wrong := _wrong(key, text, SHIPPED[language]):
            raise UsageError(f"{where}: key {language}.{key}: {wrong[0]}", remedy=wrong[1])
        yield key, text


def _wrong(key: str, text: object, shipped: Mapping[str, str]) -> tuple[str, str] | None:
    """What is wrong with one text, and what to do about it."""
    if isinstance(text, Mapping):
        return "is a table", 'put the whole key in quotes: "notice.do.text"'
    if key not in shipped:
        near = difflib.get_close_matches(key, [each for each in shipped if editable(each)], 1)
        return "there is no such text", f"perhaps {near[0]}" if near else "see `noout tell wording`"
    if not editable(key):
        return "is a figure, or says how one was got, and is not edited", "leave it out"
    if not isinstance(text, str) or not text.strip() or len(text) > LONGEST or not text.isprintable():
        return f"{str(text)[:40]!r} is no sentence", f"give one line of text, {LONGEST} characters at most"
    return _wrong_fields(text, shipped[key]) or _wrong_claims(key, text, shipped[key])


def _wrong_fields(text: str, shipped: str) -> tuple[str, str] | None:
    """Every placeholder of the shipped text, each as it is, and no other."""
    wanted = _fields(shipped)
    all_of_them = " ".join(f"{{{name}}}" for name in sorted(wanted)) or "no placeholder"
    try:
        plain = all(not spec and not conversion for _, name, spec, conversion in _parts(text) if name is not None)
        found = _fields(text)
    except ValueError:
        return f"{text[:60]!r} has a brace too many or too few", f"use {all_of_them}; a brace itself is written twice"
    if not plain:
        return "a placeholder says how it is to be written", f"use {all_of_them} as they are"
    if other := sorted(found - wanted):
        return f"there is no placeholder {{{other[0]}}} in it", f"use {all_of_them}"
    if missing := sorted(wanted - found):
        return f"the figure {{{missing[0]}}} is left out", f"use {all_of_them}"
    return None


def _wrong_claims(key: str, text: str, shipped: str) -> tuple[str, str] | None:
    written = set(_DIGITS.findall(_literal(text))) - set(_DIGITS.findall(_literal(shipped)))
    if written:
        return f"has a figure of its own ({min(written)})", "leave figures to the placeholders"
    cure = next((word for word in CURE if word in text.casefold()), None)
    if cure is not None and not key.startswith(CURED) and cure not in shipped.casefold():
        return f"says {cure!r}, which is not known yet", "say it in notice.repaired, after the probation"
    return None


def _parts(text: str) -> list[tuple[str, str | None, str | None, str | None]]:
    return list(string.Formatter().parse(text))


def _fields(text: str) -> set[str]:
    return {name for _, name, _, _ in _parts(text) if name is not None}


def _literal(text: str) -> str:
    return " ".join(literal for literal, _, _, _ in _parts(text))
