"""Each check of the story, alone: what makes it fail, and that nothing else fails with it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from noout.cli.demo.checks import After, check_all
from noout.domain.ceph import Osd
from noout.domain.cluster import Affinity, GuestStatus, Rule
from noout.domain.hardware import Power
from noout.domain.impact import Cause
from noout.domain.journal import Kind
from noout.domain.maintenance import MoveKind, Owned
from noout.domain.reasons import Blocker
from tests.unit.demo.world import (
    DNS,
    END,
    NODE,
    OTHER,
    THEIRS,
    WEB,
    after,
    before,
    ceph,
    cluster,
    cut,
    events,
    experience,
    guest,
    hardware,
    moved,
    polls,
    state,
)


def failing(world: After) -> dict[str, str]:
    return {check.name: check.evidence for check in check_all(before(), world) if not check.ok}


def told(web: Any = None, dns: Any = None) -> tuple[Any, ...]:
    usual = after().experiences
    return (web or usual[0], dns or usual[1])


DONE = "the maintenance is done"
HOME = "every guest of the node is home and as before"
OTHERS = "no other guest was moved, stopped or lost"
FLAGS = "no flag and no cordon is left"
OSDS = "every OSD is up and in, every PG active+clean"
POWER = "the node is on and its LED is off"
FAN = "the fan has not stopped since the repair"
NOBODY = "no live-migrated guest was interrupted for more than 2 s"
RESTARTS = "every restart is told as an interruption"
JOURNAL = "the journal is whole"
MADE_ROOM = state(moved=(*state().moved, replace(moved(THEIRS, "theirs", MoveKind.LIVE), source=OTHER, target=NODE)))


LEFT = Rule("noout-ams1-pve3-1", Affinity.NODE, frozenset({WEB}), (("pve1", 0),))


def test_all_is_well() -> None:
    assert failing(after()) == {}


@pytest.mark.parametrize(
    ("name", "world", "evidence"),
    [
        (DONE, after(state=state(outcome="")), "proposed"),
        (DONE, after(state=state(outcome="", blockers=(Blocker("x", "y", "it is stuck", "mend it"),))), "it is stuck"),
        (DONE, after(state=state(outcome="aborted: weather")), "aborted"),
        (HOME, after(cluster=cluster(guest(WEB, "web", OTHER))), "web (running on pve1)"),
        (HOME, after(cluster=cluster(replace(guest(WEB, "web", NODE), status=GuestStatus.STOPPED))), "web (stopped"),
        (OTHERS, after(cluster=cluster(guest(THEIRS, "theirs", NODE))), "theirs"),
        (OTHERS, after(cluster=cluster(without=THEIRS)), "theirs"),
        (OTHERS, after(state=MADE_ROOM), "theirs"),  # not where the last recorded move put it
        (FLAGS, after(ceph=ceph(flags=frozenset({"noout"}))), "noout (cluster-wide)"),
        (FLAGS, after(ceph=ceph(host_flags={"pve3": frozenset({"noup"})})), "noup on pve3"),
        (FLAGS, after(cluster=cluster(ha_requests=(("pve3", "maintenance"),))), "maintenance of pve3"),
        (FLAGS, after(cluster=cluster(rules=(LEFT,))), "rule noout-ams1-pve3-1"),
        (FLAGS, after(cluster=cluster(crs="ha=dynamic,ha-auto-rebalance=0")), "crs ha=dynamic"),
        (FLAGS, after(cluster=cluster(replace(guest(WEB, "web", NODE), onboot=True))), "onboot of web"),
        (FLAGS, after(state=state(owned=(Owned("noout", "pve3", END),))), "noout pve3"),
        (OSDS, after(ceph=ceph(osds=(*ceph().osds[:5], Osd(5, "pve3", True, False)))), "osd.5 (up, out)"),
        (OSDS, after(ceph=ceph(osds=(*ceph().osds[:5], Osd(5, "pve3", False, True)))), "osd.5 (down, in)"),
        (OSDS, after(ceph=ceph(pgs_by_state={"active+clean": 128, "active+undersized": 1})), "1 active+undersized"),
        (OSDS, after(ceph=ceph(fresh=False)), "129 active+clean"),
        (POWER, after(hardware=hardware(power=Power.OFF)), "power off"),
        (POWER, after(hardware=hardware(led_on=True)), "LED on"),
        (POWER, after(hardware=hardware(led_on=None)), "not known"),
        (FAN, after(since_repair=polls(rpm=0.0)), "FAN1"),
        (FAN, after(since_repair=[]), "0 sensors"),
        (NOBODY, after(experiences=told(web=experience(WEB, "web", cut(WEB, 2.4, Cause.MOVE)))), "web: 2.4 s"),
        (NOBODY, after(experiences=told(web=experience(WEB, "web", cut(WEB, None, Cause.UNRELATED)))), "still going"),
        (NOBODY, after(experiences=told(web=experience(WEB, "web", resolution_s=30.0))), "30.0 s"),
        (NOBODY, after(experiences=told()[1:]), "0 of 1"),
        (RESTARTS, after(experiences=told(dns=experience(DNS, "dns"))), "dns"),
        (RESTARTS, after(experiences=told(dns=experience(DNS, "dns", cut(DNS, 4.0, Cause.UNRELATED)))), "dns"),
        (JOURNAL, after(events=[*events()[:2], *events()[3:]]), "event 3 is missing"),
        (JOURNAL, after(events=[replace(events()[0], actor="x"), *events()[1:]]), "was changed"),
        (JOURNAL, after(events=events((Kind.DONE, {"key": "repair/power-on/x"}))), "no intent before it"),
    ],
)
def test_one_check_fails_and_says_why(name: str, world: After, evidence: str) -> None:
    found = failing(world)
    assert list(found) == [name]
    assert evidence in found[name]


def test_what_was_so_before_is_not_blamed_on_the_story() -> None:
    forgotten = ceph(flags=frozenset({"noout"}), host_flags={"pve1": frozenset({"noup"})})
    down = Osd(0, "pve1", False, False)
    old = replace(forgotten, osds=(down, *forgotten.osds[1:]))
    assert [check.name for check in check_all(before(ceph=old), after(ceph=old)) if not check.ok] == []


def test_a_guest_that_made_room_may_be_elsewhere_if_its_move_is_recorded() -> None:
    world = after(cluster=cluster(guest(THEIRS, "theirs", NODE)), state=MADE_ROOM)
    assert failing(world) == {}
