"""What the documentation says is so: its commands parse, its keys exist, its first screen is a real one."""

from __future__ import annotations

import inspect
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
import typer
from pydantic import BaseModel
from typer.models import OptionInfo

from noout import settings
from noout.app.schemas import SCHEMAS
from noout.cli.commands import ENTRIES, INDEX
from noout.cli.demo import checks
from noout.settings_probes import ProbeSettings

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
ALWAYS = {"--help"}


def rel(path: Path) -> str:
    return str(path.relative_to(ROOT))


def commands_in(page: Path) -> Iterator[list[str]]:
    """Every ``noout ...`` in a code block or between backticks, as words."""
    text = page.read_text()
    lines = [line.strip() for line in text.splitlines() if line.startswith("    noout ")]
    lines += re.findall(r"`(noout [^`]+)`", text)
    for line in lines:
        yield shlex.split(line, comments=True)[1:]


def options_of(function: Any) -> set[str]:
    found = set()
    for name, hint in get_type_hints(function, include_extras=True).items():
        info = get_args(hint)[1] if name != "return" else None
        if isinstance(info, OptionInfo):
            given = [each for each in (info.default, *(info.param_decls or ())) if isinstance(each, str)]
            found |= set(given or [f"--{name.replace('_', '-')}"])
    return found


def target(words: list[str]) -> tuple[Any, list[str]]:
    """The function behind a command line, and the words that are left for it."""
    found = INDEX[words[0]].target()
    if isinstance(found, typer.Typer):
        inner = next(each for each in found.registered_commands if each.name == words[1])
        return inner.callback, words[2:]
    return found, words[1:]


@pytest.mark.parametrize("page", PAGES, ids=rel)
def test_every_command_exists(page: Path) -> None:
    for words in commands_in(page):
        if words[0] == "COMMAND" or words[0].startswith("--"):
            continue
        assert words[0] in INDEX, f"{rel(page)}: noout {' '.join(words)}"
        function, rest = target(words)
        wrong = [
            each for each in rest if each.startswith("-") and each.split("=")[0] not in options_of(function) | ALWAYS
        ]
        assert not wrong, f"{rel(page)}: noout {' '.join(words)}: no {wrong}"


def test_commands_are_found_at_all() -> None:
    found = [words[0] for words in commands_in(ROOT / "README.md")]
    assert {"lab", "health", "plan", "maintain", "status", "workorder", "report"} <= set(found)


@pytest.mark.parametrize("page", PAGES, ids=rel)
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        if not link.startswith("http"):
            assert (page.parent / link).exists(), f"{rel(page)}: {link}"


def test_the_reference_of_commands_is_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "make-cli-reference", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_command_says_what_it_does() -> None:
    for entry in ENTRIES:
        found = entry.target()
        for function in (
            [each.callback for each in found.registered_commands] if isinstance(found, typer.Typer) else [found]
        ):
            assert inspect.getdoc(function), entry.name


def tables_of(model: type[BaseModel], place: str = "") -> Iterator[tuple[str, str, list[str]]]:
    """(heading, model name, its plain keys) of every table of noout.toml."""
    plain = []
    for key, field in model.model_fields.items():
        inner = settings._models(field.annotation)
        if not inner:
            plain.append(field.alias or key)
        for each in inner:
            many = "dict" in str(field.annotation)
            name = (
                {
                    "clusters": "NAME",
                    "bmc": "NODE",
                    "nodes": "NODE",
                    "customers": "KEY",
                    "vantage": "NAME",
                    "users": "NAME",
                    "webhooks": "CUSTOMER" if place == ".tell" else "NAME",
                }.get(key, "")
                if many
                else ""
            )
            yield from tables_of(each, f"{place}.{key}" + (f".{name}" if name else ""))
    yield place.lstrip("."), model.__name__, plain


def test_every_key_of_the_configuration_is_described() -> None:
    text = (ROOT / "docs" / "reference" / "configuration.md").read_text()
    sections = {
        match[1]: match[2] for match in re.finditer(r"^##+ \[+([^\]]+)\]+\n(.*?)(?=^## |^### |\Z)", text, re.M | re.S)
    }
    missing = []
    for place, name, keys in tables_of(settings.Settings):
        if name == "Settings":
            continue
        assert place in sections, f"no section [{place}]"
        missing += [f"{place}.{key}" for key in keys if f"`{key}`" not in sections[place]]
    assert not missing, missing


def test_no_key_is_described_that_does_not_exist() -> None:
    text = (ROOT / "docs" / "reference" / "configuration.md").read_text()
    known = {key for _, _, keys in tables_of(settings.Settings) for key in keys}
    described = set(re.findall(r"^\| `([a-z_]+)` \|", text, re.M))
    assert described <= known, described - known


def test_defaults_are_told_as_they_are() -> None:
    text = (ROOT / "docs" / "reference" / "configuration.md").read_text()
    for table, model in (("probes", ProbeSettings), ("policy", settings.PolicySettings)):
        section = text.split(f"## [{table}]\n")[1].split("\n## ")[0]
        for key, told in re.findall(r"^\| `([a-z_]+)` \| `([^`]*)` \|", section, re.M):
            default = model.model_fields[key].default
            shown = f'"{default}"' if isinstance(default, str) else str(default).lower()
            assert told == shown, f"{table}.{key}: told {told}, is {shown}"


def test_the_example_configuration_of_the_how_to_is_valid(tmp_path: Path) -> None:
    import tomllib

    page = (ROOT / "docs" / "how-to" / "connect-a-cluster.md").read_text()
    section = page.split("yours to say:")[1].split("[All keys]")[0]
    toml = "\n".join(line[4:] for line in section.splitlines() if line.startswith("    "))
    toml = toml.replace("AA:BB:…", "ab" * 32)
    made = settings.parse(tomllib.loads(toml), tmp_path / "noout.toml")
    assert made.clusters["ams1"].ceph.hosts == {"pve3": "store3"}


def test_every_document_is_described() -> None:
    text = (ROOT / "docs" / "reference" / "json.md").read_text()
    assert set(re.findall(r"^\| `([a-z]+)` \|", text, re.M)) == set(SCHEMAS)


def check_names() -> list[str]:
    """The names that the demo's checks print, read from their source in the order in which they run."""
    source = inspect.getsource(checks)
    order = re.findall(r"^        (\w+)\((?:before, )?after\),$", source, re.M)
    names = []
    for function in order:
        body = inspect.getsource(getattr(checks, function))
        name = re.search(r'(?:Check\(|name = )f?"([^"]+)"', body)
        assert name is not None, function
        names.append(re.sub(r"\{INTERRUPTION_S_MAX[^}]*\}", f"{checks.INTERRUPTION_S_MAX:.0f}", name[1]))
    return names


def test_the_first_screen_shows_the_demos_own_checks() -> None:
    """Each line of the README's example that begins with a tick, joined with the lines it was wrapped to."""
    block = (ROOT / "README.md").read_text().split("<!-- demo:begin -->")[1].split("<!-- demo:end -->")[0]
    shown: list[str] = []
    for line in (each[4:] for each in block.splitlines()):
        name = re.split(r"\s{2,}", line[3:].strip())[0]
        if line.startswith("✓  "):
            shown.append(name)
        elif line.startswith("   ") and shown:
            shown[-1] += f" {name}"
    assert shown == check_names()
