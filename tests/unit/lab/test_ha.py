"""The HA manager against the timelines recorded on a real cluster: the same events within a CRM round."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from noout.lab.world.crm import CRM_S
from noout.lab.world.kernel import LawError
from noout.lab.world.model import GiB, HaRule
from tests.unit.lab.play import USER, Play

Row = dict[str, Any]


def first(rows: list[Row], true: Callable[[Row], bool]) -> float:
    return next(row["t"] for row in rows if true(row))


def timeline(recordings: Path, name: str) -> list[Row]:
    path = recordings / "proxmox" / "responses" / f"timeline-{name}.json"
    if not path.is_file():
        pytest.skip(f"no recording of {name}")
    rows: list[Row] = json.loads(path.read_text())
    return rows


def close(ours: float, theirs: float) -> bool:
    """Within a CRM round, and what a guest of another size takes longer on the wire."""
    return abs(ours - theirs) <= CRM_S


def after_a_round(play: Play) -> None:
    """To just after a CRM round, when the recorded command was given."""
    play.forward(CRM_S)
    play.forward(CRM_S - (play.laws.now - play.c.ha.timestamp) + 0.1)


def small(play: Play, vmid: int = 100) -> None:
    """The recorded guest was tiny; the time on the wire is not what is compared here."""
    play.guest(vmid).maxmem = GiB // 4


def test_maintenance_mode_follows_the_recorded_timeline(recordings: Path) -> None:
    rows = timeline(recordings, "maint-enable-pve3")
    play = Play()
    small(play)
    service, ha = play.c.ha.services["vm:100"], play.c.ha
    after_a_round(play)
    play.laws.crm_maintenance(play.c, "pve3", True)
    seen = {
        "request": play.until(lambda: bool(ha.node_request.get("pve3")), 60),
        "lrm": play.until(lambda: ha.lrm["pve3"].mode == "maintenance", 60),
        "migrate": play.until(lambda: service.state == "migrate", 60),
    }
    assert service.maintenance_node == "pve3" and ha.node_status["pve3"] == "maintenance"
    assert play.guest(100).node == "pve3"  # the LRM said maintenance before the guest left
    ours, at = {}, 0.0
    for word, took in seen.items():
        at += took
        ours[word] = at
    ours["done"] = at + play.until(
        lambda: service.state == "started" and service.node != "pve3" and service.running, 90
    )
    theirs = {
        "request": first(rows, lambda r: bool((r["node_request"] or {}).get("pve3"))),
        "lrm": first(rows, lambda r: r["lrm"]["pve3"][0] == "maintenance"),
        "migrate": first(rows, lambda r: r["svc"]["vm:100"]["state"] == "migrate"),
        "done": first(rows, lambda r: r["svc"]["vm:100"]["node"] != "pve3" and r["svc"]["vm:100"]["running"] == 1),
    }
    assert {w: close(ours[w], theirs[w]) for w in ours} == dict.fromkeys(ours, True), (ours, theirs)


def test_leaving_maintenance_sends_the_guests_home_at_once(recordings: Path) -> None:
    rows = timeline(recordings, "maint-disable-pve3")
    play = Play()
    small(play)
    service = play.c.ha.services["vm:100"]
    play.laws.crm_maintenance(play.c, "pve3", True)
    play.until(lambda: service.node != "pve3" and service.running, 200)
    play.forward(60)
    assert service.node != "pve3"
    play.laws.crm_maintenance(play.c, "pve3", False)
    began = play.until(lambda: service.state == "migrate", 60)
    home = began + play.until(lambda: service.node == "pve3" and service.running, 90)
    assert close(began, first(rows, lambda r: r["svc"]["vm:100"]["state"] == "migrate"))
    theirs = first(rows, lambda r: r["svc"]["vm:100"]["node"] == "pve3" and r["svc"]["vm:100"]["running"] == 1)
    assert close(home, theirs)


def test_power_loss_is_noticed_fenced_and_recovered_as_recorded(recordings: Path) -> None:
    rows = timeline(recordings, "hard-power-loss-pve2")
    play = Play()
    service, ha = play.c.ha.services["vm:100"], play.c.ha
    play.laws.power_cut(play.c, "pve3")
    unknown = play.until(lambda: ha.node_status["pve3"] == "unknown", 60)
    fence = unknown + play.until(lambda: ha.node_status["pve3"] == "fence", 120)
    assert service.state == "fence"
    again = fence + play.until(lambda: play.guest(100).node != "pve3" and service.state == "started", 120)
    started = again + play.until(lambda: play.guest(100).status == "running", 60)
    assert close(unknown, first(rows, lambda r: r["node_status"]["pve2"] == "unknown"))
    assert close(fence, first(rows, lambda r: r["node_status"]["pve2"] == "fence"))
    assert close(again, first(rows, lambda r: r["svc"]["vm:101"]["node"] == "pve3"))
    assert started - again < 2 * CRM_S
    assert play.guest(107).node == "pve3" and play.guest(107).status == "stopped"  # not under HA: stays lost


def test_a_hamigrate_ends_long_before_anything_moves() -> None:
    play = Play()
    service = play.c.ha.services["vm:100"]
    task = play.laws.ha_migrate(play.c, "vm:100", "pve1", USER)
    play.until(lambda: task.status == "stopped", 2.5, 0.1)
    assert task.type == "hamigrate" and task.exitstatus == "OK" and play.guest(100).node == "pve3"
    play.until(lambda: service.state == "migrate", CRM_S)
    assert service.target == "pve1"
    play.until(lambda: play.guest(100).lock == "migrate", 10)
    play.until(lambda: play.guest(100).node == "pve1", 60)
    assert play.guest(100).lock == "migrate"  # /cluster/resources shows the target while it is still locked
    play.until(lambda: play.guest(100).lock is None, 20)
    assert service.state == "migrate"
    play.until(lambda: service.state == "started" and service.node == "pve1", 2 * CRM_S)
    by_ha = [t for t in play.c.tasks.values() if t.type == "qmigrate"]
    assert [t.user for t in by_ha] == ["root@pam"] and by_ha[0].log[0] == "task started by HA resource agent"


def test_the_post_for_a_managed_guest_only_queues() -> None:
    play = Play()
    assert play.migrate(100, "pve1").type == "hamigrate"  # type: ignore[attr-defined]


def test_anti_affinity_blocks_in_the_task_not_in_the_answer() -> None:
    play = Play()
    target = play.guest(103).node
    task = play.laws.ha_migrate(play.c, "vm:102", target, USER)
    play.forward(60)
    assert task.exitstatus == f"command 'ha-manager migrate vm:102 {target}' failed: exit code 2"
    assert any("in negative affinity" in line for line in task.log)
    assert play.guest(102).node == "pve3"
    assert play.laws.ha_request(play.c, "vm:102", target)["blocking-resources"]


def test_an_offline_target_is_accepted_and_nothing_moves() -> None:
    play = Play()
    play.laws.power_cut(play.c, "pve6")
    play.forward(30)
    task = play.laws.ha_migrate(play.c, "vm:100", "pve6", USER)
    play.forward(60)
    assert task.exitstatus == "OK" and play.guest(100).node == "pve3"


def test_a_strict_rule_moves_guests_off_and_nothing_returns_when_it_goes() -> None:
    play = Play()
    play.laws.rule_set(
        play.c, HaRule("leave", "node-affinity", ["vm:100", "vm:101"], nodes={"pve5": 0, "pve6": 0}, strict=True)
    )
    play.until(lambda: {play.guest(100).node, play.guest(101).node} <= {"pve5", "pve6"}, 200)
    play.forward(60)
    play.laws.rule_delete(play.c, "leave")
    play.forward(120)
    assert {play.guest(100).node, play.guest(101).node} <= {"pve5", "pve6"}
    with pytest.raises(LawError):
        play.laws.rule_delete(play.c, "leave")


def test_a_move_against_a_strict_rule_bounces_back() -> None:
    play = Play()
    play.laws.rule_set(play.c, HaRule("home", "node-affinity", ["vm:100"], nodes={"pve3": 0}, strict=True))
    play.forward(30)
    play.laws.ha_migrate(play.c, "vm:100", "pve1", USER)
    play.forward(240)
    assert play.told("guest 100 moved")[0].endswith("pve3 -> pve1 (live)")
    assert play.told("guest 100 moved")[1].endswith("pve1 -> pve3 (live)")


def test_two_node_affinity_rules_for_one_resource_are_refused() -> None:
    play = Play()
    play.laws.rule_set(play.c, HaRule("one", "node-affinity", ["vm:100"], nodes={"pve3": 0}))
    with pytest.raises(LawError):
        play.laws.rule_set(play.c, HaRule("two", "node-affinity", ["vm:100"], nodes={"pve4": 0}))


def test_maintenance_survives_power_off_and_reboot() -> None:
    play = Play()
    ha = play.c.ha
    play.laws.crm_maintenance(play.c, "pve3", True)
    play.until(lambda: not any(s.node == "pve3" for s in ha.services.values()), 400)
    play.laws.node_shutdown(play.c, "pve3")
    play.until(lambda: not play.c.nodes["pve3"].power, 120)
    play.forward(300)
    assert ha.node_status["pve3"] == "maintenance"  # not fenced
    play.laws.power_on(play.c, "pve3")
    play.until(lambda: play.c.nodes["pve3"].online, 200)
    play.forward(60)
    assert ha.node_status["pve3"] == "maintenance" and not any(s.node == "pve3" for s in ha.services.values())


def test_a_reboot_freezes_services_and_brings_them_back_in_place() -> None:
    play = Play()
    play.laws.node_reboot(play.c, "pve3")
    play.until(lambda: not play.c.nodes["pve3"].online, 120)
    play.forward(70)
    assert play.c.ha.services["vm:100"].state == "freeze"
    play.until(lambda: play.guest(100).status == "running" and play.c.ha.services["vm:100"].running, 300)
    assert play.guest(100).node == "pve3"


def test_shutdown_policy_migrate_empties_the_node_first() -> None:
    play = Play()
    play.c.options["ha"] = "shutdown_policy=migrate"
    play.laws.node_shutdown(play.c, "pve3")
    play.until(lambda: not play.c.nodes["pve3"].power, 400)
    for vmid in (100, 101, 102):
        assert play.guest(vmid).node != "pve3"
        assert {s.why for s in play.dark(vmid)} <= {"blackout", "io-blocked"}  # the mon and the OSDs ended together
    assert play.guest(107).status == "stopped"  # a guest that HA does not know is shut down, not moved


def test_a_poweroff_gives_the_services_to_other_nodes() -> None:
    play = Play()
    play.laws.node_shutdown(play.c, "pve3")
    play.until(lambda: play.guest(100).node != "pve3" and play.guest(100).status == "running", 400)


def test_disarmed_nothing_is_moved_or_fenced() -> None:
    play = Play()
    play.laws.ha_arm(play.c, False)
    play.laws.crm_maintenance(play.c, "pve3", True)
    play.laws.power_cut(play.c, "pve5")
    play.forward(300)
    assert play.told("moved") == [] and play.told("fences") == []
    play.laws.ha_arm(play.c, True)
    play.until(lambda: bool(play.told("moved")), 200)


def test_a_quiet_cluster_sleeps_and_its_time_stamps_stay_fresh() -> None:
    play = Play()
    play.laws.crm_maintenance(play.c, "pve6", True)
    play.forward(600)
    play.laws.crm_maintenance(play.c, "pve6", False)
    play.forward(3600)
    assert play.laws.next_event_at() is None
    assert play.laws.now - play.c.ha.timestamp <= CRM_S
    assert all(play.laws.now - lrm.timestamp <= CRM_S for lrm in play.c.ha.lrm.values())


def test_a_lost_master_is_replaced_when_its_lock_has_expired() -> None:
    play = Play()
    play.laws.power_cut(play.c, "pve1")
    play.forward(60)
    assert play.c.ha.master == "pve1"
    play.forward(90)
    assert play.c.ha.master == "pve2"
    managed = [int(s.split(":")[1]) for s in play.c.ha.resources]
    play.until(lambda: all(play.guest(v).status == "running" and play.guest(v).node != "pve1" for v in managed), 300)
