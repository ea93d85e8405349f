"""Control and public: what is told arrives once and unchanged, what is old claims nothing, and public has no secret."""

from __future__ import annotations

import asyncio
import base64
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx2
import pytest

from noout.adapters.http import Channel, Server
from noout.app.links import NoSuchLink, OtherDevice, Visit
from noout.app.public.courier import Courier
from noout.app.public.envelope import PATH, SIGNATURE, Operation, Push, open_pull, seal, seal_pull
from noout.app.public.far import FarField
from noout.app.public.shelf import ANSWER_S, SILENT_S, OldNonce, Shelf
from noout.app.public.technicians import OPERATIONS, Technicians
from noout.app.technician import FieldWork
from noout.domain.errors import Refused, Retryable
from noout.domain.workorder import Answer, Touch
from noout.tell.field import Declined
from noout.web.public import create_public_app
from tests.support.virtual import run_virtual
from tests.web.world import SERIAL, World

KEY = b"k" * 32


class Pair:
    """Control over an in-memory world, and a public process, on one event loop. ``gone``: control does not answer."""

    def __init__(self) -> None:
        self.world = World()
        self.world.wall_s = lambda seconds: seconds  # type: ignore[attr-defined]
        self.work = self.world.services().field
        self.shelf = Shelf(KEY)
        self.app = create_public_app(self.shelf, "")
        self.field = FarField(self.shelf)
        self.courier = self.courier_with(KEY)
        self.began = 0.0

    def courier_with(self, key: bytes) -> Courier:
        async def ones() -> list[Any]:
            return [self.world.m]

        technicians = Technicians(self.work, ones, ones)
        channel = Channel(Server("http://public.test", transport=httpx2.ASGITransport(self.app)))
        return Courier(channel, key, self.world, (technicians.documents,), {"technician": technicians.perform})  # type: ignore[arg-type]

    async def turn(self, times: int = 1, wait_s: float = 0.0) -> None:
        for _ in range(times):
            await self.courier.once(wait_s)

    async def with_control(self, work: Any) -> Any:
        """Do something on public that needs control's word."""
        task = asyncio.ensure_future(work)
        while not task.done():
            await self.turn(wait_s=0.1)
            await asyncio.sleep(0)
        return task.result()

    async def link(self) -> str:
        token, _ = await self.work.make_link("m-0001", "ruben")
        return token

    async def shown(self, token: str, visit: Visit) -> str:
        """What the phone is told, by the public process itself."""
        network, cookies = httpx2.ASGITransport(self.app), {"noout_device": visit.device}
        async with httpx2.AsyncClient(transport=network, base_url="http://p.test", cookies=cookies) as phone:
            return str((await phone.get(f"/api/v1/technician/{token}")).json()["touch"])

    def later(self, seconds: float) -> None:
        self.world.now_ += timedelta(seconds=seconds)


def test_the_whole_work_goes_through_and_counts_once() -> None:
    async def main() -> None:
        pair = Pair()
        token = await pair.link()
        await pair.turn(2)
        visit = await pair.with_control(pair.field.enter(token, None))
        assert (visit.maintenance, visit.technician) == ("m-0001", "ruben") and len(pair.world.said("link-opened")) == 1
        with pytest.raises(Declined, match="this is not pve3"):
            await pair.with_control(pair.field.hands_on(visit, "WRONG12345", "k1"))
        for new in (True, False):
            assert await pair.with_control(pair.field.hands_on(visit, SERIAL, "k2")) is new
        pair.world.make_safe()
        await pair.turn(2)
        bench = await pair.field.bench(visit)
        assert bench.verdict.touch is Touch.NODE_OFF and bench.hands_on
        check = bench.lines[0].check.key
        assert await pair.with_control(pair.field.finding(visit, check, Answer.DONE, "é", "k3"))
        (found,) = pair.world.said("finding")
        assert found.data["note"] == "é" and found.actor == "technician:ruben"

    run_virtual(main())


def test_an_old_verdict_is_grey_whatever_it_was() -> None:
    async def main() -> None:
        pair = Pair()
        token = await pair.link()
        pair.world.make_safe()
        await pair.turn(2)
        visit = await pair.with_control(pair.field.enter(token, None))
        await pair.turn(2)
        assert await pair.shown(token, visit) == "node-off" and not pair.shelf.silent
        await asyncio.sleep(SILENT_S + 1)
        assert await pair.shown(token, visit) == "unknown" and pair.shelf.silent
        pair.later(60)
        await pair.turn(2)
        assert await pair.shown(token, visit) == "node-off"

    run_virtual(main())


def test_links_are_checked_on_both_sides() -> None:
    async def main() -> None:
        pair = Pair()
        token = await pair.link()
        await pair.turn(2)
        with pytest.raises(NoSuchLink):
            await pair.field.enter("m-0001.guessed", None)
        visit = await pair.with_control(pair.field.enter(token, None))
        await pair.turn(2)
        with pytest.raises(OtherDevice):
            await pair.field.enter(token, None)
        with pytest.raises(OtherDevice):
            await pair.field.enter(token, "another")
        assert (await pair.field.enter(token, visit.device)).link == visit.link
        # A public process in somebody else's hands knows every link's hash: that opens nothing.
        technicians = Technicians(pair.work, pair.world.services().maintenances, pair.world.services().maintenances)
        for operation in (
            Operation("1", "technician.hands_on", f"m-0001.{visit.link}", visit.device, {"serial": SERIAL, "key": "k"}),
            Operation("2", "technician.hands_on", token, "another", {"serial": SERIAL, "key": "k"}),
        ):
            with pytest.raises((NoSuchLink, OtherDevice)):
                await technicians.perform(operation)
        for what in ("technician.make_link", "technician.post", "technician._once", "technician.revoke_link"):
            with pytest.raises(Refused, match="nothing that a technician can do"):
                await technicians.perform(Operation("3", what, token, visit.device, {}))
        assert pair.world.said("hands-on") == []
        await pair.work.revoke_link("m-0001", visit.link[:12], "operator:anna")
        await pair.turn(2)
        with pytest.raises(NoSuchLink):
            await pair.field.enter(token, visit.device)

    run_virtual(main())


def test_without_control_nothing_is_said_to_be_done() -> None:
    async def main() -> None:
        pair = Pair()
        token = await pair.link()
        await pair.turn(2)
        visit = await pair.with_control(pair.field.enter(token, None))
        began = asyncio.get_running_loop().time()
        with pytest.raises(Retryable, match="not sent yet"):
            await pair.field.hands_on(visit, SERIAL, "k1")
        assert asyncio.get_running_loop().time() - began == pytest.approx(ANSWER_S)
        await pair.turn(3)
        assert pair.world.said("hands-on") == [], "nobody waits for it any more: it comes again from the phone"
        assert await pair.with_control(pair.field.hands_on(visit, SERIAL, "k1"))

    run_virtual(main())


def test_a_fault_in_one_thing_leaves_the_rest_alone() -> None:
    async def main() -> None:
        pair = Pair()
        faults, asked = [KeyError("since")], []

        async def perform(operation: Operation) -> Any:
            raise TypeError("no such thing")

        async def documents(wanted: frozenset[str]) -> dict[str, Any]:
            asked.append(wanted)
            if faults:
                raise faults.pop()
            return {"status/now": "fine"}

        pair.courier.documents, pair.courier.performs = (documents,), {"portal": perform}
        carried = asyncio.ensure_future(pair.courier.run())
        outcome = await pair.shelf.ask("portal.read", "token", "", {})
        assert (outcome.error, outcome.message) == ("Retryable", "noout could not do this")
        assert pair.shelf.document("status/now") == "fine" and not pair.courier.trouble
        carried.cancel()

    run_virtual(main())


def test_a_public_process_started_anew_is_told_everything_again() -> None:
    async def main() -> None:
        pair = Pair()
        token = await pair.link()
        await pair.turn(2)
        visit = await pair.with_control(pair.field.enter(token, None))
        pair.shelf = Shelf(KEY)
        pair.app = create_public_app(pair.shelf, "")
        old, pair.courier.channel = pair.courier.channel, pair.courier_with(KEY).channel
        await old.close()
        field = FarField(pair.shelf)
        with pytest.raises(NoSuchLink):
            await field.enter(token, visit.device)
        await pair.turn(2)
        assert (await field.enter(token, visit.device)).maintenance == "m-0001"

    run_virtual(main())


def test_only_who_has_the_key_is_heard_and_nothing_counts_twice() -> None:
    async def main() -> None:
        pair = Pair()
        now = pair.world.now()
        body, mark = seal(KEY, Push(pair.shelf.nonce, now, 1.0, 0.0, True, {"link/x": {"evil": False}}))
        with pytest.raises(Refused, match="not signed by control"):
            await pair.shelf.exchange(body + b" ", mark)
        with pytest.raises(Refused, match="not signed by control"):
            await pair.shelf.exchange(*seal(b"z" * 32, Push(pair.shelf.nonce, now, 1.0, 0.0)))
        told, said = await pair.shelf.exchange(body, mark)
        assert pair.shelf.document("link/x") == {"evil": False}
        with pytest.raises(OldNonce):
            await pair.shelf.exchange(body, mark)
        pull = open_pull(KEY, told, said, mark)
        with pytest.raises(Refused, match="not signed by the public process"):
            open_pull(KEY, told, said, mark[::-1])
        forged, its = seal_pull(b"z" * 32, replace(pull, operations=(Operation("1", "technician.x", "t"),)), mark)
        with pytest.raises(Refused):
            open_pull(KEY, forged, its, mark)
        async with httpx2.AsyncClient(
            transport=httpx2.ASGITransport(pair.app), base_url="http://public.test"
        ) as anybody:
            for headers in ({}, {SIGNATURE: mark[::-1]}, {SIGNATURE.encode(): b"\xc3\xa9"}):
                answer = await anybody.post(PATH, content=body, headers=headers)
                assert answer.status_code == 401 and SIGNATURE not in answer.headers
        wrong = pair.courier_with(b"z" * 32)
        with pytest.raises(Refused, match="401"):
            await wrong.once(0.0)

    run_virtual(main())


def test_everything_a_technician_can_do_can_be_done_from_afar() -> None:
    asked = {
        name
        for kind in FieldWork.__mro__
        for name, method in vars(kind).items()
        if not name.startswith("_") and callable(method) and "visit" in getattr(method, "__annotations__", {})
    }
    assert asked - {"bench"} == OPERATIONS
    for name in OPERATIONS | {"enter", "bench"}:
        assert callable(getattr(FarField, name))


async def test_bytes_and_outcomes_come_through_as_they_were() -> None:
    seen: dict[str, Any] = {}

    class Work:
        clock = World()

        async def enter(self, token: str, device: str) -> Visit:
            return Visit("m", "ruben", "link", device)

        async def photo(self, visit: Visit, check: str, picture: bytes, key: str) -> bool:
            seen.update(check=check, picture=picture)
            return True

        async def picture(self, visit: Visit, digest: str) -> bytes | None:
            return b"\xff\xd8" if digest == "there" else None

    technicians = Technicians(Work(), None, None)  # type: ignore[arg-type]
    picture = bytes(range(256))
    told = {"check": "fans", "picture": base64.b64encode(picture).decode(), "key": "k"}
    assert await technicians.perform(Operation("1", "technician.photo", "t", "d", told)) is True
    assert seen == {"check": "fans", "picture": picture}
    assert await technicians.perform(Operation("1", "technician.picture", "t", "d", {"digest": "there"})) == "/9g="
    assert await technicians.perform(Operation("1", "technician.picture", "t", "d", {"digest": "gone"})) is None
    for bad in (told | {"picture": "not base64"}, told | {"visit": "x"}, told | {"more": 1}, {"key": "k"}):
        with pytest.raises(Refused):
            await technicians.perform(Operation("1", "technician.photo", "t", "d", bad))
