"""The private copy of apt's sources: backports beside the release, nothing else changed, the original untouched."""

from __future__ import annotations

import subprocess
from pathlib import Path

SCRIPT = Path(__file__).parents[3] / "scripts" / "backports-sources"

ONE_LINE = """\
# deb http://mirror.example/debian bookworm main
deb [arch=amd64] http://mirror.example/debian bookworm main contrib
deb http://mirror.example/debian bookworm-updates main
deb http://mirror.example/security bookworm-security main
"""
BY_FIELD = """\
Types: deb
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.example/security
Suites: bookworm-security
Components: main
"""


def copied(tmp_path: Path) -> Path:
    apt, out = tmp_path / "apt", tmp_path / "out"
    (apt / "sources.list.d").mkdir(parents=True)
    (apt / "sources.list").write_text(ONE_LINE)
    (apt / "sources.list.d" / "debian.sources").write_text(BY_FIELD)
    (apt / "sources.list.d" / "off.list.disabled").write_text(ONE_LINE)
    subprocess.run([SCRIPT, apt, "bookworm", out], check=True)
    assert (apt / "sources.list").read_text() == ONE_LINE
    assert (apt / "sources.list.d" / "debian.sources").read_text() == BY_FIELD
    return out


def test_a_source_in_one_line_gets_a_line_beside_it(tmp_path: Path) -> None:
    lines = (copied(tmp_path) / "sources.list").read_text().splitlines()
    added = "deb [arch=amd64] http://mirror.example/debian bookworm-backports main contrib"
    assert [line for line in lines if line not in ONE_LINE.splitlines()] == [added]
    assert [line for line in lines if line != added] == ONE_LINE.splitlines()


def test_a_source_by_fields_gets_a_suite_more(tmp_path: Path) -> None:
    text = (copied(tmp_path) / "debian.sources").read_text()
    assert text == BY_FIELD.replace("Suites: bookworm b", "Suites: bookworm bookworm-backports b")


def test_what_apt_does_not_read_is_not_copied(tmp_path: Path) -> None:
    assert sorted(path.name for path in copied(tmp_path).iterdir()) == ["debian.sources", "sources.list"]
