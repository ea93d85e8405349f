"""The ledger: what the journal says is ours, held against what the clusters say; and giving back what was left."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from noout.app import ledger, reconciler
from noout.app.compose import Installation
from noout.app.ledger import Ledger, oddities, read_ledger, release
from noout.app.reconciler import Reconciler
from noout.app.standstill import stop_all
from noout.codec import encode
from noout.domain.cluster import Affinity, NodeId, Rule
from noout.domain.errors import Refused, Retryable
from noout.domain.journal import Kind
from noout.domain.ownership import Hold, Holding, Line, Now
from noout.steps import actions
from tests.sim.play import WatchedStore, installation, settings_of
from tests.support.labsite import LabSite, lab_site
from tests.support.virtual import run_virtual
from tests.unit.steps.scene import NODE, T0, ceph, cluster

MID = "ams1-pve3-1"
SET = actions.set_flag("hold-data", "noout", "pve3")
OWNED = {"kind": "noout", "subject": "pve3"}
CLOSED = (Kind.CLOSED, {"outcome": "done"})


def held(kind: str = "noout", subject: str = "pve3", hold: Hold = Hold.HELD, **changes: Any) -> Holding:
    made = Holding("ams1", kind, subject, MID, NODE, "operator:anna", T0 - timedelta(hours=1), hold, "the command")
    return replace(made, **changes)


def view(**changes: Any) -> ledger.View:
    return ledger.View(cluster(), ceph(**changes), {})


def kinds(*lines: Line, seen: ledger.View | None = None, in_work: frozenset[str] = frozenset()) -> list[str]:
    return [odd.what for odd in oddities(lines, seen or view(), in_work)]


# --- what is odd ---------------------------------------------------------------------------------------------------


def test_set_with_no_live_maintenance_is_odd_and_set_with_one_is_not() -> None:
    flags = view(host_flags={"pve3": frozenset({"noout"})})
    (odd,) = oddities([Line(held(), False, Now.SET)], flags, frozenset())
    assert odd.what == "left" and odd.command == "noout ledger --release noout pve3 --cluster ams1"
    assert kinds(Line(held(), True, Now.SET), seen=flags, in_work=frozenset({"pve3"})) == []
    assert kinds(Line(held(), False, Now.GONE)) == []


def test_somebody_clearing_ours_is_odd_and_told_with_what_sets_it_again() -> None:
    (odd,) = oddities([Line(held(), True, Now.GONE)], view(), frozenset({"pve3"}))
    assert (odd.what, odd.command) == ("cleared", "the command") and "somebody cleared noout pve3" in odd.message
    assert kinds(Line(held(releasing=True), True, Now.GONE)) == []
    assert kinds(Line(held(since=T0), True, Now.GONE)) == []  # it may not show everywhere yet
    assert kinds(Line(held(hold=Hold.ASKED), True, Now.GONE)) == []
    assert kinds(Line(held("osd-stopped", "osd.4"), True, Now.GONE)) == []  # it came up with its node
    assert kinds(Line(held(), True, Now.UNKNOWN)) == []


def test_a_flag_of_others_is_told_with_a_command_for_hands_only() -> None:
    flags = view(host_flags={"pve5": frozenset({"noout", "noscrub"})})
    (odd,) = oddities([], flags, frozenset())
    assert (odd.what, odd.subject, odd.command) == ("foreign", "pve5", "ceph osd unset-group noout pve5")
    assert kinds(seen=flags, in_work=frozenset({"pve5"})) == []  # the run that came upon it has said so


def test_a_strict_rule_that_is_named_like_ours_is_told() -> None:
    rules = (
        Rule("noout-ams1-pve3-9", Affinity.NODE, frozenset(), (("pve1", 0),)),
        Rule("noout-not-strict", Affinity.NODE, frozenset(), strict=False),
        Rule("keep-apart", Affinity.NODE, frozenset()),
    )
    seen = replace(view(), cluster=cluster(rules=rules))
    (odd,) = oddities([], seen, frozenset())
    assert odd.command == "ha-manager rules remove noout-ams1-pve3-9"
    assert kinds(Line(held("ha-rule", "noout-ams1-pve3-9"), True, Now.SET), seen=seen) == []


# --- on a lab ------------------------------------------------------------------------------------------------------


async def left(*events: tuple[Kind, dict[str, Any]], flag: bool = True) -> tuple[Installation, WatchedStore, LabSite]:
    """A lab whose pve3 has noout, by the maintenance whose journal this is."""
    lab = lab_site()
    found, store = installation(lab, settings_of(lab))
    intent = (Kind.INTENT, {"key": SET.key, "action": encode(SET), "attempt": 1})
    opened = (Kind.OPENED, {"node": str(NODE), "mode": "auto"})
    for seq, (kind, data) in enumerate((opened, intent, *events)):
        await store.append(MID, seq, kind, data, "operator:anna")
    if flag:
        await lab.ceph.set_host_flags("pve3", frozenset({"noout"}))
    return found, store, lab


LEFT = ((Kind.FAILED, {"key": SET.key, "why": "it does not show", "counts": 1, "may_come": True}), CLOSED)


def test_what_was_left_is_released_by_one_command_and_seen_to_be() -> None:
    async def main() -> None:
        found, store, lab = await left(*LEFT)
        read = await read_ledger(found)
        assert [odd.what for odd in read.oddities] == ["left"] and read.lines[0].now is Now.SET
        given = await release(found, "noout", "pve3", "operator:piet")
        assert given.maintenance == MID
        assert not (await lab.ceph.observe()).host_flags.get("pve3")
        assert [event.kind for event in await store.read(ledger.STREAM)] == [ledger.RELEASING, ledger.RELEASED]
        assert await read_ledger(found) == Ledger((), ())

    run_virtual(main())


@pytest.mark.parametrize(
    ("events", "kind", "why"),
    [
        (LEFT, "noup", "not ours to release"),
        ((), "noout", "is open and gives noout pve3 back itself"),
        (((Kind.OWNED, OWNED), (Kind.RELEASED, OWNED), CLOSED), "noout", "not ours to release"),
    ],
)
async def test_what_is_not_ours_or_a_live_one_s_is_never_released(events: Any, kind: str, why: str) -> None:
    found, store, lab = await left(*events)
    with pytest.raises(Refused, match=why):
        await release(found, kind, "pve3", "operator:piet")
    assert (await lab.ceph.observe()).host_flags["pve3"] == {"noout"}
    assert not await store.read(ledger.STREAM)


async def test_nothing_is_released_while_everything_is_stopped_or_when_it_protects_data() -> None:
    found, store, _lab = await left(*LEFT)
    await stop_all(store, "operator:anna", "")
    with pytest.raises(Refused, match="nothing is released"):
        await release(found, "noout", "pve3", "operator:piet")
    unclean = replace(view(), ceph=ceph(pgs_by_state={"active+undersized+degraded": 1, "active+clean": 9}))
    with pytest.raises(Refused, match=r"not every placement group is active\+clean"):
        ledger._safe(held(), unclean)


async def test_a_subject_of_two_clusters_is_two_entries() -> None:
    found, store, lab = await left(*LEFT)
    found.hypervisors = {**found.hypervisors, "rtm1": lab.hypervisor}
    other = NodeId("rtm1", "pve3")
    told: list[tuple[Kind, dict[str, Any]]] = [
        (Kind.OPENED, {"node": str(other), "mode": "auto"}), (Kind.OWNED, OWNED), CLOSED,
    ]  # fmt: skip
    for seq, (kind, data) in enumerate(told):
        await store.append("rtm1-pve3-1", seq, kind, data)
    with pytest.raises(Refused, match="is held in ams1, rtm1"):
        await release(found, "noout", "pve3", "operator:piet")
    read = await read_ledger(found)  # nobody says what is so on the Ceph of rtm1, which is not configured
    assert [line.holding.cluster for line in read.lines] == ["ams1"] and len(read.oddities) == 1


async def test_an_oddity_is_paged_once_when_two_looks_saw_it_and_anew_when_it_comes_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pages: list[str] = []

    async def wake(found: Installation, why: str, **about: str) -> None:
        pages.append(why)

    monkeypatch.setattr(reconciler, "wake", wake)
    found, _store, lab = await left(*LEFT)
    mine, other = Reconciler(found), Reconciler(found)
    assert await mine.look() == [] and await other.look() == []
    assert [odd.what for odd in await mine.look()] == ["left"]
    assert await mine.look() == [] and await other.look() == []  # another process knows that it was told
    assert len(pages) == 1 and pages[0].endswith("→ noout ledger --release noout pve3 --cluster ams1")
    await lab.ceph.unset_host_flags("pve3", frozenset({"noout"}))
    await mine.look()
    await lab.ceph.set_host_flags("pve3", frozenset({"noout"}))
    await mine.look()
    assert [odd.what for odd in await mine.look()] == ["left"]


async def test_a_cluster_that_does_not_answer_is_said_and_nothing_told_is_taken_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found, store, _ = await left(*LEFT)
    mine = Reconciler(found)
    await mine.look()
    await mine.look()

    async def mute() -> None:
        raise Retryable("no answer")

    monkeypatch.setattr(found.hypervisors["ams1"], "observe", mute)
    read = await read_ledger(found)
    assert read.unread == {"ams1": "no answer"} and [line.now for line in read.lines] == [Now.UNKNOWN]
    await mine.look()
    assert [event.kind for event in await store.read(ledger.STREAM)] == [reconciler.RAISED]
