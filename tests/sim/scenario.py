"""Scenarios of the whole story, told in folders: what is staged, what must come of it, and the log it writes.

``scenarios/<name>/world.toml``::

    seed = 1                        # the world
    repairs = []                    # what the technician's hands do, where that differs
    [[also]]                        # faults of the lab that are on from the start
    name = "migration"
    vmid = 107
    kind = "unplugged"
    [[happens]]                     # what others do, once, when the journal says a thing for the first time
    when = "step.entered return"    # an event's kind, then words of its data; or "world", then words of what happened
    after_s = 5.0                   # ... and so long later
    fault = "migration"             # fault | clear | group_flag | move | tamper; other keys are its parameters
    [probes]                        # tables of noout.toml, laid over the lab's own
    every_s = 30.0

``expect.toml``: ``fails`` (the checks that must fail, all others hold), ``phase``, ``outcome``, ``blockers`` (codes),
``needs``. ``log.expect``: everything told, with the time since the first word.
"""

from __future__ import annotations

import json
import sys
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from noout.cli.demo.director import Script, Told
from noout.domain.journal import Event
from noout.lab.world.kernel import LawError
from noout.lab.world.model import Cluster
from tests.sim.play import NODE, Play, played
from tests.support.virtual import run_virtual

FOLDER = Path(__file__).parents[1] / "scenarios"
VERBS = ("fault", "clear", "group_flag", "move", "tamper")
TABLES = ("probes", "policy")


@dataclass(frozen=True)
class Scenario:
    name: str
    world: Mapping[str, Any]
    expect: Mapping[str, Any]

    @property
    def log(self) -> Path:
        return FOLDER / self.name / "log.expect"

    def play(self) -> tuple[Play, Told]:
        """Play it in virtual time, to its end or to where it sticks."""
        world = self.world
        script = Script(NODE, also=tuple(world.get("also", ())))
        if "repairs" in world:
            script = replace(script, repairs=tuple(world["repairs"]))
        tables = {name: world[name] for name in TABLES if name in world}
        happenings: list[Happening] = []
        prepare = partial(self._prepare, happenings)
        found = run_virtual(played(prepare, seed=world.get("seed", 1), script=script, **tables))
        for each in happenings:
            assert each.done, f"{self.name}: {each.kind} {' '.join(each.words)} never came"
            assert each.refused is None, f"{self.name}: {each.verb} {each.what}: {each.refused}"
        return found

    def _prepare(self, happenings: list[Happening], play: Play) -> None:
        happenings += [Happening.read(each, play) for each in self.world.get("happens", ())]
        play.store.written.extend(happenings)
        note = play.lab.laws.note

        def note_and_tell(cluster: Cluster, text: str) -> None:
            note(cluster, text)
            for each in happenings:
                each.told("world", text)

        play.lab.laws.note = note_and_tell


def names() -> list[str]:
    return sorted(each.name for each in FOLDER.iterdir() if (each / "world.toml").is_file())


def load(name: str) -> Scenario:
    read = [tomllib.loads((FOLDER / name / f"{part}.toml").read_text("utf-8")) for part in ("world", "expect")]
    unknown = set(read[0]) - {"seed", "repairs", "also", "happens", *TABLES}
    unknown |= set(read[1]) - {"fails", "phase", "outcome", "blockers", "needs"}
    assert not unknown, f"{name}: {sorted(unknown)} is no key of a scenario"
    return Scenario(name, *read)


@dataclass
class Happening:
    """Something that others do when the journal says a thing for the first time."""

    play: Play
    kind: str
    words: tuple[str, ...]
    after_s: float
    verb: str
    what: Any
    params: Mapping[str, Any]
    done: bool = False
    refused: LawError | None = None

    @classmethod
    def read(cls, document: Mapping[str, Any], play: Play) -> Happening:
        params = dict(document)
        kind, *words = str(params.pop("when")).split()
        after_s = float(params.pop("after_s", 0.0))
        verb = next(each for each in VERBS if each in params)
        return cls(play, kind, tuple(words), after_s, verb, params.pop(verb), params)

    def __call__(self, event: Event) -> None:
        self.told(event.kind, json.dumps(event.data))

    def told(self, kind: str, text: str) -> None:
        if self.done or kind != self.kind or not all(word in text for word in self.words):
            return
        self.done = True
        self.play.lab.laws.after(self.after_s, self._act)

    def _act(self) -> None:
        laws, cluster, params = self.play.lab.laws, self.play.lab.cluster, self.params
        acts: dict[str, Callable[[], object]] = {
            "fault": lambda: laws.fault(cluster, self.what, **params),
            "clear": lambda: laws.clear_fault(cluster, self.what, **params),
            "group_flag": lambda: laws.ceph_group_flags(cluster, params["host"], [self.what], True, by="piet"),
            "move": lambda: laws.operator_moves(cluster, self.what, params["target"]),
            "tamper": lambda: self._tamper(str(self.what)),
        }
        try:
            acts[self.verb]()
        except LawError as error:
            self.refused = error

    def _tamper(self, kind: str) -> None:
        """Somebody with access to the database improves the record: the actor of the first event of that kind."""
        for chain in self.play.store._events.values():
            for place, event in enumerate(chain):
                if event.kind == kind:
                    chain[place] = replace(event, actor="operator:somebody-else")
                    return


def write_logs(chosen: list[str]) -> None:
    """Play scenarios (all when none is named) and write their logs anew."""
    for name in chosen or names():
        scenario = load(name)
        play, told = scenario.play()
        scenario.log.write_text(play.log(), "utf-8")
        failed = ", ".join(check.name for check in told.checks if not check.ok)
        sys.stdout.write(f"{name}: {told.state.phase.value} {told.state.outcome}; fails: {failed}\n")


if __name__ == "__main__":
    write_logs(sys.argv[1:])
