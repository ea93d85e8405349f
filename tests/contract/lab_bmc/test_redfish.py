"""What the lab's BMCs do: who may ask, power, LED, sensors, the event log, silence."""

from __future__ import annotations

import httpx2
import pytest

from tests.contract.lab_bmc.conftest import Board

SYSTEM, CHASSIS = "/redfish/v1/Systems/1", "/redfish/v1/Chassis/1"
ENTRIES = "/redfish/v1/Managers/1/LogServices/SEL/Entries"


async def test_the_root_is_open_and_everything_else_wants_a_login(board: Board) -> None:
    assert (await board.stranger.get("/redfish/v1/")).status_code == 200
    for path in (SYSTEM, CHASSIS, f"{CHASSIS}/Thermal", ENTRIES):
        refused = await board.stranger.get(path)
        assert refused.status_code == 401
        assert refused.json()["error"]["@Message.ExtendedInfo"][0]["MessageId"].startswith("Base.")
    assert not board.bmc.led
    assert (await board.stranger.patch(SYSTEM, json={"LocationIndicatorActive": True})).status_code == 401
    assert not board.bmc.led


async def test_a_session_opens_doors_until_it_is_closed(board: Board) -> None:
    sessions = "/redfish/v1/SessionService/Sessions"
    wrong = await board.stranger.post(sessions, json={"UserName": "noout", "Password": "guess"})
    assert wrong.status_code == 401
    opened = await board.stranger.post(sessions, json={"UserName": "noout", "Password": "a secret"})
    assert opened.status_code == 201
    token = {"X-Auth-Token": opened.headers["X-Auth-Token"]}
    assert (await board.stranger.get(SYSTEM, headers=token)).status_code == 200
    assert (await board.stranger.delete(opened.headers["Location"], headers=token)).status_code == 204
    assert (await board.stranger.get(SYSTEM, headers=token)).status_code == 401


async def test_power_follows_a_reset_some_seconds_later(board: Board) -> None:
    answered = await board.reset("ForceOff")
    assert answered.status_code == 204
    assert (await board.get(SYSTEM))["PowerState"] == "On"
    assert await board.power_after("Off", 15) >= 1
    fans = (await board.get(f"{CHASSIS}/Thermal"))["Fans"]
    assert {fan["Status"]["State"] for fan in fans} == {"Disabled"}
    assert (await board.reset("On")).status_code == 204
    assert await board.power_after("On", 15) >= 1


async def test_reset_types_are_those_listed(board: Board) -> None:
    action = (await board.get(SYSTEM))["Actions"]["#ComputerSystem.Reset"]
    assert "GracefulShutdown" in action["ResetType@Redfish.AllowableValues"]
    for body in ({"ResetType": "Nmi"}, {}, {"ResetType": None}):
        refused = await board.client.post(action["target"], json=body)
        assert refused.status_code == 400
    assert (await board.client.post(action["target"], content=b"not json")).status_code == 400


async def test_a_lying_bmc_accepts_a_reset_and_does_nothing(board: Board) -> None:
    board.fault("bmc-lies", node="pve3", about="reset")
    assert (await board.reset("ForceOff")).status_code == 204
    board.forward(60)
    assert (await board.get(SYSTEM))["PowerState"] == "On"


@pytest.mark.parametrize("path", [SYSTEM, CHASSIS])
@pytest.mark.parametrize("body", [{"LocationIndicatorActive": True}, {"IndicatorLED": "Blinking"}])
async def test_the_led_by_both_names(board: Board, path: str, body: dict[str, object]) -> None:
    etag = (await board.client.get(path)).headers["ETag"]
    done = await board.client.patch(path, json=body, headers={"If-Match": etag})
    assert done.status_code == 200
    for where in (SYSTEM, CHASSIS):
        shown = await board.get(where)
        assert (shown["LocationIndicatorActive"], shown["IndicatorLED"]) == (True, "Blinking")
    await board.client.patch(path, json={"LocationIndicatorActive": False})
    assert not board.bmc.led


@pytest.mark.parametrize("body", [{"AssetTag": "x"}, {"LocationIndicatorActive": "yes"}, {"IndicatorLED": "Red"}, {}])
async def test_nothing_else_can_be_patched(board: Board, body: dict[str, object]) -> None:
    assert (await board.client.patch(SYSTEM, json=body)).status_code == 400
    assert not board.bmc.led


async def test_a_fan_that_stands_still_is_seen_everywhere(board: Board) -> None:
    board.fault("fan-flapping", node="pve3", fan="FAN2B", per_hour=60, seconds=20, cause="connector")
    for _ in range(7200):
        board.forward(1)
        if any(since <= board.laws.now < until for since, until in board.bmc.fans["FAN2B"].stops):
            break
    thermal = await board.get(f"{CHASSIS}/Thermal")
    fan = next(fan for fan in thermal["Fans"] if fan["Name"] == "FAN2B")
    assert (fan["Reading"], fan["Status"]["Health"]) == (0, "Critical")
    assert fan["LowerThresholdCritical"] > 0
    assert thermal["Redundancy"][0]["Status"]["Health"] == "Warning"
    new = await board.get(f"{CHASSIS}/ThermalSubsystem/Fans/FAN2B")
    assert new["SpeedPercent"]["SpeedRPM"] == 0
    sensor = await board.get(new["SpeedPercent"]["DataSourceUri"])
    assert sensor["Reading"] == 0
    assert (await board.get(SYSTEM))["Status"]["Health"] == "Critical"
    newest = (await board.get(ENTRIES))["Members"][0]
    assert newest["MessageArgs"] == ["FAN2B"]
    assert "going low asserted" in newest["Message"]


async def test_collections_link_and_expand(board: Board) -> None:
    for path in (
        f"{CHASSIS}/ThermalSubsystem/Fans",
        f"{CHASSIS}/Sensors",
        f"{CHASSIS}/PowerSubsystem/PowerSupplies",
        f"{SYSTEM}/Memory",
    ):
        brief = await board.get(path)
        assert brief["Members@odata.count"] == len(brief["Members"]) > 0
        assert all(set(member) == {"@odata.id"} for member in brief["Members"])
        full = await board.get(path, **{"$expand": "."})
        for link, member in zip(brief["Members"], full["Members"], strict=True):
            assert await board.get(link["@odata.id"]) == member
    assert len((await board.get(f"{SYSTEM}/Memory"))["Members"]) == board.bmc.dimms


async def test_every_link_leads_somewhere(board: Board) -> None:
    seen: set[str] = set()

    def links(value: object) -> list[str]:
        if isinstance(value, dict):
            own = [value["@odata.id"]] if isinstance(value.get("@odata.id"), str) else []
            return own + [found for inner in value.values() for found in links(inner)]
        return [found for inner in value for found in links(inner)] if isinstance(value, list) else []

    todo = ["/redfish/v1/"]
    while todo:
        path = todo.pop().split("#")[0]
        if path not in seen:
            seen.add(path)
            todo += links(await board.get(path))
    assert len(seen) > 50


async def test_the_log_is_paged_newest_first(board: Board) -> None:
    for number in range(120):
        board.laws.bmc_record(board.cluster, "pve3", "OK", f"record {number}")
        board.forward(1)
    first = await board.get(ENTRIES)
    total = first["Members@odata.count"]
    assert total == len(board.bmc.log)
    messages, page = [], first
    while True:
        messages += [entry["Message"] for entry in page["Members"]]
        if "Members@odata.nextLink" not in page:
            break
        page = await board.get(page["Members@odata.nextLink"])
    assert messages == [record.message for record in reversed(board.bmc.log)]
    two = await board.get(ENTRIES, **{"$top": "2", "$skip": "1"})
    assert [entry["Message"] for entry in two["Members"]] == ["record 118", "record 117"]
    assert (await board.get(two["Members"][0]["@odata.id"]))["Created"].endswith("Z")
    assert (await board.client.get(ENTRIES, params={"$top": "-1"})).status_code == 400


async def test_a_mute_bmc_hangs_and_comes_back(board: Board) -> None:
    board.fault("bmc-mute", node="pve3")
    with pytest.raises(httpx2.ReadTimeout):
        await board.client.get(SYSTEM, timeout=0.05)
    board.laws.clear_fault(board.cluster, "bmc-mute", node="pve3")
    assert (await board.get(SYSTEM))["PowerState"] == "On"


async def test_without_cords_there_is_no_bmc(board: Board) -> None:
    board.laws.hands(board.cluster, "pve3", "pull_cords")
    with pytest.raises(httpx2.ConnectError):
        await board.client.get(SYSTEM)
    board.laws.hands(board.cluster, "pve3", "plug_cords")
    assert (await board.get(SYSTEM))["PowerState"] == "Off"


async def test_what_is_not_there_is_404(board: Board) -> None:
    for path in (f"{CHASSIS}/ThermalSubsystem/Fans/FAN99", "/redfish/v1/Nothing", f"{ENTRIES}/999999"):
        assert (await board.client.get(path)).status_code == 404
