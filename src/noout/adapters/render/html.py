"""The report as one standalone HTML file: its style is embedded, nothing else is loaded, it prints on two A4 sheets."""

from __future__ import annotations

from noout.adapters.render.standalone import groups, style, template
from noout.tell.report import Report


def render(report: Report) -> bytes:
    """UTF-8 HTML. Every text of the report is escaped."""
    page = template("report.html")
    return page.render(r=report, style=style("report.css"), digest=groups(report.seal.digest)).encode()
