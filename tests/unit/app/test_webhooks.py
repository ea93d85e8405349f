"""Webhooks: nothing is lost, nothing comes twice under another id, and who does not take it stops nobody else."""

from __future__ import annotations

import json
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest
from standardwebhooks import Webhook as TheirLibrary
from standardwebhooks import WebhookVerificationError

from noout.adapters.clock import SystemClock
from noout.adapters.store.memory import MemoryStore
from noout.adapters.store.papers import MemoryPapers
from noout.adapters.webhook import headers_of, keys_of, make_secret
from noout.app.webhooks import AGAIN_S, AGAIN_S_MAX, Webhook, cluster_of, standings
from noout.domain.errors import Retryable, UsageError
from noout.domain.journal import Kind
from noout.run.record import Known
from noout.settings_keeping import WebhookSettings
from tests.unit.run.test_settle import Hand

OPENED = {"node": "ams1/pve3", "reason": "fans", "mode": "step"}


class Receiver:
    """Takes what it is told while ``up``."""

    def __init__(self) -> None:
        self.up, self.took = True, list[tuple[str, dict[str, Any]]]()

    async def send(self, id: str, body: bytes) -> None:
        if not self.up:
            raise Retryable("it answered 503")
        self.took.append((id, json.loads(body)))

    async def close(self) -> None: ...

    @property
    def kinds(self) -> list[str]:
        return [body["type"] for _, body in self.took]


class House:
    def __init__(self, **chosen: Any) -> None:
        self.clock, self.receiver, self.papers = Hand(), Receiver(), MemoryPapers()
        self.journal = MemoryStore(cast(Any, self.clock))
        self.woken: list[str] = []
        self.found = cast(Any, SimpleNamespace(
            journal=self.journal, papers=self.papers, known=Known(self.journal),
            hypervisors={"ams1": None, "ams1-b": None},
            settings=SimpleNamespace(page=SimpleNamespace(command=()), webhooks={"ops": None}),
        ))  # fmt: skip
        self.chosen = WebhookSettings(url="https://hooks.test/x", **chosen)

    def hook(self) -> Webhook:
        """As a process that has just been started has it."""
        return Webhook(self.found, "ops", self.chosen, self.receiver, cast(Any, self.clock))

    async def write(self, kind: str, data: dict[str, Any] | None = None, stream: str = "ams1-pve3-1") -> None:
        seq = len(await self.journal.read(stream))
        await self.journal.append(stream, seq, kind, data or {})


async def test_each_event_comes_once_and_none_is_lost_over_failures_and_restarts() -> None:
    house = House()
    await house.write(Kind.OPENED, OPENED)
    hook = house.hook()
    assert await hook.once() and house.receiver.kinds == [], "what was before it is not told"
    await house.write(Kind.APPROVED, {"by": "operator:anna"})
    await house.write(Kind.FACT, {"name": "not", "value": "told"})
    house.receiver.up = False
    for tries in (1, 2, 3):
        assert not await hook.once() and hook.standing.tries == tries
    assert hook.standing.why == "it answered 503" and hook.pause_s() == AGAIN_S * 4
    (known,) = await standings(house.found)
    assert (known.why, known.tries, known.waiting) == ("it answered 503", 3, 2)
    hook = house.hook()  # the process was started anew
    await house.write(Kind.STEP_ENTERED, {"step": "evacuate"})
    assert not await hook.once()
    house.receiver.up = True
    assert await hook.once() and await hook.once() and await house.hook().once()
    assert house.receiver.kinds == ["plan.approved", "step.entered"]
    (id, body), _ = house.receiver.took
    assert id.startswith("evt_") and body["data"]["says"] == "approved by operator:anna"
    assert (body["data"]["node"], body["data"]["cluster"], body["data"]["seq"]) == ("ams1/pve3", "ams1", 2)
    assert hook.standing.failing_since is None and hook.standing.waiting == 0
    (known,) = await standings(house.found)
    assert known.failing_since is None and known.waiting == 0


async def test_what_was_taken_in_the_moment_of_a_crash_comes_again_under_the_same_id() -> None:
    house = House()
    await house.hook().once()
    await house.write(Kind.OPENED, OPENED)

    async def crash(*_: Any) -> None:
        raise Retryable("the store is away")

    kept, house.papers.put = house.papers.put, crash  # type: ignore[method-assign]
    with pytest.raises(Retryable):
        await house.hook().once()
    house.papers.put = kept  # type: ignore[method-assign]
    await house.hook().once()
    (first, _), (second, _) = house.receiver.took
    assert first == second


async def test_it_is_told_what_it_asked_for_of_the_clusters_it_may_hear_of() -> None:
    house = House(events=["maintenance."], clusters=["ams1"])
    hook = house.hook()
    await hook.once()
    await house.write(Kind.OPENED, OPENED)
    await house.write(Kind.APPROVED, {"by": "x"})
    await house.write(Kind.OPENED, OPENED | {"node": "ams1-b/pve1"}, "ams1-b-pve1-1")
    await house.write("effects.stopped", {"reason": ""}, "standstill")
    await hook.once()
    assert house.receiver.kinds == ["maintenance.opened"]


async def test_somebody_is_woken_once_when_it_stays_away(monkeypatch: pytest.MonkeyPatch) -> None:
    house = House()
    hook = house.hook()
    await hook.once()
    await house.write(Kind.OPENED, OPENED)
    house.receiver.up = False

    async def wake(_: object, why: str, **about: str) -> None:
        house.woken.append(why)

    monkeypatch.setattr("noout.app.webhooks.wake", wake)
    for _ in range(12):
        await hook.once()
        house.clock.at += timedelta(minutes=5)
    assert len(house.woken) == 1 and "webhook ops has taken nothing since" in house.woken[0]
    assert hook.pause_s() == AGAIN_S_MAX


def test_their_library_checks_what_we_sign() -> None:
    new, old, other = make_secret(), make_secret(), make_secret()
    now, body = SystemClock().now(), '{"type":"x","says":"é"}'.encode()
    headers = headers_of(keys_of(f"{new}\n{old}\n"), "evt_1", now, body)
    for secret in (new, old):
        assert TheirLibrary(secret).verify(body, headers)["type"] == "x"
    for wrong_body, wrong in (
        (body + b" ", headers), (body, headers | {"webhook-id": "evt_2"}),
        (body, headers_of(keys_of(other), "evt_1", now, body)),
        (body, headers_of(keys_of(new), "evt_1", now - timedelta(minutes=6), body)),
    ):  # fmt: skip
        with pytest.raises(WebhookVerificationError):
            TheirLibrary(new).verify(wrong_body, wrong)


@pytest.mark.parametrize("text", ["", "whsec_", "whsec_AAAA", "whsec_no base64 at all"])
def test_what_is_no_secret_is_said_to_be_none(text: str) -> None:
    with pytest.raises(UsageError, match="whsec_"):
        keys_of(text)


def test_a_stream_is_of_the_cluster_with_the_longest_name_that_fits() -> None:
    for stream, cluster in (
        ("ams1-pve3-1", "ams1"), ("ams1-b-pve1-1", "ams1-b"), ("watch-ams1-b-pve1", "ams1-b"), ("standstill", ""),
    ):  # fmt: skip
        assert cluster_of(cast(Any, SimpleNamespace(stream=stream)), {"ams1": 1, "ams1-b": 1}) == cluster
