"""Other people's clients, each in a virtual environment of its own, so that nothing of theirs meets ours."""

from __future__ import annotations

import fcntl
import subprocess
import sys
from pathlib import Path

import pytest

WHERE = Path(__file__).parents[2] / ".venv" / "clients"  # goes with `make clean`


def python_with(*packages: str) -> Path:
    """The Python of an environment that has just ``packages`` (pip requirements); made once, then kept.

    Skips the test with a sentence where they cannot be installed. Blocks: call it before there is anything to serve.
    """
    home = WHERE / "-".join(sorted(package.replace("==", "-") for package in packages))
    python, made = home / "bin" / "python", home / ".made"
    WHERE.mkdir(parents=True, exist_ok=True)
    with (WHERE / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            try:
                subprocess.run([sys.executable, "-m", "venv", "--clear", home], check=True, capture_output=True)
                pip = [python, "-m", "pip", "install", "--quiet", "--no-compile", "--disable-pip-version-check"]
                subprocess.run([*pip, *packages], check=True, capture_output=True)
            except subprocess.CalledProcessError as error:
                last = (error.stderr or b"").decode(errors="replace").strip().splitlines()[-1:]
                pytest.skip(f"{' and '.join(packages)} cannot be installed here: {' '.join(last)}")
            made.touch()
    return python
