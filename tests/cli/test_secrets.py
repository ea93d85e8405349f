"""Secrets stay inside: not in a log, the journal, a report, an address that is logged, nor a process list."""

from __future__ import annotations

import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest

from tests.cli.conftest import Lab, environment, run

NODE, ID = "pve3", "ams1-pve3-1"
WAIT_S = 180


@pytest.fixture
def own_lab(tmp_path: Path) -> Iterator[Lab]:
    with Lab(tmp_path) as running:
        yield running


def secrets_of(folder: Path) -> dict[str, str]:
    config = tomllib.loads((folder / "noout.toml").read_text())
    cluster = config["clusters"]["ams1"]
    key = (folder / "noout.id_ed25519").read_text().splitlines()[1]
    return {
        "API token": cluster["token"].split("=", 1)[1],
        "operator token": config["serve"]["operator_token"],
        "SSH key": key,
        **{f"password of {node}'s BMC": bmc["password"] for node, bmc in cluster["bmc"].items()},
    }


def processes() -> str:
    """Every command line on this machine."""
    found = []
    for each in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(each.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            continue  # it has ended
    return "\n".join(found)


class Listener:
    """Keeps every line that a process writes; ``heard(word)`` returns once a line has it, or the process has ended."""

    def __init__(self, process: subprocess.Popen[str], word: str) -> None:
        self.process = process
        self.word = word
        self.lines: list[str] = []
        self.found = threading.Event()
        self.thread = threading.Thread(target=self._listen, daemon=True)
        self.thread.start()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            if self.word in line:
                self.found.set()
        self.found.set()

    def text(self) -> str:
        return "".join(self.lines)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="this system has no /proc to list processes")
def test_no_secret_leaves(own_lab: Lab, tmp_path: Path) -> None:
    """The log is kept in full detail while guests leave, a link is made, opened on a phone and answered."""
    folder = own_lab.folder
    secrets = secrets_of(folder)
    seen = []
    maintain = subprocess.Popen(
        [sys.executable, "-m", "noout", "--debug", "maintain", NODE, "--yes"],
        cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env=environment(PYTHONUNBUFFERED="1"),
    )  # fmt: skip
    log = Listener(maintain, "issued")
    try:
        assert log.found.wait(WAIT_S) and maintain.poll() is None, log.text()[-2000:]
        seen.append(processes())
        link = run("--debug", "workorder", ID, "--link", cwd=folder)
        assert link.code == 0, link.err
        address = link.out.strip()
        secrets["technician's token"] = address.rpartition(".")[2]
        parts = urlsplit(address)
        base = f"{parts.scheme}://{parts.netloc}"
        with httpx2.Client(trust_env=False) as phone:
            assert phone.get(address).status_code == 200
            token = parts.path.rsplit("/", 1)[1]
            wrong = phone.post(
                f"{base}/api/v1/technician/{token}/hands-on",
                json={"serial": "WRONG99"},
                headers={"Idempotency-Key": "1"},
            )
            assert wrong.status_code >= 400
            operators = {"Authorization": f"Bearer {secrets['operator token']}"}
            assert phone.get(f"{base}/api/v1/maintenances", headers=operators).status_code == 200
        assert run("abort", ID, cwd=folder).code == 0
        said = [link.err, run("status", ID, "--json", cwd=folder).out, run("snapshot", cwd=folder).out]
        seen.append(processes())
    finally:
        maintain.terminate()
        maintain.wait(30)
        log.thread.join(30)
    own = {"noout.toml", "noout.id_ed25519"}
    kept = {each.name: each.read_bytes().decode(errors="replace") for each in folder.iterdir() if each.name not in own}
    assert "noout.db" in kept and len(log.lines) > 100
    places = {
        **kept,
        "the debug log": log.text(),
        "process lists": "\n".join(seen),
        "what commands said": "\n".join(said),
    }
    leaks = [
        f"the {name} is in {place}"
        for name, secret in secrets.items()
        for place, text in places.items()
        if secret in text
    ]
    assert not leaks, leaks
