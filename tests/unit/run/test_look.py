"""How a migration is seen to stand still, and whose it is."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import pytest

from noout.domain.cluster import GuestId, MigrationProgress, NodeId, Task
from noout.domain.errors import Retryable
from noout.domain.maintenance import Observation
from noout.domain.reasons import Blocker
from noout.run.advance import story
from noout.run.context import Answer, Context
from noout.run.look import AT_EASE_S, CLOCKS_DIFFER, look
from noout.steps import actions
from noout.steps.site import Site
from tests.unit.steps.scene import (
    NODE,
    bmc,
    cluster,
    guest,
    maintenance,
    move,
    owning,
    pending,
    plan,
    seen,
    task,
)

ASKED = pending(actions.move("evacuate", move(100), guest(100)))
OURS = maintenance(plan=plan(move(100)), pending=(replace(ASKED, upid="UPID:100"),))
UNKNOWN = replace(OURS, pending=(ASKED,))


class World:
    """A cluster with one migration, of which each look shows the next figure; a clock that goes on by 40 s."""

    has_shell = True

    def __init__(self, *figures: MigrationProgress | None) -> None:
        self.figures = list(figures)
        self.at = seen(cluster()).at
        self.deaf = False

    def now(self) -> Any:
        return self.at

    async def observe(self, log: bool = True, keep_s: float | None = None, near: Any = None) -> Any:
        return cluster(guest(100), running_tasks=(task(100),)) if log else bmc()

    async def task(self, upid: str) -> Task:
        if self.deaf:
            raise Retryable("it does not answer")
        return task(100)

    async def progress(self, upid: str) -> MigrationProgress | None:
        if self.deaf:
            raise Retryable("it does not answer")
        return self.figures.pop(0)

    def context(self) -> Context:
        doors = Site(cast(Any, self), None, cast(Any, self), cast(Any, self), lambda node: None)

        async def accept(*_: object) -> Answer:
            return Answer(True)

        def unused(*_: object) -> Any:
            raise AssertionError

        return Context(cast(Any, None), cast(Any, self), lambda node: doors, unused, unused, accept)


async def looks(world: World, m: Any = OURS) -> list[Observation]:
    """Each when the log is worth reading: the first one a minute after it was asked for."""
    context, found = world.context(), []
    world.at += timedelta(seconds=60)
    for _ in range(len(world.figures)):
        found.append(await look(context, m, frozenset({"ceph", "anew"})))
        world.at += 40 * (seen(cluster(), after_s=1).at - seen(cluster()).at)
    return found


def sent(amount: int, total: int = 1000, target: str = "pve1") -> MigrationProgress:
    return MigrationProgress(amount, total, target=target)


async def test_figures_that_stay_the_same_for_a_minute_are_a_migration_that_stands_still() -> None:
    found = await looks(World(sent(10), sent(10), sent(10), sent(20)))
    assert [bool(each.stalled) for each in found] == [False, False, True, False]


async def test_before_its_first_figure_a_migration_does_not_stand_still() -> None:
    found = await looks(World(None, sent(0, 0), sent(0, 0), sent(0, 0)))
    assert not any(each.stalled for each in found), "local disks are copied first, and containers have no figures"


async def test_a_migration_elsewhere_is_nothing_we_look_into() -> None:
    (theirs,) = await looks(World(sent(10, target="pve2")), UNKNOWN)
    assert (theirs.tasks, theirs.progress) == ({}, {})
    (ours,) = await looks(World(sent(10)), UNKNOWN)
    assert ours.progress == {GuestId("ams1", 100): sent(10)}
    assert NodeId(NODE.cluster, ours.progress[GuestId("ams1", 100)].target) == move(100).target


async def test_a_task_that_cannot_be_read_says_nothing() -> None:
    world = World(sent(10))
    world.deaf = True
    (found,) = await looks(world)
    assert (found.tasks, found.progress, found.stalled) == ({}, {}, frozenset())


async def test_a_task_whose_log_says_nothing_new_is_asked_itself() -> None:
    class Killed(World):
        async def task(self, upid: str) -> Task:
            return task(100, "unexpected status")

    going, ended = await looks(Killed(sent(10), sent(10)))
    assert going.tasks["UPID:100"].running, "its log goes on"
    assert ended.tasks["UPID:100"].ok is False


class Afterwards(World):
    """The guest has arrived, as far as its fields say; one task of it is over, to the target given."""

    def __init__(self, target: str = "pve1", **guest_: Any) -> None:
        super().__init__(sent(10, target=target))
        self.found, self.asked = guest_, 0

    async def observe(self, log: bool = True, keep_s: float | None = None, near: Any = None) -> Any:
        here = {"on": "pve1", "ha": True, "says": "started"} | self.found
        says = here.pop("says")
        there = guest(100, here.pop("on"), **here)
        there = replace(there, ha=replace(there.ha, state=says)) if there.ha else there
        return cluster(there) if log else bmc()

    async def moves_made(self, guest: Any, source: NodeId, since: Any) -> list[Task]:
        self.asked += 1
        assert (source, since) == (NODE, ASKED.since - CLOCKS_DIFFER)
        if self.deaf:
            raise Retryable("the node is off")
        return [task(100)]


BY_HA = replace(OURS, pending=(pending(actions.move("evacuate", move(100, ha=True), guest(100, ha=True))),))


async def test_a_move_of_has_own_that_came_and_went_unseen_is_looked_up_once_it_has_arrived() -> None:
    (found,) = await looks(world := Afterwards(), BY_HA)
    assert (found.progress, world.asked) == ({GuestId("ams1", 100): sent(10)}, 1)
    (found,) = await looks(Afterwards(target="pve2"), BY_HA)
    assert found.progress == {}, "it went elsewhere: not the one we asked for"
    deaf = Afterwards()
    deaf.deaf = True
    (found,) = await looks(deaf, BY_HA)
    assert found.progress == {}, "nobody knows its pause, and nothing waits for that"


@pytest.mark.parametrize(
    "guest_",
    [
        {"on": "pve3"},
        {"lock": "migrate"},
        {"says": "migrate"},
        {"ha": False, "lock": "migrate"},
        {"ha": False, "on": "pve3"},
    ],
)
async def test_nobody_looks_for_a_move_that_is_not_over(guest_: dict[str, Any]) -> None:
    (found,) = await looks(world := Afterwards(**guest_), BY_HA)
    assert (found.progress, world.asked) == ({}, 0)


class Whole(World):
    """Notes how old a configuration may be."""

    def __init__(self) -> None:
        super().__init__(sent(10))
        self.kept: list[float | None] = []

    async def observe(self, log: bool = True, keep_s: float | None = None, near: Any = None) -> Any:
        self.kept.append(keep_s)
        return await super().observe(log)


@pytest.mark.parametrize(
    ("m", "sees", "kept"),
    [
        (maintenance(), frozenset(), AT_EASE_S),
        (maintenance(), frozenset({"anew"}), None),
        (maintenance(facts={}), frozenset(), None),
        (maintenance(owned=owning(("osd-stopped", "osd.4"))), frozenset(), None),
        (
            maintenance(blockers=(Blocker("guest.iso", "ams1/104", "it holds an ISO", "take it out"),)),
            frozenset(),
            None,
        ),
        (maintenance(replan_wanted_at=seen(cluster()).at), frozenset(), None),
    ],
    ids=[
        "at ease",
        "asked for",
        "its CRUSH host is not known yet",
        "redundancy is given up",
        "blocked",
        "to be planned",
    ],
)
async def test_what_rests_on_a_configuration_reads_it_anew(m: Any, sees: Any, kept: float | None) -> None:
    world = Whole()
    await look(world.context(), m, sees)
    assert world.kept == [kept]


def test_what_each_step_must_see() -> None:
    assert [step.name for step in story(60.0) if "ceph" not in step.sees] == ["dispatch"]
    assert [step.name for step in story(60.0) if "anew" not in step.sees] == ["evacuate", "dispatch", "return"]
