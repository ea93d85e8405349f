"""``dataclasses.replace`` for the large frozen states of which a history makes thousands, in a third of the time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from operator import attrgetter
from typing import Any

_FIELDS: dict[type, tuple[tuple[str, ...], Callable[[Any], tuple[Any, ...]]]] = {}
_set = object.__setattr__


def changed(value: Any, /, **changes: Any) -> Any:
    """A copy with other values in some fields. Not for what checks itself when it is made."""
    kind = type(value)
    known = _FIELDS.get(kind)
    if known is None:
        names = tuple(each.name for each in fields(kind))
        assert len(names) > 1 and not hasattr(kind, "__post_init__"), kind
        known = _FIELDS[kind] = names, attrgetter(*names)
    names, values = known
    new = object.__new__(kind)
    for name, old in zip(names, values(value), strict=True):
        _set(new, name, old)
    for name, other in changes.items():
        _set(new, name, other)
    return new
