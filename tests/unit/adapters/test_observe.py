"""Corners of an observation: guests on the move between two lists, older versions, missing rights."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from noout.adapters.http import Server
from noout.adapters.pve import PveClient, PveHypervisor
from noout.domain.cluster import GuestStatus
from noout.domain.errors import Forbidden, Untrusted
from noout.ports import Clock
from tests.support.recorded import API, FixedClock

BASE: dict[str, Any] = {
    "/version": {"version": "9.2.11"},
    "/cluster/status": [
        {"type": "cluster", "name": "c", "quorate": 1},
        {"type": "node", "name": "a", "ip": "10.0.0.1", "online": 1},
        {"type": "node", "name": "b", "ip": "10.0.0.2", "online": 1},
    ],
    "/nodes": [{"node": name, "maxcpu": "8", "maxmem": 2**36, "status": "online", "uptime": 1000} for name in "ab"],
    "/cluster/resources": [],
    "/cluster/ha/status/current": [],
    "/cluster/ha/status/manager_status": {"manager_status": {}},
    "/cluster/ha/resources": [],
    "/cluster/ha/rules": [],
    "/cluster/options": {},
}
for _node in "ab":
    for _what in ("network", "storage", "tasks", "qemu", "lxc"):
        BASE[f"/nodes/{_node}/{_what}"] = []
    BASE[f"/nodes/{_node}/status"] = {}
GUEST = {"vmid": "100", "name": "web", "status": "running", "maxmem": "1073741824", "cpus": "2", "cpu": "0.5"}


class Wire(httpx2.AsyncBaseTransport):
    """Answers from lists: each time the next one, the last one for ever; a status instead of data is an error."""

    def __init__(self, answers: dict[str, list[Any]]) -> None:
        self.answers = {**{path: [data] for path, data in BASE.items()}, **answers}
        self.asked: list[str] = []

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        path = request.url.path.removeprefix(API)
        self.asked.append(path)
        queue = self.answers.get(path, [501])
        data = queue.pop(0) if len(queue) > 1 else queue[0]
        if isinstance(data, int):
            message = {403: "Permission check failed (/, Sys.Audit)", 501: "not implemented"}.get(data, "")
            return httpx2.Response(data, json={"data": None, "message": message})
        return httpx2.Response(200, json={"data": data})


def hypervisor(wire: Wire, clock: Clock | None = None) -> PveHypervisor:

    clock = clock or FixedClock(datetime(2026, 11, 30, tzinfo=UTC))
    return PveHypervisor(PveClient("c", [Server("https://a", transport=wire)], "u@pve!t=s", clock))


CONFIGS = {"/nodes/a/qemu/100/config": [{"cores": 2}], "/nodes/b/qemu/100/config": [{"cores": 2}]}
LISTED = {"id": "qemu/100", "type": "qemu", "vmid": 100, "node": "a", "status": "running", "maxmem": 2**30}


async def test_a_guest_seen_on_both_nodes_is_looked_for_again() -> None:
    wire = Wire({"/nodes/a/qemu": [[GUEST], []], "/nodes/b/qemu": [[GUEST]], **CONFIGS})
    state = await hypervisor(wire).observe()
    [guest] = state.guests
    assert guest.node.name == "b"
    assert (guest.ram_bytes, guest.cpus, guest.cpu_used) == (2**30, 2, 1.0)


async def test_a_guest_seen_nowhere_is_looked_for_again() -> None:
    wire = Wire({"/cluster/resources": [[LISTED]], "/nodes/b/qemu": [[], [GUEST]], **CONFIGS})
    [guest] = (await hypervisor(wire).observe()).guests
    assert (guest.node.name, guest.status) == ("b", GuestStatus.RUNNING)


async def test_a_guest_that_only_the_lagging_list_knows_is_unknown_not_gone() -> None:
    wire = Wire({"/cluster/resources": [[LISTED]]})
    [guest] = (await hypervisor(wire).observe()).guests
    assert (guest.node.name, guest.status) == ("a", GuestStatus.UNKNOWN)
    assert wire.asked.count("/nodes/a/qemu") == 3


async def test_qemus_own_word_for_the_state() -> None:
    paused = {**GUEST, "qmpstatus": "paused"}
    after = {**GUEST, "vmid": 101, "qmpstatus": "postmigrate"}
    configs = {**CONFIGS, "/nodes/a/qemu/101/config": [{}]}
    state = await hypervisor(Wire({"/nodes/a/qemu": [[paused, after]], **configs})).observe()
    assert [guest.status for guest in state.guests] == [GuestStatus.PAUSED, GuestStatus.POSTMIGRATE]


async def test_a_version_without_ha_rules() -> None:
    state = await hypervisor(Wire({"/cluster/ha/rules": [501]})).observe()
    assert state.rules == ()
    assert state.ha_armed


async def test_a_missing_privilege_is_never_taken_for_an_empty_answer() -> None:
    with pytest.raises(Forbidden, match=r"Sys\.Audit"):
        await hypervisor(Wire({"/cluster/ha/rules": [403]})).observe()


async def test_a_node_that_was_deaf_once_is_read_again_at_once() -> None:
    storage = [{"storage": "rbd", "type": "rbd", "shared": 1, "active": 1, "total": 10, "used": 1}]
    found = hypervisor(Wire({"/nodes/b/storage": [596, 596, 596, storage]}))
    first, second = await found.observe(), await found.observe()
    assert [each.node.name for each in first.storages] == []
    assert [each.node.name for each in second.storages] == ["b"]


async def test_a_reboot_is_noticed_before_the_kept_answers_grow_old() -> None:
    rows = [{**row, "uptime": 5} for row in BASE["/nodes"]]
    status = [{"kversion": "Linux 6.1-pve x"}, {"kversion": "Linux 6.1-pve x"}, {"kversion": "Linux 6.8-pve x"}]
    wire = Wire({"/nodes": [BASE["/nodes"], rows], "/nodes/a/status": status[::2]})
    found = hypervisor(wire)
    first, second = await found.observe(), await found.observe()
    assert (first.nodes[0].kernel, second.nodes[0].kernel) == ("6.1-pve", "6.8-pve")


async def test_a_wrong_certificate_is_not_retried_elsewhere() -> None:
    """Untrusted is no network trouble: the next entry point must not be asked with the token in hand."""

    class Impostor(httpx2.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            raise Untrusted("another certificate")

    other = Wire({})
    clock = FixedClock(hypervisor(other)._client.clock.now() + timedelta(seconds=1))
    servers = [Server("https://a", transport=Impostor()), Server("https://b", transport=other)]
    with pytest.raises(Untrusted):
        await PveClient("c", servers, "u@pve!t=s", clock).get("/version")
    assert other.asked == []
