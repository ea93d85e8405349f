"""Domain objects <-> JSON, for the journal, snapshots, plans and their published schemas."""

from __future__ import annotations

import json
from collections.abc import Hashable
from functools import cache
from typing import Any, TypeVar, cast

from pydantic import TypeAdapter, ValidationError

from noout.domain.errors import UsageError
from noout.domain.maintenance import Json

T = TypeVar("T")


@cache
def _adapter(kind: Hashable) -> TypeAdapter[Any]:
    return TypeAdapter(cast(Any, kind))


def encode(value: object, kind: Any = None) -> Json:
    """A domain object as JSON data. ``kind``: its type, where the class does not say it (a union, a list)."""
    return cast(Json, _adapter(cast(Hashable, kind or type(value))).dump_python(value, mode="json"))


def decode(kind: type[T], data: object, *, what: str = "", strict: bool = False) -> T:
    """JSON data as a domain object.

    Raises UsageError naming the first wrong key and its value; ``what`` is the name of the document in that sentence.
    ``strict``: a number written as text is none, and 1 is not true.
    """
    try:
        if strict:  # by way of the text, in which alone a list may stand for a tuple or a set
            return cast(T, _adapter(cast(Hashable, kind)).validate_json(json.dumps(data), strict=True))
        return cast(T, _adapter(cast(Hashable, kind)).validate_python(data))
    except ValidationError as error:
        first = error.errors()[0]
        if not first["loc"]:
            said = f"{what or kind.__name__}: {first['msg']}"
            raise UsageError(said, remedy="make the document anew") from None
        key = ".".join(str(part) for part in first["loc"])
        shown = repr(first.get("input"))
        raise UsageError(
            f"{what or kind.__name__}: key {key}: {first['msg']} (found {shown[:80]})",
            remedy=f"correct {key} or make the document anew",
        ) from None


def schema(kind: Any) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a document type."""
    return _adapter(kind).json_schema(mode="serialization")
