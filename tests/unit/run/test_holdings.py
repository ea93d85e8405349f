"""What a journal says noout has taken: from the intent on, through doubt, until it is seen given back."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from noout.codec import encode
from noout.domain.journal import Event, Kind
from noout.domain.maintenance import Action
from noout.domain.ownership import Hold
from noout.run.holdings import Holdings
from noout.steps import actions
from noout.steps.effects import EFFECTS
from tests.unit.steps.scene import NODE, T0

SET, UNSET = actions.set_flag("hold-data", "noout", "pve3"), actions.unset_flag("reintegrate", "noout", "pve3")
OWNED = {"kind": "noout", "subject": "pve3"}


def intent(action: Action) -> tuple[Kind, dict[str, Any]]:
    return Kind.INTENT, {"key": action.key, "action": encode(action), "attempt": 1}


def told(*events: tuple[Kind, dict[str, Any]]) -> Holdings:
    books = Holdings()
    opened: tuple[Kind, dict[str, Any]] = (Kind.OPENED, {"node": str(NODE), "mode": "auto"})
    books.feed(
        Event("ams1-pve3-1", seq, T0 + timedelta(seconds=seq), kind, data, "operator:anna", "")
        for seq, (kind, data) in enumerate((opened, *events), start=1)
    )
    return books


def holds(*events: tuple[Kind, dict[str, Any]]) -> list[tuple[str, str, Hold]]:
    return [(each.kind, each.subject, each.hold) for each in told(*events).all]


def test_it_counts_from_the_intent_on() -> None:
    (found,) = told(intent(SET)).all
    assert (found.hold, found.command) == (Hold.ASKED, "ceph osd set-group noout pve3")
    assert (found.cluster, found.maintenance, found.by) == ("ams1", "ams1-pve3-1", "operator:anna")
    assert found.since == T0 + timedelta(seconds=2)


def test_it_is_held_once_seen_and_remembers_what_set_it() -> None:
    (found,) = told(intent(SET), (Kind.OWNED, OWNED), (Kind.DONE, {"key": SET.key})).all
    assert (found.hold, found.command) == (Hold.HELD, SET.command)


def test_an_effect_that_may_still_come_stays_in_doubt_and_one_that_was_refused_does_not() -> None:
    late = {"key": SET.key, "why": "it does not show", "counts": 1, "may_come": True}
    assert holds(intent(SET), (Kind.FAILED, late)) == [("noout", "pve3", Hold.DOUBTED)]
    refused = {"key": SET.key, "why": "denied", "counts": 1}
    assert holds(intent(SET), (Kind.FAILED, refused)) == [("noout", "pve3", Hold.RELEASED)]


def test_setting_again_what_somebody_cleared_takes_nothing_from_it() -> None:
    again = (intent(SET), (Kind.FAILED, {"key": SET.key, "why": "denied", "counts": 1}))
    assert holds(intent(SET), (Kind.OWNED, OWNED), (Kind.DONE, {"key": SET.key}), *again) == [
        ("noout", "pve3", Hold.HELD)
    ]


def test_a_release_is_seen_coming_and_then_seen() -> None:
    taken = (intent(SET), (Kind.OWNED, OWNED), (Kind.DONE, {"key": SET.key}))
    (found,) = told(*taken, intent(UNSET)).all
    assert found.hold is Hold.HELD and found.releasing
    (found,) = told(*taken, intent(UNSET), (Kind.FAILED, {"key": UNSET.key, "why": "denied", "counts": 1})).all
    assert found.hold is Hold.HELD and not found.releasing
    assert holds(*taken, intent(UNSET), (Kind.RELEASED, OWNED)) == [("noout", "pve3", Hold.RELEASED)]


def test_a_guest_that_was_removed_is_no_longer_owed_a_start() -> None:
    down = (Kind.OWNED, {"kind": "guest-down", "subject": "ams1/106"})
    gone = (Kind.OBSERVED, {"guest": "ams1/106", "what": "removed"})
    assert holds(down, gone) == [("guest-down", "ams1/106", Hold.RELEASED)]


def test_every_effect_that_leaves_something_set_says_so_and_has_one_that_gives_it_back() -> None:
    """What is in no ledger could not be found again. The others leave nothing that stays: a guest's place is in the
    moves, a power state is looked at, and a daemon that stepped back is no worse for it."""
    taken = {effect.takes for effect in EFFECTS.values()} - {""}
    assert taken == {effect.releases for effect in EFFECTS.values()} - {""}
    lasting = {verb for verb, effect in EFFECTS.items() if not (effect.takes or effect.releases)}
    assert lasting == {
        "migrate", "ha-migrate", "cancel", "fail-mgr", "fail-mds", "shutdown-node", "force-off", "power-on",
    }  # fmt: skip
