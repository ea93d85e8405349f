"""Schemathesis, which reads the API's own document, asks a real process whatever that allows and forbids.

No answer is a fault of the server, whoever asks; 503 says that something noout needs is not there at the moment.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import httpx2
import pytest

from tests.cli.test_two_processes import PATIENCE_S, serving

pytestmark = pytest.mark.slow

SETTINGS = """\
[checks]
enabled = false
[checks.not_a_server_error]
enabled = true
expected-statuses = ["2xx", "3xx", "4xx", 503]
"""
EXAMPLES, LIMIT_S = "4", 240.0  # of each operation, besides those that cover its document


def asked(url: str, place: Path, phases: str, *more: str) -> str:
    """What schemathesis says of it; fails when it found anything."""
    tool = shutil.which("st", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    assert tool is not None, "schemathesis is not installed: pip install -e '.[dev]'"
    (place / "schemathesis.toml").write_text(SETTINGS)
    done = subprocess.run(
        [tool, "--config-file", "schemathesis.toml", "run", f"{url}/api/v1/openapi.json", "--no-color",
         "--max-examples", EXAMPLES, "--phases", phases, "--generation-deterministic",
         "--no-shrink", "--warnings", "off", "--continue-on-failure", *more],
        cwd=place, capture_output=True, text=True, timeout=LIMIT_S, check=False, env=os.environ | {"NO_PROXY": "*"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    return done.stdout


def test_no_question_is_a_fault_of_the_server(place: Path) -> None:
    config = place / "noout.toml"
    config.write_text(re.sub(r"(?m)^listen = .*$", 'listen = "127.0.0.1:0"', config.read_text()))
    token = tomllib.loads(config.read_text())["serve"]["operator_token"]
    with serving(place, "all", "noout.toml") as (process, url):
        bearer = {"authorization": f"Bearer {token}"}
        known = httpx2.get(f"{url}/api/v1/maintenances", headers=bearer, trust_env=False, timeout=PATIENCE_S)
        assert known.status_code == 200, known.text
        for who in (("fuzzing",), ("coverage,fuzzing", "-H", f"Authorization: Bearer {token}")):
            said = asked(url, place, *who)
            tried = re.search(r"Tested: +(\d+)", said)
            assert tried is not None and int(tried[1]) > 10, said
        assert process.poll() is None
    assert "Traceback" not in (place / "all.log").read_text()
