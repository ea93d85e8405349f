"""One history: a random cluster, the run, the people, and the troubles, all from one seed, in virtual time."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import cast

from noout.adapters.clock import LabClock
from noout.adapters.store.memory import MemoryStore
from noout.domain.errors import StoreBroken
from noout.domain.journal import Event, Kind, Message, MessageKind
from noout.domain.maintenance import Json, Maintenance, Phase
from noout.lab.world.build import build_world
from noout.lab.world.laws import Laws
from noout.lab.world.model import Cluster
from noout.run.context import Context
from noout.steps.rules import Rules
from tests.crash.points import Crash
from tests.sim.story import MID, NODE, WORK, Sim
from tests.simulate.fastwire import keep
from tests.simulate.furnish import furnish
from tests.simulate.kept import Answers, Kept
from tests.simulate.promises import Promises
from tests.simulate.strikes import FAMILY, MANNERS, MOODS, Strike, strikes
from tests.simulate.troubles import TROUBLES, End
from tests.support.labsite import lab_site

LOOK_S = 8.0  # between two looks at the world; it is looked at after each event, too
PERSON_S = 10.0  # ... of a person at the state of the run
GIVE_UP_S = 2400.0  # afterwards the operator aborts
END_S = 2 * 3600.0
RESTART_S = 5.0
KEEP_S = 3600.0  # how long a configuration is kept that no list says to have changed
# While one of these lasts, what noout sees is not what is: it may call done what no longer is so.
PICTURE_SPOILT = frozenset({"api-slow", "resources-stale", "bmc-lies", "osd-does-not-return"})


@dataclass
class Told:
    """What became of one history."""

    seed: int
    outcome: str
    broken: list[str]
    virtual_s: float
    troubles: Counter[str] = field(default_factory=Counter)
    actions: Counter[str] = field(default_factory=Counter)
    pairs: Counter[tuple[str, str]] = field(default_factory=Counter)
    missed: Counter[tuple[str, str]] = field(default_factory=Counter)
    crashes: int = 0
    digest: str = ""  # of the journal's last event
    log: list[str] = field(default_factory=list)


class StageJournal:
    """The journal, which can be gone for a while, and in whose writes the process dies."""

    def __init__(self, inner: MemoryStore, stage: Stage) -> None:
        self._inner, self._stage = inner, stage
        self.gone = False
        self.cut = False  # the next write is kept, and then it is gone
        self.dies_in = 0  # after so many writes from now; 0: not at all
        self.dies_before = False  # the next write

    async def append(
        self, stream: str, expected_seq: int, kind: str, data: Mapping[str, Json], actor: str = "noout"
    ) -> Event:
        self._there()
        if self.dies_before:
            self.dies_before = False
            raise Crash("before a write")
        event = await self._inner.append(stream, expected_seq, kind, data, actor)
        self._stage.written(event)
        if self.cut:
            self.cut, self.gone = False, True
            self._there()
        if self.dies_in:
            self.dies_in -= 1
            if self.dies_in == 0:
                raise Crash("after a write")
        return event

    def _there(self) -> None:
        if self.gone:
            raise StoreBroken("the database cannot be used: it does not answer")

    async def read(self, stream: str, after: int = 0) -> Sequence[Event]:
        self._there()
        return await self._inner.read(stream, after)

    async def streams(self) -> Sequence[str]:
        self._there()
        return await self._inner.streams()

    async def post(self, stream: str, message: Message) -> bool:
        return await self._inner.post(stream, message)

    async def messages(self, stream: str) -> Sequence[Message]:
        self._there()
        return await self._inner.messages(stream)


class Stage:
    """The histories of one family up to where the first of them departs; from there on, that one.

    ``part(seed)``: is it this process that plays the one that departs here? ``answers``: see ``fastwire.keep``.
    """

    def __init__(
        self, family: int, seeds: Iterable[int], part: Callable[[int], bool], answers: Answers | None = None
    ) -> None:
        self.family, self.part = family, part
        self.waiting = {seed: found for seed in seeds if (found := strikes(seed))}
        self.rng = rng = Random(f"family {family}")
        world = build_world(nodes=4, guests=4, seed=family, pgs=8)
        lab = lab_site(world, keep_s=KEEP_S)
        self.store = MemoryStore(lab.clock)
        self.journal = StageJournal(self.store, self)
        self.sim = _Sim(lab, self.store, self.journal)  # type: ignore[arg-type]
        self.kept = keep(lab, answers)
        self.laws = cast(Laws, _Hand(lab.laws, self.kept))
        self.cluster: Cluster = lab.cluster
        self.clock: LabClock = lab.clock
        furnish(lab.laws, self.cluster, family, rng)
        self.promises = Promises(self.laws, self.cluster)
        self.kept.on_effect = self.promises.effect
        self.told = Told(family * FAMILY, "", [], 0.0)
        self.active: dict[str, End] = {}
        self.intents = 0
        self.verbs: dict[str, str] = {}  # open intents: key -> verb
        self.strikes: list[Strike] = []
        self.tasks: set[asyncio.Task[None]] = set()
        self.away: set[str] = set()  # why the technician does nothing now
        self.signed_off = False

    # --- what happens --------------------------------------------------------------------------------------

    def written(self, event: Event) -> None:
        self.promises.look()
        self.promises.written(event, not PICTURE_SPOILT.isdisjoint(self.active))
        if event.kind == Kind.INTENT:
            verb = event.data["action"]["verb"]
            if verb == "shutdown-guest":
                self.promises.consented_down.add(int(event.data["action"]["subject"].rpartition("/")[2]))
            self.intents += 1
            self.verbs[event.data["key"]] = verb
            self.told.actions[verb] += 1
            self.told.pairs.update((name, verb) for name in self.active)
            self._depart(verb)
            for strike in [e for e in self.strikes if e.waits_for(verb, self.told.actions[verb], self.intents)]:
                self.strikes.remove(strike)
                if strike.delay_s:
                    self.spawn(self._suffer(strike))
                elif self._begin(strike):  # before the effect is asked for
                    self.spawn(self._last(strike))
        elif event.kind in (Kind.DONE, Kind.FAILED):
            self.verbs.pop(event.data["key"], None)

    def _depart(self, verb: str) -> None:
        """Those whose first trouble waited for this action go their own way."""
        for seed, mine in list(self.waiting.items()):
            if not any(each.verb and each.waits_for(verb, self.told.actions[verb], 0) for each in mine):
                continue
            del self.waiting[seed]
            if self.part(seed):
                self.waiting = {}
                self.told.seed, self.rng = seed, Random(f"troubles {seed}")
                self.strikes = [each if each.verb else replace(each, nth=self.intents + each.nth) for each in mine]
                return

    def spawn(self, coro: object) -> None:
        task = asyncio.ensure_future(coro)  # type: ignore[arg-type]
        self.tasks.add(task)

    async def _suffer(self, strike: Strike) -> None:
        await asyncio.sleep(strike.delay_s)
        if self._begin(strike):
            await self._last(strike)

    def _begin(self, strike: Strike) -> bool:
        if strike.name in self.active:
            return False
        end = TROUBLES[strike.name](self, self.rng)
        if end is None:
            if strike.aimed:
                self.told.missed[strike.name, strike.verb] += 1
                self.strikes.append(strike)
            return False
        self.note(f"{strike.name} begins")
        self.told.troubles[strike.name] += 1
        self.told.pairs.update((strike.name, verb) for verb in self.verbs.values())
        self.active[strike.name] = end
        return True

    async def _last(self, strike: Strike) -> None:
        await asyncio.sleep(strike.lasts_s)
        self.end(strike.name)

    def end(self, name: str) -> None:
        if (end := self.active.pop(name, None)) is not None:
            self.laws.advance()
            end()
            self.note(f"{name} ends")

    def way(self, name: str, how: str) -> None:
        """In which of its ways a trouble befalls this history."""
        self.told.troubles[f"{name}: {how}"] += 1

    def note(self, text: str) -> None:
        self.told.log.append(f"{asyncio.get_running_loop().time():7.0f} ! {text}")

    def shift_clock(self, seconds: float) -> None:
        object.__setattr__(self.clock, "epoch", self.clock.epoch + seconds)

    def node_is_the_technicians(self) -> bool:
        return self.cluster.bmcs[NODE.name].cords_pulled

    # --- people --------------------------------------------------------------------------------------------

    async def technician(self) -> None:
        """Prompt, late, twice, at the wrong server first, or never."""
        sim, rng = self.sim, Random(f"technician {self.family}")
        manner = rng.choice(("prompt",) * 16 + MANNERS[1:])
        self.told.troubles[f"a technician who is {manner}"] += 1
        await sim.until(lambda m: m.work_order is not None and m.needs == "technician", PERSON_S)
        await asyncio.sleep({"late": 900.0}.get(manner, 20.0))
        if manner == "never":
            return
        m = await sim.state()
        assert m.work_order is not None
        serial = m.work_order.location.serial
        if manner == "wrong-server":
            await self.hands_on("LAB0000000")
            await asyncio.sleep(20)
        await self._is_there()
        for _ in range(2 if manner == "twice" else 1):
            await self.hands_on(serial)
        m = await sim.until(lambda m: m.node_off_at is not None or not m.open, PERSON_S)
        if manner == "stays-away" or m.work_order is None or m.node_off_at is None:
            return
        for check in m.work_order.checks:
            await self._is_there()
            for action in WORK.get(check.key, ()):
                self.laws.advance()
                self.laws.hands(self.cluster, NODE.name, action)
            await asyncio.sleep(10)
            await sim.say(MessageKind.FINDING, "technician:ruben", check=check.key, answer="done")
        await self._is_there()
        self.signed_off = True
        for _ in range(2 if manner == "twice" else 1):
            await sim.say(MessageKind.SIGN_OFF, "technician:ruben")

    async def hands_on(self, serial: str) -> None:
        await self.sim.say(MessageKind.HANDS_ON, "technician:ruben", serial=serial)

    async def _is_there(self) -> None:
        while self.away:  # noqa: ASYNC110 - as a person looks again
            await asyncio.sleep(PERSON_S)

    async def operator(self) -> None:
        """Sometimes pauses, resumes, aborts; tries again when it is stuck; in the end gives up, and aborts."""
        sim, rng = self.sim, Random(f"operator {self.family}")
        loop = asyncio.get_running_loop()
        began = loop.time()
        mood = rng.choice(("calm",) * 16 + MOODS[1:])
        self.told.troubles[f"an operator who is {mood}"] += 1
        if mood == "pauses":
            await asyncio.sleep(rng.uniform(1, 900))
            await sim.say(MessageKind.PAUSE)
            await asyncio.sleep(rng.uniform(5, 600))
            await sim.say(MessageKind.RESUME)
        elif mood.startswith("aborts"):
            await asyncio.sleep(rng.uniform(1, 400) if mood == "aborts" else rng.uniform(300, 2000))
            await sim.say(MessageKind.ABORT, reason="changed my mind")
        while loop.time() - began < GIVE_UP_S:
            await asyncio.sleep(150)
            m = await sim.state()
            if (m.blockers or m.paused) and not self.active:
                await self._helps(m)
                await sim.say(MessageKind.RESUME)
        for name in list(self.active):
            self.end(name)
        self.strikes = []
        self.away.add("sent home")
        await sim.say(MessageKind.ABORT, reason="it takes too long")
        await self._hands_off()
        while True:
            await asyncio.sleep(150)
            await self._helps(await sim.state())
            await sim.say(MessageKind.RESUME)

    async def _helps(self, m: Maintenance) -> None:
        """What its blockers ask a person for, as far as a person at a console can."""
        codes = {each.code for each in m.blockers}
        self.laws.advance()
        if any(code.startswith("power") or code in ("node.still-on",) for code in codes):
            await self.sim.say(MessageKind.FORCE_OFF, reason="it hangs")
        if "node.not-back" in codes and not self.node_is_the_technicians():  # seen at its console: it hangs
            self.laws.bmc_reset(self.cluster, NODE.name, "ForceRestart")

    async def _hands_off(self) -> None:
        """Whoever is at the rack leaves it as it must be."""
        bmc = self.cluster.bmcs[NODE.name]
        self.laws.advance()
        if bmc.cords_pulled:
            self.laws.hands(self.cluster, NODE.name, "plug_cords")
        if bmc.lid_open:
            self.laws.hands(self.cluster, NODE.name, "close_lid")
        await self.sim.say(MessageKind.SIGN_OFF, "technician:ruben")

    async def _watch(self) -> None:
        while True:
            self.promises.look()
            await asyncio.sleep(LOOK_S)

    # --- from beginning to end ----------------------------------------------------------------------------

    async def play(self) -> Told:
        await self.sim.open()
        for people in (self.technician(), self.operator(), self._watch()):
            self.spawn(people)
        run = asyncio.ensure_future(self._processes())
        await asyncio.wait([run], timeout=END_S)
        for task in (*self.tasks, run):
            if task.done() and not task.cancelled() and (wrong := task.exception()) is not None:
                raise wrong
            task.cancel()
        for name in list(self.active):
            self.end(name)
        m = await self.sim.onlooker.get(MID)
        events = list(await self.store.read(MID))
        self.promises.at_the_end(m, events)
        told = self.told
        told.outcome = m.phase.value if m.phase in (Phase.DONE, Phase.ABORTED) else _where(m)
        told.broken = self.promises.broken
        told.digest = events[-1].digest if events else ""
        told.virtual_s = asyncio.get_running_loop().time()
        return told

    async def _processes(self) -> None:
        """One process after the other, until one sees the end."""
        while True:
            engine = self.sim.begin()
            await engine.start(MID)
            try:
                await engine.tasks[MID]
                return
            except Crash:
                self.told.crashes += 1
                await asyncio.sleep(RESTART_S)


class _Sim(Sim):
    def context(self) -> Context:
        return replace(super().context(), rules=Rules(cluster_noout=True))


class _Hand:
    """The laws, for everybody who is not noout: whatever they do, kept answers hold no longer."""

    def __init__(self, laws: Laws, kept: Kept) -> None:
        self._laws, self._kept = laws, kept

    def __getattr__(self, name: str) -> object:
        if name == "hands":  # the technician's: whatever they do shows in the records
            self._kept.done()
        elif name not in ("advance", "now", "world", "ok_to_stop"):
            self._kept.touched()
        return getattr(self._laws, name)


def _where(m: Maintenance) -> str:
    codes = ", ".join(sorted({each.code for each in m.blockers}))
    return f"{'aborting, ' if m.aborting else ''}{m.step}: {codes or m.needs or m.waiting_for}"
