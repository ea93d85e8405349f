"""What a maintenance's page is drawn from: the floor, the steps, the buttons with what they mean, and the stream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import replace
from itertools import pairwise
from typing import Any, cast

import pytest

from noout.domain.access import Right
from noout.domain.cluster import MigrationProgress
from noout.domain.journal import Event, MessageKind
from noout.domain.maintenance import Maintenance, Moved, MoveKind, Pending, Phase
from noout.plan.lanes import lanes, ticks_s
from noout.steps.actions import move as move_action
from noout.steps.actions import shutdown_node
from noout.web.console.deeds import Deed, deeds
from noout.web.console.floor import Marks, floor
from noout.web.console.live import BEAT, ENDED, TICK_WALL_S, WATCHERS_MAX, Full, Live
from noout.web.console.rail import rail
from noout.web.console.strip import strip
from noout.web.services import Shown
from tests.support.virtual import run_virtual
from tests.unit.steps.scene import NODE, T0, ceph, cluster, guest, maintenance, move, owning, plan
from tests.web.place import Place, Stand

ALL = frozenset(Right)


# --- the floor ------------------------------------------------------------------------------------------------


def test_a_guest_on_its_way_is_drawn_where_it_leaves_and_where_it_comes_and_how_far_it_is() -> None:
    way = move(104, "pve1")
    going = Pending(move_action("evacuate", way, guest(104)), T0, 1, upid="UPID:104", started=True)
    m = maintenance(plan=plan(way, move(107, "pve4")), pending=(going,))
    m = replace(m, moved=(_moved(107, "pve4"),), phase=Phase.EVACUATING)
    state = cluster(guest(104), guest(107, "pve4"), guest(110, "pve2"))
    told = {guest(104).id: MigrationProgress(3 * 2**30, 4 * 2**30, 400.0 * 2**20)}
    found = floor(m, state, told, Marks(()))
    blocks = {column.node: [(block.guest.vmid, block.state) for block in column.blocks] for column in found.columns}
    assert blocks["pve3"] == [(104, "leaving"), (107, "ghost")] and blocks["pve1"] == [(104, "coming")]
    assert blocks["pve4"] == [(107, "arrived")] and blocks["pve2"] == [(110, "home")]
    assert found.streams == "104 g104 → pve1 75 % at 400 MiB/s" and len(found.wires) == 1
    (coming,) = found.columns[0].blocks
    assert coming.copied == 75 and "75 % copied" in coming.says


def _moved(vmid: int, target: str) -> Moved:
    way = move(vmid, target)
    return Moved(way.guest, way.name, MoveKind.LIVE, way.source, way.target, T0, T0, 50, False)


def test_a_flag_has_an_owner_or_is_said_to_have_none_here() -> None:
    m = maintenance(owned=owning(("noout", "pve3")))
    data = ceph(flags=frozenset({"nodeep-scrub", "sortbitwise"}), host_flags={"pve3": frozenset({"noout"})})
    found = strip(m, cluster(), data, [m])
    assert [(flag.name, flag.where, flag.owner) for flag in found.flags] == [
        ("nodeep-scrub", "the whole cluster", "not noout's"), ("noout", "host pve3", m.id),
    ]  # fmt: skip
    assert any(each.startswith("one more mon lost") for each in found.stake)
    assert strip(m, cluster(), data, [replace(m, closed_at=T0)]).flags[1].owner == "not noout's"


# --- the steps ------------------------------------------------------------------------------------------------


def test_a_step_that_waits_for_a_person_is_not_drawn_as_under_way() -> None:
    m = maintenance(step="dispatch", needs="technician", steps_done=(("evacuate", T0),), waiting_for="hands-on")
    states = [stop.state for stop in rail(m, {}, T0)]
    assert states == ["done", "gate", "wait", "wait", "wait", "wait"]


def test_what_a_finished_step_has_shown_stands_below_it() -> None:
    m = maintenance(step="repair", steps_done=(("evacuate", T0), ("dispatch", T0), ("hold-data", T0)))
    shown = {"hold-data": {"osds_stopped": [4, 5], "held": True}, "dispatch": {"hands_on_by": "ruben"}}
    notes = {stop.title: stop.note for stop in rail(m, shown, T0)}
    assert notes["Hold data"] == "noout read back; OSDs 4, 5 stopped" and notes["Technician to the rack"].startswith(
        "ruben"
    )


# --- the buttons ----------------------------------------------------------------------------------------------


def of(m: Maintenance, kind: MessageKind, rights: frozenset[Right] = ALL) -> Deed | None:
    return next((deed for deed in deeds(m, rights) if deed.kind is kind), None)


DESTRUCTIVE = (
    MessageKind.ABORT,
    MessageKind.CLOSE_UP,
    MessageKind.LET_HEAL,
    MessageKind.FORCE_OFF,
    MessageKind.APPROVE,
)


def test_whatever_cannot_be_taken_back_is_asked_for_on_a_page_that_says_what_it_does_to_whom() -> None:
    off = maintenance(
        node_off_at=T0, owned=owning(("noout", "pve3")), moved=(_moved(107, "pve4"),), hands_on_by="ruben"
    )
    hangs = maintenance(step="repair", failed={shutdown_node("repair", NODE).key: 1})
    wants = maintenance(needs="approval", plan=plan(move(104), move(106, kind=MoveKind.SHUTDOWN, target="pve1")))
    seen = set()
    for m in (off, hangs, wants):
        for deed in deeds(m, ALL):
            if deed.kind in DESTRUCTIVE:
                seen.add(deed.kind)
                assert deed.asks and deed.means and deed.why, deed
    assert seen == set(DESTRUCTIVE)
    abort = of(off, MessageKind.ABORT)
    assert abort is not None and "107 g107" in " ".join(abort.means) and "noout of pve3 is given back." in abort.means
    approve = of(wants, MessageKind.APPROVE)
    assert approve is not None and any("106 g106" in each for each in approve.means)


def test_what_does_not_apply_is_not_offered() -> None:
    m = maintenance()
    assert {deed.kind for deed in deeds(m, ALL)} == {MessageKind.PAUSE, MessageKind.ABORT}
    assert {deed.kind for deed in deeds(replace(m, paused=True), ALL)} == {MessageKind.RESUME, MessageKind.ABORT}
    assert deeds(replace(m, closed_at=T0), ALL) == []
    assert of(replace(m, aborting=True), MessageKind.ABORT) is None


def test_a_viewer_sees_each_button_locked_and_who_opens_it() -> None:
    m = maintenance(needs="approval", plan=plan(move(104)))
    locked = {deed.kind: deed.locked for deed in deeds(m, frozenset({Right.SEE}))}
    assert locked[MessageKind.PAUSE] == "Locked: needs the role operator in ams1"
    assert locked[MessageKind.APPROVE] == "Locked: needs the role approver in ams1"


# --- a plan's time --------------------------------------------------------------------------------------------


def test_no_two_moves_of_a_lane_overlap_and_none_is_left_out() -> None:
    made = plan(*(move(100 + n, expected_s=float(7 + 5 * (n % 4))) for n in range(12)), streams=3)
    found = lanes(made)
    assert sorted(bar.move.guest.vmid for lane in found for bar in lane) == list(range(100, 112))
    for lane in found:
        assert all(one.until_s <= other.since_s + 1e-6 for one, other in pairwise(lane))


@pytest.mark.parametrize("until_s", [0.0, 1.0, 59.0, 3600.0, 1e6])
def test_few_round_instants_are_marked(until_s: float) -> None:
    found = ticks_s(until_s)
    assert found[0] == 0 and len(found) <= 10 and found[-1] <= until_s


# --- the stream -----------------------------------------------------------------------------------------------


async def yes() -> bool:
    return True


class Watched:
    """A maintenance that somebody watches, and what they were sent."""

    def __init__(self) -> None:
        self.place = Place()
        self.place.m = replace(self.place.m, seq=1)
        self.ending = asyncio.Event()

        async def everybody() -> list[Maintenance]:
            return [self.place.m]

        self.live = Live(cast(Shown, Stand(self.place)), self.place.now, everybody, self.ending)

    def watch(self, rights: frozenset[Right] = ALL, still: Callable[[], Any] = yes) -> AsyncIterator[bytes]:
        return self.live.stream("m-0001", rights, still)

    def happens(self, number: int, **changes: Any) -> None:
        event = Event("m-0001", number, T0, "observed", {"what": f"news {number}"}, "noout", "0" * 64)
        self.place.events.append(event)
        self.place.m = replace(self.place.m, seq=number, **changes)


def story(check: Callable[[], Coroutine[Any, Any, None]]) -> None:
    run_virtual(check())


def test_first_everything_is_sent_and_then_what_changes_within_a_second() -> None:
    async def check() -> None:
        here = Watched()
        stream = here.watch()
        first = (await anext(stream)).decode()
        assert all(f'hx-target="#run-{part}"' in first for part in ("bar", "acts", "rail", "floor", "journal", "ceph"))
        assert first.endswith("\n\n") and all(line.startswith("data: ") for line in first.strip().splitlines())
        began = asyncio.get_running_loop().time()
        here.happens(2)
        second = (await anext(stream)).decode()
        assert asyncio.get_running_loop().time() - began <= 1.0
        assert "news 2" in second and "#run-floor" not in second
        await cast(Any, stream).aclose()
        assert not here.live._rooms

    story(check)


def test_many_who_watch_cost_one_look_and_each_sees_only_their_own_buttons() -> None:
    async def check() -> None:
        here = Watched()
        streams = [here.watch(ALL if n % 2 else frozenset({Right.SEE})) for n in range(20)]
        sent = await asyncio.gather(*(anext(each) for each in streams))
        assert here.place.overview.looked == 1
        assert [b"Locked: needs the role operator" in each for each in sent] == [n % 2 == 0 for n in range(20)]
        for each in streams:
            await cast(Any, each).aclose()

    story(check)


def test_a_quiet_stream_beats_and_ends_with_the_session_or_the_server() -> None:
    async def check() -> None:
        here, good = Watched(), [True]

        async def still() -> bool:
            return good[0]

        stream = here.watch(still=still)
        await anext(stream)
        assert await anext(stream) == BEAT
        good[0] = False
        with pytest.raises(StopAsyncIteration):
            await anext(stream)
        stream = here.watch()
        await anext(stream)
        here.ending.set()
        assert await anext(stream) == ENDED
        with pytest.raises(StopAsyncIteration):
            await anext(stream)

    story(check)


def test_more_than_one_process_serves_are_told_so() -> None:
    async def check() -> None:
        here = Watched()
        streams = [here.watch() for _ in range(WATCHERS_MAX)]
        await asyncio.gather(*(anext(each) for each in streams))
        with pytest.raises(Full):
            await anext(here.watch())
        await cast(Any, streams[0]).aclose()
        again = here.watch()
        assert b"run-bar" in await anext(again)
        for each in (*streams[1:], again):
            await cast(Any, each).aclose()

    story(check)


def test_a_look_that_takes_long_is_not_a_reason_to_look_without_a_pause() -> None:
    async def check() -> None:
        here = Watched()
        stream = here.watch()
        await anext(stream)
        looks = here.place.overview.looked
        await asyncio.sleep(10)
        assert here.place.overview.looked - looks <= 10 / TICK_WALL_S + 1
        await cast(Any, stream).aclose()

    story(check)
