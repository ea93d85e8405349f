"""When a node that came back is compared, how often, and what an operator's word changes about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from noout.app.carrying import accepted
from noout.app.comeback import UNKNOWN, Comeback
from noout.app.compose import Installation
from noout.codec import encode
from noout.domain.cluster import NodeId
from noout.domain.errors import Retryable
from noout.domain.hardware import HardwareState, Power, Reading, SensorKind, Unit
from noout.domain.inventory import NodeInventory
from noout.domain.journal import Event, Kind, Message, MessageKind
from noout.domain.maintenance import Maintenance
from noout.ports import Clock
from noout.run.context import Answer
from noout.run.fold import fold_one
from noout.run.inbox import refusal
from noout.steps.reintegrate import Reintegrate
from noout.steps.step import Blocked
from tests.unit.steps.scene import NODE, T0, cluster, maintenance, seen

WENT = NodeInventory(NODE, T0, kvm=True, cpu_model="EPYC", kernel="6.14", memory_bytes=2**36, clock_ahead_s=0.0)
OTHER = replace(WENT, kernel="6.17")
OTHER_SAID = "kernel: 6.14 before, 6.17 now"
ON = T0 + timedelta(hours=1)
LATER = ON + timedelta(minutes=5)
SOAK_S = 600.0
ALL = seen(cluster(offline=("pve5",)))


@dataclass
class World:
    """What the node says, what its BMC says, and the time."""

    says: NodeInventory | Retryable = WENT
    now: datetime = LATER
    asked: list[Sequence[NodeId]] = field(default_factory=list)
    polls: list[HardwareState] = field(default_factory=list)

    async def inspect(self, node: NodeId, peers: Sequence[NodeId]) -> NodeInventory:
        self.asked.append(peers)
        if isinstance(self.says, Retryable):
            raise self.says
        return self.says

    @property
    def comeback(self) -> Comeback:
        return Comeback({NODE.cluster: self}, cast(Clock, SimpleNamespace(now=lambda: self.now)))

    # --- the rest of an installation, as far as the acceptance asks for it ---

    async def hardware(self, node: NodeId, since: datetime) -> list[HardwareState]:
        return [each for each in self.polls if each.at >= since]

    async def add_hardware(self, state: HardwareState) -> None:
        self.polls.append(state)

    async def observe(self) -> HardwareState:
        return poll(self.now)

    async def judge(self, m: Maintenance, comeback: Comeback | None = None) -> Answer:
        found = SimpleNamespace(
            measurements=self,
            bmc=lambda node: self,
            clock=SimpleNamespace(now=lambda: self.now),
            settings=SimpleNamespace(policy=SimpleNamespace(soak_s=SOAK_S, soak_share=0.0, soak_max_h=4.0)),
        )
        return await accepted(cast(Installation, found), m, ALL, comeback or self.comeback)


def poll(at: datetime, *, dimms: int = 16, rpm: float = 8000.0) -> HardwareState:
    fan = Reading("FAN1", SensorKind.FAN, rpm, Unit.RPM, 1800.0)
    return HardwareState(NODE, at, True, Power.ON, readings=(fan,), inventory={"dimms": str(dimms)})


def back(**changes: Any) -> Maintenance:
    facts = {"inventory": encode(WENT), **changes.pop("facts", {})}
    return maintenance(node_off_at=T0 + timedelta(minutes=30), node_on_at=ON, facts=facts, **changes)


async def test_a_difference_fails_the_acceptance_early_and_can_be_meant() -> None:
    world = World(OTHER)
    answer = await world.judge(back())
    assert (answer.ok, answer.reasons) == (False, (OTHER_SAID,))
    assert answer.evidence["differences"] == [OTHER_SAID]
    answer = await world.judge(back(facts={"accepted_differences": [OTHER_SAID]}))
    assert (answer.ok, answer.reasons) == (None, ())
    world.says = replace(OTHER, kvm=False)
    answer = await world.judge(back(facts={"accepted_differences": [OTHER_SAID]}))
    assert len(answer.reasons) == 1, "what came later was not accepted with it"


async def test_a_difference_fails_it_also_when_the_node_goes_back_unrepaired() -> None:
    assert (await World(OTHER).judge(back(closing_up="no spare part"))).ok is False


async def test_a_node_that_has_just_booted_is_given_a_minute_and_accepted_by_nothing_meanwhile() -> None:
    world = World(OTHER, now=ON + timedelta(seconds=59))
    assert (await world.judge(back())).ok is None
    assert await world.comeback.after(back(), ALL, last=True) is None, "not even by a soak that is over by then"
    world.now = ON + timedelta(seconds=60)
    assert (await world.judge(back())).ok is False


async def test_a_node_that_cannot_be_asked_is_not_accepted() -> None:
    answer = await World(Retryable("no route")).judge(back())
    assert (answer.ok, answer.reasons) == (False, ("it cannot be asked what it is now: no route",))


async def test_it_is_looked_at_when_it_is_back_and_once_more_before_it_is_accepted() -> None:
    world, m = World(), back()
    comeback = world.comeback
    ends = ON + timedelta(seconds=SOAK_S)
    world.polls = [poll(ON + timedelta(seconds=15 * i)) for i in range(int(SOAK_S / 15))]
    for _ in range(3):
        assert (await world.judge(m, comeback)).ok is None
    assert len(world.asked) == 1
    world.now, world.says = ends + timedelta(seconds=1), OTHER
    assert (await world.judge(m, comeback)).ok is False, "what is well must stay well to its end"
    world.says = WENT
    assert (await world.judge(m, comeback)).ok is True
    assert {peer.name for peer in world.asked[0]} == {"pve1", "pve2", "pve4"}, "the others, and only those online"


async def test_without_a_word_from_before_nothing_is_compared_and_that_is_said() -> None:
    world = World()
    for kept in (None, {"node": "from another version"}):
        m = maintenance(node_on_at=ON, facts={"inventory": kept})
        found = await world.comeback.after(m, ALL, last=True)
        assert found is not None
        assert (found.findings, found.notes) == ((), (UNKNOWN,))
    assert await Comeback({}, world.comeback._clock).before(maintenance(), ALL) is None
    assert await World(Retryable("no route")).comeback.before(maintenance(), ALL) is None
    assert await World(NodeInventory(NODE, T0)).comeback.before(maintenance(), ALL) is None
    assert await world.comeback.before(maintenance(), ALL) == encode(WENT)


async def test_a_dimm_may_be_meant_to_be_gone_and_a_fan_never() -> None:
    world = World()
    world.polls = [poll(T0), *(poll(ON + timedelta(seconds=15 * i), dimms=15) for i in range(20))]
    lost = "dimms: 16 before, 15 now"
    world.polls.append(poll(LATER - timedelta(seconds=1), dimms=15, rpm=0.0))
    world.now = LATER - timedelta(seconds=1)

    async def same() -> HardwareState:
        return world.polls[-1]

    world.observe = same  # type: ignore[method-assign]
    answer = await world.judge(back())
    assert answer.evidence["differences"] == [lost]
    assert len(answer.reasons) > 1
    stands = "FAN1 stood still during the soak"
    answer = await world.judge(back(facts={"accepted_differences": [lost, stands]}))
    assert answer.ok is False
    assert lost not in answer.reasons
    assert stands in answer.reasons


# --- the operator's word ------------------------------------------------------------------------------------------

FAILED = {"ok": False, "reasons": ["FAN1 stood still", OTHER_SAID], "differences": [OTHER_SAID]}


def resumed(m: Maintenance, **data: Any) -> Maintenance:
    return fold_one(m, Event(m.id, 6, T0, Kind.MESSAGE, {"key": "k", "kind": "resume", "data": data}, "operator:a", ""))


def test_a_plain_resume_accepts_nothing() -> None:
    m = resumed(back(facts={"acceptance": FAILED}))
    assert "acceptance" not in m.facts, "it is judged anew"
    assert "accepted_differences" not in m.facts


def test_accepting_accepts_what_was_named_as_a_difference_and_nothing_else() -> None:
    m = resumed(back(facts={"acceptance": FAILED, "accepted_differences": ["before"]}), accept_differences=True)
    assert m.facts["accepted_differences"] == ["before", OTHER_SAID]
    assert "acceptance" not in m.facts


@pytest.mark.parametrize("facts", [{}, {"acceptance": {"ok": False, "reasons": ["FAN1"], "differences": []}}])
def test_accepting_what_nobody_named_is_refused(facts: Mapping[str, Any]) -> None:
    word = Message("k", MessageKind.RESUME, "operator:anna", T0, {"accept_differences": True})
    assert "no difference" in refusal(back(facts=facts), word)
    assert refusal(back(facts={"acceptance": FAILED}), word) == ""
    assert refusal(back(facts=facts), replace(word, data={})) == ""


def test_each_reason_says_what_can_be_done_about_it() -> None:
    m = back(
        facts={"acceptance": FAILED, "crush_host": "pve3"}, acceptance_until=ON + timedelta(seconds=SOAK_S),
        hands_on_at=T0,
    )  # fmt: skip
    told = Reintegrate().plan(m, ALL)
    assert isinstance(told, Blocked)
    assert ["--accept-differences" in each.remedy for each in told.blockers] == [False, True]
