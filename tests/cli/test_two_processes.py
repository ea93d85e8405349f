"""Control and public as two real processes on loopback: the technician's page by way of the one that holds nothing."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from noout.app.compose import installation
from noout.app.desk import Desk
from noout.app.maintain import Maintenances
from noout.app.notice import watcher_of
from noout.codec import encode
from noout.domain.cluster import NodeId
from noout.domain.journal import Kind
from noout.domain.maintenance import Mode
from noout.domain.workorder import Location
from noout.settings import load
from noout.tell.checklist import make_work_order
from tests.cli.conftest import Noout, environment

pytestmark = pytest.mark.real

PATIENCE_S = 240.0  # a machine that is busy takes its time
SERIAL = "CZ2D5007K41"


def until(true: Callable[[], bool], what: str) -> None:
    ends = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < ends, f"not within {PATIENCE_S:.0f} s: {what}"
        time.sleep(0.1)


@contextmanager
def serving(place: Path, role: str, config: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """One process of that role, and its address."""
    argv = [sys.executable, "-m", "noout", "serve", "--role", role, "--config", config]
    with (place / f"{role}.log").open("w") as log:
        process = subprocess.Popen(argv, cwd=place, stdout=log, stderr=log, text=True, env=environment())
    try:
        said = place / f"{role}.log"
        until(lambda: "serving http" in said.read_text() or process.poll() is not None, f"{role} serves")
        found = re.search(r"serving (http://[\d.]+:\d+)", said.read_text().replace("\n", ""))
        assert found is not None, said.read_text()
        yield process, found[1]
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


async def prepared(config: Path) -> str:
    """A maintenance whose work order is issued, in the store; a technician's token."""
    async with installation(load(config)) as found:
        cluster = next(iter(found.hypervisors))
        mid = await Desk(found, watcher_of(found)).begin(
            NodeId(cluster, "pve3"), reason="fans", mode=Mode.STEP, actor="operator:anna", approves=False
        )
        m = await Maintenances(found).get(mid)
        order = make_work_order(m, Location("R2", "B07", "U14", SERIAL), "WO-1")
        await found.journal.append(mid, m.seq, Kind.WORK_ORDER, {"work_order": encode(order)})
        token, _ = await Maintenances(found).field_work().make_link(mid, "ruben")
        return token


def sockets(pid: int) -> list[tuple[str, int, int]]:
    """(state, local port, remote port) of every TCP socket of a process."""
    held = set()
    for each in Path(f"/proc/{pid}/fd").iterdir():
        try:
            held.add(str(each.readlink()))
        except OSError:  # closed meanwhile
            continue
    found = []
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            parts = line.split()
            if f"socket:[{parts[9]}]" in held:
                local, remote = (int(each.rpartition(":")[2], 16) for each in (parts[1], parts[2]))
                found.append((parts[3], local, remote))
    return found


def test_the_technicians_page_by_way_of_a_process_that_holds_nothing(noout: Noout, place: Path) -> None:
    config = place / "noout.toml"
    key = place / "channel.key"
    key.write_text("k" * 64)
    key.chmod(0o600)
    text = re.sub(r"(?m)^speed = .*$", "speed = 1", config.read_text())
    text = re.sub(r"(?m)^listen = .*$", 'listen = "127.0.0.1:0"', text)
    public_toml = place / "public.toml"
    public_toml.write_text('[serve]\nlisten = "127.0.0.1:0"\n[control]\nkey_file = "channel.key"\n')
    config.write_text(text)
    token = asyncio.run(prepared(config))
    refused = noout("serve", "--role", "public", "--config", str(config))
    assert refused.code == 2 and "public holds no credential" in " ".join(refused.err.split())
    with (
        serving(place, "public", "public.toml") as (public, url),
        httpx2.Client(base_url=url, trust_env=False, timeout=PATIENCE_S) as phone,
    ):
        assert phone.get("/healthz").status_code == 200 and phone.get("/readyz").status_code == 503
        assert phone.get(f"/w/{token}").status_code == 404, "it knows nothing by itself"
        config.write_text(f'{text}\n[public]\nurl = "{url}"\nkey_file = "channel.key"\n')
        with serving(place, "control", "noout.toml") as (control, inside):
            until(lambda: phone.get("/readyz").status_code == 200, "control is heard of")
            until(lambda: phone.get(f"/w/{token}").status_code == 200, "the link opens")
            page = phone.get(f"/w/{token}")
            assert "DO NOT TOUCH" in page.text and "pve3" in page.text
            said = phone.post(f"/api/v1/technician/{token}/hands-on", json={"serial": "WRONG1234567"})
            assert said.status_code == 409, said.text
            other = httpx2.get(f"{url}/w/{token}", trust_env=False, timeout=PATIENCE_S)
            assert other.status_code == 403, "another device"
            for path in ("/", "/sign-in", "/api/v1/maintenances", "/api/v1/openapi.json", "/metrics"):
                assert phone.get(path).status_code == 404, path
            assert httpx2.get(f"{inside}/w/{token}", trust_env=False, timeout=PATIENCE_S).status_code == 404, (
                "control serves no technician"
            )
            shown = phone.get(f"/api/v1/technician/{token}").json()
            assert shown["touch"] == "do-not-touch", shown
            port = int(url.rpartition(":")[2])
            seen = sockets(public.pid)
            assert seen and all(local == port for _, local, _ in seen), f"it connects to somebody: {seen}"
            opened = {str(each.readlink()) for each in Path(f"/proc/{public.pid}/fd").iterdir() if each.is_symlink()}
            assert not [each for each in opened if each.endswith((".db", ".key")) or "noout.db" in each]
            control.kill()
            control.wait()
        until(lambda: phone.get(f"/api/v1/technician/{token}").json()["touch"] == "unknown", "it turns grey")
        until(lambda: phone.get("/readyz").status_code == 503, "control is missed")
        assert phone.post(f"/api/v1/technician/{token}/hands-on", json={"serial": SERIAL}).status_code == 503
