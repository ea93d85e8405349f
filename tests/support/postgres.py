"""A real PostgreSQL server, private to a test: its own folder, its own port, ended with the test."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


def _programs() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        pytest.skip("PostgreSQL is not installed (scripts/install-real-parts)")
    return found[-1].parent


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Postgres:
    """The server in ``folder``; ``start`` and ``stop`` as often as wanted, always on the same port.

    ``copy_of``: a running server whose standby it is, from the first start on.
    """

    def __init__(self, folder: Path, copy_of: Postgres | None = None) -> None:
        self.programs, self.folder, self.port = _programs(), folder, _free_port()
        self.runs = False
        self.as_user: list[str] = []
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            user = pwd.getpwnam("postgres")
            os.chown(folder, user.pw_uid, user.pw_gid)
            self.as_user = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
        data = str(folder / "data")
        if copy_of is None:
            self._run("initdb", "-D", data, "-U", "noout", "-A", "trust", "-E", "UTF8", "--no-sync")
        else:
            source = ("-h", "127.0.0.1", "-p", str(copy_of.port), "-U", "noout")
            self._run("pg_basebackup", *source, "-D", data, "-R", "-X", "stream", "-c", "fast", "--no-sync")

    def _run(self, program: str, *words: str) -> None:
        done = subprocess.run(
            [*self.as_user, f"{self.programs}/{program}", *words],
            cwd=self.folder, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{program}: {done.stdout}{done.stderr}"

    def _control(self, *words: str) -> None:
        self._run("pg_ctl", "-D", str(self.folder / "data"), "-w", *words)

    @property
    def url(self) -> str:
        """SQLAlchemy's URL of its database."""
        return f"postgresql+psycopg://noout@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self.folder} -c fsync=off"
        self._control("-l", str(self.folder / "log"), "-o", options, "start")
        self.runs = True

    def say(self, statement: str) -> str:
        """What the server answers to one statement, by psql."""
        done = subprocess.run(
            [f"{self.programs}/psql", "-XAtq", "-h", "127.0.0.1", "-p", str(self.port), "-U", "noout", "postgres",
             "-c", statement],
            capture_output=True, text=True, check=False, timeout=30,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def replicate_synchronously(self) -> None:
        """From now on nothing is committed here that a standby has not on its disk too."""
        self.say("ALTER SYSTEM SET synchronous_standby_names = '*'")
        self.say("SELECT pg_reload_conf()")

    def promote(self) -> None:
        """The standby becomes the server that is written to."""
        self._control("promote")

    def stop(self) -> None:
        """At once, as if it had crashed: what was not committed is gone, every connection is cut."""
        self._control("-m", "immediate", "stop")
        self.runs = False

    def end(self) -> None:
        if self.runs:
            self.stop()


@contextmanager
def postgres(copy_of: Postgres | None = None) -> Iterator[Postgres]:
    """A server that runs, with an empty database; or as the standby of another."""
    _programs()
    folder = Path(tempfile.mkdtemp(prefix="noout-pg-"))
    try:
        server = Postgres(folder, copy_of)
        server.start()
        try:
            yield server
        finally:
            server.end()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def postgres_url() -> Iterator[str]:
    """The SQLAlchemy URL of an empty database on a server of its own."""
    with postgres() as server:
        yield server.url
