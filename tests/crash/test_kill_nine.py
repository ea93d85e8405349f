"""kill -9 of real processes, before and after each kind of effect; on SQLite, and with two replicas on PostgreSQL.

One maintenance for each store, with every kind of effect that a small cluster calls for. The process that is about to
ask for an effect of a new kind dies (its intent is written, nothing was asked for); whoever asks for it then dies with
the answer in hand (nothing of it is written). It is started again as a service manager would; on PostgreSQL the other
process has taken over by then. At the end all is as it was, and the world's own log shows nothing done twice.
"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from noout.steps.effects import EFFECTS
from tests.crash.house import house
from tests.support.postgres import postgres

pytestmark = [pytest.mark.real, pytest.mark.kill]
tell = print
PATIENCE_S = 900.0  # with fifty deaths on the way, two cores with other work needed 260 s

# Every kind of effect that the maintenance of this small cluster calls for. The others are for what it does not have
# (a rebalancer, an MDS, ...) or for a person alone (cutting the power); all are crashed at in virtual time.
KINDS = frozenset(
    {
        "migrate", "ha-migrate", "eject", "insert", "shutdown-guest", "start-guest", "cordon", "uncordon", "onboot-off",
        "onboot-back", "set-noout", "unset-noout", "set-noup", "unset-noup", "stop-mon", "stop-osd", "shutdown-node",
        "power-on", "led-on", "led-off",
    }
)  # fmt: skip


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    with contextlib.ExitStack() as stack:
        yield stack.enter_context(postgres()).url if request.param == "postgresql" else ""


async def test_a_death_before_and_after_each_kind_of_effect(tmp_path: Path, url: str) -> None:
    async with house(tmp_path, url=url) as it:
        before = await it.lab.state()
        it.arm(*(f"kill.{when}.{verb}" for verb in EFFECTS for when in ("before", "after")))
        for _ in range(2 if url else 1):
            (await it.replica()).keep()
        mid = await it.open()
        await it.carried_through(mid, PATIENCE_S)
        events = await it.check(mid, before)

        met = it.met()
        missed = {f"kill.{when}.{verb}" for verb in KINDS for when in ("before", "after")} - met
        assert not missed, sorted(missed)
        deaths = [code for each in it.replicas for code in each.exits]
        assert deaths == [-signal.SIGKILL] * len(met), "nobody died of anything else"
        tell(f"{len(met)} deaths, before and after {len(met) // 2} kinds of effects, {len(events)} events")
        if url:
            assert min(len(each.exits) for each in it.replicas) >= len(met) // 5, "both had their part in it"
