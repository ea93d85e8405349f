"""The operator's consent names guests as people do, and names no guest that is not there."""

from __future__ import annotations

import pytest

from noout.app.planning import agreeing
from noout.domain.errors import UsageError
from noout.plan.policy import Policy
from tests.unit.plan.clusters import a_guest, a_node, a_state, gid

STATE = a_state([a_node("pve1")], [a_guest(200, "pve1"), a_guest(201, "pve1")])


def test_guests_are_named_by_number_or_in_full() -> None:
    policy = agreeing(Policy(consents=frozenset({gid(201)})), STATE, ["200"])
    assert policy.consents == {gid(200), gid(201)}
    assert agreeing(Policy(), STATE, ["ams1/200"]).consents == {gid(200)}


@pytest.mark.parametrize("text", ["999", "rtm1/200", "20", ""])
def test_a_guest_that_is_not_there_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="has no guest"):
        agreeing(Policy(), STATE, [text])
