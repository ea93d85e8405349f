"""Compare JSON documents by shape: which keys exist, and what kind of value stands there."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

Shape = dict[str, set[str]]  # path -> kinds seen there; "[]" stands for any element, "*" for any key of a map


def kind(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (int, float)):
        return "number"
    return {str: "text", list: "list", dict: "object", type(None): "null"}[type(value)]


def shape(documents: Iterable[Any], maps: frozenset[str] = frozenset()) -> Shape:
    """The union of the documents' shapes. ``maps``: paths of objects whose keys are data (names, ids)."""
    found: Shape = {}

    def walk(value: Any, path: str) -> None:
        found.setdefault(path, set()).add(kind(value))
        if isinstance(value, dict):
            for key, inner in value.items():
                walk(inner, f"{path}.{'*' if path in maps else key}")
        elif isinstance(value, list):
            for inner in value:
                walk(inner, f"{path}[]")

    for document in documents:
        walk(document, "")
    return found


def invented(ours: Shape, real: Shape) -> list[str]:
    """Paths, or kinds at a path, that we have and no real document has."""
    return sorted(f"{path} ({', '.join(kinds)})" for path, kinds in ours.items() if not kinds <= real.get(path, set()))


def lacking(ours: Shape, real: Shape) -> set[str]:
    """Outermost paths that real documents have and we do not."""
    gone = {path for path in real if path not in ours}
    return {
        path
        for path in gone
        if not any(path != other and path.startswith((f"{other}.", f"{other}[")) for other in gone)
    }
