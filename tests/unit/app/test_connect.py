"""What `noout init` writes and explains: a configuration that parses, without a secret, and the least of rights."""

from __future__ import annotations

import shlex
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from noout.adapters.pve.discover import FoundCluster, FoundNode, discover
from noout.app.connect.file import configuration
from noout.app.connect.found import Connection, entry_point
from noout.app.connect.steps import privileges, steps
from noout.domain.errors import UsageError
from noout.settings import Settings, parse, secret
from tests.support.labsite import lab_site
from tests.support.virtual import run_virtual

PIN = "ab" * 32
URL = "https://pve1.example.net:8006"
NODES = (
    FoundNode("pve1", "192.0.2.1", PIN, "pve1"),
    FoundNode("pve 2", "192.0.2.2", PIN, 'st"ore'),
    FoundNode("c3", ""),
)
FOUND = Connection(
    "ams1", URL, {"pve1.example.net:8006": PIN, "192.0.2.2:8006": PIN},
    FoundCluster("ams1", NODES, 3, {"boek": 'Boek "B.V."\nline'}, frozenset({"customer-linde", "prod"}), True),
    {"192.0.2.3:8006": PIN},
)  # fmt: skip


def settings_of(text: str) -> Settings:
    return parse(tomllib.loads(text), Path("noout.toml"))


def uncommented(text: str) -> str:
    """As somebody leaves it who takes every sign away before a key or a table."""
    lines = [line.removeprefix("# ") for line in text.splitlines()]
    kept = [line for line in lines if line.startswith(("[", '"', "]", "  ")) or " = " in line.split("#")[0]]
    return "\n".join(line for line in kept if not any(each in line for each in ("AA:BB", "store3", "Node =")))


def test_what_was_found_is_in_the_configuration_and_it_parses() -> None:
    cluster = settings_of(configuration(FOUND)).clusters["ams1"]
    assert cluster.entrypoints == [URL, "https://192.0.2.2:8006"]
    assert cluster.fingerprints["pve1.example.net:8006"] == PIN
    assert cluster.ceph.hosts == {"pve 2": 'st"ore'}
    assert cluster.ceph.user == "client.noout"
    assert set(cluster.nodes) == {"pve1", "pve 2", "c3"}
    assert cluster.shell is not None
    assert cluster.shell.hosts == {"pve1": "192.0.2.1", "pve 2": "192.0.2.2", "c3": "c3"}


def test_every_suggestion_is_one_that_parses_when_it_is_taken() -> None:
    taken = settings_of(uncommented(configuration(FOUND)))
    assert taken.customers["boek"].name == 'Boek "B.V."\nline'
    assert taken.customers["linde"].tags == ["customer-linde"]
    assert set(taken.clusters["ams1"].bmc) == {"pve1", "pve 2", "c3"}


def test_a_cluster_that_nobody_looked_into_is_written_all_the_same() -> None:
    cluster = settings_of(configuration(Connection("x", URL, {"pve1.example.net:8006": PIN}))).clusters["x"]
    assert cluster.entrypoints == [URL]
    assert cluster.token_file == Path("x.token")


def test_the_rights_to_look_are_less_than_those_to_act() -> None:
    assert set(privileges(True)) == {"Datastore.Audit", "Pool.Audit", "Sys.Audit", "VM.Audit", "VM.Migrate"}
    assert {"Sys.PowerMgmt", "VM.PowerMgmt", "Sys.Modify"} <= set(privileges(False)) - set(privileges(True))


def test_every_command_is_one_that_a_shell_reads_and_none_holds_a_secret() -> None:
    told = steps(FOUND, "/etc/no out", "/opt/noout-shell")
    commands = [each for step in told for each in step.commands]
    assert all(step.why for step in told)
    for command in commands:
        shlex.split(command, comments=True)
    assert not any("SECRET" in each for each in commands if not each.startswith("#"))
    assert any("restrict" in each and "--hosts" not in each for each in commands), "a name that no option can hold"
    assert FOUND.cluster is not None
    plain = replace(FOUND, cluster=replace(FOUND.cluster, nodes=NODES[:1]))
    assert any("--hosts pve1" in each for step in steps(plain, "/etc/noout", "x") for each in step.commands)
    looking = steps(FOUND, "/etc/noout", "/opt/noout-shell", read_only=True)
    assert not any("authorized_keys" in each or "ceph" in each for step in looking for each in step.commands)


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("pve1", "https://pve1:8006"),
        ("https://pve1.example.net", "https://pve1.example.net:8006"),
        ("https://pve1:443/", "https://pve1:443"),
        ("https://[2001:db8::1]", "https://[2001:db8::1]:8006"),
    ],
)
def test_an_entry_point_needs_no_more_than_a_name(text: str, url: str) -> None:
    assert entry_point(text) == url


@pytest.mark.parametrize(
    "text", ["http://pve1", "https://root@pve1", "https://pve1/api2", "https://pve1:x", "https://"]
)
def test_what_is_no_entry_point_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        entry_point(text)


def test_the_lab_is_discovered_with_rights_to_look_alone() -> None:
    async def main() -> FoundCluster:
        lab = lab_site(token="plan")
        assert lab.cluster.ceph is not None
        for osd in lab.cluster.ceph.osds.values():
            osd.machine = "pve1" if osd.host == "pve4" else "pve4" if osd.host == "pve1" else osd.host
        return await discover(lab.client)

    found = run_virtual(main(), limit_s=600)
    assert (found.name, found.guests, found.has_ceph) == ("ams1", 24, True)
    assert {node.name: node.crush_host for node in found.nodes}["pve1"] == "pve4"
    assert all(node.ip and node.fingerprint for node in found.nodes)
    assert found.pools["boekhuis"] == "Boekhuis B.V."
    assert "customer-lindeboom" in found.tags


# --- secrets from systemd -------------------------------------------------------------------------------------


def with_credential(name: str) -> Settings:
    table = {"entrypoints": [URL], "token_file": f"credential:{name}"}
    return parse({"clusters": {"ams1": table}}, Path("noout.toml"))


def test_a_credential_of_systemd_is_a_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ams1.token").write_text("noout@pve!control=s3cret\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    settings = with_credential("ams1.token")
    file = settings.clusters["ams1"].token_file
    assert secret(settings, None, file, "clusters.ams1.token_file") == "noout@pve!control=s3cret"


@pytest.mark.parametrize("name", ["", "../outside", "missing", "empty"])
def test_a_credential_that_was_not_handed_over_is_said_so(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "outside").write_text("somebody else's")
    handed = tmp_path / "handed"
    handed.mkdir()
    (handed / "empty").touch()
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(handed))
    settings = with_credential(name)
    with pytest.raises(UsageError, match=r"clusters\.ams1\.token_file") as refused:
        secret(settings, None, settings.clusters["ams1"].token_file, "clusters.ams1.token_file")
    assert refused.value.remedy


def test_without_systemd_there_is_no_credential(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    settings = with_credential("ams1.token")
    with pytest.raises(UsageError, match="was handed over"):
        secret(settings, None, settings.clusters["ams1"].token_file, "clusters.ams1.token_file")
