"""What Proxmox VE says of its nodes between maintenances: who is counted in, and which disks SMART gives up."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import httpx2
import pytest

from noout.adapters.pve.nodes import PveNodes, disks
from noout.domain.cluster import NodeId
from noout.domain.hardware import Reading, SensorKind, Unit
from tests.support.labsite import LabSite, lab_site
from tests.support.virtual import run_virtual

PVE2 = NodeId("ams1", "pve2")


def counted(site: LabSite) -> Counter[str]:
    """How often each path was asked for from now on."""
    made: Counter[str] = Counter()
    pass_on = site.network.handle_async_request

    async def noted(request: httpx2.Request) -> httpx2.Response:
        made[request.url.path.removeprefix("/api2/json")] += 1
        return await pass_on(request)

    site.network.handle_async_request = noted  # type: ignore[method-assign]
    return made


def test_each_node_is_asked_for_its_disks_once_an_hour_and_one_at_a_time() -> None:
    async def main() -> None:
        site = lab_site()
        osd = next(each for each in site.cluster.ceph.osds.values() if each.host == "pve2")  # type: ignore[union-attr]
        osd.disk_health = "FAILED!"
        made, nodes = counted(site), PveNodes(site.client)
        assert all(not report.host for report in (await nodes.observe()).values())
        assert not [path for path in made if "disks" in path], "a single look leaves the disks alone"
        for _ in range(180):
            before = sum(count for path, count in made.items() if "disks" in path)
            await site.clock.sleep(60)
            found = await nodes.observe()
            assert sum(count for path, count in made.items() if "disks" in path) - before <= 1
        asked = {path: count for path, count in made.items() if "disks" in path}
        assert len(asked) == len(site.cluster.nodes) and set(asked.values()) <= {2, 3}
        assert {report.online for report in found.values()} == {True}
        ill = [each for report in found.values() for each in report.host if each.health == "Critical"]
        assert len(ill) == 1 and ill[0] in found[PVE2].host and ill[0].kind is SensorKind.DISK

    run_virtual(main(), limit_s=5 * 3600)


def test_a_node_that_is_away_is_said_to_be_and_its_disks_are_forgotten() -> None:
    async def main() -> None:
        site = lab_site()
        nodes = PveNodes(site.client)
        for _ in range(60):
            await nodes.observe()
            await site.clock.sleep(60)
        assert (await nodes.observe())[PVE2].host
        site.cluster.nodes["pve2"].booted_at = None  # it has power, and hangs
        found = await nodes.observe()
        assert found[PVE2].online is False and found[PVE2].host, "what was read keeps for a while"
        await site.clock.sleep(3 * 3600 + 60)
        found = await nodes.observe()
        assert found[PVE2].online is False and not found[PVE2].host

    run_virtual(main(), limit_s=8 * 3600)


def test_nobody_is_believed_who_was_cut_off_or_does_not_answer() -> None:
    async def main() -> None:
        site = lab_site()
        nodes = PveNodes(site.client)
        site.cluster.quorate = False
        assert await nodes.observe() == {}, "one that was cut off counts everybody else out"
        site.cluster.quorate = True
        for _ in range(60):
            await nodes.observe()
            await site.clock.sleep(60)
        made = counted(site)
        site.laws.fault(site.cluster, "api-error", pattern="GET /nodes/pve2/disks/list", times=10_000)
        for _ in range(120):
            await site.clock.sleep(60)
            found = await nodes.observe()
        assert found[PVE2].host and found[PVE2].online, "an hour's answer counts for three"
        assert made["/nodes/pve2/disks/list"] <= 3 * 3, "asked in its turn, however it answers"

    run_virtual(main(), limit_s=5 * 3600)


@pytest.mark.parametrize(
    ("said", "value"),
    [
        ("PASSED", 1.0),
        ("OK", 1.0),
        ("FAILED!", 0.0),
        ("FAILURE PREDICTION THRESHOLD EXCEEDED", 0.0),
        ("UNKNOWN", None),
        ("SMART Disabled", None),
        (None, None),
    ],
)
def test_smartctls_words(said: str | None, value: float | None) -> None:
    found = disks([{"devpath": "/dev/sda", "health": said, "osdid": 3}])
    health = "Critical" if value == 0 else "OK"
    assert found == (() if value is None else (Reading("sda", SensorKind.DISK, value, Unit.STATE, health=health),))


@pytest.mark.parametrize("rubbish", [None, {}, "x", [None, 3, {}, {"devpath": None, "health": "FAILED"}]])
def test_rubbish_is_no_disk(rubbish: Any) -> None:
    assert disks(rubbish) == ()


def test_a_real_cluster_without_disks_of_its_own_says_nothing(recordings: Path) -> None:
    recorded = json.loads((recordings / "proxmox" / "responses" / "node-disks.json").read_text())
    assert disks(recorded["json"]["data"]) == ()
