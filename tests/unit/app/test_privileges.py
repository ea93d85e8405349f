"""A token that may not see everything must not be believed: Proxmox VE leaves out what it may not see."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from noout.app.privileges import ACT, LOOK, acts_of, missing, require
from noout.domain.errors import Forbidden
from tests.support.labsite import lab_site
from tests.support.virtual import run_virtual
from tests.unit.steps.scene import move, plan

ALL = frozenset({"Sys.Audit", "VM.Audit", "Datastore.Audit", "Pool.Audit"})
EVERYWHERE = {path: ALL for path in ("/", "/nodes", "/pool", "/storage", "/vms")}


def test_what_holds_everywhere_is_enough() -> None:
    assert list(missing(EVERYWHERE, LOOK)) == []


def test_what_is_taken_away_further_down_is_missing() -> None:
    granted = EVERYWHERE | {"/vms/105": ALL - {"VM.Audit"}, "/vmsother": frozenset()}
    assert list(missing(granted, LOOK)) == [("VM.Audit", "/vms/105")]


def test_nothing_granted_is_everything_missing() -> None:
    assert {privilege for privilege, _ in missing({}, LOOK)} == ALL
    assert ("Sys.Console", "/") in list(missing(EVERYWHERE, ACT))


def test_the_labs_tokens() -> None:
    async def work() -> None:
        for name, enough in (("lab", True), ("plan", False)):
            site = lab_site(token=name)
            await require(site.hypervisor, LOOK)
            if enough:
                await require(site.hypervisor, ACT)
            else:
                with pytest.raises(Forbidden, match=r"VM\.PowerMgmt on /vms") as refused:
                    await require(site.hypervisor, ACT)
                assert (refused.value.privilege, refused.value.path) == ("Sys.Modify", "/")

    run_virtual(work())


def test_only_a_plan_that_ejects_needs_to_change_drives() -> None:
    assert acts_of(plan(move(104))) == (ACT,)
    ejecting = plan(move(100), move(104, ejects=(("ide2", "local:iso/x.iso"),)))
    granted = {"/": frozenset({"Sys.Modify", "Sys.Console"}), "/nodes": frozenset({"Sys.PowerMgmt"})}
    granted["/vms"] = frozenset({"VM.Migrate", "VM.PowerMgmt"})
    lacking = [each for table in acts_of(ejecting) for each in missing(granted, table)]
    assert lacking == [("VM.Config.CDROM", "/vms")]


def test_a_recorded_role_is_enough(recordings: Path) -> None:
    answer = json.loads((recordings / "proxmox/responses/role-permissions.json").read_text())["json"]["data"]
    granted = {path: frozenset(name for name, below in names.items() if below) for path, names in answer.items()}
    assert list(missing(granted, LOOK)) == []
    assert list(missing(granted, ACT)) == []
