"""A lab on real sockets for the commands to talk to, and the commands themselves, each as a process of its own."""

from __future__ import annotations

import asyncio
import io
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from noout.cli.main import run as console_script
from noout.lab.wire.serve import LabServer
from noout.lab.world.build import build_world
from noout.lab.world.model import Token

BLIND, DEAF = "blind", "deaf"  # tokens: one may see nothing, the other may see all but do nothing
TIMEOUT_S = 120


@dataclass(frozen=True)
class Said:
    """What a command left behind."""

    code: int
    out: str
    err: str


Noout = Callable[..., Said]


def environment(**more: str) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("NOOUT_", "COLUMNS"))}
    return {**kept, "COLUMNS": "80", **more}


def run(*args: str | Path, cwd: Path, stdin: str = "", **env: str) -> Said:
    """One command as a process; its output as text."""
    done = subprocess.run(
        [sys.executable, "-m", "noout", *map(str, args)],
        cwd=cwd, input=stdin, capture_output=True, text=True, timeout=TIMEOUT_S, env=environment(**env), check=False,
    )  # fmt: skip
    return Said(done.returncode, done.stdout, done.stderr)


class Lab:
    """A lab in a thread of its own; ``folder`` holds its noout.toml and the SSH files beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.world = build_world(nodes=4, guests=12)
        for cluster in self.world.clusters.values():
            planner = next(token for token in cluster.tokens if token.name == "plan")
            cluster.tokens += [
                Token("noout@pve", BLIND, "00000000-0000-4000-8000-00000000b11d", {"/": frozenset({"Sys.Audit"})}),
                Token("noout@pve", DEAF, "00000000-0000-4000-8000-00000000dea0", planner.acl),
            ]
        self.server = LabServer(self.world, port=0, speed=30)
        self.loop = asyncio.new_event_loop()
        self.up = threading.Event()
        self.thread = threading.Thread(target=self._serve, daemon=True)

    def _serve(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_until_complete(self.server.start())
        self.server.write_config(self.folder / "noout.toml")
        self.up.set()
        self.loop.run_forever()
        self.loop.run_until_complete(self.server.stop())
        self.loop.close()

    def __enter__(self) -> Lab:
        self.thread.start()
        assert self.up.wait(60)
        return self

    def __exit__(self, *_: object) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(20)

    def token(self, name: str) -> str:
        found = next(token for token in self.world.clusters["ams1"].tokens if token.name == name)
        return f"{found.userid}!{found.name}={found.secret}"

    def happened(self) -> list[tuple[float, str, str]]:
        """What came about in its world so far: nothing, as long as nobody does anything."""
        return list(self.world.happened)


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with Lab(tmp_path_factory.mktemp("lab")) as running:
        yield running


@pytest.fixture
def place(lab: Lab, tmp_path: Path) -> Path:
    """A folder with the lab's configuration and a store of its own."""
    for file in lab.folder.glob("noout*"):
        shutil.copy2(file, tmp_path / file.name)
    config = tmp_path / "noout.toml"
    config.write_text(config.read_text().replace(str(lab.folder), str(tmp_path)))
    return tmp_path


@pytest.fixture
def noout(place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Noout:
    """``noout("plan", "pve3")`` in that folder: the console script's own entry, in this process (it is faster)."""
    for key in [key for key in os.environ if key.startswith("NOOUT_")]:
        monkeypatch.delenv(key)
    monkeypatch.chdir(place)
    monkeypatch.setenv("COLUMNS", "80")

    def call(*args: str | Path, stdin: str = "", **env: str) -> Said:
        capsys.readouterr()
        with monkeypatch.context() as patched, pytest.raises(SystemExit) as ended:
            patched.setattr(sys, "argv", ["noout", *map(str, args)])
            patched.setattr(sys, "stdin", io.StringIO(stdin))
            for key, value in env.items():
                patched.setenv(key, value)
            console_script()
        left = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return Said(ended.value.code, left.out, left.err)

    return call


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port where nobody listens, kept from others meanwhile."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]
