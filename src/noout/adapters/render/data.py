"""The report as JSON: the words as printed, and the measurements every figure rests on."""

from __future__ import annotations

import json
from typing import Any

from noout import codec
from noout.tell.report import VERSION, Report

FORMAT = "noout.report"


def document(report: Report) -> dict[str, Any]:
    """``{"format": "noout.report", "version": 1, "report": {...}}``; ``schema()`` describes it."""
    return {"format": FORMAT, "version": VERSION, "report": codec.encode(report)}


def render(report: Report) -> bytes:
    """UTF-8, indented, keys in the document's order."""
    return (json.dumps(document(report), ensure_ascii=False, indent=2) + "\n").encode()


def schema() -> dict[str, Any]:
    """The JSON Schema of the document."""
    inner = codec.schema(Report)
    definitions = inner.pop("$defs", {})
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": FORMAT,
        "type": "object",
        "additionalProperties": False,
        "required": ["format", "version", "report"],
        "properties": {
            "format": {"const": FORMAT},
            "version": {"const": VERSION},
            "report": {"$ref": "#/$defs/Report"},
        },
        "$defs": {**definitions, "Report": inner},
    }
