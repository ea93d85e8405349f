"""OSDs that were down before we held the node's data: waited for as long as a boot takes, and then told."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from noout.codec import decode
from noout.domain.reasons import Caution
from noout.steps.bring_back import DAEMON_S_MAX, release_data
from noout.steps.step import Act, Hold, Note
from tests.unit.steps.scene import T0, ceph, cluster, maintenance, owning, seen, without

ELSEWHERE = {"active+clean": 128}
HELD = ceph(host_flags={"pve3": frozenset({"noout"})})
LOST = seen(cluster(), replace(without(HELD, 4, 5), pgs_by_state=ELSEWHERE))
BACK = maintenance(owned=owning(("noout", "pve3")), node_off_at=T0, node_on_at=T0)


def test_noout_stays_until_what_died_with_the_node_had_its_time_to_come_up() -> None:
    first = release_data("reintegrate", BACK, LOST)
    assert isinstance(first, Hold) and first.why == "the OSDs to come up with the node"
    waits = replace(BACK, waiting_for=first.why, waiting_since=T0)
    late = replace(LOST, at=T0 + timedelta(seconds=DAEMON_S_MAX + 1))
    said = release_data("reintegrate", waits, late)
    assert isinstance(said, Note) and said.value["code"] == "ceph.osd-stays-down"
    assert "OSDs 4 5 of pve3" in str(said.value["message"])
    told = replace(waits, cautions=(decode(Caution, said.value),))
    gone = release_data("reintegrate", told, late)  # nothing waits for them any more
    assert isinstance(gone, Act) and gone.actions[0].key == "reintegrate/unset-noout/pve3"
