"""Imports run one way (docs/explanation/architecture.md); the lab shares nothing with what it is a lab for."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "noout"
FILES = sorted(SOURCE.rglob("*.py"))

# Each room, and the rooms it may import. A room is the first folder (or module) below noout.
EVERYWHERE = {"domain", "codec", "__init__"}
MAY_IMPORT = {
    "__init__": set(),
    "__main__": {"cli"},
    "domain": {"domain"},
    "codec": {"domain"},
    "ports": {"domain"},
    "settings_kinds": {"domain"},
    "settings_probes": {"domain", "settings_kinds"},
    "settings_access": {"domain", "settings_kinds"},
    "settings_field": {"domain", "settings_kinds"},
    "settings_keeping": {"domain", "settings_kinds"},
    "settings_tell": {"domain", "settings_kinds", "settings_probes"},
    "settings": {
        "domain",
        "settings_access",
        "settings_field",
        "settings_keeping",
        "settings_kinds",
        "settings_probes",
        "settings_public",
        "settings_tell",
    },
    "settings_public": {"domain", "settings_kinds"},
    "watch": {"watch"} | EVERYWHERE,
    "plan": {"plan"} | EVERYWHERE,
    "witness": {"witness"} | EVERYWHERE,
    "tell": {"tell"} | EVERYWHERE,
    "steps": {"steps", "watch", "plan", "witness", "tell", "ports"} | EVERYWHERE,
    "run": {"run", "steps", "watch", "plan", "witness", "tell", "ports"} | EVERYWHERE,
    "adapters": {"adapters", "watch", "plan", "witness", "tell", "ports", "run"} | EVERYWHERE,
    "app": {
        "app",
        "adapters",
        "run",
        "steps",
        "watch",
        "plan",
        "witness",
        "tell",
        "ports",
        "settings",
        "settings_access",
        "settings_keeping",
        "settings_kinds",
        "settings_probes",
        "settings_public",
        "settings_tell",
    }
    | EVERYWHERE,
    "web": {"web", "app", "watch", "plan", "witness", "tell", "ports", "settings"} | EVERYWHERE,
    "cli": {"cli", "web", "app", "lab", "plan", "watch", "witness", "tell", "ports", "settings"} | EVERYWHERE,
    "lab": {"lab"},
}
# The parts of adapters that every adapter may use; otherwise adapters do not know each other.
SHARED_ADAPTERS = {"clock", "tls", "http"}
PURE = {"domain", "watch", "plan", "witness", "tell"}
IMPURE_MODULES = {
    "asyncio", "os", "pathlib", "socket", "subprocess", "time", "random", "secrets", "tempfile", "shutil", "sqlalchemy",
    "httpx2", "asyncssh", "fastapi", "starlette", "typer", "rich", "dbos",
}  # fmt: skip


def imports_of(path: Path) -> list[tuple[int, str]]:
    """(line, dotted module) of every import in a file, relative ones refused by ``test_absolute``."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            found += [(node.lineno, f"{node.module}.{alias.name}") for alias in node.names]
    return found


def room_of(dotted: str) -> str | None:
    parts = dotted.split(".")
    if parts[0] != "noout":
        return None
    known = len(parts) > 1 and ((SOURCE / parts[1]).is_dir() or (SOURCE / f"{parts[1]}.py").exists())
    return parts[1] if known else "__init__"


def rel(path: Path) -> str:
    return str(path.relative_to(SOURCE.parent.parent))


@pytest.mark.parametrize("path", FILES, ids=rel)
def test_imports_run_one_way(path: Path) -> None:
    inside = path.relative_to(SOURCE).parts
    room = inside[0].removesuffix(".py")
    wrong = []
    for line, dotted in imports_of(path):
        other = room_of(dotted)
        if other is None:
            continue
        if other not in MAY_IMPORT[room]:
            wrong.append(f"{rel(path)}:{line}: {room} must not import {other}")
        if room == "adapters" and other == "adapters" and len(inside) > 2:
            part = dotted.split(".")[2]
            if part != inside[1] and part not in SHARED_ADAPTERS:
                wrong.append(f"{rel(path)}:{line}: adapters/{inside[1]} must not import adapters/{part}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("path", [each for each in FILES if each.relative_to(SOURCE).parts[0] in PURE], ids=rel)
def test_the_core_is_pure(path: Path) -> None:
    wrong = [f"{rel(path)}:{line}: {name}" for line, name in imports_of(path) if name.split(".")[0] in IMPURE_MODULES]
    assert not wrong, "no I/O and no clock here:\n" + "\n".join(wrong)


def test_one_module_knows_the_workflow_library() -> None:
    knowing = {rel(path) for path in FILES for _, name in imports_of(path) if name.split(".")[0] == "dbos"}
    assert knowing <= {"src/noout/adapters/durable.py"}, knowing


def test_only_the_command_line_opens_the_lab() -> None:
    opening = {
        path.relative_to(SOURCE).parts[0]
        for path in FILES
        for _, name in imports_of(path)
        if room_of(name) == "lab" and path.relative_to(SOURCE).parts[0] != "lab"
    }
    assert opening <= {"cli"}
