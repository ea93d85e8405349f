"""Real noout processes on one store, a lab in a process of its own, and a person who looks after both.

The processes are started again whenever they die, as a service manager would; what strikes them is armed in a folder
(``tests.crash.victim``). Everything a test learns comes from the store, from the lab's own log, and from the processes'
exit status.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2

from noout.adapters.store.sql import SqlStore
from noout.adapters.store.tables import leases, replicas
from noout.app.compose import clock_of, installation
from noout.app.maintain import Maintenances
from noout.app.planning import plan_now
from noout.cli.demo.hands import LabHands
from noout.domain.cluster import NodeId
from noout.domain.journal import Event, Kind, Message, MessageKind, chain_error
from noout.domain.maintenance import Maintenance, Mode
from noout.lab.wire.config import toml
from noout.run.fold import fold
from noout.settings import load

ROOT = Path(__file__).parents[2]
PATIENCE_S = 240.0
LOOK_EVERY_S = 0.05

Middle = Callable[[Maintenance], bool]


class Replica:
    """One ``noout serve``, or another command; ``number`` names its log."""

    def __init__(self, folder: Path, config: Path, number: int, *words: str) -> None:
        self.folder, self.config, self.number = folder, config, number
        self.words = words or ("serve",)
        self.process: asyncio.subprocess.Process | None = None
        self.kept: asyncio.Task[None] | None = None
        self.exits: list[int] = []
        self.log = folder / f"noout-{number}.log"

    async def start(self) -> Replica:
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", "tests.crash.victim", str(self.folder), *self.words, "--config", str(self.config)),
                cwd=ROOT, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                env={**os.environ, "TMPDIR": str(self.folder / "tmp")},
            )  # fmt: skip
        return self

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def keep(self) -> None:
        """Start it again whenever it ends, until ``end``."""
        self.kept = asyncio.create_task(self._keep())

    async def _keep(self) -> None:
        while True:
            await self.ended()
            await self.start()

    async def ended(self) -> int:
        assert self.process is not None
        self.exits.append(await self.process.wait())
        return self.exits[-1]

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    async def end(self) -> None:
        if self.kept is not None:
            self.kept.cancel()
            await asyncio.gather(self.kept, return_exceptions=True)
        if self.process is not None and self.process.returncode is None:
            self.process.kill()
            await self.process.wait()

    def told(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""


class House:
    """``store``: the test's own view of the journal that the processes share."""

    def __init__(self, folder: Path, config: Path, store: SqlStore, lab: LabHands) -> None:
        self.folder, self.config, self.store, self.lab = folder, config, store, lab
        self.settings = load(config)
        self.clock = clock_of(self.settings)
        self.replicas: list[Replica] = []

    # --- processes ------------------------------------------------------------------------------------------

    async def replica(self, *words: str) -> Replica:
        made = Replica(self.folder, self.config, len(self.replicas) + 1, *words)
        self.replicas.append(made)
        return await made.start()

    def arm(self, *places: str) -> None:
        """KIND.WHEN.VERB each; see ``tests.crash.victim``."""
        for place in places:
            (self.folder / "armed" / place).touch()

    def met(self) -> set[str]:
        return set(os.listdir(self.folder / "met"))

    async def holder(self, name: str) -> int | None:
        """The process id of whoever holds a lease, alive or not."""
        rows = await self.store.do(lambda c: c.execute(leases.select().where(leases.c.name == name)).all())
        return int(rows[0].holder.split(":")[1]) if rows and rows[0].holder else None

    async def carrier(self, mid: str) -> Replica:
        """The replica that carries this run."""

        async def look() -> Replica | None:
            pid = await self.holder(f"run/{mid}")
            return next((each for each in self.replicas if each.pid == pid), None)

        return await self.until_true(look, "nobody carries it")  # type: ignore[no-any-return]

    async def joined(self, count: int) -> None:
        """Until so many processes take part."""

        async def look() -> bool:
            return len(await self.store.do(lambda c: c.execute(replicas.select()).all())) >= count

        await self.until_true(look, f"there are not {count} processes")

    async def heir(self, mid: str, dead: Replica, patience_s: float = 60.0) -> Replica:
        """The replica that carries the run in place of ``dead``."""

        async def look() -> Replica | None:
            found = await self.carrier(mid)
            return found if found is not dead else None

        return await self.until_true(look, "nobody took it over", patience_s)  # type: ignore[no-any-return]

    async def written(self, mid: str, after: int) -> None:
        """Until the run has written something more."""

        async def look() -> bool:
            return len(await self.store.read(mid, after)) > 0

        await self.until_true(look, "the run does not go on")

    def asked(self) -> list[list[str]]:
        """What the lab's BMCs and services were asked; see ``tests.crash.world``."""
        return [line.split() for line in (self.folder / "asked.log").read_text().splitlines()]

    # --- the maintenance --------------------------------------------------------------------------------------

    async def open(self, node: str = "ams1/pve3") -> str:
        """As an operator does who approves the plan at once."""
        async with installation(self.settings) as found:
            wanted = NodeId.parse(node)
            plan = await plan_now(found, wanted)
            return await Maintenances(found).open(
                wanted, reason="crash test", mode=Mode.AUTO, actor="operator:test", plan=plan
            )

    async def state(self, mid: str) -> Maintenance | None:
        events = await self.store.read(mid)
        return fold(events) if events else None

    async def until(self, mid: str, reached: Middle, patience_s: float = PATIENCE_S) -> Maintenance:
        last: Maintenance | None = None
        try:
            async with asyncio.timeout(patience_s):
                while True:
                    last = await self.state(mid)
                    if last is not None and reached(last):
                        return last
                    await asyncio.sleep(LOOK_EVERY_S)
        except TimeoutError:
            raise AssertionError(self.where(last)) from None

    async def until_true(self, look: Callable[[], Any], why: str, patience_s: float = 60.0) -> Any:
        try:
            async with asyncio.timeout(patience_s):
                while True:
                    if found := await look():
                        return found
                    await asyncio.sleep(LOOK_EVERY_S)
        except TimeoutError:
            raise AssertionError(f"{why}: {self.where(None)}") from None

    def where(self, m: Maintenance | None) -> str:
        state = f"{m.phase} {m.step}: waits for {m.waiting_for!r}, {m.blockers}, {m.pending}" if m else ""
        logs = "\n".join(f"--- {each.log.name}, exits {each.exits}\n{each.told()[-1500:]}" for each in self.replicas)
        return f"{state}\nmet {sorted(self.met())}\n{logs}"

    async def say(self, mid: str, kind: MessageKind, **data: str) -> None:
        key = f"test/{kind}/{data.get('check', '')}"
        await self.store.post(mid, Message(key, kind, "technician:test", self.clock.now(), data))

    async def hands_on(self, mid: str) -> Maintenance:
        m = await self.until(mid, lambda m: m.work_order is not None and m.needs == "technician")
        assert m.work_order is not None
        await self.say(mid, MessageKind.HANDS_ON, serial=m.work_order.location.serial)
        return m

    async def technician(self, mid: str) -> None:
        """Hands-on as soon as it is asked for, the checklist, sign-off."""
        m = await self.hands_on(mid)
        assert m.work_order is not None
        await self.until(mid, lambda m: m.node_off_at is not None)
        for check in m.work_order.checks:
            await self.say(mid, MessageKind.FINDING, check=check.key, answer="done")
        await self.say(mid, MessageKind.SIGN_OFF)

    async def carried_through(self, mid: str, patience_s: float = PATIENCE_S) -> Maintenance:
        """The technician's part, and the end."""
        hands = asyncio.create_task(self.technician(mid))
        try:
            return await self.until(mid, lambda m: not m.open, patience_s)
        finally:
            hands.cancel()
            await asyncio.gather(hands, return_exceptions=True)

    # --- what must be so at the end ---------------------------------------------------------------------------

    async def check(self, mid: str, before: dict[str, Any], lab: LabHands | None = None) -> list[Event]:
        """All is as it was before the maintenance, and nothing was done twice. Returns the events."""
        m, lab = await self.state(mid), lab or self.lab
        after = await lab.state()
        assert m is not None and m.outcome == "done", self.where(m)
        assert m.owned == ()
        for vmid, guest in before["guests"].items():
            now = after["guests"][vmid]
            assert (now["node"], now["status"]) == (guest["node"], guest["status"]), f"{guest['name']}: {now}"
        ceph = after["ceph"]
        assert ceph["flags"] == [] and ceph["crush_node_flags"] == {}
        assert all(osd["up"] and osd["in"] for osd in ceph["osds"].values())
        node = after["nodes"][m.node.name]
        assert node["ha"] == "online" and not node["led"]
        events = list(await self.store.read(mid))
        assert chain_error(events) is None
        honest(events)
        await self.nothing_twice(m, lab)
        return events

    async def nothing_twice(self, m: Maintenance, lab: LabHands) -> None:
        """By the world's own log: every guest left once and came back once, the node went off and on once."""
        happened = [row["text"] for row in await lab.happened()]
        moves = Counter(int(found[1]) for text in happened if (found := re.match(r"guest (\d+) moved ", text)))
        assert dict(moves) == {move.guest.vmid: 2 for move in m.moved if move.target is not None}, happened


def honest(events: Iterable[Event]) -> None:
    """Nothing was asked for without an intent; of one intent, the answer is written once at most."""
    intended: Counter[str] = Counter()
    for event in events:
        if event.kind == Kind.INTENT:
            intended[event.data["key"]] += 1
        elif event.kind in (Kind.STARTED, Kind.DONE):
            assert intended[event.data["key"]], f"without intent: {event}"


# --- setting it up --------------------------------------------------------------------------------------------


@asynccontextmanager
async def lab(config: Path, *, seed: int, speed: float) -> AsyncIterator[None]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, *("-m", "tests.crash.world", str(config), str(seed), str(speed)),
        cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    assert process.stdout is not None
    said = []
    try:
        async with asyncio.timeout(60):
            while line := (await process.stdout.readline()).decode(errors="replace"):
                said.append(line)
                if line.startswith("Stop it with"):
                    break
        assert process.returncode is None, "".join(said)
        yield
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def written(config: Path, *, url: str = "", takeover_s: float = 2.0, **tables: dict[str, Any]) -> None:
    """The lab's configuration, for several processes: each on a port of its own, on this store."""
    document = tomllib.loads(config.read_text())
    document["serve"]["listen"] = "127.0.0.1:0"
    document["store"] = {"url": url or document["store"]["url"], "takeover_s": takeover_s}
    document["policy"] = {"soak_s": 60.0, **tables.pop("policy", {})}
    config.write_text(toml({**document, **tables}))


@asynccontextmanager
async def house(
    folder: Path, *, url: str = "", seed: int = 3, speed: float = 120.0, takeover_s: float = 2.0, **tables: Any
) -> AsyncIterator[House]:
    """``url``: of the store they share; "" for SQLite in the folder."""
    for name in ("armed", "met", "tmp"):
        (folder / name).mkdir()
    config = folder / "noout.toml"
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(lab(config, seed=seed, speed=speed))
        written(config, url=url, takeover_s=takeover_s, **tables)
        settings = load(config)
        assert settings.lab is not None
        store = await SqlStore.open(settings.store.url, clock_of(settings))
        stack.push_async_callback(store.close)
        control = settings.lab.control.removesuffix("/lab/v1")
        client = await stack.enter_async_context(httpx2.AsyncClient(base_url=control, trust_env=False))
        made = House(folder, config, store, LabHands(client, "ams1"))
        try:
            yield made
        finally:
            for each in made.replicas:
                await each.end()
