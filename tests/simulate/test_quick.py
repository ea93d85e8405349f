"""What saves the simulation its time does what it stands in for."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from noout.domain.cluster import NodeId
from noout.domain.maintenance import Maintenance, Mode
from tests.simulate.eager import together
from tests.simulate.fastwire import _question
from tests.simulate.kept import _kinds
from tests.simulate.quick import changed
from tests.support.virtual import run_virtual


async def _after(seconds: float, result: str, done: list[str]) -> str:
    if seconds:
        await asyncio.sleep(seconds)
    done.append(result)
    return result


async def _fails(seconds: float) -> str:
    if seconds:
        await asyncio.sleep(seconds)
    raise ValueError("it failed")


def test_what_is_asked_together_is_answered_in_order_and_waits_at_once() -> None:
    done: list[str] = []

    async def ask() -> tuple[list[str], float]:
        found = await together(_after(3, "slow", done), _after(0, "at once", done), _after(2, "soon", done))
        return found, asyncio.get_running_loop().time()

    assert run_virtual(ask()) == (["slow", "at once", "soon"], 3.0)
    assert done == ["at once", "soon", "slow"]


@pytest.mark.parametrize("seconds", [0.0, 1.0])
def test_the_others_are_cancelled_when_one_fails(seconds: float) -> None:
    done: list[str] = []

    async def ask() -> None:
        with pytest.raises(ValueError, match="it failed"):
            await together(_after(5, "slow", done), _fails(seconds), _after(6, "slower", done))
        await asyncio.sleep(10)

    run_virtual(ask())
    assert done == []


def test_a_quick_copy_is_the_copy_that_dataclasses_make() -> None:
    m = Maintenance(
        "ams1-pve3-1", NodeId("ams1", "pve3"), "fan", Mode.AUTO, datetime(2026, 1, 1, tzinfo=UTC), "anna", 1
    )
    assert changed(m, seq=7, reason="other") == replace(m, seq=7, reason="other")
    assert m.seq == 1


def test_a_list_of_what_is_over_is_never_kept() -> None:
    """Finished tasks are no part of what is compared of the world; running ones are."""
    path = "/api2/json/nodes/pve1/tasks"
    assert _kinds(_question(path, {"source": "active"}))[0]
    assert _kinds(_question(path, None))[0] == ()
    assert _kinds(_question(path, {"vmid": "100", "typefilter": "qmigrate"}))[0] == ()
