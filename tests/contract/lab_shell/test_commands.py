"""What the commands do, their exit codes and what they print to people."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.contract.lab_shell.conftest import Lab
from tests.contract.lab_shell.shapes import invented, shape


def test_a_command_that_nobody_knows_ends_with_127(lab: Lab) -> None:
    assert lab.run("rm", "-rf", "/").exit == 127


def test_a_command_can_be_refused_by_a_fault_and_changes_nothing(lab: Lab) -> None:
    lab.run("ceph", "osd", "set-group", "noout", "pve3")
    lab.laws.fault(lab.cluster, "shell-error", pattern="unset-group noout", text="Error EACCES: access denied", exit=13)
    refused = lab.run("ceph", "osd", "unset-group", "noout", "pve3")
    assert (refused.exit, refused.stderr) == (13, "Error EACCES: access denied\n")
    assert lab.ceph.crush_node_flags == {"pve3": {"noout"}}
    assert lab.run("ceph", "osd", "unset-group", "noup", "pve3").exit == 0
    lab.laws.clear_fault(lab.cluster, "shell-error", pattern="unset-group noout")
    assert lab.run("ceph", "osd", "unset-group", "noout", "pve3").exit == 0
    assert lab.ceph.crush_node_flags == {}


@pytest.mark.parametrize("trick", [";", "&&", "|", "$(true)", "`true`", ">"])
def test_nothing_is_ever_interpreted(lab: Lab, trick: str) -> None:
    outcome = lab.run("ceph", "osd", "set", "noout", trick, "true")
    assert outcome.exit == 22
    assert lab.ceph.flags == set()


def test_host_flags_show_in_the_dump_and_as_a_check_only(lab: Lab) -> None:
    assert lab.run("ceph", "osd", "set-group", "noout,noup", "pve3") == (0, "", "", 0.0)
    assert lab.run("ceph", "osd", "set-group", "noout", "pve3").exit == 0
    dump = lab.json("ceph", "osd", "dump")
    assert dump["crush_node_flags"] == {"pve3": ["noout", "noup"]}
    assert "noout" not in dump["flags"]
    detail = lab.json("ceph", "health", "detail")["checks"]["OSD_FLAGS"]["detail"]
    assert detail == [{"message": "host pve3 has flags noout,noup"}]
    assert lab.run("ceph", "osd", "unset-group", "noup,noout", "pve3").exit == 0
    assert lab.json("ceph", "osd", "dump")["crush_node_flags"] == {}


@pytest.mark.parametrize(
    "argv",
    [
        ("set-group", "noout", "pve3.example.net"),
        ("set-group", "noout", "pve9"),
        ("set-group", "noscrub", "pve3"),
        ("set-group", "noout"),
        ("set", "nosuchflag"),
        ("ok-to-stop", "three"),
        ("ok-to-stop",),
    ],
)
def test_what_ceph_cannot_parse_is_einval(lab: Lab, argv: tuple[str, ...]) -> None:
    outcome = lab.run("ceph", "osd", *argv)
    assert outcome.exit == 22
    assert outcome.stderr.startswith("Error EINVAL: ")
    assert lab.ceph.crush_node_flags == {}


def test_the_whole_way_down_and_up(lab: Lab) -> None:
    lab.run("ceph", "osd", "set-group", "noout", "pve3")
    ids = lab.stop_host("pve3")
    status = lab.json("ceph", "-s")
    assert status["osdmap"]["num_up_osds"] == len(lab.ceph.osds) - len(ids)
    assert status["osdmap"]["num_in_osds"] == len(lab.ceph.osds)
    assert status["pgmap"]["degraded_objects"] > 0
    states = {s["state_name"] for s in status["pgmap"]["pgs_by_state"]}
    assert "active+undersized+degraded" in states
    assert [lab.run("systemctl", "is-active", f"ceph-osd@{i}", node="pve3")[:2] for i in ids] == [
        (3, "inactive\n")
    ] * len(ids)
    lab.forward(3600)
    assert lab.json("ceph", "-s")["osdmap"]["num_in_osds"] == len(lab.ceph.osds)
    assert lab.ceph.bytes_moved == 0
    for number in ids:
        assert lab.run("systemctl", "start", f"ceph-osd@{number}", node="pve3").exit == 0
    lab.until(lambda: set(lab.laws.pg_states(lab.cluster)) == {"active+clean"})
    lab.run("ceph", "osd", "unset-group", "noout", "pve3")
    assert lab.json("ceph", "health")["status"] == "HEALTH_OK"


def test_units_live_on_their_own_node(lab: Lab) -> None:
    there = next(osd.id for osd in lab.ceph.osds.values() if osd.host == "pve3")
    outcome = lab.run("systemctl", "stop", f"ceph-osd@{there}", node="pve1")
    assert outcome.exit == 5
    assert "not found" in outcome.stderr
    assert lab.run("systemctl", "is-active", f"ceph-osd@{there}", node="pve1").exit == 4
    assert lab.ceph.osds[there].running


def test_without_a_quorum_commands_hang_until_their_timeout(lab: Lab) -> None:
    for name in ("pve1", "pve2"):
        assert lab.run("systemctl", "stop", f"ceph-mon@{name}", node=name).exit == 0
    lab.forward(30)
    outcome = lab.run("ceph", "--connect-timeout", "7", "status", "--format=json")
    assert (outcome.exit, outcome.stdout, outcome.after_s) == (1, "", 7.0)
    assert "timed out" in outcome.stderr


def test_a_mon_without_its_fellows_still_speaks_through_its_socket(recordings: Path, lab: Lab) -> None:
    for name in ("pve2", "pve3"):
        lab.run("systemctl", "stop", f"ceph-mon@{name}", node=name)
    lab.forward(30)
    outcome = lab.run("ceph", "daemon", "mon.pve1", "mon_status")
    told = json.loads(outcome.stdout)
    assert (outcome.exit, told["state"], told["quorum"]) == (0, "probing", [])
    real = shape([json.loads((recordings / "ceph/no_quorum/mon_status_asok.json").read_text())])
    assert invented(shape([told]), real) == []
    assert lab.run("ceph", "daemon", "mon.pve2", "mon_status", node="pve1").exit == 22
    assert lab.run("ceph", "daemon", "mon.pve2", "mon_status", node="pve2").exit == 22


def test_an_osd_held_by_noup_waits_in_preboot(lab: Lab) -> None:
    ids = lab.stop_host("pve3")
    lab.run("ceph", "osd", "set-group", "noout,noup", "pve3")
    lab.run("systemctl", "start", f"ceph-osd@{ids[0]}", node="pve3")
    lab.forward(60)
    told = json.loads(lab.run("ceph", "daemon", f"osd.{ids[0]}", "status", node="pve3").stdout)
    assert told["state"] == "preboot"
    assert lab.json("ceph", "osd", "dump")["osds"][ids[0]]["up"] == 0
    lab.run("ceph", "osd", "unset-group", "noup", "pve3")
    lab.until(lambda: lab.ceph.osds[ids[0]].up, within=30)


def test_without_a_mgr_the_picture_freezes_and_what_it_answers_hangs(lab: Lab) -> None:
    for name in sorted(lab.ceph.mgrs):
        lab.run("systemctl", "stop", f"ceph-mgr@{name}", node=name)
    lab.forward(60)
    lab.stop_host("pve3")
    lab.forward(30)
    status = lab.json("ceph", "-s")
    assert status["health"]["checks"]["MGR_DOWN"]["summary"]["message"] == "no active mgr"
    assert [s["state_name"] for s in status["pgmap"]["pgs_by_state"]] == ["active+clean"]
    assert status["osdmap"]["num_up_osds"] < status["osdmap"]["num_osds"]
    for argv in (("osd", "ok-to-stop", "0"), ("pg", "stat"), ("osd", "df")):
        assert lab.run("ceph", *argv).after_s is None
    assert lab.json("ceph", "mgr", "stat")["available"] is False


def test_a_time_limit_ends_what_hangs_and_changes_nothing_else(lab: Lab) -> None:
    assert lab.run("timeout", "--kill-after=5", "30", "hostname", node="pve4") == lab.run("hostname", node="pve4")
    for name in sorted(lab.ceph.mgrs):
        lab.run("systemctl", "stop", f"ceph-mgr@{name}", node=name)
    lab.forward(60)
    assert lab.run("timeout", "--kill-after=5", "30", "ceph", "osd", "df") == (124, "", "", 30.0)
    for name in ("pve1", "pve2"):
        lab.run("systemctl", "stop", f"ceph-mon@{name}", node=name)
    lab.forward(30)
    for limit_s, exit_code, after_s in ((5, 124, 5.0), (30, 1, 10.0)):
        outcome = lab.run("timeout", str(limit_s), "ceph", "--connect-timeout", "10", "status")
        assert (outcome.exit, outcome.after_s) == (exit_code, after_s)
    for wrong in (["timeout"], ["timeout", "soon", "hostname"], ["timeout", "5"]):
        assert lab.run(*wrong).exit == 125


def test_failing_the_mgr_over(lab: Lab) -> None:
    before = lab.json("ceph", "mgr", "dump")["active_name"]
    assert lab.run("ceph", "mgr", "fail", before).exit == 0
    lab.until(lambda: bool(lab.json("ceph", "mgr", "stat")["available"]), within=60)
    assert lab.json("ceph", "mgr", "dump")["active_name"] not in ("", before)


def test_out_and_in(lab: Lab) -> None:
    assert lab.run("ceph", "osd", "out", "4").stderr == "marked out osd.4. \n"
    assert lab.run("ceph", "osd", "out", "osd.4").stderr == "osd.4 is already out. \n"
    assert lab.json("ceph", "osd", "dump")["osds"][4]["in"] == 0
    assert lab.run("ceph", "osd", "in", "4").stderr == "marked in osd.4. \n"
    assert lab.run("ceph", "osd", "in", "999").stderr == "osd.999 does not exist. \n"


def test_maintenance_mode_goes_through_the_crm(lab: Lab) -> None:
    outcome = lab.run("ha-manager", "crm-command", "node-maintenance", "enable", "pve5")
    assert outcome.exit == 0
    lab.until(lambda: "maintenance" in lab.run("ha-manager", "status").stdout, within=120)
    assert lab.run("ha-manager", "crm-command", "node-maintenance", "disable", "pve5").exit == 0
    lab.until(lambda: "maintenance" not in lab.run("ha-manager", "status").stdout, within=300)
    refused = lab.run("ha-manager", "crm-command", "node-maintenance", "enable", "pve9")
    assert refused.exit != 0
    assert "pve9" in refused.stderr


def test_people_can_read_it(lab: Lab) -> None:
    text = lab.run("ceph", "-s").stdout
    assert f"id:     {lab.ceph.fsid}" in text
    assert "health: HEALTH_OK" in text
    assert lab.run("ceph", "health").stdout == "HEALTH_OK\n"
    assert "host pve3" in lab.run("ceph", "osd", "tree").stdout
    assert lab.run("hostname", node="pve4").stdout == "pve4\n"
    assert lab.run("uname", "-r").stdout.strip().endswith("-pve")
    assert lab.run("pveversion").stdout.startswith("pve-manager/")


def test_the_migration_network_carries_large_frames(lab: Lab) -> None:
    assert lab.run("ping", "-c", "1", "-M", "do", "-s", "8972", lab.cluster.nodes["pve2"].ip).exit == 0
    assert lab.run("ping", "-c", "1", "-M", "do", "-s", "9000", "pve2").exit == 1
    assert lab.run("ping", "-c", "1", "pve99").exit == 2


def test_json_comes_with_the_answer_also_when_it_is_no(lab: Lab) -> None:
    everything = [str(number) for number in lab.ceph.osds]
    outcome = lab.run("ceph", "osd", "ok-to-stop", *everything, "-f", "json")
    assert outcome.exit == 16
    assert json.loads(outcome.stdout)["ok_to_stop"] is False
