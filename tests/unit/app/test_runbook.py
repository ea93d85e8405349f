"""A runbook holds the very commands that a run carries out; by hand, what is left of it and what undoes it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from noout.app.byhand import begun, finish, undo
from noout.app.runbook import Section, as_shell, runbook
from noout.codec import encode
from noout.domain.journal import Event, Kind
from noout.domain.maintenance import Action, Maintenance, Phase
from tests.sim.story import MID, NODE, Sim, simulation
from tests.support.virtual import run_virtual


def story() -> Sim:
    return simulation(guests=8, nodes=4)


def commands(sections: Sequence[Section], *, moves: bool) -> dict[str, list[str]]:
    return {
        section.step: [
            line.command
            for line in section.lines
            if isinstance(line, Action) and (line.verb in ("migrate", "ha-migrate")) == moves
        ]
        for section in sections
    }


def carried_out(events: Sequence[Event], *, moves: bool) -> dict[str, list[str]]:
    """The commands of every effect that was intended, by step, each once."""
    found: dict[str, list[str]] = {}
    for event in events:
        if event.kind == Kind.INTENT:
            action = event.data["action"]
            known = found.setdefault(action["step"], [])
            if (action["verb"] in ("migrate", "ha-migrate")) == moves and action["command"] not in known:
                known.append(action["command"])
    return found


async def planned(sim: Sim) -> tuple[Section, ...]:
    m = await sim.state()
    assert m.plan is not None
    return runbook(m.plan, await sim.lab.hypervisor.observe(), await sim.lab.ceph.observe(), NODE.name)


def test_a_run_does_what_its_runbook_says() -> None:
    async def play() -> None:
        sim = story()
        await sim.open()
        sections = await planned(sim)
        assert (await sim.to_the_end()).phase is Phase.DONE
        events = await sim.events()
        ran, said = carried_out(events, moves=False), commands(sections, moves=False)
        assert ran == {step: said[step] for step in ran}, "the same effects in the same order"
        assert all(step in ran or not said[step] for step in said)
        assert {step: set(each) for step, each in carried_out(events, moves=True).items() if each} == {
            step: set(each) for step, each in commands(sections, moves=True).items() if each
        }

    run_virtual(play())


def test_the_text_is_for_a_shell() -> None:
    async def play() -> str:
        sim = story()
        await sim.open()
        m = await sim.state()
        assert m.plan is not None
        return as_shell(m.plan, await planned(sim))

    text = run_virtual(play())
    assert "ceph osd set-group noout pve3\n" in text
    assert text.index("set-group noout") < text.index("--command shutdown") < text.index("unset-group noout")


def by_hand(m: Maintenance, sections: Sequence[Section], events: Sequence[Event]) -> list[str]:
    return [line for line in finish(m, sections, events, None) if not line.startswith("#")]


@pytest.mark.slow
def test_what_is_left_shrinks_to_nothing() -> None:
    async def play() -> None:
        sim = story()
        await sim.open()
        sections = await planned(sim)
        everything = [line.command for section in sections for line in section.lines if isinstance(line, Action)]
        assert by_hand(await sim.state(), sections, await sim.events()) == everything
        run = asyncio.create_task(sim.to_the_end())
        m = await sim.until(lambda m: m.phase is Phase.REPAIR and not m.pending)
        left = by_hand(m, sections, await sim.events())
        assert left[0].startswith("ipmitool") and left[0].endswith("power on")
        assert not any("set-group noout" in line and "unset" not in line for line in left)
        m = await run
        assert by_hand(m, sections, await sim.events()) == []
        assert undo(m) == [] and begun(m) == []

    run_virtual(play())


def test_undo_gives_back_in_the_order_that_is_safe() -> None:
    async def play() -> tuple[Maintenance, list[str]]:
        sim = story()
        await sim.open()
        state = await sim.lab.hypervisor.observe()
        guests = [encode(guest) for guest in state.guests if guest.node == NODE]
        await sim.store.append(MID, 3, Kind.FACT, {"name": "guests", "value": guests})
        run = asyncio.create_task(sim.to_the_end())
        m = await sim.until(lambda m: m.phase is Phase.REPAIR and m.node_off_at is not None)
        run.cancel()
        return m, undo(m)

    m, lines = run_virtual(play())
    order = ["power on", "start --service mon.", "unset-group noup", "start --service osd.", "unset-group noout",
             "node-maintenance disable", "identify 0"]  # fmt: skip
    places = [next(i for i, line in enumerate(lines) if word in line) for word in order]
    assert places == sorted(places), lines
    home = [line for line in lines if "--target pve3" in line or (line.startswith("ha-manager migrate"))]
    away = {moved.guest.vmid for moved in m.moved if moved.target is not None}
    assert away and {int(line.split("/")[4] if "/" in line else line.split(":")[1].split()[0]) for line in home} == away
