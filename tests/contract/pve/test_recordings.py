"""Every recorded answer of a real Proxmox VE 9.2, through the real client, to the parser that is meant for it."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest

from noout.adapters.http import Server
from noout.adapters.pve import PveClient, parse
from noout.adapters.pve.client import Gone
from noout.adapters.pve.guest_config import parse_config
from noout.adapters.pve.hypervisor import precondition
from noout.adapters.pve.task_log import log_lines, migration_progress
from noout.domain.cluster import GuestKind, GuestStatus, NodeId
from noout.domain.errors import Broken, Forbidden, Refused, Retryable, UnknownOutcome
from tests.conftest import DATA
from tests.support.recorded import FixedClock, Recording, recordings

FOLDER = DATA / "proxmox" / "responses"
ALL = recordings(FOLDER) if FOLDER.is_dir() else []
JSON_API = [r for r in ALL if r.status == 200 and not r.path.startswith("/api2/extjs")]  # noout never asks extjs


class Replay(httpx2.AsyncBaseTransport):
    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self.requests = 0

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.requests += 1
        assert request.headers["authorization"] == "PVEAPIToken=noout@pve!t=uuid"
        return self.recording.response()


def client_for(recording: Recording) -> tuple[PveClient, Replay]:
    wire = Replay(recording)
    clock = FixedClock(datetime(2026, 11, 23, tzinfo=UTC))
    servers = [Server("https://pve1:8006", transport=wire)]
    return PveClient("lab", servers, "noout@pve!t=uuid", clock, retries=0), wire


# --- what each parser must bring out of an answer ---------------------------------------------------------


def membership(data: Any) -> None:
    quorate, members = parse.membership(data)
    assert quorate is bool(data[0]["quorate"])
    assert set(members) == {"pve1", "pve2", "pve3"}
    assert all(row["ip"].startswith("10.77.0.") for row in members.values())


def resources(data: Any) -> None:
    guests = parse.resource_guests(data)
    assert len(guests) == sum(row["type"] in ("qemu", "lxc") for row in data)
    assert parse.pools(data) == {r["vmid"]: r["pool"] for r in data if r["type"] in ("qemu", "lxc") and r.get("pool")}
    assert all(parse.status(row) is not GuestStatus.UNKNOWN for row in guests.values() if row["status"] != "unknown")
    for storage in parse.storages_from_resources("lab", data):
        assert storage.name in ("local", "shared")
        assert storage.shared is (storage.name == "shared")


def nodes(data: Any) -> None:
    for row in data:
        node = parse.node("lab", row["node"], {"online": row["status"] == "online"}, row, {}, (), ())
        assert node.cpus == 2
        assert node.ram_bytes == 25276510208
        assert node.online is (row["status"] == "online")
        assert (node.uptime_s > 0) is node.online


def node_status(data: Any) -> None:
    node = parse.node("lab", "pve2", {"online": 1}, {}, data, (), ())
    assert (node.pve_version, node.kernel, node.cpu_model) == ("9.2.11", "6.18.44-fc-v657", "AMD EPYC")
    assert node.ram_bytes == 25276510208
    assert node.cpus == 2


def network(data: Any) -> None:
    node = parse.node("lab", "pve1", {"online": 1}, {}, {}, parse.rows(data), ())
    # A token without SDN.Audit sees no bridges (role-network): then there are none to compare with.
    assert node.bridges == {row["iface"] for row in data if row["type"] == "bridge"}
    assert node.bridges <= {"vmbr0"}


def storages(data: Any) -> None:
    found = {each.name: each for each in parse.storages(NodeId("lab", "pve1"), data)}
    assert found["shared"].shared
    assert not found["local"].shared
    assert {"images", "rootdir"} <= found["shared"].content
    assert found["local"].total_bytes > found["local"].used_bytes > 0
    assert all(each.available for each in found.values())


def guest_list(data: Any) -> None:
    assert data
    for row in data:
        assert row["vmid"] > 99
        assert parse.status(row) in (GuestStatus.RUNNING, GuestStatus.STOPPED)


def guest_status(data: Any) -> None:
    assert parse.status(data) in (GuestStatus.RUNNING, GuestStatus.STOPPED)


def qemu_config(data: Any) -> None:
    config = parse_config(GuestKind.QEMU, data, {"shared": True, "local": False})
    assert config.cpu_type == "qemu64"
    keys = {key for key in data if re.match(r"(scsi|ide)\d+$", key)}
    assert {disk.key for disk in config.disks} == keys
    for disk in config.disks:
        assert disk.size_bytes == 1024**3
        assert disk.shared is disk.volume.startswith("shared:")
    assert config.lock == data.get("lock")
    assert config.tags == data.get("tags", "")
    assert config.bridges == (("vmbr0",) if "net0" in data else ())


def lxc_config(data: Any) -> None:
    config = parse_config(GuestKind.LXC, data, {"shared": True})
    assert [disk.key for disk in config.disks] == ["rootfs"]
    assert config.disks[0].shared
    assert config.bridges == ("vmbr0",)
    assert config.tags == "prod"


def ha_current(data: Any) -> None:
    services = parse.ha_services(None, data, None)
    assert set(services) == {"vm:100", "vm:101"}
    for row in data:
        if row["type"] == "service":
            assert services[row["sid"]].node == row["node"]
            assert services[row["sid"]].state == row["crm_state"]
            assert services[row["sid"]].failback
    fencing = next(row for row in data if row["type"] == "fencing")
    assert parse.ha_armed(None, data) is (fencing["armed-state"] == "armed")


def ha_manager(data: Any) -> None:
    manager = data["manager_status"]
    assert parse.ha_node_states(data) == manager["node_status"]
    assert parse.ha_armed(data, None) is ("disarm" not in manager)
    wanted = {(n, "maintenance") for n, wish in manager.get("node_request", {}).items() if wish.get("maintenance")}
    assert set(parse.ha_requests(data)) == wanted


def ha_resources(data: Any) -> None:
    services = parse.ha_services(None, None, data if isinstance(data, list) else [data])
    assert services
    assert all(each.requested_state == "started" and each.failback for each in services.values())


def ha_rules(data: Any) -> None:
    found = parse.rules("lab", data if isinstance(data, list) else [data])
    assert [rule.name for rule in found] == [row["rule"] for row in (data if isinstance(data, list) else [data])]
    for rule in found:
        assert rule.nodes == (("pve1", 2), ("pve2", 1))
        assert not rule.strict
        assert [str(guest) for guest in rule.guests] == ["lab/100"]


def tasks(data: Any) -> None:
    running = parse.running_tasks(data)
    assert {task.upid for task in running} == {row["upid"] for row in data if not row.get("endtime")}
    for row in data:
        task = parse.task_from_upid(row["upid"])
        assert (task.node, task.kind, task.subject) == (row["node"], row["type"], row["id"])


def task_status(data: Any) -> None:
    task = parse.task_status(data)
    assert (task.node, task.kind, task.subject) == (data["node"], data["type"], data["id"])
    assert task.running is (data["status"] == "running")
    expected = None if task.running else data["exitstatus"] == "OK" or data["exitstatus"].startswith("WARNINGS")
    assert task.ok is expected


def task_log(data: Any) -> None:
    lines = log_lines(data)
    assert len(lines) == len(data)
    text = "\n".join(lines)
    progress = migration_progress(lines)
    if downtime := re.search(r"downtime (\d+) ms", text):
        assert progress is not None
        assert progress.blackout_ms == int(downtime[1])
    if "migration active, transferred" in text:
        assert progress is not None
        assert progress.total_bytes == int(272.6 * 1024**2)
        assert progress.transferred_bytes == int(529.0 * 1024)
        assert progress.rate_bytes_s == pytest.approx((529.0 - 82.1) * 1024 / 7, rel=0.001)
    if "VM-state" not in text and "downtime" not in text.replace("migration downtime limit", ""):
        assert progress is None or (progress.total_bytes == 0 and progress.blackout_ms is None)
    if found := re.search(r"starting migration of \w+ \d+ to node '(\w+)'", text):
        assert progress is not None
        assert progress.target == found[1]


def guest_precondition(data: Any) -> None:
    found = precondition(data)
    assert found.running is bool(data["running"])
    assert len(found.local_disks) == len(data.get("local_disks", []))
    assert list(found.local_resources) == data.get("local_resources", [])
    blocked = data.get("not_allowed_nodes", data.get("not-allowed-nodes"))
    assert set(found.blocked) == {node for node, why in blocked.items() if why}


def options(data: Any) -> None:
    assert parse.migration_network(data) == ""


def version(data: Any) -> None:
    assert data["version"] == "9.2.11"


def upid(data: Any) -> None:
    task = parse.task_from_upid(data)
    assert task.running
    assert task.node in ("pve1", "pve2", "pve3")


def nothing(data: Any) -> None:
    assert data is None


def passed_on(data: Any) -> None:
    """An answer that noout does not read: the client hands it over as it is."""


GUEST = r"/nodes/\w+/(qemu|lxc)/\d+"
PARSERS: tuple[tuple[str, Callable[[Any], None]], ...] = (
    (r"GET /version", version),
    (r"GET /cluster/status", membership),
    (r"GET /cluster/resources(\?.*)?", resources),
    (r"GET /nodes", nodes),
    (r"GET /nodes/\w+/status", node_status),
    (r"GET /nodes/\w+/network", network),
    (r"GET /nodes/\w+/storage", storages),
    (r"GET /nodes/\w+/(qemu|lxc)(\?full=1)?", guest_list),
    (rf"GET {GUEST}/status/current", guest_status),
    (r"GET /nodes/\w+/qemu/\d+/config(\?.*)?", qemu_config),
    (r"GET /nodes/\w+/lxc/\d+/config", lxc_config),
    (rf"GET {GUEST}/migrate(\?.*)?", guest_precondition),
    (r"GET /cluster/ha/status/current", ha_current),
    (r"GET /cluster/ha/status/manager_status", ha_manager),
    (r"GET /cluster/ha/resources(/vm:\d+)?", ha_resources),
    (r"GET /cluster/ha/rules(/\S+)?", ha_rules),
    (r"GET /cluster/tasks", tasks),
    (r"GET /nodes/\w+/tasks(\?.*)?", tasks),
    (r"GET /nodes/\w+/tasks/UPID:\S+/status", task_status),
    (r"GET /nodes/\w+/tasks/UPID:\S+/log(\?.*)?", task_log),
    (r"GET /cluster/options", options),
    (rf"(POST|DELETE) {GUEST}/(migrate|status/\w+)", upid),
    (r"POST /nodes/\w+/ceph/(start|stop)", upid),
    (r"POST /nodes/\w+/status", nothing),
    (r"DELETE /nodes/\w+/tasks/UPID:\S+", nothing),
)

# Answers to calls that noout makes nowhere (setting up the test cluster, Ceph through the API, the console's views).
UNUSED = re.compile(
    r"/access/|/pools|/cluster/(ceph|log|nextid|mapping|backup|replication|bulk-action|config)|/nodes/\w+/(ceph|"
    r"capabilities|config|disks|hardware|rrddata|services|subscription|time|version|syslog|replication|wakeonlan|"
    r"migrateall|startall|stopall|aplinfo)\b|/cluster/ha/(groups|resources/\S+/migrate|status/(disarm|arm)-ha)|"
    r"/storage($|/)|/storage/\w+/content|/pending$|/snapshot$|^(POST|PUT|DELETE) /cluster/(ha|options)|"
    r"^POST /nodes/\w+/(qemu|lxc)$|^(PUT|POST) \S+/config$|^GET /nodes/\w+$|^DELETE \S+/(qemu|lxc)/\d+"
)


def parser_for(recording: Recording) -> Callable[[Any], None] | None:
    line = f"{recording.method} {recording.path}"
    for pattern, parser in PARSERS:
        if re.fullmatch(pattern, line):
            return parser
    return passed_on if UNUSED.search(line) else None


@pytest.mark.parametrize("recording", JSON_API, ids=lambda r: r.name)
async def test_answer(recording: Recording, record_property: Callable[[str, object], None]) -> None:
    client, wire = client_for(recording)
    if recording.method == "GET":
        data = await client.get(recording.path.split("?")[0])
    else:
        data = await client.effect(recording.method, recording.path)
    assert wire.requests == 1
    assert data == recording.data
    parser = parser_for(recording)
    assert parser is not None, f"no parser is named for {recording.method} {recording.path}"
    record_property("parser", parser.__name__)
    if recording.data not in ([], None) or parser is nothing:
        parser(data)


def expected_error(recording: Recording) -> type[Exception]:
    if recording.status == 401:
        return Broken
    if recording.status == 403:
        return Forbidden
    if recording.status == 501:
        return Broken
    if recording.status == 595:
        return Retryable
    if recording.method == "GET" and not re.search(r"locked|does not exist|lookup|not initialized", recording.reason):
        return Refused if recording.status == 400 else Retryable  # a 500 that says nothing of the request
    if "does not exist" in recording.reason and "Configuration file" in recording.reason:
        return Gone
    return Refused


@pytest.mark.parametrize("recording", [r for r in ALL if r.status != 200], ids=lambda r: r.name)
async def test_error(recording: Recording) -> None:
    client, wire = client_for(recording)
    with pytest.raises(expected_error(recording)) as caught:
        if recording.method == "GET":
            await client.get(recording.path.split("?")[0])
        else:
            await client.effect(recording.method, recording.path)
    assert wire.requests == 1
    error = caught.value
    said = str(error)
    assert not isinstance(error, UnknownOutcome)
    assert "uuid" not in said, "the token is in the message"
    if isinstance(error, Forbidden):
        path, _, privilege = recording.reason.partition("(")[2].rstrip(")").partition(", ")
        assert (error.path, error.privilege) == (path, privilege)
        assert f"{privilege} on {path}" in error.remedy
    elif recording.status == 400:
        for name in recording.document.get("errors") or {}:
            assert name in said
    elif recording.status in (500, 501):
        assert recording.reason.split(":")[0] in said


def test_every_recording_was_walked(recordings: Path) -> None:
    """The walk is whole: every file is an exchange handled above, or a timeline."""
    files = {file.stem for file in (recordings / "proxmox" / "responses").glob("*.json")}
    walked = {recording.name for recording in ALL}
    assert {name for name in files - walked if not name.startswith("timeline-")} == set()
    used = {parser_for(r) for r in JSON_API}
    assert {parser for _, parser in PARSERS} <= used, "a parser of noout's has no recording"
