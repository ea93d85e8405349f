"""A local ISO is taken out by consent only, before the move, and put back when its guest is home again."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from noout.app.byhand import release_command
from noout.domain.cluster import Disk, Guest, GuestId
from noout.domain.maintenance import Maintenance, Moved, MoveKind
from noout.steps import media
from noout.steps.evacuate import Evacuate
from noout.steps.homecoming import Homecoming
from noout.steps.media import Medium
from noout.steps.step import Act, Blocked, Decision, Failed, Finished, Hold, NotYet, Verified
from tests.unit.steps.scene import T0, cluster, guest, maintenance, move, node, owning, pending, plan, seen

ISO = Disk("ide2", "local:iso/x.iso", "local", 1, shared=False, cdrom=True)
MEDIUM = Medium(GuestId("ams1", 104), "ide2", "local:iso/x.iso")
SUBJECT = "ams1/104:ide2=local:iso/x.iso"
STEP = Evacuate()


def with_iso(on: str = "pve3", **changes: Any) -> Guest:
    return guest(104, on, disks=(ISO,), **changes)


def planned(**changes: Any) -> Maintenance:
    return maintenance(plan=plan(move(104, ejects=(("ide2", "local:iso/x.iso"),))), **changes)


def the_action(decision: Decision) -> tuple[str, str]:
    assert isinstance(decision, Act), decision
    (action,) = decision.actions
    return action.verb, action.subject


def test_the_subject_says_all_there_is_to_know() -> None:
    assert str(MEDIUM) == SUBJECT
    assert Medium.parse(SUBJECT) == MEDIUM


def test_it_is_taken_out_first_and_its_guest_moves_when_that_is_seen() -> None:
    decided = STEP.plan(planned(), seen(cluster(with_iso())))
    assert the_action(decided) == ("eject", SUBJECT)
    assert isinstance(decided, Act) and "by consent" in decided.actions[0].says
    asked = pending(media.eject("evacuate", MEDIUM, with_iso()))
    assert isinstance(STEP.plan(planned(pending=(asked,)), seen(cluster(with_iso()))), Hold)
    assert the_action(STEP.plan(planned(), seen(cluster(guest(104))))) == ("migrate", "ams1/104")


def test_without_consent_nothing_is_taken_out() -> None:
    m = maintenance(plan=plan(move(104)))
    assert the_action(STEP.plan(m, seen(cluster(with_iso())))) == ("migrate", "ams1/104"), "which PVE will refuse"


def test_out_and_back_are_judged_by_what_is_in_the_drive() -> None:
    out = pending(media.eject("evacuate", MEDIUM, with_iso()))
    assert isinstance(media.is_out(out, maintenance(), seen(cluster(guest(104)))), Verified)
    assert isinstance(media.is_out(out, maintenance(), seen(cluster(with_iso()), after_s=5)), NotYet)
    assert isinstance(media.is_out(out, maintenance(), seen(cluster(with_iso()), after_s=61)), Failed)
    back = pending(media.insert("return", MEDIUM, guest(104)))
    assert isinstance(media.is_back(back, maintenance(), seen(cluster(with_iso()))), Verified)
    assert isinstance(media.is_back(back, maintenance(), seen(cluster(guest(104)), after_s=61)), Failed)
    assert isinstance(media.is_back(back, maintenance(), seen(cluster())), Failed), "the guest is gone"


def away() -> Moved:
    return Moved(MEDIUM.guest, "g104", MoveKind.LIVE, node("pve3"), node("pve1"), T0, T0, None, homeward=False)


def home() -> Moved:
    return replace(away(), source=node("pve1"), target=node("pve3"), homeward=True)


def test_at_home_it_is_put_back() -> None:
    m = maintenance(plan=plan(), moved=(away(), home()), owned=owning((media.OWNED, SUBJECT)))
    assert the_action(Homecoming().plan(m, seen(cluster(guest(104))))) == ("insert", SUBJECT)
    assert isinstance(Homecoming().plan(replace(m, owned=()), seen(cluster(with_iso()))), Finished)


def test_after_an_abort_it_is_put_back_where_the_guest_can_read_it() -> None:
    m = planned(owned=owning((media.OWNED, SUBJECT)), aborting=True)
    assert the_action(STEP.undo(m, seen(cluster(guest(104))))) == ("insert", SUBJECT)
    elsewhere = replace(m, moved=(away(),))
    assert the_action(STEP.undo(elsewhere, seen(cluster(guest(104, "pve1"))))) == ("leave-ejected", SUBJECT)


def test_it_stays_out_when_somebody_says_so_or_has_put_in_something_else() -> None:
    m = maintenance(plan=plan(), moved=(away(), home()), owned=owning((media.OWNED, SUBJECT)))
    said = replace(m, left_away=frozenset({MEDIUM.guest}))
    assert the_action(Homecoming().plan(said, seen(cluster(guest(104))))) == ("leave-ejected", SUBJECT)
    other = guest(104, disks=(replace(ISO, volume="local:iso/y.iso"),))
    assert the_action(Homecoming().plan(m, seen(cluster(other)))) == ("leave-ejected", SUBJECT)
    assert the_action(Homecoming().plan(m, seen(cluster()))) == ("leave-ejected", SUBJECT)


def test_a_volume_that_is_gone_is_said_with_the_way_out() -> None:
    key = f"return/insert/{SUBJECT}"
    m = maintenance(
        plan=plan(), moved=(away(), home()), owned=owning((media.OWNED, SUBJECT)),
        failed={key: 3}, why_failed={key: "volume 'local:iso/x.iso' does not exist"},
    )  # fmt: skip
    said = Homecoming().plan(m, seen(cluster(guest(104))))
    assert isinstance(said, Blocked) and "--leave ams1/104" in said.blockers[0].remedy


def test_who_gives_up_noout_is_told_how_to_put_it_back() -> None:
    (owned,) = owning((media.OWNED, SUBJECT))
    assert release_command(owned, node("pve3"), ()) == (
        "pvesh set /nodes/pve3/qemu/104/config --ide2 local:iso/x.iso,media=cdrom"
    )


def test_the_command_by_hand_does_the_same() -> None:
    assert media.eject("evacuate", MEDIUM, with_iso()).command == (
        "pvesh set /nodes/pve3/qemu/104/config --ide2 none,media=cdrom"
    )
    assert media.insert("return", MEDIUM, guest(104)).command == (
        "pvesh set /nodes/pve3/qemu/104/config --ide2 local:iso/x.iso,media=cdrom"
    )
