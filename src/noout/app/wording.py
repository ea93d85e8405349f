"""The provider's own wording, read from its file."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path

from noout.domain.errors import UsageError
from noout.tell.say import CATALOGUES
from noout.tell.wording import Wording, check, editable


def read_wording(path: Path | None, key: str) -> Wording:
    """Of the file that ``key`` of the configuration names; empty where it names none. UsageError names what is wrong
    with it."""
    if path is None:
        return {}
    try:
        given = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"key {key}: {path} cannot be read: {error.strerror}", remedy="check the file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"key {key}: {path} is not valid TOML: {error}", remedy="correct that line") from None
    return check(given, str(path))


def as_toml(language: str) -> Iterator[str]:
    """The texts that may be edited, as they are in force, line by line: a file to begin with."""
    yield f"[{language}]"
    for key, text in CATALOGUES[language].items():
        if editable(key):
            yield f"{json.dumps(key)} = {json.dumps(text, ensure_ascii=False)}"
