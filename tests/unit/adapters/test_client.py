"""Which entry point is asked, what is asked again, and what never is."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest

from noout.adapters.http import Server
from noout.adapters.pve import PveClient, PveHypervisor
from noout.adapters.pve.login import TicketLogin
from noout.domain.errors import Broken, Refused, Retryable, UnknownOutcome
from tests.support.recorded import API, FixedClock
from tests.unit.adapters.test_observe import BASE

CLOCK = FixedClock(datetime(2026, 11, 30, tzinfo=UTC))
NO_QUORUM = (500, "cluster not ready - no quorum?\n")
Said = tuple[int, str] | dict[str, Any] | list[Any] | type[httpx2.HTTPError]


class Entry(httpx2.AsyncBaseTransport):
    """One entry point: answers from ``answers``, the last one for ever; what it was asked is in ``asked``."""

    def __init__(self, *answers: Said, status: Any = None) -> None:
        self.answers = list(answers)
        self.status = status
        self.asked: list[str] = []

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        path = request.url.path.removeprefix(API)
        self.asked.append(f"{request.method} {path}")
        if path == "/cluster/status" and self.status is not None:
            return httpx2.Response(200, json={"data": self.status})
        said = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(said, type):
            raise said("", request=request)
        if isinstance(said, tuple):
            reason = said[1].strip().encode()
            return httpx2.Response(
                said[0], json={"data": None, "message": said[1]}, extensions={"reason_phrase": reason}
            )
        return httpx2.Response(200, json={"data": said})


def client(*entries: Entry, **kwargs: Any) -> PveClient:
    servers = [Server(f"https://{name}", transport=entry) for name, entry in zip("abcdef", entries, strict=False)]
    return PveClient("c", servers, kwargs.pop("login", "u@pve!t=s"), CLOCK, **kwargs)


# --- reading -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "first", [httpx2.ConnectError, httpx2.ReadTimeout, (595, ""), (596, "Broken pipe"), (599, "")], ids=str
)
async def test_reading_goes_on_at_the_next_entry_point(first: Said) -> None:
    a, b = Entry(first), Entry({"version": "9.2.11"})
    pve = client(a, b)
    assert await pve.get("/version") == {"version": "9.2.11"}
    assert await pve.get("/version") == {"version": "9.2.11"}
    assert (len(a.asked), len(b.asked)) == (1, 2), "the one that answered stays in use"


async def test_a_node_whose_daemons_fail_is_not_asked_for_ever() -> None:
    a, b = Entry((500, "ipcc_send_rec[1] failed: Connection refused")), Entry({"version": "9.2.11"})
    assert await client(a, b).get("/version") == {"version": "9.2.11"}
    assert a.asked == ["GET /version"]


async def test_reading_ends_within_bounds() -> None:
    entries = [Entry(httpx2.ConnectError) for _ in range(3)]
    with pytest.raises(Retryable, match=r"a: .*; b: .*; c: "):
        await client(*entries, retries=2).get("/version")
    assert [len(entry.asked) for entry in entries] == [3, 3, 3]


async def test_a_refusal_is_not_asked_again() -> None:
    a, b = Entry((400, "no such task")), Entry({})
    with pytest.raises(Refused):
        await client(a, b).get("/nodes/a/tasks/UPID/status")
    assert (len(a.asked), b.asked) == (1, [])


# --- effects -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", [httpx2.ConnectError, httpx2.ConnectTimeout, (595, ""), NO_QUORUM], ids=str)
async def test_an_effect_that_cannot_have_happened_goes_to_the_next_entry_point(first: Said) -> None:
    a, b = Entry(first), Entry([])
    await client(a, b).effect("POST", "/nodes/a/status", command="shutdown")
    assert (len(a.asked), len(b.asked)) == (1, 1)


@pytest.mark.parametrize(
    "first",
    [httpx2.ReadTimeout, httpx2.WriteError, httpx2.RemoteProtocolError, (596, "Broken pipe"), (500, "got timeout")],
    ids=str,
)
async def test_an_effect_that_may_have_happened_is_never_asked_for_again(first: Said) -> None:
    a, b = Entry(first), Entry([])
    with pytest.raises(UnknownOutcome):
        await client(a, b).effect("POST", "/nodes/a/status", command="shutdown")
    assert (len(a.asked), b.asked) == (1, [])


async def test_a_cluster_without_quorum_refuses() -> None:
    a, b = Entry(NO_QUORUM), Entry(NO_QUORUM)
    with pytest.raises(Refused, match="no quorum") as caught:
        await client(a, b).effect("POST", "/nodes/a/status", command="shutdown")
    assert "quorum" in caught.value.remedy


# --- cut off -------------------------------------------------------------------------------------------------


def part(quorate: int, online: Sequence[str]) -> list[dict[str, Any]]:
    rows = [{"type": "node", "name": name, "ip": f"10.0.0.{i}", "online": int(name in online)} for i, name in
            enumerate("abc", 1)]  # fmt: skip
    return [{"type": "cluster", "name": "c", "quorate": quorate}, *rows]


class Node(Entry):
    """A whole node of three: its own view of who is there."""

    def __init__(self, name: str, quorate: int, online: str) -> None:
        super().__init__([])
        self.name, self.view = name, part(quorate, online)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        path = request.url.path.removeprefix(API)
        self.asked.append(f"{request.method} {path}")
        listed = [{"node": name, "status": "online", "uptime": 1000, "maxcpu": 8, "maxmem": 2**36} for name in "abc"]
        known = {**BASE, "/cluster/status": self.view, "/nodes": listed}
        data = known.get(path, known.get(path.replace("/nodes/c/", "/nodes/b/"), []))
        return httpx2.Response(200, json={"data": data})


async def test_an_entry_point_that_was_cut_off_is_left() -> None:
    """It goes on answering, with what it knew when it was cut off: only the quorate part is believed."""
    a, b, c = Node("a", 0, "a"), Node("b", 1, "bc"), Node("c", 1, "bc")
    hypervisor = PveHypervisor(client(a, b, c))
    state = await hypervisor.observe()
    assert state.quorate
    assert {node.id.name: node.online for node in state.nodes} == {"a": False, "b": True, "c": True}
    before = len(a.asked)
    await hypervisor.observe()
    assert len(a.asked) == before, "nothing more is asked of it"


async def test_a_cluster_in_pieces_is_shown_as_it_is() -> None:
    state = await PveHypervisor(client(Node("a", 0, "a"), Node("b", 0, "b"))).observe()
    assert not state.quorate


# --- logging in ------------------------------------------------------------------------------------------------


async def test_a_second_factor_cannot_be_given() -> None:
    a = Entry({"ticket": "PVE:!tfa!%7B%7D:6B0::x", "CSRFPreventionToken": "y", "NeedTFA": 1})
    with pytest.raises(Broken, match="second factor") as caught:
        await client(a, login=TicketLogin("c", "u@pam", "secret", CLOCK)).get("/version")
    assert "token" in caught.value.remedy
    assert a.asked == ["POST /access/ticket"]


async def test_a_token_that_is_refused_is_not_tried_again() -> None:
    a, b = Entry((401, "")), Entry({})
    with pytest.raises(Broken, match="API token"):
        await client(a, b).get("/version")
    assert (len(a.asked), b.asked) == (1, [])
