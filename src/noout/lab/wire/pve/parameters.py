"""Declared parameters and their verification, with PVE's own words for what is wrong.

PVE refuses unknown, missing and ill-typed parameters with ``400 Parameter verification failed.`` and one text per
parameter; a client that relies on a parameter which does not exist must fail against the lab as it would there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

Kind = str  # "string", "integer", "number", "boolean", "array"

UNKNOWN = "property is not defined in schema and the schema does not allow additional properties"
MISSING = "property is missing and it is not optional"


@dataclass(frozen=True)
class Param:
    """One parameter of a method. ``name`` may end in ``[n]``: net0, net1 ..."""

    name: str
    type: Kind = "string"
    required: bool = False
    enum: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    max_length: int | None = None
    format: str | None = None
    pattern: str | None = None

    def matches(self, name: str) -> bool:
        if self.name.endswith("[n]"):
            return re.fullmatch(re.escape(self.name[:-3]) + r"\d+", name) is not None
        return self.name == name

    def needed(self) -> Param:
        return replace(self, required=True)


def text(name: str, **limits: Any) -> Param:
    return Param(name, "string", **limits)


def flag(name: str, **limits: Any) -> Param:
    return Param(name, "boolean", **limits)


def whole(name: str, **limits: Any) -> Param:
    return Param(name, "integer", **limits)


def number(name: str, **limits: Any) -> Param:
    return Param(name, "number", **limits)


def vmid(name: str = "vmid", required: bool = False) -> Param:
    return Param(name, "integer", required, minimum=100, maximum=999999999, format="pve-vmid")


def node(name: str, required: bool = False) -> Param:
    return Param(name, "string", required, format="pve-node")


@dataclass(frozen=True)
class OneOf:
    """Parameters that depend on the value of another (``by``), as HA rules depend on their type."""

    by: Param
    variants: Mapping[str, tuple[Param, ...]]
    common: tuple[Param, ...] = ()


class Wrong(Exception):
    """A value's fault, in PVE's words."""


_CONFIG_ID = re.compile(r"[a-z][a-z0-9_-]+", re.I)


def _list_of(check: Callable[[str], None]) -> Callable[[str], None]:
    def checked(value: str) -> None:
        for item in re.split(r"[,;\s\0]+", value.strip()):
            if item:
                check(item)

    return checked


def _shape(pattern: str, what: str) -> Callable[[str], None]:
    compiled = re.compile(pattern, re.I)

    def check(value: str) -> None:
        if not compiled.fullmatch(value):
            raise Wrong(f"invalid format - {what.format(value)}\n")

    return check


_FORMATS: dict[str, Callable[[str], None]] = {
    "pve-node": _shape(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", "value does not look like a valid node name"),
    "pve-vmid": _shape(r"[1-9][0-9]{2,8}", "value does not look like a valid VM ID"),
    "pve-configid": _shape(_CONFIG_ID.pattern, "invalid configuration ID '{}'"),
    "pve-poolid": _shape(r"[a-z0-9][a-z0-9._/-]*", "value '{}' does not look like a valid pool name"),
    "pve-storage-id": _shape(r"[a-z][a-z0-9._-]*[a-z0-9]", "storage ID '{}' contains illegal characters"),
    "pve-ha-resource-id": _shape(r"(vm|ct):[0-9]+", "'{}' is not a valid resource ID"),
    "pve-ha-resource-or-vm-id": _shape(r"((vm|ct):)?[0-9]+", "'{}' is not a valid resource ID"),
    "pve-ha-node": _shape(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(:\d+)?", "value does not look like a valid node name"),
    "pve-tag": _shape(r"[a-z0-9_][a-z0-9_+.-]*", "invalid characters in tag"),
    "storage-pair": _shape(r"1|[a-z0-9._-]+(:[a-z0-9._-]+)?", "storage ID '{}' contains illegal characters"),
    "CIDR": _shape(r"[0-9a-f.:]+/\d{1,3}", "value does not look like a valid CIDR network"),
}


def _check_format(name: str, value: str) -> None:
    if name in _FORMATS:
        _FORMATS[name](value)
    elif name.endswith("-list") and name[:-5] in _FORMATS:
        _list_of(_FORMATS[name[:-5]])(value)


def _typed(param: Param, value: str) -> Any:
    if param.type == "boolean":
        if re.fullmatch(r"1|on|yes|true", value, re.I):
            return True
        if re.fullmatch(r"0|off|no|false", value, re.I):
            return False
    elif param.type == "integer":
        if re.fullmatch(r"[+-]?\d+", value):
            return int(value)
    elif param.type == "number":
        if re.fullmatch(r"[+-]?\d+(\.\d+)?", value):
            return float(value)
    else:
        return value
    raise Wrong(f"type check ('{param.type}') failed - got '{value}'")


def _value(param: Param, raw: Any) -> Any:
    """The typed value of one parameter."""
    if param.type == "array":
        return [str(item) for item in raw] if isinstance(raw, list) else [str(raw)]
    if isinstance(raw, bool):
        raw = "1" if raw else "0"
    value = _typed(param, str(raw))
    if param.format is not None and isinstance(value, str):
        _check_format(param.format, value)
    if param.max_length is not None and len(str(raw)) > param.max_length:
        raise Wrong(f"value may only be {param.max_length} characters long")
    if param.maximum is not None and value > param.maximum:
        raise Wrong(f"value must have a maximum value of {param.maximum:g}")
    if param.minimum is not None and value < param.minimum:
        raise Wrong(f"value must have a minimum value of {param.minimum:g}")
    if param.enum and value not in param.enum:
        raise Wrong(f"value '{value}' does not have a value in the enumeration '{', '.join(param.enum)}'")
    if param.pattern is not None and not re.fullmatch(param.pattern, value):
        raise Wrong("value does not match the regex pattern")
    return value


def verify(
    declared: Sequence[Param] | OneOf, given: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, str]]:  # fmt: skip
    """Typed values by name, and the fault of each parameter that has one (empty: all is well)."""
    if isinstance(declared, OneOf):
        return _verify_one_of(declared, given)
    return _verify(declared, given)


def _verify(declared: Iterable[Param], given: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    declared = tuple(declared)
    values: dict[str, Any] = {}
    errors: dict[str, str] = {}
    for name, raw in given.items():
        param = next((p for p in declared if p.matches(name)), None)
        if param is None:
            errors[name] = UNKNOWN
        elif raw is not None:
            try:
                values[name] = _value(param, raw)
            except Wrong as wrong:
                errors[name] = str(wrong)
    for param in declared:
        if param.required and param.name not in values and param.name not in errors:
            errors[param.name] = MISSING
    return values, errors


def _verify_one_of(declared: OneOf, given: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    name = declared.by.name
    values, errors = _verify([declared.by], {name: given[name]} if name in given else {})
    if errors:
        return values, errors
    variant = values.get(name)
    if variant is None:  # the type was not said (only where it is optional): any variant's parameters will do
        optional = {p.name: replace(p, required=False) for ps in declared.variants.values() for p in ps}
        return _verify([declared.by, *declared.common, *optional.values()], given)
    own = declared.variants[variant]
    values, errors = _verify([declared.by, *declared.common, *own], given)
    return values, {(f"oneOf[{variant}].{k}" if k in {p.name for p in own} else k): v for k, v in errors.items()}
