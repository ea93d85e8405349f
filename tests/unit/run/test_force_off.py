"""An operator's decision to cut the power: when it is taken, and what it is worth."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from noout.domain.journal import Event, Kind, Message, MessageKind
from noout.domain.maintenance import Maintenance
from noout.run.fold import fold_one
from noout.run.inbox import refusal
from noout.steps.actions import force_off_key, shutdown_node
from tests.unit.steps.scene import NODE, T0, maintenance

SHUTDOWN = shutdown_node("repair", NODE).key


def stuck(**changes: Any) -> Maintenance:
    return maintenance(**{"step": "repair", "failed": {SHUTDOWN: 1}, **changes})


def refused(m: Maintenance) -> str:
    return refusal(m, Message("k", MessageKind.FORCE_OFF, "operator:anna", T0, {"reason": "systemd-shutdown hangs"}))


def test_it_is_taken_once_the_shutdown_was_seen_to_fail() -> None:
    assert refused(stuck()) == ""


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"failed": {}}, "has not failed to shut down"),
        ({"step": "hold-data"}, "is not being shut down"),
        ({"node_off_at": T0}, "is not being shut down"),
        ({"aborting": True}, "is not being shut down"),
    ],
)
def test_it_is_refused_in_words_when_there_is_nothing_to_cut(changes: dict[str, Any], said: str) -> None:
    assert said in refused(stuck(**changes))


def test_the_decision_is_kept_with_its_time_and_confirms_this_effect_alone() -> None:
    at = T0 + timedelta(minutes=20)
    data = {"key": "k", "kind": "force-off", "at": at.isoformat(), "data": {"reason": "it hangs"}}
    before = stuck(failed={SHUTDOWN: 3, force_off_key(NODE): 3})
    after = fold_one(before, Event(before.id, 6, at, Kind.MESSAGE, data, "operator:anna", ""))
    assert after.force_off_at == at
    assert after.confirmed == {force_off_key(NODE)}
    assert after.failed == {SHUTDOWN: 3}, "a new decision is a new chance for the effect it is about"
    told = {**data, "refused": "it is not being shut down"}
    assert fold_one(before, Event(before.id, 6, at, Kind.MESSAGE, told, "operator:anna", "")).force_off_at is None
