"""What the adapter's source can ask Proxmox VE, read from the source: every (verb, path) written in a call.

A ``{...}`` of an f-string is any one segment, unless it is a call of one of the module's own ``_path`` functions or a
name that holds a path in the same module; at the beginning, where nothing says what it is, it is any path.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from noout.adapters import pve

ANY = "{}"
VERBS = ("GET", "POST", "PUT", "DELETE")
ANY_PATH = "**"
ASKING = {"get", "get_whole", "effect", "precondition", "rows", "ask"}  # functions that pass a path on
FOLDER = Path(pve.__file__).parent


def asked() -> set[tuple[str, str]]:
    """(verb, path with ``{}`` for a segment that varies) of every request in the package."""
    return {found for file in sorted(FOLDER.glob("*.py")) for found in _of_module(ast.parse(file.read_text("utf-8")))}


def matches(template: str, path: str) -> bool:
    return re.fullmatch(re.escape(template).replace(r"\*\*", ".+").replace(r"\{\}", "[^/]+"), path) is not None


def _of_module(tree: ast.Module) -> Iterator[tuple[str, str]]:
    known: dict[str, ast.expr] = {}  # module constants, and what the functions that make paths return
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            known[node.targets[0].id] = node.value
        if isinstance(node, ast.FunctionDef) and node.name.endswith("_path"):
            known[node.name] = next(e.value for e in ast.walk(node) if isinstance(e, ast.Return) and e.value)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield from _of_call(node, known)


def _of_call(call: ast.Call, known: Mapping[str, ast.expr]) -> Iterator[tuple[str, str]]:
    verb = "GET"
    for argument in call.args:
        if isinstance(argument, ast.Constant) and argument.value in VERBS:
            verb = str(argument.value)
            continue
        path = (_text(argument, known) or "").removeprefix("/api2/json")
        if re.match(r"/[a-z]", path):
            yield verb, path
        elif re.match(r"\{\}/[a-z]", path) and _name(call.func).lstrip("_") in ASKING:
            yield verb, ANY_PATH + path.removeprefix(ANY)
        return  # the path is the first argument, or the one after the verb


def _name(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _text(value: ast.expr, known: Mapping[str, ast.expr]) -> str | None:
    if isinstance(value, ast.Constant):
        return value.value if isinstance(value.value, str) else None
    if isinstance(value, ast.JoinedStr):
        return "".join(_text(each, known) or ANY for each in value.values)
    if isinstance(value, ast.FormattedValue):
        return _text(value.value, known)
    name = value.func if isinstance(value, ast.Call) else value
    if isinstance(name, ast.Attribute) and isinstance(value, ast.Call):  # self._task_path(upid)
        return _text(known[name.attr], known) if name.attr in known else None
    if isinstance(name, ast.Name) and name.id in known and not isinstance(known[name.id], ast.Call | ast.Await):
        return _text(known[name.id], known)
    return None
