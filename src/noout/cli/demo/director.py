"""The story from the first flap to the customers' reports, against a lab, with checks at the end.

Everything noout does here is what it does on a real cluster; only the fault and the technician's hands are staged.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import httpx2

from noout.app.compose import Installation
from noout.app.maintain import Maintenances
from noout.app.notice import watcher_of
from noout.app.planning import plan_now
from noout.app.telling import experiences_of, reports_of
from noout.app.watcher import Watcher
from noout.cli.demo.checks import After, Before, Check, check_all
from noout.cli.demo.hands import LabHands
from noout.cli.demo.technician import PACE, Pace, Technician
from noout.codec import encode
from noout.domain.cluster import NodeId
from noout.domain.errors import Broken, Refused
from noout.domain.hardware import Fault
from noout.domain.maintenance import Json, Maintenance, Mode, Plan

NOTICE_S_MAX = 3 * 3600.0
NOTICE_EVERY_S = 60.0
RUN_S_MAX = 4 * 3600.0
END_S_MAX = 30.0  # for the watch to end with the story
STUCK_S_MAX = 900.0  # a run that asks for an operator so long will not go on by itself: the demo has none


@dataclass(frozen=True, slots=True)
class Script:
    """What is staged. ``repairs``: what the technician's hands do; ``also``: further faults, on from the start;
    ``past_stops``: those that the BMC has in its log already."""

    node: NodeId
    fan: str = "FAN3B"
    # Far enough apart to be told from each other (one within 90 s of another counts as the same), often enough to see.
    stops_per_hour: float = 30.0
    stop_s: float = 15.0
    repairs: tuple[str, ...] = ("clean_fans", "reseat_connector")
    also: tuple[dict[str, Json], ...] = ()
    past_stops: int = 0
    pace: Pace = PACE
    order_every_s: float = 15.0  # how often the operator looks for the work order


@dataclass(slots=True)
class Told:
    """How the story ended."""

    state: Maintenance
    plan: Plan
    checks: Sequence[Check]
    virtual_s: float
    files: Sequence[Path] = ()

    @property
    def ok(self) -> bool:
        return all(check.ok for check in self.checks)


@dataclass(slots=True)
class Director:
    """``phone``: a client of noout's own web application; ``operator_token``: for issuing the technician's link;
    ``begin``: starts the run of a maintenance."""

    found: Installation
    lab: LabHands
    phone: httpx2.AsyncClient
    operator_token: str
    script: Script
    begin: Callable[[str], Awaitable[None]]
    say: Callable[[str], None]
    show_plan: Callable[[Plan], None] = lambda plan: None
    more: Callable[[After], Awaitable[Sequence[Check]]] | None = None  # what else must hold at the end
    watcher: Watcher = field(init=False)

    def __post_init__(self) -> None:
        self.watcher = watcher_of(self.found)

    async def tell(self, out_dir: Path) -> Told:
        """Play the story and write its documents into ``out_dir``."""
        told = await self.play()
        told.files = await self.write(told, out_dir)
        return told

    async def play(self) -> Told:
        """Play the story to its end (or to where it sticks) and check what is left of it. No file is touched."""
        clock, node = self.found.clock, self.script.node
        began = clock.now()
        before = await self._before()
        await self._stage()
        every_s = self.watcher.every_s
        fault = await self._notice()
        self.watcher.every_s = every_s
        plan = await plan_now(self.found, node)
        self.show_plan(plan)
        if not plan.feasible:
            raise Refused(f"{node} cannot be evacuated", remedy=plan.blockers[0].remedy)
        state = await self._carry_out(fault, plan)
        at = clock.now()
        after = await self._after(state, at)
        checks = check_all(before, after) + list(await self.more(after) if self.more else ())
        return Told(state, plan, checks, (at - began).total_seconds())

    async def _before(self) -> Before:
        node = self.script.node
        return Before(await self.found.hypervisor(node).observe(), await self.found.cephs[node.cluster].observe())

    async def _stage(self) -> None:
        script = self.script
        if script.past_stops:
            await self.lab.fault("fan-history", node=script.node.name, fan=script.fan, stops=script.past_stops)
        await self.lab.fault(
            "fan-flapping",
            node=script.node.name,
            fan=script.fan,
            per_hour=script.stops_per_hour,
            seconds=script.stop_s,
            cause="connector",
        )
        for fault in script.also:
            await self.lab.fault(**fault)

    async def _notice(self) -> Fault:
        """Watch until the fan's behaviour is proposed for a maintenance; nothing else goes on, so every minute."""
        watcher, clock = self.watcher, self.found.clock
        watcher.every_s = min(watcher.every_s, NOTICE_EVERY_S)
        limit = clock.now() + timedelta(seconds=NOTICE_S_MAX)
        seen = ""
        while (began := clock.now()) < limit:
            health = await watcher.poll()
            mine = next(each for each in health if each.node == self.script.node)
            why = next((each.why for each in mine.verdicts if each.sensor == self.script.fan), "")
            if mine.fault is not None:
                self.say(f"watch: {mine.fault.summary}")
                self.say(f"watch: proposes a maintenance of {mine.node} ({mine.fault.urgency.value})")
                return mine.fault
            if why != seen and any(each.episodes for each in mine.verdicts):
                self.say(f"watch: {why}")
                seen = why
            await watcher.until_next(began)
        raise Broken(f"{self.script.fan} was not noticed within {NOTICE_S_MAX / 3600:.0f} h")

    async def _carry_out(self, fault: Fault, plan: Plan) -> Maintenance:
        """Open the maintenance and let it run beside the watch, the witness and the technician."""
        maintenances, clock = Maintenances(self.found), self.found.clock
        mid = await maintenances.open(
            self.script.node, reason=fault.summary, mode=Mode.AUTO, actor="operator:demo", plan=plan, fault=fault
        )
        await self.begin(mid)
        beside = [
            asyncio.create_task(self.watcher.run()),
            asyncio.create_task(self._send_technician(mid)),
        ]
        for task in beside:
            task.add_done_callback(self._tell_failure)
        try:
            return await self._until_over(maintenances, mid)
        finally:
            for task in beside:
                task.cancel()
            # A look at a BMC that has begun ends in its own time; what is to be checked does not wait for it.
            await asyncio.wait(beside, timeout=clock.wall_s(END_S_MAX))

    def _tell_failure(self, task: asyncio.Task[None]) -> None:
        """At once: what follows may be hours of waiting for somebody who has gone."""
        if not task.cancelled() and (error := task.exception()) is not None:
            self.say(f"demo: {type(error).__name__}: {error}")

    async def _until_over(self, maintenances: Maintenances, mid: str) -> Maintenance:
        clock = self.found.clock
        limit = clock.now() + timedelta(seconds=RUN_S_MAX)
        stuck_since: datetime | None = None
        async for state in maintenances.follow(mid, self.say):
            now = clock.now()
            asks = state.open and bool(state.blockers or state.needs in ("operator", "approval", "confirmation"))
            stuck_since = (stuck_since or now) if asks else None
            stuck = stuck_since is not None and (now - stuck_since).total_seconds() > STUCK_S_MAX
            if not state.open or now > limit or stuck:
                return state
        raise Broken(f"the run of {mid} ended without a word")

    async def _send_technician(self, mid: str) -> None:
        """When the work order is there, the operator issues the link; the rest is the technician's."""
        maintenances, clock = Maintenances(self.found), self.found.clock
        while (await maintenances.get(mid)).work_order is None:
            await clock.sleep(self.script.order_every_s)
        answer = await self.phone.post(
            f"/api/v1/maintenances/{mid}/workorder/link",
            json={"technician": "Ruben"},
            headers={"Authorization": f"Bearer {self.operator_token}"},
        )
        if answer.status_code != 201:
            raise Broken(f"no link was issued: {answer.text[:200]}")
        script = self.script
        technician = Technician(self.phone, self.lab, clock, self.say, repairs=script.repairs, pace=script.pace)
        await technician.work(answer.json()["token"])

    async def _after(self, state: Maintenance, at: datetime) -> After:
        node = self.script.node
        found = self.found
        since = state.node_on_at or state.opened_at
        return After(
            cluster=await found.hypervisor(node).observe(),
            ceph=await found.cephs[node.cluster].observe(),
            hardware=await found.bmc(node).observe(),
            since_repair=await found.measurements.hardware(node, since),
            state=state,
            events=await found.journal.read(state.id),
            experiences=await experiences_of(found, state),
            at=at,
        )

    async def write(self, told: Told, out_dir: Path) -> list[Path]:
        """The customers' reports, plan, journal and checks; the paths written."""
        state = told.state
        files = list(await reports_of(self.found, state, out_dir))
        events = await self.found.journal.read(state.id)
        documents: dict[str, Json] = {
            "plan.json": {"format": "noout.plan", "version": 1, "plan": encode(told.plan)},
            "journal.json": {"format": "noout.journal", "version": 1, "events": [encode(each) for each in events]},
            "checks.json": {"format": "noout.checks", "version": 1, "checks": [encode(each) for each in told.checks]},
        }
        for name, document in documents.items():
            path = out_dir / name
            path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
            files.append(path)
        return files
