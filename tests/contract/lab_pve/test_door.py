"""The door of the lab's API: logins, proxying, faults of the wire, and the reason phrase on a real socket."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx2
import pytest

from noout.lab.clock import LabClock
from noout.lab.wire.pve import pve_app
from noout.lab.wire.serve import LabServer
from noout.lab.world.build import build_world
from noout.lab.world.laws import Laws
from noout.lab.world.model import WireFault
from tests.contract.lab_pve.site import Site
from tests.support.asgi import AsgiNetwork
from tests.support.virtual import run_virtual


def login(site: Site, password: str = "Secret123!") -> dict[str, Any]:
    answer = site.ask("POST", "/access/ticket", {"username": "ops@pve", "password": password}, token=None)
    assert answer.status == 200
    data: dict[str, Any] = answer.json["data"]
    return data


def cookie(ticket: dict[str, Any], csrf: bool = False) -> dict[str, str]:
    headers = {"Cookie": f"PVEAuthCookie={ticket['ticket']}"}
    return headers | {"CSRFPreventionToken": ticket["CSRFPreventionToken"]} if csrf else headers


def test_a_ticket_lasts_two_hours_and_renews_itself() -> None:
    site = Site()
    first = login(site)
    site.pass_time(7000, step=500)
    second = login(site, first["ticket"])
    site.pass_time(300)
    old = site.ask("GET", "/version", token=None, headers=cookie(first))
    assert (old.status, old.reason, old.body) == (401, "Authentication failed!", b"")
    assert site.ask("GET", "/version", token=None, headers=cookie(second)).status == 200


def test_a_ticket_needs_its_csrf_token_to_change_anything() -> None:
    site = Site()
    ticket = login(site)
    path, params = "/nodes/pve1/qemu/103/migrate", {"target": "pve2", "online": 1}
    refused = site.ask("POST", path, params, token=None, headers=cookie(ticket))
    assert (refused.status, refused.reason, refused.body) == (401, "Permission denied - invalid csrf token", b"")
    assert site.ask("POST", path, params, token=None, headers=cookie(ticket, csrf=True)).status == 200


def test_forged_tickets_are_refused() -> None:
    site = Site()
    ticket = login(site)
    forged = {"ticket": ticket["ticket"].replace("ops@pve", "root@pam")}
    assert site.ask("GET", "/version", token=None, headers=cookie(forged)).status == 401


def test_the_order_of_refusals() -> None:
    """401 before 501 before 403 before 595 before 400."""
    site = Site()
    site.laws.bmc_reset(site.cluster, "pve2", "ForceOff")
    site.pass_time(5)
    assert site.ask("GET", "/no/such/path", token=None).status == 401
    assert site.ask("GET", "/no/such/path", token="none").status == 501
    assert site.ask("GET", "/nodes/pve2/status", {"x": 1}, token="none").status == 403
    assert site.ask("GET", "/nodes/pve2/status", {"x": 1}).status == 595
    assert site.ask("GET", "/nodes/pve3/status", {"x": 1}).status == 400


def test_a_pool_gives_rights_over_its_guests() -> None:
    site = Site()
    site.cluster.pools["customer-a"] = ""
    site.cluster.guests[101].pool = "customer-a"
    nobody = next(t for t in site.cluster.tokens if t.name == "none")
    nobody.acl["/pool/customer-a"] = frozenset({"VM.Audit"})
    rows = site.ask("GET", "/cluster/resources", {"type": "vm"}, token="none").json["data"]
    assert [r["vmid"] for r in rows] == [101]
    assert site.ask("GET", "/nodes/pve1/qemu/101/config", token="none").status == 200
    assert site.ask("GET", "/nodes/pve1/qemu/103/config", token="none").status == 403


def test_any_node_answers_for_any_other() -> None:
    site = Site()
    for asked in site.cluster.nodes:
        rows = site.ask("GET", "/nodes/pve1/qemu", node=asked).json["data"]
        assert [r["vmid"] for r in rows] == [101, 103]


def test_status_lags_but_place_does_not() -> None:
    """After a stop, /cluster/resources goes on saying running for up to ten seconds; the node itself knows."""
    site = Site()
    site.pass_time(7)
    assert site.ask("POST", "/nodes/pve1/qemu/103/status/stop").status == 200
    site.pass_time(1.5, step=0.5)

    def resources() -> Any:
        rows = site.ask("GET", "/cluster/resources", {"type": "vm"}).json["data"]
        return next(r for r in rows if r["vmid"] == 103)["status"]

    lagged = []
    for _ in range(24):
        lagged.append(resources())
        site.pass_time(0.5, step=0.5)
    assert site.ask("GET", "/nodes/pve1/qemu/103/status/current").json["data"]["status"] == "stopped"
    assert lagged[-1] == "stopped"
    assert sorted(lagged) == lagged  # running first, then stopped: it never goes back
    assert len(lagged) > lagged.count("stopped") > 2


# --- faults ---------------------------------------------------------------------------------------------------


def fault(kind: Any, pattern: str, **other: Any) -> Site:
    site = Site()
    site.cluster.wire_faults.append(WireFault(kind, pattern, **other))
    return site


def test_an_error_by_fault_counts_down() -> None:
    site = fault("error", r"GET /version", status=500, times=2)
    assert [site.ask("GET", "/version").status for _ in range(3)] == [500, 500, 200]


def test_an_unreachable_proxy_by_fault_has_no_body() -> None:
    site = fault("error", r"GET /nodes/pve2/", status=596)
    answer = site.ask("GET", "/nodes/pve2/status")
    assert (answer.status, answer.reason, answer.body) == (596, "Broken pipe", b"")


def test_a_dropped_request_was_not_carried_out() -> None:
    site = fault("drop", r"POST .*/migrate")
    with pytest.raises(httpx2.RemoteProtocolError):
        site.ask("POST", "/nodes/pve1/qemu/103/migrate", {"target": "pve2", "online": 1})
    assert not site.cluster.tasks


def test_a_lost_answer_was_carried_out() -> None:
    site = fault("lost-answer", r"POST .*/migrate")
    with pytest.raises(httpx2.ReadTimeout):
        site.ask("POST", "/nodes/pve1/qemu/103/migrate", {"target": "pve2", "online": 1}, timeout=0.05)
    assert [t.type for t in site.cluster.tasks.values()] == ["qmigrate"]


def test_a_stale_answer_is_the_last_one() -> None:
    site = Site()
    before = site.ask("GET", "/nodes/pve1/qemu/103/status/current").json
    site.cluster.wire_faults.append(WireFault("stale", r"GET .*/103/status/current"))
    site.ask("POST", "/nodes/pve1/qemu/103/status/stop")
    site.pass_time(5)
    assert site.ask("GET", "/nodes/pve1/qemu/103/status/current").json == before
    assert site.ask("GET", "/nodes/pve1/qemu/103/status/current").json["data"]["status"] == "stopped"


def test_a_slow_answer_takes_its_time_by_the_labs_clock() -> None:
    async def story() -> float:
        loop = asyncio.get_running_loop()
        world = build_world()
        laws = Laws(world, LabClock(world.epoch, loop.time(), 10.0, loop.time))
        world.clusters["ams1"].wire_faults.append(WireFault("slow", "GET /version", seconds=40))
        root = world.clusters["ams1"].tokens[0]
        network = AsgiNetwork({("pve1", 8006): pve_app(laws, "ams1", "pve1")})
        headers = {"Authorization": f"PVEAPIToken={root.userid}!{root.name}={root.secret}"}
        async with httpx2.AsyncClient(transport=network, headers=headers) as client:
            assert (await client.get("https://pve1:8006/api2/json/version")).status_code == 200
        return loop.time()

    assert run_virtual(story()) == pytest.approx(4.0)  # forty virtual seconds at ten times life's speed


def test_a_node_without_power_does_not_accept() -> None:
    site = Site()
    site.laws.bmc_reset(site.cluster, "pve2", "ForceOff")
    site.pass_time(5)
    with pytest.raises(httpx2.ConnectError):
        site.ask("GET", "/version", node="pve2")


# --- sockets --------------------------------------------------------------------------------------------------


def test_reason_phrases_and_lost_answers_on_a_socket() -> None:
    async def story() -> None:
        world = build_world()
        cluster = world.clusters["ams1"]
        async with LabServer(world, port=0) as lab:
            token = next(t for t in cluster.tokens if t.name == "plan")
            headers = {"Authorization": f"PVEAPIToken={token.userid}!{token.name}={token.secret}"}
            url = f"https://127.0.0.1:{lab.base}/api2/json"
            async with httpx2.AsyncClient(verify=False, headers=headers, timeout=10) as client:
                refused = await client.post(f"{url}/nodes/pve3/status", data={"command": "reboot"})
                assert refused.status_code == 403
                assert refused.reason_phrase == "Permission check failed (/nodes/pve3, Sys.PowerMgmt)"
                again = await client.get(f"{url}/version")  # the same connection, with the usual phrase
                assert (again.status_code, again.reason_phrase) == (200, "OK")
                listed = (await client.get(f"{url}/nodes")).json()["data"]
                shown = {row["node"]: row["ssl_fingerprint"] for row in listed}
                assert shown["pve1"] == lab.addresses["ams1"]["pve1"].pve_fingerprint
                cluster.nodes["pve5"].proxy_broken = True
                away = await client.get(f"{url}/nodes/pve5/status")
                assert (away.status_code, away.reason_phrase, away.content) == (595, "Connection refused", b"")
                cluster.wire_faults.append(WireFault("drop", "GET /version"))
                with pytest.raises(httpx2.RemoteProtocolError):
                    await client.get(f"{url}/version")
                cluster.wire_faults.append(WireFault("lost-answer", "GET /version"))
                with pytest.raises(httpx2.ReadTimeout):
                    await client.get(f"{url}/version", timeout=0.3)
                assert (await client.get(f"{url}/version")).status_code == 200

    asyncio.run(story())
