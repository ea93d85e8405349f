"""Reading the API schema: parameters and returns of each method, and whether an answer fits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

KEPT = {"type": "type", "minimum": "minimum", "maximum": "maximum", "maxLength": "max_length"}


def endpoints(data: Path) -> dict[tuple[str, str], dict[str, Any]]:
    found = json.loads((data / "proxmox" / "api-schema-9.2.json").read_text())["endpoints"]
    return {(e["method"], e["path"]): e for e in found}


def properties(endpoint: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return endpoint.get("parameters", {}).get("properties", {}) or {}


def optional(prop: dict[str, Any]) -> bool:
    return bool(int(prop.get("optional") or 0))


def misfits(value: Any, returns: dict[str, Any], where: str = "data") -> list[str]:
    """What in ``value`` contradicts the schema ``returns``; PVE's numbers may be strings, its booleans 0 and 1."""
    kind = returns.get("type")
    if value is None:
        return []  # Perl's undef: PVE sends it for whatever it does not know
    if kind == "null":
        return [f"{where}: null expected"]
    if kind == "array":
        if not isinstance(value, list):
            return [f"{where}: a list expected"]
        items = returns.get("items") or {}
        return [m for i, item in enumerate(value) for m in misfits(item, items, f"{where}[{i}]")]
    if kind == "object":
        if not isinstance(value, dict):
            return [f"{where}: an object expected"]
        known = returns.get("properties") or {}
        found = [f"{where}.{k}: missing" for k, p in known.items() if k not in value and not optional(p)]
        for key, item in value.items():
            if key in known:
                found += misfits(item, known[key], f"{where}.{key}")
        return found
    if isinstance(value, dict) and isinstance(returns.get("format"), dict):
        return misfits(value, {"type": "object", "properties": returns["format"]}, where)  # a property string, parsed
    if not _scalar_fits(value, kind):
        return [f"{where}: {value!r} is no {kind}"]
    if returns.get("enum") and str(value) not in [str(e) for e in returns["enum"]]:
        return [f"{where}: {value!r} is not one of {returns['enum']}"]
    return []


def _scalar_fits(value: Any, kind: str | None) -> bool:
    if kind == "boolean":
        return value in (0, 1, "0", "1", "")
    if kind in ("integer", "number"):
        return isinstance(value, (int, float)) or (
            isinstance(value, str) and value.lstrip("+-").replace(".", "").isdigit()
        )
    if kind == "string":
        return isinstance(value, (str, int, float))
    return True
