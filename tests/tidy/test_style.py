"""Style that a linter does not know: sizes, words, doors, and what must not be told."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "src").rglob("*.py"))
FILE_LINES_MAX = 500  # aim at 400
FUNCTION_LINES_MAX = 70


def tracked() -> list[Path]:
    """Every text file git tracks; every file below the folder where this is no checkout."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    names = listed.stdout.split("\0") if listed.returncode == 0 else []
    found = [ROOT / name for name in names if name] or [each for each in ROOT.rglob("*") if each.is_file()]
    return [each for each in found if each.is_file() and "\0" not in each.read_text(errors="ignore")[:4096]]


def rel(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", SOURCES, ids=rel)
def test_a_file_has_one_rooms_worth(path: Path) -> None:
    lines = path.read_text().count("\n")
    assert lines <= FILE_LINES_MAX, f"{rel(path)} has {lines} lines"


@pytest.mark.parametrize("path", SOURCES, ids=rel)
def test_functions_fit_on_a_screen(path: Path) -> None:
    long = [
        f"{rel(path)}:{node.lineno}: {node.name} has {node.end_lineno - node.lineno + 1} lines"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno + 1 > FUNCTION_LINES_MAX
    ]
    assert not long, "\n".join(long)


# (pattern, where it is allowed, why)
BANS = [
    (r"\bdatetime\.now\(|\butcnow\(|\btime\.time\(", {"src/noout/adapters/clock.py"}, "time comes from Clock alone"),
    (r"\btime\.sleep\(", set(), "nothing sleeps"),
    (r"\bdrain(s|ed|ing)?\b", set(), "the word is evacuate"),
    (r"\bseamless|\bzero downtime", set(), "a word that overclaims"),
    (r"#\s*(TODO|FIXME|XXX)\b", set(), "do it or say it in the docs"),
    (
        r"sys\.exit\(|os\._exit\(",
        {"src/noout/cli/main.py", "src/noout/lab/real/cephfork.py"},  # the latter holds a program of its own
        "only the command line ends the program",
    ),
]


@pytest.mark.parametrize(("pattern", "allowed", "why"), BANS, ids=[ban[2] for ban in BANS])
def test_bans(pattern: str, allowed: set[str], why: str) -> None:
    # The lab has a wall clock of its own: it shares nothing with the program it is a lab for.
    allowed = allowed | {"src/noout/lab/clock.py"}
    wrong = [
        f"{rel(path)}:{number}: {line.strip()}"
        for path in SOURCES
        if rel(path) not in allowed
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if re.search(pattern, line)
    ]
    assert not wrong, f"{why}:\n" + "\n".join(wrong)


def test_the_project_speaks_of_itself_alone() -> None:
    """No registry hosts, no absolute paths of somebody's machine."""
    hosts = ["py" + "pi.org", "python" + "hosted.org", "deb." + "debian.org", "registry." + "npmjs.org"]
    paths = ["/wo" + "rk/", "/fa" + "rm/", "/home" + "/"]
    wrong = [
        f"{rel(path)}: {word}"
        for path in tracked()
        for word in [*hosts, *paths]
        if word in path.read_text(errors="ignore")
    ]
    assert not wrong, "\n".join(wrong)


def test_no_large_files() -> None:
    large = [f"{rel(path)}: {path.stat().st_size // 1024} kB" for path in tracked() if path.stat().st_size > 400_000]
    assert not large, "\n".join(large)


def test_every_mutation_can_be_applied_and_stands_on_its_page() -> None:
    done = subprocess.run([sys.executable, "scripts/mutate", "--check"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
