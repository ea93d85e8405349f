"""The demo's technician: a client of noout's technician API like any other, with hands in the lab."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx2

from noout.cli.demo.hands import LabHands
from noout.domain.errors import Broken
from noout.domain.workorder import Touch
from noout.ports import Clock


@dataclass(frozen=True, slots=True)
class Pace:
    """How long things take a person. ``walk_s``: from the desk to the rack; ``check_s``: one line of the checklist."""

    look_every_s: float = 30.0
    walk_s: float = 180.0
    check_s: float = 20.0


PACE = Pace()


class Technician:
    """Opens the link, walks to the rack, reads the serial, waits for green, works, answers every check, signs off.

    ``repairs``: what the hands do in the lab while the lid is open (an idle technician mends nothing).
    """

    def __init__(
        self,
        phone: httpx2.AsyncClient,
        lab: LabHands,
        clock: Clock,
        say: Callable[[str], None],
        *,
        repairs: tuple[str, ...] = ("clean_fans", "reseat_connector"),
        pace: Pace = PACE,
    ) -> None:
        self.phone = phone
        self.lab = lab
        self.clock = clock
        self.say = say
        self.repairs = repairs
        self.pace = pace

    async def work(self, token: str) -> None:
        """The whole visit; returns when the page says YOU MAY LEAVE or the work order is over."""
        page = await self._look(token)
        node, place = page["node"], page["location"]
        self.say(f"technician: link opened; on the way to {place['room']}, rack {place['rack']}, {place['unit']}")
        await self.clock.sleep(self.pace.walk_s)
        await self._when(token, lambda each: not each["why_not"]["hands-on"] or each["hands_on"])
        label = (await self.lab.state())["nodes"][node]["label"]
        await self._tell(token, "hands-on", {"serial": label})
        self.say(f"technician: at the rack, serial …{label[-4:]} read from the label")
        page = await self._when(token, lambda each: each["touch"] == Touch.NODE_OFF)
        self.say(f"technician: the phone says {page['title']}")
        await self.lab.hands(node, "pull_cords")
        await self.lab.hands(node, "open_lid")
        for check in page["checks"]:
            if check["key"].startswith("after."):
                break
            await self._check(token, check)
        for action in self.repairs:
            await self.lab.hands(node, action)
        await self.lab.hands(node, "close_lid")
        await self.lab.hands(node, "plug_cords")
        for check in page["checks"]:
            if check["key"].startswith("after."):
                await self._check(token, check)
        await self._when(token, lambda each: not each["why_not"]["sign-off"])
        await self._tell(token, "sign-off", {})
        self.say("technician: hands clear, signed off")
        await self._when(token, lambda each: each["touch"] == Touch.YOU_MAY_LEAVE)
        self.say("technician: the phone says YOU MAY LEAVE")

    async def _check(self, token: str, check: dict[str, Any]) -> None:
        await self.clock.sleep(self.pace.check_s)
        spare = check["key"] == "fans.replace"
        note = "dust on the rotor; it spins freely after cleaning" if check["key"] == "fans.inspect" else ""
        await self._tell(
            token, "finding", {"check": check["key"], "answer": "not-needed" if spare else "done", "note": note}
        )

    async def _look(self, token: str) -> dict[str, Any]:
        answer = await self.phone.get(f"/api/v1/technician/{token}")
        if answer.status_code != 200:
            raise Broken(f"the technician's page answered {answer.status_code}: {answer.text[:200]}")
        page: dict[str, Any] = answer.json()
        return page

    async def _when(self, token: str, ready: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Look again and again until the page is ready; the director's time limit ends it otherwise."""
        while not ready(page := await self._look(token)):
            await self.clock.sleep(self.pace.look_every_s)
        return page

    async def _tell(self, token: str, what: str, body: dict[str, Any]) -> None:
        """Send one operation with a key of its own, so that repeating it changes nothing."""
        answer = await self.phone.post(
            f"/api/v1/technician/{token}/{what}", json=body, headers={"Idempotency-Key": uuid.uuid4().hex}
        )
        if answer.status_code != 202:
            raise Broken(f"{what} was refused: {answer.text[:200]}")
