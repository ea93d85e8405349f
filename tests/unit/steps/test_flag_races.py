"""Somebody sets the very flag between our look and our command: what they set is theirs, before and after us."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from noout.domain.cluster import NodeId
from noout.domain.errors import Refused
from noout.domain.maintenance import Action
from noout.steps import actions
from noout.steps.bring_back import release_data
from noout.steps.effects import EFFECTS
from noout.steps.site import Site
from noout.steps.step import Failed, Note, NotYet, Verified
from tests.support.labsite import LabSite, lab_site
from tests.support.virtual import run_virtual
from tests.unit.steps.scene import T0, ceph, cluster, maintenance, pending, seen

HOST = actions.set_flag("hold-data", "noout", "pve3")
WIDE = actions.cluster_noout("hold-data", "ams1", True)
THEIRS = {HOST.key: ceph(host_flags={"pve3": frozenset({"noout"})}), WIDE.key: ceph(flags=frozenset({"noout"}))}
GIVEN_BACK = {
    HOST.key: actions.unset_flag("reintegrate", "noout", "pve3"),
    WIDE.key: actions.cluster_noout("reintegrate", "ams1", False),
}


def site(lab: LabSite) -> Site:
    return Site(lab.hypervisor, lab.ceph, lab.bmcs[NodeId("ams1", "pve3")], lab.clock, lambda node: node.name)


@pytest.mark.parametrize("action", [HOST, WIDE])
def test_what_others_set_after_our_look_is_not_set_once_more(action: Action) -> None:
    async def main() -> None:
        lab = lab_site()
        theirs = site(lab)
        looked = replace(seen(cluster()), ceph=await lab.ceph.observe())
        await EFFECTS[action.verb].act(action, looked, theirs)  # somebody's, after the look
        with pytest.raises(Refused, match="somebody else has just set"):
            await EFFECTS[action.verb].act(action, looked, theirs)

    run_virtual(main())


@pytest.mark.parametrize("which", [HOST.key, WIDE.key])
def test_what_is_set_again_after_ceph_cleared_ours_is_not_cleared_twice(which: str) -> None:
    action = GIVEN_BACK[which]
    look = EFFECTS[action.verb].verify
    shows = replace(seen(cluster(), THEIRS[which]), at=T0 + timedelta(seconds=29))
    later = replace(shows, at=T0 + timedelta(seconds=30))
    assert isinstance(look(pending(action), maintenance(), shows), NotYet)
    verdict = look(pending(action), maintenance(), later)
    assert isinstance(verdict, Verified) and "somebody else has set it since" in str(verdict.evidence)
    # Where the answer was lost, or the question perhaps never asked, what shows may well be ours still.
    for doubtful in (pending(action, unknown="the answer was lost"), pending(action, started=False)):
        assert isinstance(look(doubtful, maintenance(), replace(later, at=T0 + timedelta(seconds=60))), Failed)


@pytest.mark.parametrize("which", [HOST.key, WIDE.key])
def test_what_stays_set_at_the_end_is_said_once(which: str) -> None:
    found = seen(cluster(), THEIRS[which])
    m = maintenance(node_off_at=T0, node_on_at=T0)
    note = release_data("reintegrate", m, found)
    assert isinstance(note, Note) and note.value["code"] == "ceph.foreign-noout"
    assert str(note.value["message"]).endswith("not by this maintenance: it will stay set")
    assert release_data("reintegrate", m, seen(cluster())) is None
