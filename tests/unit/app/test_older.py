"""An older copy of noout's database does nothing until an operator has said that it counts, and says what differs."""

from __future__ import annotations

from typing import Any

import pytest

from noout.adapters.store.memory import MemoryStore
from noout.app import older
from noout.app.carrying import context_of
from noout.app.compose import Installation
from noout.app.maintain import Maintenances
from noout.app.older import allow_despite, compare, look_back
from noout.app.planning import plan_now
from noout.app.standstill import STREAM, allow_all, doubt, standstill, stop_all
from noout.domain.cluster import NodeId
from noout.domain.errors import Refused, Retryable
from noout.domain.journal import Kind
from noout.domain.maintenance import Maintenance, Mode
from noout.domain.note import Note, read_note
from noout.domain.ownership import Hold, Line, Now
from noout.run.advance import advance
from tests.sim.play import WatchedStore, installation, settings_of
from tests.support.labsite import LabSite, lab_site
from tests.support.virtual import run_virtual
from tests.unit.app.test_ledger import held, view
from tests.unit.steps.scene import NODE, maintenance

ANNA = "operator:anna"
OPENED_AT = 8  # so many events its journal has when the copy is made


async def begun() -> tuple[LabSite, Installation, WatchedStore, str]:
    """A lab whose pve3 is being emptied, with a note of it in its description."""
    lab = lab_site()
    found, store = installation(lab, settings_of(lab))
    plan = await plan_now(found, NODE)
    mid = await Maintenances(found).open(NODE, reason="fans", mode=Mode.AUTO, actor=ANNA, plan=plan)
    context = context_of(found, {})
    while read_note((await lab.hypervisor.describe(NODE)).text) is None:
        await advance(context, mid)
        await lab.clock.sleep(1)
    return lab, found, store, mid


async def copied(lab: LabSite, store: WatchedStore, mid: str, events: int) -> tuple[Installation, WatchedStore]:
    """Another noout, with the journal as it was when this maintenance had so many events."""
    found, other = installation(lab, settings_of(lab))
    other._events = {stream: list(some) for stream, some in store._events.items()}
    other._events[mid] = other._events[mid][:events]
    if not events:
        other._events = {}
    return found, other


def effects(store: WatchedStore, mid: str) -> int:
    return sum(event.kind == Kind.INTENT for event in store._events.get(mid, []))


def test_an_older_copy_does_nothing_until_an_operator_says_that_it_counts() -> None:
    async def main() -> None:
        lab, _, store, mid = await begun()
        found, copy = await copied(lab, store, mid, OPENED_AT)
        context = context_of(found, {})
        done = effects(copy, mid)
        before = (await lab.hypervisor.describe(NODE)).text
        for _ in range(5):
            await advance(context, mid)
            await lab.clock.sleep(15)
        m = await found.known.get(mid)
        assert [each.code for each in m.blockers] == ["journal.older"] and effects(copy, mid) == done
        assert sum(event.kind == Kind.BLOCKED for event in await copy.read(mid)) == 1
        assert (await lab.hypervisor.describe(NODE)).text == before, "what tells of it is not written over"
        stopped = await standstill(copy)
        assert stopped is not None and stopped.doubted and "is older than what was done" in stopped.reason
        assert len(await copy.read(STREAM)) == 1, "said once"
        fresh, ahead = await allow_despite(found, ANNA)
        assert fresh and [each.node for each in ahead] == [NODE]
        for _ in range(5):
            await advance(context, mid)
            await lab.clock.sleep(15)
        assert effects(copy, mid) > done and await standstill(copy) is None
        note = read_note((await lab.hypervisor.describe(NODE)).text)
        assert note is not None and (await copy.read(mid))[note.seq - 1].digest == note.digest, (
            "and it tells of this one"
        )

    run_virtual(main())


def test_it_is_found_out_at_the_start_and_nothing_is_opened_beside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also by a journal that knows nothing at all: the database was lost."""
    pages: list[str] = []

    async def wake(found: Installation, why: str, **about: str) -> None:
        pages.append(why)

    monkeypatch.setattr(older, "wake", wake)

    async def main() -> None:
        lab, first, store, mid = await begun()
        await look_back(first)
        assert await standstill(store) is None and not pages
        for events in (OPENED_AT, 0):
            found, copy = await copied(lab, store, mid, events)
            await look_back(found)
            await look_back(found)
            stopped = await standstill(copy)
            assert stopped is not None and stopped.doubted and len(pages) == 1, "woken once"
            pages.clear()
        plan = await plan_now(found, NodeId("ams1", "pve4"))
        with pytest.raises(Refused, match=r"nothing is begun in ams1: .* this journal has no such maintenance"):
            await Maintenances(found).open(NodeId("ams1", "pve4"), reason="", mode=Mode.AUTO, actor=ANNA, plan=plan)
        assert set(await copy.streams()) == {STREAM}

    run_virtual(main())


@pytest.mark.slow
def test_a_cluster_that_does_not_answer_at_the_start_is_left_to_its_runs() -> None:
    async def main() -> None:
        lab, _, store, mid = await begun()
        found, copy = await copied(lab, store, mid, OPENED_AT)

        async def mute() -> Any:
            raise Retryable("no answer")

        found.hypervisors = {"ams1": type("Mute", (), {"observe": staticmethod(mute)})()}
        await look_back(found)
        assert await standstill(copy) is None
        await stop_all(copy, ANNA, "")
        compared = await compare(found, [await found.known.get(mid)])
        assert compared.unread == {"ams1": "no answer"} and not compared.of

    run_virtual(main())


@pytest.mark.slow
def test_what_the_cluster_says_otherwise_is_told_of_each_open_maintenance() -> None:
    async def main() -> None:
        lab, first, store, mid = await begun()
        same = await compare(first, [await first.known.get(mid)])
        assert (same.of, same.ahead) == ({mid: ()}, [])
        found, _ = await copied(lab, store, mid, OPENED_AT)
        await lab.ceph.set_host_flags("pve3", frozenset({"noout"}))
        compared = await compare(found, [await found.known.get(mid)])
        assert "noout pve3: set in the cluster, not by the journal" in compared.of[mid]
        (ahead,) = compared.ahead
        assert ahead.node == NODE and ahead.why.endswith("this journal has no such event")

    run_virtual(main())


def test_each_kind_of_difference_has_its_sentence() -> None:
    def said(m: Maintenance, *lines: Line, **changes: Any) -> list[str]:
        return list(older.differences(m, lines, changes.pop("seen", None) or view(**changes), "pve3"))

    m = maintenance()
    assert said(m, Line(held(), True, Now.GONE)) == ["noout pve3: held by the journal, not set in the cluster"]
    assert said(m, Line(held(releasing=True), True, Now.GONE)) == []
    flagged = {"host_flags": {"pve3": frozenset({"noout"}), "pve4": frozenset({"noup"})}}
    asked = Line(held(hold=Hold.ASKED), True, Now.SET)
    assert said(m, asked, **flagged) == ["noout pve3: only asked for by the journal, set in the cluster"]
    assert said(m, Line(held(), True, Now.SET), **flagged) == []


# --- the switch -----------------------------------------------------------------------------------------------------


async def test_what_was_doubted_once_and_allowed_is_not_doubted_again_and_the_next_is() -> None:
    store = MemoryStore(lab_site(wall=lambda: 0.0).clock)
    first, second = Note("m-1", 7, "ab" * 32), Note("m-1", 9, "cd" * 32)
    assert await doubt(store, first, "why") and await doubt(store, first, "why")
    assert len(await store.read(STREAM)) == 1
    await allow_all(store, ANNA)  # its node is off by now: what was named when it was stopped counts
    assert not await doubt(store, first, "why") and await standstill(store) is None
    assert await doubt(store, second, "why")
    await allow_all(store, ANNA, [second, Note("m-2", 1, "ef" * 32)])
    for note in (first, second, Note("m-2", 1, "ef" * 32)):
        assert not await doubt(store, note, "why")
    assert (await store.read(STREAM))[-1].data["despite"] == [["m-1", 9, "cd" * 32], ["m-2", 1, "ef" * 32]]


async def test_it_is_said_also_where_a_person_has_stopped_everything_already() -> None:
    store = MemoryStore(lab_site(wall=lambda: 0.0).clock)
    await stop_all(store, ANNA, "fire")
    assert await doubt(store, Note("m-1", 7, "ab" * 32), "why")
    stopped = await standstill(store)
    assert stopped is not None and stopped.doubted and stopped.by == "noout"
