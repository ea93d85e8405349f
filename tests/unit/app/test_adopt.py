"""The database is lost: what noout left is found on the clusters alone, each trace with what takes it away."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from noout.app.adopt import Trace, _of_cluster, _of_node, traces
from noout.app.ledger import View
from noout.domain.ceph import Osd
from noout.domain.cluster import Affinity, GuestId, HaService, Rule
from noout.domain.errors import Retryable
from noout.domain.note import Note, note_text, with_note
from tests.sim.play import installation, settings_of
from tests.support.labsite import lab_site
from tests.support.virtual import run_virtual
from tests.unit.app.test_ledger import view
from tests.unit.app.test_older import begun
from tests.unit.steps.scene import NODE, cluster, guest

NOTHING: frozenset[tuple[str, str]] = frozenset()
NOTE = Note("ams1-pve3-1", 12, "ab" * 32, "repair", "operator:anna", "fan 2 stops", "https://noout.example.net")


@pytest.mark.slow
def test_a_lost_database_leaves_what_the_cluster_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        lab, first, _, mid = await begun()
        await lab.ceph.set_host_flags("pve3", frozenset({"noout"}))
        kept = await traces(first)
        assert "ams1/pve3" not in kept.of, "a live maintenance of this journal gives back what it holds"
        empty, store = installation(lab, settings_of(lab))
        read = await traces(empty)
        commands = [each.command for each in read.of["ams1/pve3"]]
        assert commands[0].endswith("\nceph osd unset-group noout pve3") and "active+clean" in commands[0]
        assert commands[-1].startswith("pvesh set /nodes/pve3/config")
        assert any(mid in each.what for each in read.of["ams1/pve3"])
        assert not await store.streams(), "nothing is written"

        async def mute() -> Any:
            raise Retryable("no answer")

        monkeypatch.setattr(empty.hypervisors["ams1"], "observe", mute)
        assert (await traces(empty)).unread == {"ams1": "no answer"}

    run_virtual(main())


async def test_a_cluster_without_a_trace_has_none_though_people_switch_things_off() -> None:
    lab = lab_site(wall=lambda: 0.0)
    found, _ = installation(lab, settings_of(lab))
    assert (await traces(found)).of == {}


def seen(**changes: Any) -> View:
    """pve3 switched off, everything set that noout sets on its way there."""
    flags = {"host_flags": {"pve3": frozenset({"noout", "noup", "noscrub"})}}
    base = view(**flags)
    assert base.ceph is not None
    osds = tuple(replace(osd, up=osd.host != "pve3") for osd in base.ceph.osds)
    quorum = tuple(mon for mon in base.ceph.mons if mon != "pve3")
    return replace(
        base, ceph=replace(base.ceph, osds=osds, quorum=quorum), cluster=cluster(offline=("pve3",)), **changes
    )


def test_they_are_taken_away_in_an_order_that_is_safe() -> None:
    found = list(_of_node(NODE, "pve3", seen(), NOTHING))
    verbs = [each.command.splitlines()[-1] for each in found]
    assert "power on" in verbs[0] and "--service mon.pve3" in verbs[1]
    assert verbs[2] == "ceph osd unset-group noup pve3"
    osds = [osd for osd in verbs if "--service osd." in osd]
    assert osds and verbs[3 : 3 + len(osds)] == osds and verbs[-1] == "ceph osd unset-group noout pve3"
    assert {each.sure for each in found if "is set" in each.what} == {True}
    assert {each.sure for each in found if each.what.endswith(("is down", "out of quorum", "reached"))} == {False}


def test_what_a_live_maintenance_holds_and_what_others_set_is_left_out() -> None:
    ours = frozenset({("noout", "pve3"), ("noup", "pve3")})
    assert list(_of_node(NODE, "pve3", seen(), ours)) == []
    assert list(_of_node(NODE, None, seen(), NOTHING)) == [], "a node without OSDs"
    other = view(osds=(Osd(1, "pve3", False, True),), host_flags={"pve3": frozenset({"noscrub"})})
    assert list(_of_node(NODE, "pve3", other, NOTHING)) == []


def test_rules_are_sure_and_settings_that_people_make_too_are_not() -> None:
    away = replace(guest(101), ha=HaService("vm:101", "started", "pve1", failback=False))
    rules = (
        Rule("noout-ams1-pve3-1", Affinity.NODE, frozenset({GuestId("ams1", 101)})),
        Rule("keep", Affinity.NODE, frozenset()),
    )
    base = view(flags=frozenset({"noout"}))
    looked = replace(base, cluster=replace(cluster(), guests=(away,), rules=rules))
    rule, flag, failback = _of_cluster(looked, NOTHING)
    assert rule == Trace(
        "rule noout-ams1-pve3-1 keeps ams1/101 where the rule says",
        "pvesh delete /cluster/ha/rules/noout-ams1-pve3-1",
    )
    assert flag.command.endswith("\nceph osd unset noout") and not flag.sure
    assert failback.command == "ha-manager set vm:101 --failback 1" and not failback.sure


def test_a_note_is_read_as_people_read_it() -> None:
    said = "noout: in maintenance, repair (ams1-pve3-1, begun by operator:anna): fan 2 stops"
    assert note_text(with_note("rack 4", NOTE)) == f"{said} [where it stands](https://noout.example.net)"
    assert note_text("rack 4") == ""
