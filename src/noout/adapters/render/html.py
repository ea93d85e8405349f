"""The report as one standalone HTML file: its style is embedded, nothing else is loaded, it prints on two A4 sheets."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined, Template, select_autoescape
from markupsafe import Markup

from noout.tell.report import Report


def render(report: Report) -> bytes:
    """UTF-8 HTML. Every text of the report is escaped."""
    digest = report.seal.digest
    groups = " ".join(digest[i : i + 4] for i in range(0, len(digest), 4))
    return _template().render(r=report, style=_style(), digest=groups).encode()


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("noout.adapters.render", "style"),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html")


@cache
def _style() -> Markup:
    """Our own two files; no text of anybody else is in them, so they need no escaping."""
    folder = files("noout.adapters.render") / "style"
    return Markup("\n".join((folder / name).read_text("utf-8") for name in ("tokens.css", "report.css")))
