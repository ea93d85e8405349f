"""Every kind of guest that the documentation names has its tests, and the other way round."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PLAN, SEEN, LAB = (
    "tests/unit/plan/test_guests.py",
    "tests/contract/pve/test_guests.py",
    "tests/unit/lab/test_obstacles.py",
)
# The beginning of the table's row -> the tests that hold it. Where a lab scenario plays it, the second kind names it.
KINDS = {
    "Plain VM": [(PLAN, "a_plain_vm_and_one_under_ha_move_live")],
    "VM under HA": [(PLAN, "a_plain_vm_and_one_under_ha_move_live")],
    "VM that HA is told to ignore": [(SEEN, "a_guest_that_ha_is_told_to_ignore_is_moved_without_ha")],
    "Container": [(PLAN, "a_container_is_restarted_elsewhere_by_consent_only"), (SEEN, "a_container_without_consent")],
    "Container with local disks": [(PLAN, "a_containers_local_disks_are_copied_while_it_is_down")],
    "Stopped guest that starts": [
        (PLAN, "a_stopped_guest_that_ha_is_to_run_is_needed_and_moves"),
        (SEEN, "stopped_guests"),
    ],
    "Other stopped guest": [(PLAN, "a_stopped_guest_that_ha_is_to_run_is_needed_and_moves"), (SEEN, "stopped_guests")],
    "Stopped guest with local": [(PLAN, "a_stopped_guest_bound_to_the_node_stays_and_is_named")],
    "Template": [(PLAN, "a_template_stays_and_its_local_clones_are_named"), (SEEN, "templates_and_linked_clones")],
    "Linked clone": [(PLAN, "a_template_stays_and_its_local_clones_are_named"), (SEEN, "templates_and_linked_clones")],
    "Local disks": [
        (PLAN, "local_disks_that_come_to_one_storage_must_fit_together"),
        (PLAN, "another_storage_of_the_target_takes_the_disks"),
        (SEEN, "local_disks_and_where_they_fit"),
    ],
    "Local disks, under HA": [(PLAN, "ha_takes_replicated_disks_along_and_no_others")],
    "Volumes that cannot": [(PLAN, "volumes_that_pve_cannot_copy_keep_their_guest")],
    "ISO of the node": [(PLAN, "a_local_iso_is_taken_out_by_consent_and_named"), (SEEN, "local_isos")],
    "Passthrough (": [
        (PLAN, "devices_of_the_node_are_a_consented_shutdown_only"),
        (SEEN, "passthrough_with_and_without_consent"),
    ],
    "Passthrough, under HA": [(PLAN, "no_shutdown_that_could_end_in_a_hard_stop_is_planned")],
    "Settings without live": [
        (PLAN, "settings_that_forbid_live_migration_are_a_consented_shutdown_only"),
        (SEEN, "settings_that_forbid_live_migration"),
    ],
    "Mapped device that can move": [
        (PLAN, "a_mapped_device_that_can_move_live_goes_where_the_mapping_has_one"),
        (SEEN, "mapped_devices"),
    ],
    "Mapped device that cannot": [
        (PLAN, "a_mapped_device_that_cannot_is_a_consented_shutdown_only"),
        (SEEN, "mapped_devices"),
    ],
    "Replicated VM": [
        (PLAN, "a_replicated_guest_goes_to_its_replica_and_nowhere_else"),
        (SEEN, "a_replicated_guest"),
        (LAB, "a_replication_job_turns_round_when_its_guest_moved"),
    ],
    "Snapshots": [(PLAN, "snapshots_of_local_disks_keep_a_running_vm"), (SEEN, "snapshots")],
    "Locked for a while": [(PLAN, "a_lock_that_passes_is_a_caution_and_its_guest_leaves_late"), (SEEN, "locks")],
    "Locked for good": [(PLAN, "a_lock_that_needs_a_person_blocks"), (SEEN, "locks")],
    "Paused VM": [
        (PLAN, "a_paused_vm_moves_live_and_stays_paused"),
        (SEEN, "paused_guests"),
        (LAB, "a_paused_guest_stays_paused_and_needs_online"),
    ],
    "VM that stands still": [
        (PLAN, "a_vm_that_stands_still_for_another_reason_needs_a_person"),
        (SEEN, "paused_guests"),
    ],
    "Behind the PVE firewall": [
        (PLAN, "guests_behind_the_firewall_are_named_and_their_connections_taken_along_outside_ha"),
        (SEEN, "guests_behind_the_firewall"),
    ],
    "Node affinity": [(PLAN, "strict_node_affinity_binds_and_preferred_only_leans"), (SEEN, "rules")],
    "Resource affinity": [(PLAN, "resource_affinity_keeps_together_and_apart"), (SEEN, "rules")],
    "CPU type": [(PLAN, "a_guest_with_the_nodes_own_cpu_goes_only_to_the_same"), (SEEN, "unlike_cpus")],
    "CPU level": [(PLAN, "flags_that_a_guest_asks_for_must_be_there"), (SEEN, "unlike_cpus")],
    "Bridge, VLAN or SDN": [
        (PLAN, "a_bridge_missing_on_a_target_rules_it_out"),
        (PLAN, "a_bridge_that_passes_no_vlans_on_rules_its_node_out"),
        (PLAN, "an_sdn_network_that_does_not_work_on_a_target_rules_it_out"),
        (SEEN, "networks_that_not_every_node_has"),
    ],
    "No room anywhere": [(SEEN, "targets_that_are_full")],
}


def rows() -> list[str]:
    lines = (ROOT / "docs" / "reference" / "guests.md").read_text("utf-8").splitlines()
    return [line.split("|")[1].strip() for line in lines if line.startswith("| ")][1:]


def test_each_row_is_held_by_tests_that_exist() -> None:
    texts = {path: (ROOT / path).read_text("utf-8") for path in (PLAN, SEEN, LAB)}
    unmatched = [row for row in rows() if not any(row.startswith(kind) for kind in KINDS)]
    assert unmatched == [], "rows without a test"
    assert [kind for kind in KINDS if not any(row.startswith(kind) for row in rows())] == [], "tests without a row"
    missing = [name for tests in KINDS.values() for path, name in tests if f"def test_{name}(" not in texts[path]]
    assert missing == []
