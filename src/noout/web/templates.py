"""Templates of the pages: one environment for all, in which every text is escaped and a name that is unknown fails."""

from __future__ import annotations

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined, select_autoescape


def environment(room: str) -> Environment:
    """Templates of ``web/ROOM/templates``, and what all pages share."""
    made = Environment(
        loader=ChoiceLoader([PackageLoader("noout.web", f"{room}/templates"), PackageLoader("noout.web", "shared")]),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["first_upper"] = lambda text: text[:1].upper() + text[1:]
    return made
