"""In every state of a maintenance a person can go on, or go back, with the commands that noout prints for that state.

``by_hand/STATE.txt`` is what `noout status` prints of them; ``python -m tests.sim.test_by_hand`` writes them anew. The
commands are not only compared: a person types them, and the cluster is as it was.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from noout.app.byhand import begun, finish, undo
from noout.app.runbook import runbook
from noout.codec import encode
from noout.domain.journal import Kind
from noout.domain.maintenance import Maintenance
from noout.run.touched import touched
from tests.sim.promises import Before, nothing_left_behind
from tests.sim.story import MID, NODE, Sim, simulation
from tests.support.person import Person
from tests.support.virtual import run_virtual

FOLDER = Path(__file__).parent / "by_hand"


def owns(kind: str) -> Callable[[Maintenance], bool]:
    return lambda m: any(own.kind == kind for own in m.owned)


# Where the run stands when it is looked at, in the order of the story.
STATES: dict[str, Callable[[Maintenance], bool]] = {
    "planned": lambda m: m.plan is not None,
    "evacuating": lambda m: len(m.moved) >= 2,
    "evacuated": lambda m: m.needs == "technician",
    "noout-set": owns("noout"),
    "mon-stopped": owns("mon-stopped"),
    "osds-stopping": owns("osd-stopped"),
    "shutting-down": lambda m: any(each.action.verb == "shutdown-node" for each in m.pending),
    "node-off": lambda m: m.node_off_at is not None,
    "node-on": lambda m: m.node_on_at is not None,
    "noup-released": lambda m: m.node_on_at is not None and not owns("noup")(m),
    "noout-released": lambda m: m.node_on_at is not None and not owns("noout")(m),
    "returning": lambda m: any(moved.homeward and moved.target for moved in m.moved),
    "done": lambda m: not m.open,
}


async def told(sim: Sim) -> dict[str, list[str]]:
    m = await sim.state()
    if not m.open:
        return {"undo": undo(m)}
    assert m.plan is not None
    cluster, ceph = await sim.lab.hypervisor.observe(), await sim.lab.ceph.observe()
    sections = runbook(m.plan, cluster, ceph, NODE.name)
    return {"begun": begun(m), "finish": finish(m, sections, await sim.events(), cluster), "undo": undo(m, cluster)}


async def opened() -> tuple[Sim, Before]:
    """A maintenance as the application opens one, with its guests on record."""
    sim = simulation(guests=8, nodes=4)
    before = Before.of(sim)
    await sim.open()
    m = await sim.state()
    assert m.plan is not None
    guests = touched(await sim.lab.hypervisor.observe(), m.plan)
    await sim.store.append(MID, m.seq, Kind.FACT, {"name": "guests", "value": [encode(each) for each in guests]})
    return sim, before


async def all_told() -> dict[str, str]:
    """One story, stopped at every state for a look."""
    sim, _ = await opened()
    run, hands = asyncio.create_task(sim.carry()), asyncio.create_task(sim.technician())
    found = {}
    for name, reached in STATES.items():
        await sim.until(reached, every_s=0.5)
        parts = (await told(sim)).items()
        found[name] = "\n".join(f"{part}:\n" + "".join(f"  {line}\n" for line in lines) for part, lines in parts)
    await run
    hands.cancel()
    return found


def test_what_is_printed_in_each_state() -> None:
    found = run_virtual(all_told())
    for name, text in found.items():
        assert text == (FOLDER / f"{name}.txt").read_text("utf-8"), name


async def stopped_at(name: str) -> tuple[Sim, Before]:
    """noout has died in this state: nobody carries the run on."""
    sim, before = await opened()
    run, hands = asyncio.create_task(sim.carry()), asyncio.create_task(sim.technician())
    await sim.until(STATES[name], every_s=0.5)
    run.cancel()
    hands.cancel()
    await asyncio.sleep(300)  # what it had asked for ends by itself
    return sim, before


async def lid_closed(sim: Sim) -> None:
    for action in ("close_lid", "plug_cords"):
        sim.lab.laws.advance()
        sim.lab.laws.hands(sim.lab.cluster, NODE.name, action)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["evacuating", "evacuated", "mon-stopped", "node-off", "noup-released", "returning"])
def test_it_can_be_undone_by_hand(name: str) -> None:
    async def play() -> None:
        sim, before = await stopped_at(name)
        if name == "node-off":
            await lid_closed(sim)
        await Person(sim.lab, "pve1").type((await told(sim))["undo"])
        as_it_was(sim, before)

    run_virtual(play())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["planned", "evacuating", "osds-stopping", "node-off", "noup-released", "returning"])
def test_it_can_be_finished_by_hand(name: str) -> None:
    async def play() -> None:
        sim, before = await stopped_at(name)
        person = Person(sim.lab, "pve1")
        for line in (await told(sim))["finish"]:
            if "chassis power on" in line and not sim.lab.cluster.nodes[NODE.name].power:
                await lid_closed(sim)
            await person.type([line])
        as_it_was(sim, before)

    run_virtual(play())


def as_it_was(sim: Sim, before: Before) -> None:
    """What noout itself still thinks it owns does not count: it was dead."""
    nothing_left_behind(sim, before, Maintenance(MID, NODE, "", None, sim.lab.clock.now(), "", 0))  # type: ignore[arg-type]


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for state, lines in run_virtual(all_told()).items():
        (FOLDER / f"{state}.txt").write_text(lines, "utf-8")
    sys.stdout.write(f"{len(STATES)} states written\n")
