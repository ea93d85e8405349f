"""The lab on real sockets: ports, certificates, SSH, the control API, and the configuration that opens them all."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import socket
import ssl
import stat
import tomllib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncssh
import httpx2
import pytest
import pytest_asyncio

from noout.lab.wire.serve import BMC, CONTROL, SSH, LabServer, PortTaken
from noout.lab.world.build import build_world
from noout.settings import load


@pytest_asyncio.fixture
async def lab() -> AsyncIterator[LabServer]:
    async with LabServer(build_world(), port=0, speed=20) as server:
        yield server


@pytest.fixture
def config(lab: LabServer, tmp_path: Path) -> Path:
    path = tmp_path / "noout.toml"
    lab.write_config(path)
    return path


async def control(lab: LabServer, method: str, path: str, **body: Any) -> httpx2.Response:
    async with httpx2.AsyncClient() as client:
        return await client.request(method, f"{lab.control_url}{path}", json=body or None)


def connect(lab: LabServer, config: Path, node: int = 1, **options: Any) -> Any:
    """An asyncssh connection to node ``node`` as noout makes it."""
    table = tomllib.loads(config.read_text())["clusters"]["ams1"]["shell"]
    given = {
        "username": table["user"],
        "client_keys": [str(config.parent / table["key_file"])],
        "known_hosts": str(config.parent / table["known_hosts_file"]),
        "config": None,
        "agent_path": None,
    }
    return asyncssh.connect("127.0.0.1", lab.base + SSH + node - 1, **(given | options))


# --- configuration ------------------------------------------------------------------------------------------


def test_the_configuration_is_complete_and_private(lab: LabServer, config: Path) -> None:
    settings = load(config)
    cluster = settings.clusters["ams1"]
    assert [url.rsplit(":", 1)[1] for url in cluster.entrypoints] == [str(lab.base + i) for i in range(6)]
    assert set(cluster.bmc) == set(cluster.nodes) == {f"pve{i}" for i in range(1, 7)}
    assert cluster.shell is not None
    assert settings.lab is not None
    assert settings.lab.control == settings.probes.via == lab.control_url
    assert {"boekhuis", "mercato", "zonneweb", "lindeboom"} <= set(settings.customers)
    for name in (config.name, "noout.id_ed25519", "noout.known_hosts"):
        assert stat.S_IMODE((config.parent / name).stat().st_mode) == 0o600


def test_a_client_of_the_configuration_agrees_on_the_time(lab: LabServer, config: Path) -> None:
    told = load(config).lab
    assert told is not None
    assert (told.epoch, told.started, told.speed) == (lab.clock.epoch, lab.clock.started, lab.clock.speed)


async def test_every_door_is_where_the_layout_says(lab: LabServer) -> None:
    for port in (lab.base, lab.base + 5, lab.base + BMC, lab.base + BMC + 5, lab.base + SSH + 5, lab.base + CONTROL):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()


async def test_a_second_cluster_is_400_higher(tmp_path: Path) -> None:
    async with LabServer(build_world(nodes=3, guests=6, clusters=2), port=0) as lab:
        lab.write_config(tmp_path / "two.toml")
        settings = load(tmp_path / "two.toml")
    first, second = settings.clusters.values()
    assert first.entrypoints[0] == f"https://127.0.0.1:{lab.base}"
    assert second.entrypoints[0] == f"https://127.0.0.1:{lab.base + 400}"
    assert first.token != second.token


async def test_a_port_in_use_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortTaken, match=str(port)):
            async with LabServer(build_world(nodes=1, guests=0), port=port):
                pass


# --- TLS ----------------------------------------------------------------------------------------------------


async def test_the_certificates_are_those_of_the_configuration(lab: LabServer, config: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    cluster = load(config).clusters["ams1"]
    wanted = {int(where.rsplit(":", 1)[1]): told for where, told in cluster.fingerprints.items()}
    wanted |= {int(bmc.url.rsplit(":", 1)[1]): str(bmc.fingerprint) for bmc in cluster.bmc.values()}
    assert len(set(wanted.values())) == 12
    for port, fingerprint in wanted.items():
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        assert hashlib.sha256(der).hexdigest() == fingerprint
        writer.close()


async def test_the_reason_phrase_of_an_error_reaches_the_client(lab: LabServer, config: Path) -> None:
    async with httpx2.AsyncClient(verify=False) as client:
        response = await client.get(f"https://127.0.0.1:{lab.base}/api2/json/nodes")
        assert response.status_code == 401
        assert response.reason_phrase.startswith("No ticket")
        token = {"Authorization": f"PVEAPIToken={load(config).clusters['ams1'].token}"}
        assert (await client.get(f"https://127.0.0.1:{lab.base}/api2/json/nodes", headers=token)).status_code == 200


# --- SSH ----------------------------------------------------------------------------------------------------


async def test_a_command_over_ssh(lab: LabServer, config: Path) -> None:
    async with connect(lab, config, node=3) as shell:
        done = await shell.run("ceph osd ok-to-stop 0 1 2 3 4 5 6 --format json")
        assert done.exit_status == 16
        assert '"ok_to_stop":false' in str(done.stdout)
        assert (await shell.run("hostname")).stdout == "pve3\n"
        odd = await shell.run("hostname; hostname")
        assert odd.exit_status == 127
        assert (await shell.run("ceph 'unclosed")).exit_status == 2


async def test_strangers_stay_outside(lab: LabServer, config: Path) -> None:
    key = asyncssh.generate_private_key("ssh-ed25519")
    with pytest.raises(asyncssh.PermissionDenied):
        await connect(lab, config, client_keys=[key])
    with pytest.raises(asyncssh.PermissionDenied):
        await connect(lab, config, client_keys=None, password="root")


async def test_another_host_key_is_noticed(lab: LabServer, config: Path) -> None:
    wrong = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
    known = asyncssh.import_known_hosts(f"[127.0.0.1]:{lab.base + SSH} {wrong}")
    with pytest.raises(asyncssh.HostKeyNotVerifiable):
        await connect(lab, config, known_hosts=known)


async def test_a_node_that_is_off_or_refuses_closes_the_door(lab: LabServer, config: Path) -> None:
    kept = await connect(lab, config, node=2)
    await control(lab, "POST", "/faults", name="node-dies", node="pve2")
    await kept.wait_closed()
    with pytest.raises((asyncssh.Error, OSError)):
        await connect(lab, config, node=2)
    await control(lab, "POST", "/faults", name="ssh-refused", node="pve4")
    with pytest.raises((asyncssh.Error, OSError)):
        await connect(lab, config, node=4)
    await control(lab, "DELETE", "/faults/ssh-refused", node="pve4")
    async with connect(lab, config, node=4) as shell:
        assert (await shell.run("true")).exit_status == 0
    async with httpx2.AsyncClient(verify=False) as client:
        with pytest.raises(httpx2.HTTPError):
            await client.get(f"https://127.0.0.1:{lab.base + 1}/api2/json/version")
        assert (await client.get(f"https://127.0.0.1:{lab.base + BMC + 1}/redfish/v1/")).status_code == 200


async def test_without_a_quorum_ceph_hangs_over_ssh_too(lab: LabServer, config: Path) -> None:
    for number in (1, 2):
        async with connect(lab, config, node=number) as shell:
            assert (await shell.run(f"systemctl stop ceph-mon@pve{number}")).exit_status == 0
    async with connect(lab, config) as shell:
        done = await shell.run("ceph --connect-timeout 5 -s -f json")
    assert (done.exit_status, done.stdout) == (1, "")
    assert "timed out" in str(done.stderr)


@pytest.mark.real
async def test_openssh_gets_in(lab: LabServer, config: Path) -> None:
    ssh = shutil.which("ssh")
    if ssh is None:
        pytest.skip("OpenSSH's client is not installed (scripts/install-real-parts)")
    key, known = config.parent / "noout.id_ed25519", config.parent / "noout.known_hosts"
    options = ["-F", "none", "-i", str(key), "-o", f"UserKnownHostsFile={known}", "-o", "BatchMode=yes"]
    process = await asyncio.create_subprocess_exec(
        ssh, *options, "-p", str(lab.base + SSH + 2), "root@127.0.0.1", "ceph", "osd", "stat",
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    stdout, stderr = await process.communicate()
    assert process.returncode == 0, stderr.decode()
    assert stdout.decode().startswith("18 osds: 18 up, 18 in")


# --- control ------------------------------------------------------------------------------------------------


async def test_control_shows_switches_and_probes(lab: LabServer) -> None:
    head = (await control(lab, "GET", "")).json()
    state = (await control(lab, "GET", "/state")).json()["clusters"]["ams1"]
    assert state["guests"]["100"]["status"] == "running"
    assert state["nodes"]["pve3"]["online"] is True
    on = await control(lab, "POST", "/faults", name="fan-flapping", node="pve3", fan="FAN2B", cause="dust")
    assert on.status_code == 201
    texts = [row["text"] for row in (await control(lab, "GET", "/happened")).json()["happened"]]
    assert any("fan-flapping" in text for text in texts)
    closed = await control(lab, "POST", "/hands", node="pve3", action="clean_fans")
    assert closed.status_code == 400
    await control(lab, "POST", "/hands", node="pve3", action="open_lid")
    cleaned = await control(lab, "POST", "/hands", node="pve3", action="clean_fans")
    assert cleaned.json()["fan_faults"] == {}
    at = [head["now"], head["now"] + 1e9]
    probed = (await control(lab, "POST", "/probe", cluster="ams1", services=[100, 200], at=at)).json()
    assert probed["answers"] == {"100": [True, None], "200": [True, None]}


@pytest.mark.parametrize(
    ("path", "body", "says"),
    [
        ("/faults", {"name": "fire"}, "no such fault"),
        ("/faults", {"name": "bmc-mute"}, "node"),
        ("/faults", {"name": "bmc-mute", "node": "pve3", "colour": "red"}, "colour"),
        ("/faults", {"cluster": "nix", "name": "bmc-mute"}, "ams1"),
        ("/faults", {"node": "pve3"}, "name is missing"),
        ("/hands", {"node": "pve9", "action": "open_lid"}, "pve1"),
        ("/hands", {"node": "pve3", "action": "kick"}, "no such action"),
        ("/probe", {"services": ["100"], "at": [1.0]}, "guest numbers"),
        ("/probe", {"services": [100], "at": ["now"]}, "Unix seconds"),
        ("/probe", {"services": [99999], "at": [1.0]}, "99999"),
        ("/probe", {"services": [100] * 1000, "at": [1.0] * 1000}, "at most"),
    ],
)
async def test_control_says_what_is_wrong(lab: LabServer, path: str, body: dict[str, Any], says: str) -> None:
    refused = await control(lab, "POST", path, **body)
    assert refused.status_code == 400
    assert says in refused.json()["error"]


async def test_stopping_does_not_wait_for_who_hangs(caplog: pytest.LogCaptureFixture) -> None:
    async with LabServer(build_world(nodes=1, guests=1), port=0) as lab, httpx2.AsyncClient(verify=False) as client:
        await control(lab, "POST", "/faults", name="bmc-mute", node="pve1")
        hanging = asyncio.create_task(client.get(f"https://127.0.0.1:{lab.base + BMC}/redfish/v1/", timeout=60))
        await asyncio.wait({hanging}, timeout=0.2)
        assert not hanging.done()
        async with asyncio.timeout(10):
            await lab.stop()
        with pytest.raises(httpx2.HTTPError):
            await hanging
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []
