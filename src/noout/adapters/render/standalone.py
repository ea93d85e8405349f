"""What every standalone page has: its template, its style in it, and how a digest is written for people."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined, Template, select_autoescape
from markupsafe import Markup


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("noout.adapters.render", "style"),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def template(name: str) -> Template:
    """Every text put into it is escaped."""
    return _environment().get_template(name)


@cache
def style(name: str) -> Markup:
    """Our own two files; no text of anybody else is in them, so they need no escaping."""
    folder = files("noout.adapters.render") / "style"
    return Markup("\n".join((folder / each).read_text("utf-8") for each in ("tokens.css", name)))


def groups(digest: str) -> str:
    """By fours, as one reads it aloud."""
    return " ".join(digest[i : i + 4] for i in range(0, len(digest), 4))
