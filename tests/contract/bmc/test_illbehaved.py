"""What a sick BMC says never stops the watch, is never believed, and costs no more than it may."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from noout.adapters.bmc import RedfishBmc
from noout.adapters.bmc.look import LOG_MAX
from noout.adapters.http import Server
from noout.codec import decode, encode
from noout.domain.cluster import NodeId
from noout.domain.errors import Retryable
from noout.domain.hardware import Condition, HardwareState
from noout.watch.verdict import judge
from tests.contract.bmc.illbehaved import V1, Say, bmc_that, ok, raw, tree, well
from tests.support.recorded import FixedClock

NODE = NodeId("ams1", "pve3")
NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
ENTRIES = "/Systems/1/LogServices/SEL/Entries"
HARMLESS = {Condition.OK, Condition.LOST_TELEMETRY, Condition.HUNTING}


def bmc_at(url: str, *, patience_s: float = 5.0) -> RedfishBmc:
    return RedfishBmc(NODE, Server(url, read_timeout_s=patience_s), "noout", "secret", FixedClock(NOW))


async def look(say: Say, *, patience_s: float = 5.0) -> HardwareState:
    async with bmc_that(say) as url:
        bmc = bmc_at(url, patience_s=patience_s)
        try:
            return await bmc.observe()
        finally:
            await bmc.close()


def entry(number: int, at: str = "", message: str = "Fan FAN1 stopped") -> dict[str, Any]:
    at = at or (NOW - timedelta(days=9) + timedelta(minutes=number)).isoformat()
    return {"Id": str(number), "Created": at, "Message": message, "Severity": "Critical"}


async def judged(state: HardwareState, polls: int = 12) -> set[Condition]:
    """What the watch makes of a BMC that says this poll after poll, after it had been well for an hour."""
    healthy, start = await look(well(tree())), NOW - timedelta(hours=2)
    before = [replace(healthy, at=start + timedelta(minutes=n)) for n in range(60)]
    after = [replace(state, at=start + timedelta(minutes=60 + n)) for n in range(polls)]
    return {verdict.condition for verdict in judge([*before, *after], after[-1].at)}


async def test_the_server_of_these_tests_is_a_bmc_when_it_is_well() -> None:
    state = await look(well(tree(log=[entry(1)])))
    assert (state.reachable, state.trouble, [each.value for each in state.readings]) == (True, "", [6000.0] * 3)
    assert [each.id for each in state.log] == ["1"]


THERMAL = f"{V1}/Chassis/1/Thermal"
DEEP = b"[" * 200_000
SICK: dict[str, dict[str, bytes | None]] = {
    "null for the root": {V1: ok(None)},
    "null for everything": {"*": ok(None)},
    "a web page for JSON": {THERMAL: raw(b"<html>Please log in</html>", kind="text/html")},
    "a web page for everything": {"*": raw(b"<html>Please log in</html>", kind="text/html")},
    "an error for everything": {"*": raw(b"oops", "500 Internal Server Error")},
    "an error for the fans": {THERMAL: raw(b"oops", "500 Internal Server Error")},
    "half a body": {THERMAL: raw(b'{"Fans": [{"Name": "FAN1", "Reading": 0', length=4000)},
    "half a JSON": {THERMAL: raw(b'{"Fans": [{"Name": "FAN1", "Reading": 0')},
    "nothing, for ever": {"*": None},
    "nothing, for ever, for the fans": {THERMAL: None},
    "brackets without end": {THERMAL: ok(DEEP), V1: ok(DEEP)},
    "no HTTP": {"*": b"SSH-2.0-dropbear\r\n\r\n"},
    "numbers from nowhere": {THERMAL: ok(tree(fan=1e308)["/Chassis/1/Thermal"])},
    "no number": {THERMAL: ok(tree(fan={"a": [1]})["/Chassis/1/Thermal"])},
    "a number of 400 digits": {THERMAL: ok(tree(fan=10**400)["/Chassis/1/Thermal"])},
    "infinity": {THERMAL: ok(tree(fan=float("-inf"))["/Chassis/1/Thermal"])},
}


@pytest.mark.parametrize("name", SICK)
async def test_a_sick_bmc_is_survived_and_not_believed(name: str) -> None:
    wrong, good = SICK[name], well(tree())

    def say(path: str, query: dict[str, str]) -> bytes | None:
        return wrong[path] if path in wrong else wrong["*"] if "*" in wrong else good(path, query)

    began = time.monotonic()
    state = await look(say, patience_s=0.3)
    assert time.monotonic() - began < 30, "it was waited for without end"
    assert not state.reachable or all(each.value in (None, 6000.0) or each.value > 1e9 for each in state.readings)
    assert await judged(state) <= HARMLESS
    assert decode(HardwareState, json.loads(json.dumps(encode(state)))) == state


@pytest.mark.parametrize("newest_first", [True, False])
@pytest.mark.parametrize("paged", [0, 50])
async def test_ten_thousand_entries_at_once_cost_what_two_hundred_do(newest_first: bool, paged: int) -> None:
    """In one answer, or in pages of 50 from a BMC that does not know ``$skip`` if it is not its own link."""
    log = [entry(n) for n in range(1, 10_001)]
    if newest_first:
        log.reverse()
    good, asked = well(tree(log=[] if paged else log)), list[str]()

    def say(path: str, query: dict[str, str]) -> bytes | None:
        asked.append(path)
        if not paged or path != f"{V1}{ENTRIES}":
            return good(path, query)
        first = int(query.get("page", 0))
        page: dict[str, Any] = {"Members": log[first : first + paged], "Members@odata.count": len(log)}
        if first + paged < len(log):
            page["Members@odata.nextLink"] = f"{V1}{ENTRIES}?page={first + paged}"
        return ok(page)

    before = time.process_time()
    state = await look(say)
    assert time.process_time() - before < 5
    assert len(state.log) == LOG_MAX
    assert len(asked) < 120
    if newest_first or not paged:
        assert [each.id for each in state.log][-1] == "10000"


async def test_of_a_bmc_that_can_skip_the_end_is_read_at_once() -> None:
    log = [entry(n) for n in range(1, 1001)]
    good, asked = well(tree()), 0

    def say(path: str, query: dict[str, str]) -> bytes | None:
        nonlocal asked
        if path != f"{V1}{ENTRIES}":
            return good(path, query)
        asked += 1
        first = int(query.get("$skip", 0))
        return ok({"Members": log[first : first + 200], "Members@odata.count": len(log)})

    assert [each.id for each in (await look(say)).log][::199] == ["801", "1000"]
    assert asked == 2


async def test_the_newest_are_found_though_the_clock_fell_back_to_1970() -> None:
    log = [entry(n) for n in range(1, 301)] + [entry(n, "1970-01-01T00:00:09Z") for n in range(301, 304)]
    state = await look(well(tree(log=log)))
    assert {"301", "302", "303", "300"} <= {each.id for each in state.log}
    assert "103" not in {each.id for each in state.log}


async def test_a_body_without_end_is_not_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("noout.adapters.bmc.client.BODY_BYTES_MAX", 1 << 20)
    big = ok({"Fans": [], "Oem": "x" * (3 << 20)})
    good = well(tree())
    state = await look(lambda path, query: big if path == THERMAL else good(path, query))
    assert state.readings == ()
    assert "longer than 1 MiB" in state.trouble


async def test_bytes_that_drip_do_not_keep_it_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each byte comes in time for a time-out of reading, the whole never does."""
    monkeypatch.setattr("noout.adapters.bmc.client.WHOLE_S", 0.4)

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
            while True:
                writer.write(b" ")
                await writer.drain()
                await asyncio.sleep(0.05)
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    async with server:
        bmc = bmc_at(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        async with asyncio.timeout(20):
            state = await bmc.observe()
        await bmc.close()
        server.close()
    assert not state.reachable
    assert "no whole answer" in state.trouble


@pytest.mark.parametrize("away", ["//evil.example/Thermal", "https://evil.example//evil.example/x", "http://[", "\x00"])
async def test_a_link_that_leads_elsewhere_gets_no_login(away: str) -> None:
    hosts = set()
    documents = tree()
    documents["/Chassis/1"]["Thermal"] = {"@odata.id": away}

    def handle(request: httpx2.Request) -> httpx2.Response:
        hosts.add(request.url.host)
        found = documents.get(request.url.path.rstrip("/").removeprefix(V1) or "/")
        return httpx2.Response(200 if found else 404, json=found or {})

    server = Server("https://bmc.example", transport=httpx2.MockTransport(handle))
    state = await RedfishBmc(NODE, server, "noout", "secret", FixedClock(NOW)).observe()
    assert state.reachable
    assert hosts == {"bmc.example"}


ODD = st.sampled_from(["//x", "http://[", "9999-12-31T23:59:59-14:00", "1" * 5000, "\u00b2"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | ODD,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
TREE = tree(log=[entry(1), {**entry(2), "MessageArgs": ["FAN1"]}])


def _places(value: Any, way: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [way, *(each for key, some in inner for each in _places(some, (*way, key)))]


PLACES = [place for place in _places(TREE) if place]


@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(st.sampled_from(PLACES), JSON), min_size=1, max_size=3))
def test_anything_anywhere_is_survived(changes: list[tuple[tuple[Any, ...], Any]]) -> None:
    documents: Any = json.loads(json.dumps(TREE))
    for place, value in changes:
        here = documents
        try:
            for key in place[:-1]:
                here = here[key]
            here[place[-1]] = value
        except (KeyError, IndexError, TypeError):
            continue  # changed away before

    def handle(request: httpx2.Request) -> httpx2.Response:
        path = request.url.path.rstrip("/").removeprefix(V1) or "/"
        status = 200 if path in documents else 404
        return httpx2.Response(status, content=json.dumps(documents.get(path)).encode())

    server = Server("https://bmc.example", transport=httpx2.MockTransport(handle))
    state = asyncio.run(RedfishBmc(NODE, server, "noout", "secret", FixedClock(NOW)).observe())
    assert decode(HardwareState, json.loads(json.dumps(encode(state), allow_nan=False))) == state


async def test_an_effect_on_a_sick_bmc_is_an_error_and_no_crash() -> None:
    async with bmc_that(lambda path, query: raw(b"<html>", "500 Oops")) as url:
        bmc = bmc_at(url)
        with pytest.raises(Retryable):
            await bmc.power_on()
        await bmc.close()
