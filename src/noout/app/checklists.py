"""A provider's own checklists: one TOML file for each kind of fault, checked when noout starts."""

from __future__ import annotations

import string
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from noout.domain.errors import Broken, UsageError
from noout.domain.workorder import Check
from noout.tell.checklist import ALWAYS, FIELDS, SECTIONS, SHIPPED, TEMPLATES, Template, filled
from noout.tell.field import LANGUAGES

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Words(_Table):
    text: Text
    hint: str = Field(default="", max_length=300)


class _Line(_Table):
    key: str = Field(pattern=r"^[a-z0-9-]{1,40}\.[a-z0-9-]{1,40}$")
    section: str = ""  # else what the key begins with
    text: Text
    hint: str = Field(default="", max_length=300)
    required: bool = True
    part: str = Field(default="", max_length=100)
    photo: bool = False
    nl: _Words | None = None
    es: _Words | None = None

    def check(self) -> Check:
        also = {name: (each.text, each.hint) for name, each in (("nl", self.nl), ("es", self.es)) if each is not None}
        section = self.section or self.key.partition(".")[0]
        return Check(self.key, section, self.text, self.hint, self.required, self.part, self.photo, also)


class _File(_Table):
    check: list[_Line] = Field(min_length=1, max_length=100)


def read_checklists(folder: Path | None) -> Mapping[str, Template]:
    """Those of this folder, in place of the shipped ones of the same name (``fans.toml`` is for faults of fans).

    UsageError names the file and the key of the first thing that is wrong.
    """
    if folder is None:
        return SHIPPED
    if not folder.is_dir():
        raise UsageError(
            f"key workorders.checklists: {folder} is no folder", remedy=f"noout checklists {folder} begins one"
        )
    return {**SHIPPED, **{path.stem: _read(path) for path in sorted(folder.glob("*.toml"))}}


def _read(path: Path) -> Template:
    if path.stem not in TEMPLATES:
        raise UsageError(
            f"{path}: no fault calls for a checklist {path.stem!r}", remedy=f"name it one of {', '.join(TEMPLATES)}"
        )
    try:
        found = _File.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", remedy="check the file and its rights") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not valid TOML: {error}", remedy="correct that line") from None
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part + 1 if isinstance(part, int) else part) for part in first["loc"])
        raise UsageError(f"{path}: key {key}: {first['msg']}", remedy=f"correct {key}") from None
    checks = tuple(line.check() for line in found.check)
    _make_sense(path, checks)
    return checks


def _make_sense(path: Path, checks: Template) -> None:
    """What a form cannot say: each key once, sections that there are, and no checklist that leaves a server open."""
    for number, check in enumerate(checks, start=1):
        if check.key in {each.key for each in checks[: number - 1]}:
            raise UsageError(f"{path}: key check.{number}.key: {check.key!r} is there twice", remedy="rename one")
        if check.section not in SECTIONS:
            raise UsageError(
                f"{path}: key check.{number}.section: there is no section {check.section!r}",
                remedy=f"known: {', '.join(SECTIONS)}",
            )
        words = [check.text, check.hint, *(text for pair in check.also.values() for text in pair)]
        try:
            wrong = {name for each in words for _, name, _, _ in string.Formatter().parse(each) if name is not None}
            filled(check, dict.fromkeys(LANGUAGES, dict.fromkeys(FIELDS, "")))
        except (ValueError, KeyError, IndexError, AttributeError):
            wrong = {"?"}
        if wrong - set(FIELDS):
            raise UsageError(
                f"{path}: key check.{number}.text: only {' and '.join(f'{{{each}}}' for each in FIELDS)} stand for "
                "something",
                remedy="write other braces twice: {{ and }}",
            )
    for key in ALWAYS:
        if not any(check.key == key and check.required for check in checks):
            raise UsageError(
                f"{path}: key check: {key} is missing, or not required: nobody may leave a server open or without "
                "its cords",
                remedy="`noout checklists FOLDER` writes checklists that have it",
            )


def write_checklists(folder: Path) -> list[Path]:
    """The shipped checklists as files to edit; none that is there already is written over. Those written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        written = []
        for name, checks in SHIPPED.items():
            path = folder / f"{name}.toml"
            if not path.exists():
                path.write_text(as_toml(name, checks), encoding="utf-8")
                written.append(path)
    except OSError as error:
        raise Broken(f"{folder} cannot be written: {error.strerror}", remedy="choose another folder") from None
    return written


def as_toml(name: str, checks: Template) -> str:
    """A checklist as the text of a file that ``read_checklists`` reads as the same."""
    lines = [
        f"# The checklist for {name}, in the order in which the hands go. {{named}}: the suspected sensors;",
        "# {serial}: the end of the serial. part: the number of the spare part; photo: one is wanted. nl, es: the",
        "# same in Dutch and Spanish; without them the technician reads it as it is.",
    ]
    for check in checks:
        lines += ["", "[[check]]", f"key = {_quoted(check.key)}", f"text = {_quoted(check.text)}"]
        if check.section != check.key.partition(".")[0]:
            lines.append(f"section = {_quoted(check.section)}")
        lines += [f"hint = {_quoted(check.hint)}"] if check.hint else []
        lines += [] if check.required else ["required = false"]
        lines += [f"part = {_quoted(check.part)}"] if check.part else []
        lines += ["photo = true"] if check.photo else []
        for language, (text, hint) in check.also.items():
            lines.append(f"{language} = {{ text = {_quoted(text)}, hint = {_quoted(hint)} }}")
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    plain = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(each if each.isprintable() else f"\\u{ord(each):04x}" for each in plain) + '"'
