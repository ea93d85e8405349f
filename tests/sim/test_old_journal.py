"""A journal that an early noout wrote: this one reads it, shows it at every point, and finishes what that one began.

``tests/data/journal-of-an-early-run.json`` was exported by noout as it was two hours after its first line was written
(173 events of a whole maintenance on its lab), and is never made anew: what was written down once must stay readable.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from noout.app.byhand import undo
from noout.app.sentences import sentence
from noout.cli.standing import show_standing
from noout.codec import decode
from noout.domain.journal import Event, Kind, chain_error
from noout.domain.maintenance import Maintenance, Phase
from noout.run.advance import story
from noout.run.fold import fold, fold_one
from noout.run.invariants import forgotten
from noout.run.look import look
from tests.sim.story import MID, NODE, SOAK_S, Sim, simulation
from tests.support.virtual import run_virtual

RECORDED = Path(__file__).parents[1] / "data" / "journal-of-an-early-run.json"
MOST_S = 60.0  # that an effect takes in the lab


def recorded() -> list[Event]:
    return [decode(Event, each) for each in json.loads(RECORDED.read_text())["events"]]


def test_it_is_whole_and_ends_as_it_did() -> None:
    events = recorded()
    assert chain_error(events) is None
    m = fold(events)
    assert (m.phase, m.outcome, m.owned, m.pending) == (Phase.DONE, "done", (), ())
    assert len(m.moved) == 14 and len(m.findings) == 14 and m.signed_off_by == "technician:ruben"


def test_it_can_be_shown_at_every_point(capsys: pytest.CaptureFixture[str]) -> None:
    events = recorded()
    told = (Kind.OPENED, Kind.PLANNED, Kind.INTENT, Kind.MOVED, Kind.MESSAGE, Kind.CLOSED)
    assert all(sentence(event) for event in events if event.kind in told)
    m = fold(events[:1])
    for event in events[1:]:
        m = fold_one(m, event)
        assert undo(m) or not m.owned, f"after event {m.seq} there is no way back by hand"
        if m.seq % 10 == 0:
            show_standing(m)
            assert MID in capsys.readouterr().out


async def done_before(sim: Sim, events: list[Event]) -> None:
    """Do to the lab what the journal says was done to it, by the same actions, and let as much time pass."""
    context = sim.context()
    steps = {step.name: step for step in story(SOAK_S)}
    for number, event in enumerate(events):
        if event.kind != Kind.INTENT:
            continue
        m = fold(events[: number + 1])
        pending = next(each for each in m.pending if each.action.key == event.data["key"])
        step = steps[pending.action.step]
        seen = await look(context, m, step.sees)
        await step.act(pending.action, seen, context.site(NODE))
        await asyncio.sleep(MOST_S)
    behind_s = (events[-1].at - sim.lab.clock.now()).total_seconds()
    await asyncio.sleep(max(0.0, behind_s))
    sim.store._events[MID] = list(events)


@pytest.mark.slow
@pytest.mark.parametrize("since", [32, 84], ids=["evacuated-not-cordoned", "node-off"])
def test_what_it_began_is_finished(since: int) -> None:
    """The node emptied and not cordoned yet; the node off, its data held and the checklist open."""

    async def main() -> tuple[Sim, Maintenance]:
        sim = simulation(guests=8)
        before = {guest.id: guest.node for guest in (await sim.lab.hypervisor.observe()).guests}
        await done_before(sim, recorded()[:since])
        m = await sim.to_the_end()
        after = {guest.id: guest.node for guest in (await sim.lab.hypervisor.observe()).guests}
        assert after == before, "every guest is home"
        return sim, m

    sim, m = run_virtual(main())
    events = sim.store._events[MID]
    assert m.outcome == "done" and not forgotten(m)
    assert chain_error(events) is None and events[:since] == recorded()[:since]
    assert sim.lab.cluster.ceph is not None
