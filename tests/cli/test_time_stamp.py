"""The command of the how-to that has the heads stamped by a third party, with a real openssl on both sides."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.real

ROOT = Path(__file__).resolve().parents[2]
HEADS = "# noout journal heads, 2026-11-23T06:00:00+00:00\nams1-pve3-1 2 4f21\n# end of 1 heads\n"
AUTHORITY = """
[tsa]
default_tsa = own
[own]
serial = ./serial
signer_cert = ./tsa.pem
signer_key = ./tsa.key
certs = ./tsa.pem
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
"""
# In the place of curl: what the authority at the other end does.
CURL = """#!/bin/sh
while [ $# -gt 0 ]; do
  case $1 in --data-binary) query=${2#@}; shift ;; -o) reply=$2; shift ;; esac
  shift
done
folder=$PWD
cd "$(dirname "$0")"
exec openssl ts -reply -config tsa.cnf -queryfile "$folder/$query" -out "$folder/$reply"
"""


@pytest.fixture
def authority(tmp_path: Path) -> Path:
    """The folder of a time-stamping authority, whose door is a program named curl."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed (scripts/install-real-parts)")
    folder = tmp_path / "authority"
    folder.mkdir()
    (folder / "tsa.cnf").write_text(AUTHORITY)
    (folder / "curl").write_text(CURL)
    (folder / "curl").chmod(0o755)
    made = ("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=A time-stamping authority",
            "-addext", "extendedKeyUsage=critical,timeStamping", "-keyout", "tsa.key", "-out", "tsa.pem")  # fmt: skip
    said = openssl(folder, *made)
    assert said.returncode == 0, said.stderr
    return folder


def openssl(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["openssl", *words], cwd=folder, capture_output=True, text=True, check=False, timeout=60)


def test_the_command_of_the_how_to_gets_a_stamp_that_proves_the_text(authority: Path, tmp_path: Path) -> None:
    audit = tmp_path / "audit"
    audit.mkdir()
    page = (ROOT / "docs" / "how-to" / "prove-the-journal.md").read_text("utf-8")
    script = re.findall(r"```sh\n(.*?)```", page, re.DOTALL)[0].replace("/mnt/audit", str(audit))
    command = tmp_path / "stamp-heads"
    command.write_text(script)
    command.chmod(0o755)
    way = {**os.environ, "PATH": f"{authority}:{os.environ['PATH']}"}
    done = subprocess.run([command], input=HEADS, env=way, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr

    text, stamp = sorted(audit.iterdir())
    assert text.read_text() == HEADS and stamp.name == f"{text.name}.tsr"
    words = next(line.split() for line in page.splitlines() if line.startswith("    openssl ts -verify"))
    named = {"tsa.pem": str(authority / "tsa.pem")}
    verify = [named.get(word, re.sub(r"noout-heads-\w+", text.name, word)) for word in words[1:]]
    assert "Verification: OK" in openssl(audit, *verify).stdout
    assert "Time stamp:" in openssl(audit, "ts", "-reply", "-in", stamp.name, "-text").stdout
    text.write_text(HEADS.replace("4f21", "4f22"))
    assert openssl(audit, *verify).returncode != 0
