"""Which moves run beside which, what each may send, and how the run backs off from a slow Ceph."""

from __future__ import annotations

from dataclasses import replace

import pytest

from noout.domain.cluster import MigrationProgress
from noout.domain.maintenance import Maintenance, Move, Observation
from noout.steps import actions, backoff
from noout.steps.evacuate import POLL_S, Evacuate
from noout.steps.rules import Rules
from noout.steps.step import Act, Hold, Note
from tests.unit.steps.scene import ceph, cluster, guest, maintenance, move, pending, plan, seen

MIB = 1024**2
SLOW = ceph(checks={"SLOW_OPS": "3 slow ops"})
STEP = Evacuate()


def a_run(*moves: Move, streams: int = 1, flying: int = 0, limit: float = 0.0, **changes) -> Maintenance:
    """The first ``flying`` moves were asked for at T0."""
    asked = [
        pending(actions.move("evacuate", each, guest(each.guest.vmid, ha=each.ha))) for each in moves[:flying]
    ]  # fmt: skip
    agreed = replace(plan(*moves, streams=streams), lead_s=5.0, stream_bytes_s=limit)
    return maintenance(plan=agreed, pending=tuple(asked), **changes)


def look(*moves: Move, after_s: float = 0.0, **changes) -> Observation:
    return seen(cluster(*(guest(each.guest.vmid, ha=each.ha) for each in moves)), after_s=after_s, **changes)


def started(decision) -> list[str]:
    assert isinstance(decision, Act), decision
    return [each.subject for each in decision.actions]


def sent(vmid: int, mib: int, rate_mib: int | None = 400) -> dict:
    known = MigrationProgress(mib * MIB, 4096 * MIB, rate_mib * MIB if rate_mib else None)
    return {"progress": {guest(vmid).id: known}}


LONG = replace(move(100), expected_s=100.0, wire_bytes=4096 * MIB)


@pytest.mark.parametrize(
    ("after_s", "told", "starts"),
    [
        (60, sent(100, 2000), False),  # 5.2 s left
        (60, sent(100, 2100), True),  # 4.99 s left
        (60, sent(100, 4300), True),
        (60, sent(100, 6000), False),  # more than memory explains: when it ends is not foreseen
        (99, sent(100, 0, None), False),  # nothing is sent yet
        (90, {}, False),  # its log cannot be read: 6 s of copying left as expected
        (91, {}, True),
        (60, sent(100, 2100) | {"stalled": frozenset({guest(100).id})}, False),
    ],
)
def test_the_next_is_set_up_while_the_last_of_one_is_copied(after_s: float, told: dict, starts: bool):
    decision = STEP.plan(a_run(LONG, move(101), flying=1), look(LONG, move(101), after_s=after_s, **told))
    if starts:
        assert started(decision) == ["ams1/101"]
    else:
        assert isinstance(decision, Hold) and 1 <= decision.for_s <= POLL_S


def test_the_run_looks_again_when_a_copy_is_about_to_end():
    decision = STEP.plan(a_run(LONG, move(101), flying=1), look(LONG, move(101), after_s=60, **sent(100, 1296)))
    assert isinstance(decision, Hold) and decision.for_s == pytest.approx(2.0)


def test_a_plan_without_a_lead_lets_nothing_overlap():
    m = a_run(LONG, move(101), flying=1)
    m = replace(m, plan=replace(m.plan, lead_s=0.0))
    assert isinstance(STEP.plan(m, look(LONG, move(101), after_s=60, **sent(100, 4000))), Hold)


def test_one_that_goes_alone_waits_for_the_others_and_holds_back_those_behind_it():
    alone = replace(move(101), alone=True)
    moves = (LONG, alone, move(102))
    assert isinstance(STEP.plan(a_run(*moves, streams=3, flying=1), look(*moves)), Hold)
    rest = (alone, move(102))
    assert started(STEP.plan(a_run(*rest, streams=3), look(*rest))) == ["ams1/101"]
    assert isinstance(STEP.plan(a_run(*rest, streams=3, flying=1), look(*rest)), Hold)


def test_copies_of_disks_keep_off_each_others_storages():
    first, second = (replace(move(i), mirrors=("pve1:lvm", "pve3:lvm")) for i in (100, 101))
    other = replace(move(102), mirrors=("pve2:zfs", "pve3:zfs"))
    moves = (first, second, other)
    assert started(STEP.plan(a_run(*moves, streams=3, flying=1), look(*moves))) == ["ams1/102"]


@pytest.mark.parametrize(("alone", "kib"), [(False, 281600), (True, 563200)])
def test_each_is_told_how_much_it_may_send(alone: bool, kib: int):
    one = replace(move(100), alone=alone)
    (action,) = STEP.plan(a_run(one, streams=2, limit=275.0 * MIB), look(one)).actions  # type: ignore[union-attr]
    assert action.args["limit_bytes_s"] == kib * 1024 and f"--bwlimit {kib}" in action.command


def test_ha_is_told_no_limit_and_an_open_network_has_none():
    managed = replace(move(100, ha=True), alone=True)
    (action,) = STEP.plan(a_run(managed, limit=275.0 * MIB), look(managed)).actions  # type: ignore[union-attr]
    assert action.args["limit_bytes_s"] == 0 and "bwlimit" not in action.command
    (action,) = STEP.plan(a_run(move(100)), look(move(100))).actions  # type: ignore[union-attr]
    assert action.args["limit_bytes_s"] == 0 and "bwlimit" not in action.command


# --- backing off -------------------------------------------------------------------------------------------------


def test_nothing_new_starts_while_ceph_is_slow_and_that_is_written_down_once():
    moves = (move(100), move(101))
    decision = STEP.plan(a_run(*moves, streams=2), look(*moves, data=SLOW))
    assert isinstance(decision, Note) and decision.name == backoff.FACT and decision.value["checks"] == ["SLOW_OPS"]
    held = a_run(*moves, streams=2, facts={"crush_host": "pve3", backoff.FACT: decision.value})
    wait = STEP.plan(held, look(*moves, after_s=600, data=SLOW))
    assert isinstance(wait, Hold) and "SLOW_OPS" in wait.why and wait.needs == "time"
    over = STEP.plan(held, look(*moves, after_s=601))
    assert over == Note(backoff.FACT, None)


@pytest.mark.parametrize("flying", [0, 1])
def test_after_its_limit_it_goes_on_one_at_a_time(flying: int):
    moves = (LONG, move(101))
    fact = {"since": look().at.isoformat(), "checks": ["SLOW_OPS"]}
    m = a_run(*moves, streams=4, flying=flying, facts={"crush_host": "pve3", backoff.FACT: fact})
    decision = Evacuate(Rules(slow_wait_s=300)).plan(m, look(*moves, after_s=300, data=SLOW, **sent(100, 4000)))
    if flying:
        assert isinstance(decision, Hold), "not even a set-up beside another"
    else:
        assert started(decision)[:1] == ["ams1/100"], "then 101 waits for it"


def test_what_ceph_says_of_other_things_holds_nothing_back():
    worn = ceph(health="HEALTH_WARN", checks={"OSDMAP_FLAGS": "noout", "POOL_NEARFULL": ""})
    assert started(STEP.plan(a_run(move(100)), look(move(100), data=worn))) == ["ams1/100"]
