"""A BMC's subscription: made once, found again, cleared of what an earlier life left, and refused in plain words."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest

from noout.adapters.bmc import RedfishBmc
from noout.adapters.bmc.subscription import UNTIMED, context_of, entries_of
from noout.adapters.http import Server
from noout.domain.cluster import NodeId
from noout.domain.errors import Refused
from tests.contract.bmc.illbehaved import V1, link, tree
from tests.contract.bmc.test_illbehaved import NOW
from tests.support.recorded import FixedClock

HERE = "https://noout.example/api/v1/redfish-events"
SUBSCRIPTIONS = f"{V1}/EventService/Subscriptions"


class Service:
    """A BMC with an event service; ``old``: it wants EventTypes, ``new``: it refuses them."""

    def __init__(self, *, types: bool = True, refuses_types: bool = False, service: Any = None) -> None:
        self.made: dict[str, dict[str, Any]] = {}
        self.refuses_types = refuses_types
        self.documents = tree()
        self.documents["/EventService"] = service if service is not None else {
            "ServiceEnabled": True, "Subscriptions": link("/EventService/Subscriptions"),
            **({"EventTypesForSubscription": ["StatusChange", "Alert", "ResourceAdded"]} if types else {}),
        }  # fmt: skip
        server = Server("https://bmc.example", transport=httpx2.MockTransport(self.handle))
        self.bmc = RedfishBmc(NodeId("ams1", "pve3"), server, "noout", "secret", FixedClock(NOW))  # type: ignore[arg-type]

    def handle(self, request: httpx2.Request) -> httpx2.Response:
        path = request.url.path.rstrip("/")
        if request.method == "POST":
            body = json.loads(request.content)
            if self.refuses_types and "EventTypes" in body:
                return httpx2.Response(400, json={"error": {"message": "EventTypes: no such property"}})
            self.made[f"{SUBSCRIPTIONS}/{len(self.made) + 1}"] = body
            return httpx2.Response(201, headers={"Location": f"https://bmc.example{SUBSCRIPTIONS}/{len(self.made)}"})
        if request.method == "DELETE":
            return httpx2.Response(204 if self.made.pop(path, None) else 404)
        if path == SUBSCRIPTIONS:
            return httpx2.Response(200, json={"Members": [{"@odata.id": each} for each in self.made]})
        found = self.made.get(path) or self.documents.get(path.removeprefix(V1) or "/")
        return httpx2.Response(200 if found is not None else 404, json=found or {})


@pytest.mark.parametrize(
    ("service", "kinds"),
    [(Service(), ["Alert", "StatusChange"]), (Service(types=False), None), (Service(refuses_types=True), None)],
    ids=["old", "new", "both and neither"],
)
async def test_it_is_made_once_and_found_again(service: Service, kinds: list[str] | None) -> None:
    place = await service.bmc.subscribed(HERE, "a-secret", "")
    assert service.made == {place: service.made[place]}
    assert (service.made[place]["Context"], service.made[place].get("EventTypes")) == ("a-secret", kinds)
    assert await service.bmc.subscribed(HERE, "a-secret", place) == place
    assert len(service.made) == 1
    await service.bmc.unsubscribe(place)
    assert service.made == {}


async def test_one_that_is_lost_is_made_anew_and_what_nobody_keeps_is_ended() -> None:
    service = Service()
    theirs = {"Destination": "https://other.example/events", "Context": "theirs"}
    service.made = {
        f"{SUBSCRIPTIONS}/1": theirs,
        f"{SUBSCRIPTIONS}/2": {"Destination": HERE, "Context": "an old life's"},
    }
    place = await service.bmc.subscribed(HERE, "a-secret", f"{SUBSCRIPTIONS}/9")
    assert [each["Context"] for each in service.made.values()] == ["theirs", "a-secret"]
    assert service.made[place]["Context"] == "a-secret"


@pytest.mark.parametrize(
    "service", [{}, {"ServiceEnabled": False, "Subscriptions": link("/EventService/Subscriptions")}]
)
async def test_a_bmc_that_cannot_says_so(service: dict[str, Any]) -> None:
    with pytest.raises(Refused, match="no event service"):
        await Service(service=service).bmc.subscribed(HERE, "a-secret", "")


def test_an_events_context_and_records_wherever_a_vendor_puts_them() -> None:
    record = {
        "EventId": "12",
        "Message": "FAN2 stopped",
        "Severity": "Critical",
        "EventTimestamp": "2026-11-23T10:00:00Z",
    }
    assert context_of({"Context": "a", "Events": [record]}) == "a"
    assert context_of({"Events": [record, {**record, "Context": "b"}]}) == "b"
    assert [context_of(each) for each in (None, 7, [], {}, {"Context": 7, "Events": 7})] == [""] * 5
    [entry] = entries_of({"Events": [record]})
    assert (entry.id, entry.at.hour, entry.message) == ("event 12", 10, "FAN2 stopped")
    [untimed] = entries_of({"Events": [{"Message": "FAN2 stopped"}]})
    assert untimed.at == UNTIMED
    assert len(entries_of({"Events": [{**record, "EventId": str(n)} for n in range(10_000)]})) == 200
