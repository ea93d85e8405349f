"""Other people's clients, unmodified, against the lab on real TLS sockets: proxmoxer and prometheus-pve-exporter."""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
import tempfile
import tomllib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from noout.lab.wire.serve import LabServer
from noout.lab.world.build import build_world
from tests.support.ownvenv import python_with

pytestmark = [pytest.mark.real, pytest.mark.slow]

CLIENT = r"""
import json, os, sys, time, warnings
from proxmoxer import ProxmoxAPI
from proxmoxer.core import ResourceException

warnings.simplefilter("ignore")
user, rest = os.environ["LAB_TOKEN"].split("!")
name, secret = rest.split("=", 1)
api = ProxmoxAPI("127.0.0.1", port=int(os.environ["LAB_PORT"]), user=user, token_name=name, token_value=secret,
                 verify_ssl=False, timeout=30)
found = {"version": api.version.get(), "nodes": [n["node"] for n in api.nodes.get()]}
found["guests"] = [g["vmid"] for g in api.cluster.resources.get(type="vm")]
found["precondition"] = api.nodes("pve3").qemu(104).migrate.get()
upid = api.nodes("pve3").qemu(104).migrate.post(target="pve4", online=1)
found["upid"] = upid
seen = []
for _ in range(600):
    status = api.nodes("pve3").tasks(upid).status.get()
    seen.append(status["status"])
    if status["status"] == "stopped":
        break
    time.sleep(0.05)
found["seen"], found["status"] = sorted(set(seen)), status
found["log"] = [line["t"] for line in api.nodes("pve3").tasks(upid).log.get(limit=500)]
found["now_on"] = [g["node"] for g in api.cluster.resources.get(type="vm") if g["vmid"] == 104]
try:
    api.nodes("pve3").qemu(101).config.put(memory=512)
except ResourceException as error:
    found["refused"] = [error.status_code, error.status_message, error.content]
json.dump(found, sys.stdout)
"""


@pytest.fixture(scope="session")
def proxmoxer() -> Path:
    return python_with("proxmoxer>=2.2", "requests>=2.31")


@pytest.fixture(scope="session")
def pve_exporter() -> Path:
    return python_with("prometheus-pve-exporter>=3.5").parent / "pve_exporter"


@asynccontextmanager
async def lab() -> AsyncIterator[tuple[int, str]]:
    """A lab twenty times faster than life; its first port and the token that ``--write-config`` gives."""
    async with LabServer(build_world(), port=0, speed=20) as server:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "noout.toml"
            server.write_config(path)
            config = tomllib.loads(path.read_text())
        yield server.base, config["clusters"]["ams1"]["token"]


async def run(argv: list[str], script: str, env: dict[str, str]) -> dict[str, Any]:
    process = await asyncio.create_subprocess_exec(
        *argv,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **env},
    )
    out, err = await asyncio.wait_for(process.communicate(script.encode()), 120)
    assert process.returncode == 0, err.decode()
    found: dict[str, Any] = json.loads(out)
    return found


def test_proxmoxer_migrates_a_guest(proxmoxer: Path) -> None:
    async def story() -> dict[str, Any]:
        async with lab() as (port, token):
            env = {"LAB_PORT": str(port), "LAB_TOKEN": token}
            return await run([str(proxmoxer), "-"], CLIENT, env)

    found = asyncio.run(story())
    assert found["version"]["release"] == "9.2"
    assert found["nodes"] == [f"pve{i}" for i in range(1, 7)]
    assert {100, 101, 104, 200} <= set(found["guests"])
    assert found["precondition"]["running"] == 1
    assert "pve4" in found["precondition"]["allowed_nodes"]
    assert re.fullmatch(r"UPID:pve3:[0-9A-F]{8}:[0-9A-F]{8,9}:[0-9A-F]{8}:qmigrate:104:.+:", found["upid"])
    assert found["seen"] == ["running", "stopped"]
    assert found["status"]["exitstatus"] == "OK"
    assert found["log"][-1] == "TASK OK"
    assert sum("migration active, transferred" in line for line in found["log"]) >= 2
    assert found["now_on"] == ["pve4"]
    status, message, content = found["refused"]
    assert status == 403
    assert "Permission check failed (/vms/101, VM.Config.Memory)" in f"{message} {content}"


@asynccontextmanager
async def exporter(program: Path, token: str) -> AsyncIterator[str]:
    user, name, secret = re.split(r"[!=]", token, maxsplit=2)
    login = {"user": user, "token_name": name, "token_value": secret, "verify_ssl": False}
    with socket.socket() as free, tempfile.TemporaryDirectory() as folder:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
        free.close()
        config = Path(folder) / "pve.yml"
        config.touch(mode=0o600)
        config.write_text(json.dumps({"default": login}))  # JSON is YAML
        process = await asyncio.create_subprocess_exec(
            str(program),
            f"--config.file={config}",
            f"--web.listen-address={address}",
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            yield f"http://{address}"
        finally:
            process.terminate()
            await process.wait()


async def _scrape(url: str, target: str) -> str:
    async with httpx2.AsyncClient(timeout=30) as client:
        for _ in range(100):
            try:
                answer = await client.get(f"{url}/pve", params={"target": target, "cluster": "1", "node": "1"})
            except httpx2.ConnectError:  # it is still starting
                await asyncio.sleep(0.1)
                continue
            assert answer.status_code == 200, answer.text
            return answer.text
    raise AssertionError("the exporter did not start")


def test_prometheus_exporter_scrapes(pve_exporter: Path) -> None:
    async def story() -> str:
        async with lab() as (port, token), exporter(pve_exporter, token) as url:
            return await _scrape(url, f"127.0.0.1:{port}")

    text = asyncio.run(story())
    up = dict(re.findall(r'^pve_up\{id="([^"]+)"\} ([\d.]+)', text, re.M))
    assert up["cluster/ams1"] == "1.0"
    assert {up[f"node/pve{i}"] for i in range(1, 7)} == {"1.0"}
    assert up["qemu/104"] == "1.0"
    assert up["lxc/200"] == "1.0"
    assert re.search(r'^pve_memory_size_bytes\{id="node/pve3"\} [\d.e+]+', text, re.M)
    assert re.search(r'^pve_cpu_usage_ratio\{id="qemu/104"\} 0\.\d+', text, re.M)
    assert re.search(r'^pve_disk_usage_bytes\{id="storage/pve3/rbd"\} [\d.e+]+', text, re.M)
    assert re.search(r'^pve_guest_info\{[^}]*id="qemu/104"[^}]*node="pve3"', text, re.M)
    assert re.search(r"^pve_not_backed_up_total\b", text, re.M)
