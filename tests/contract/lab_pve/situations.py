"""What each recording presumes of the cluster, and why some are not replayed."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from noout.lab.world.model import Disk
from tests.contract.lab_pve.site import Site, guest

Prepare = Callable[[Site], None]

WEB_NODES = {
    "rule": "web-nodes",
    "type": "node-affinity",
    "nodes": "pve1:2,pve2:1",
    "resources": "vm:100",
    "comment": "prefers pve1",
}
WEB_APART = {"rule": "web-apart", "type": "resource-affinity", "affinity": "negative", "resources": "vm:100,vm:101"}
DRAIN = {"rule": "noout-drain-pve3", "type": "node-affinity", "nodes": "pve1,pve2", "resources": "vm:100,vm:101"}


def no_ceph(site: Site) -> None:
    site.cluster.ceph = None


def rule(**fields: str) -> Prepare:
    def prepare(site: Site) -> None:
        assert site.ask("POST", "/cluster/ha/rules", fields).status == 200

    return prepare


def flags(*names: str) -> Prepare:
    def prepare(site: Site) -> None:
        for name in names:
            site.laws.ceph_flag(site.cluster, name, True)

    return prepare


def group_noout(host: str) -> Prepare:
    return lambda site: site.laws.ceph_group_flags(site.cluster, host, ["noout"], True)


def daemon(action: str, name: str, node: str = "pve3") -> Prepare:
    def prepare(site: Site) -> None:
        site.laws.ceph_service(site.cluster, node, action, name, "root@pam")
        site.pass_time(40)

    return prepare


def osd_out(site: Site) -> None:
    site.laws.osd_in_out(site.cluster, 2, False)
    site.pass_time(5)


def node_off(site: Site) -> None:
    site.laws.bmc_reset(site.cluster, "pve2", "ForceOff")
    site.pass_time(30)


def fenced(site: Site) -> None:
    site.cluster.guests[101].node = site.cluster.ha.services["vm:101"].node = "pve2"
    node_off(site)
    site.pass_time(70)


def recovered(site: Site) -> None:
    """The fence has come and gone, and the cluster had known a maintenance before."""
    maintenance_past(site)
    pool(site)
    fenced(site)
    site.pass_time(120)


def maintenance_past(site: Site) -> None:
    """The CRM remembers every node that ever was in maintenance by an empty request."""
    site.cluster.ha.node_request["pve3"] = {}


def put(vmid: int, node: str) -> Prepare:
    def prepare(site: Site) -> None:
        site.cluster.guests[vmid].node = site.cluster.ha.services[f"vm:{vmid}"].node = node

    return prepare


def maintenance(node: str) -> Prepare:
    def prepare(site: Site) -> None:
        site.laws.crm_maintenance(site.cluster, node, True)
        site.pass_time(90)

    return prepare


def back_from_maintenance(site: Site) -> None:
    maintenance("pve3")(site)
    site.laws.crm_maintenance(site.cluster, "pve3", False)
    site.pass_time(90)


def off_in_maintenance(site: Site) -> None:
    maintenance_past(site)
    pool(site)
    put(101, "pve2")(site)
    maintenance("pve2")(site)
    node_off(site)


def returned(site: Site) -> None:
    off_in_maintenance(site)
    site.laws.bmc_reset(site.cluster, "pve2", "On")
    site.pass_time(300)


def disarmed(site: Site) -> None:
    site.ask("POST", "/cluster/ha/status/disarm-ha", {"resource-mode": "ignore"})
    site.pass_time(15)


def pool(site: Site) -> None:
    site.cluster.pools["customer-a"] = "Customer A"
    site.cluster.guests[100].pool = site.cluster.guests[102].pool = "customer-a"


def empty_pool(site: Site) -> None:
    site.cluster.pools["customer-a"] = ""


def locked_102(site: Site) -> None:
    site.cluster.guests[102].lock = "backup"


def local_disk_102(running: bool) -> Prepare:
    def prepare(site: Site) -> None:
        found = site.cluster.guests[102]
        found.disks = [Disk("scsi0", "local:102/vm-102-disk-0.raw", 1024**3)]
        found.status = "running" if running else "stopped"

    return prepare


def running_102(site: Site) -> None:
    site.cluster.guests[102].status = "running"


def deaf_102(site: Site) -> None:
    running_102(site)
    site.laws._deaf.add(("lab", 102))


def usb_103(site: Site) -> None:
    site.cluster.guests[103].local_resources = ["usb0"]


def iso_103(site: Site) -> None:
    site.cluster.guests[103].disks.append(Disk("ide2", "local:iso/foo.iso", 1024**3, cdrom=True))


def usb_and_iso_103(site: Site) -> None:
    usb_103(site)
    iso_103(site)


def stopped_103(site: Site) -> None:
    site.cluster.guests[103].status = "stopped"


def moving_103(site: Site) -> None:
    """A migration held back to 60 KiB/s, as recorded."""
    params = {"target": "pve3", "online": 1, "bwlimit": 60}
    assert site.ask("POST", "/nodes/pve1/qemu/103/migrate", params).status == 200
    site.pass_time(15)


def cancelled_103(site: Site) -> None:
    moving_103(site)
    upid = next(u for u in site.cluster.tasks if ":qmigrate:103:" in u)
    site.laws.stop_task(site.cluster, upid)
    site.pass_time(30)


def hostile_pair(site: Site) -> None:
    rule(**WEB_APART)(site)
    for vmid, node in ((100, "pve1"), (101, "pve3")):
        site.cluster.guests[vmid].node = site.cluster.ha.services[f"vm:{vmid}"].node = node


def unmanaged_101(site: Site) -> None:
    site.laws.resource_delete(site.cluster, "vm:101")
    site.pass_time(15)


def unmanaged_100(site: Site) -> None:
    site.laws.resource_delete(site.cluster, "vm:100")


def mac(node: str) -> Prepare:
    def prepare(site: Site) -> None:
        site.cluster.nodes[node].wakeonlan = "52:54:00:aa:bb:cc"

    return prepare


def done_tasks(site: Site) -> None:
    """A few finished tasks of all kinds on all nodes."""
    site.ask("POST", "/nodes/pve2/qemu/100/migrate", {"target": "pve3", "online": 1})
    site.pass_time(90)
    for node, vmid in (("pve1", 104), ("pve2", 105), ("pve3", 106)):
        if vmid not in site.cluster.guests:
            site.cluster.guests[vmid] = guest(vmid, f"x{vmid}", node)
        site.laws.stop_guest(site.cluster, vmid, "root@pam!lab")
    site.pass_time(20)


@dataclass(frozen=True)
class Situation:
    pattern: str
    prepare: tuple[Prepare, ...] = ()
    token: str | None = "root"
    node: str | None = None  # which node is asked; None: the one the recording shows, else pve1
    keep_place: bool = False  # the guest of the path stays where the situation put it


def _s(pattern: str, *prepare: Prepare, **other: Any) -> Situation:
    return Situation(pattern, prepare, **other)


SITUATIONS = (
    # without Ceph
    *(_s(p, no_ceph) for p in ("*-notinstalled",)),
    *(_s(p, no_ceph, token="orch") for p in ("role-cephstatus", "role-cmdsafety", "role-flags")),
    # Ceph
    _s("ceph-flag-noout-set", flags("noout")),
    _s("ceph-flags-put-multi*", flags("noout")),
    _s("ceph-flags-put-unset*", flags("noout", "norebalance")),
    _s("ceph-status-noout", flags("noout")),
    _s("ceph-osd-tree-noout", flags("noout")),
    _s("ceph-status-osd-down-group-noout", group_noout("pve3"), daemon("stop", "osd.2")),
    _s("ceph-status-node-offline-group-noout", group_noout("pve2"), node_off),
    _s("ceph-*group-noout", group_noout("pve3")),
    _s("ceph-*node-offline", node_off),
    _s("ceph-cmdsafety-mon-unsafe", daemon("stop", "mon.pve3")),
    _s("ceph-cmdsafety-osd-unsafe", daemon("stop", "osd.2")),
    _s("ceph-osd-tree-osd-down", daemon("stop", "osd.2")),
    _s("ceph-osd-tree-out", osd_out),
    _s("ceph-osd-in", osd_out),
    _s("ceph-status-mon-down", daemon("stop", "mon.pve3")),
    _s("ceph-start-mon3*", daemon("stop", "mon.pve3")),
    _s("ceph-start-osd2*", daemon("stop", "osd.2")),
    # phases of maintenance and loss
    _s("ha-manager-status-hard-power-loss-pve2", off_in_maintenance),  # taken when pve2 was in maintenance again
    _s("*hard-power-loss-pve2", recovered),
    _s("*poweroff-in-maintenance-pve2", off_in_maintenance),
    _s("*return-after-poweroff-pve2", returned),
    _s("*maint-enable-pve3", put(100, "pve3"), maintenance("pve3")),
    _s("*maint-disable-pve3", back_from_maintenance),
    _s("*shutdown-policy-migrate-pve2", maintenance_past, pool, put(101, "pve2"), maintenance("pve2")),
    _s("*reboot-in-explicit-maintenance-pve2", maintenance_past, pool, put(101, "pve2"), maintenance("pve2")),
    _s("cluster-*-node-offline", off_in_maintenance),
    _s("nodes-with-offline", node_off),
    _s("precond-with-node-offline", node_off),
    _s("err-node-offline*", node_off),
    _s("qemu-migrate-to-offline-nonha*", node_off),
    _s("ha-migrate-to-offline", node_off),
    _s("resources-during-migrate", pool, fenced, moving_103),
    # HA
    _s("*disarmed", maintenance_past, pool, disarmed),
    _s("role-ha-mgr", maintenance_past, token="orch"),
    _s("ha-arm", disarmed),
    _s("ha-resource-create-101", unmanaged_101),
    _s("ha-resource-create", unmanaged_100),
    _s("ha-rule-get", rule(**WEB_NODES)),
    _s("ha-rules-list", rule(**WEB_NODES)),
    _s("ha-rule-delete", rule(**WEB_NODES)),
    _s("ha-rule-delete2", rule(**WEB_APART)),
    _s("ha-rule-drain-delete", rule(**DRAIN)),
    _s("ha-rule-create-resource-affinity", rule(**WEB_NODES)),
    _s("ha-migrate-against-strict-rule", rule(**DRAIN)),
    _s("ha-resource-migrate-blocked", hostile_pair),
    _s("ha-resource-migrate-negaff", rule(**WEB_APART)),
    _s("qemu-precond-blocking-ha", hostile_pair),
    _s("qemu-migrate-ha-blocked*", hostile_pair),
    _s("qemu-precond-node-affinity", rule(**WEB_NODES)),
    _s("qemu-precond-neg-affinity", rule(**WEB_APART)),
    # guests
    _s("*-with-pool", pool),
    _s("pool-get", pool),
    _s("pool-add", empty_pool),
    _s("ticket-post-csrf", empty_pool, token=None),
    _s("err-*locked", locked_102),
    _s("resources-with-lock", locked_102),
    _s("err-second-migrate", moving_103),
    _s("err-vm-on-other-node", keep_place=True),
    _s("err-migrate-*-with-token", unmanaged_101),
    _s("err-migrate-running-without-online", unmanaged_101),
    _s("qemu-precond-localdisk", local_disk_102(True)),
    _s("qemu-precond-usb-iso", usb_and_iso_103),
    _s("qemu-migrate-usb*", usb_103),
    _s("qemu-migrate-localiso*", iso_103),
    _s("qemu-migrate-localdisk*", local_disk_102(True)),
    _s("qemu-migrate-offline*", local_disk_102(False)),
    _s("qemu-shutdown-noagent-timeout*", deaf_102),
    _s("qemu-stop*", running_102),
    _s("qemu-start-103*", stopped_103),
    _s("qemu-*-during-migrate", moving_103, keep_place=True),
    _s("qemu-*-after-cancel", cancelled_103, keep_place=True),
    # tasks
    _s("task-running*", moving_103),
    _s("task-stop", moving_103),
    _s("task-stopped*", cancelled_103),
    _s("cluster-tasks-running", done_tasks, moving_103),
    _s("node-tasks-active-running", moving_103),
    _s("*tasks*", done_tasks),
    _s("cluster-log", done_tasks),
    _s("task-*", done_tasks),
    # nodes
    _s("wol-ok-from-pve3", mac("pve1"), node="pve3"),
    _s("wol-ok", mac("pve1")),
    # who asks
    _s("role-tasks", done_tasks, token="orch"),
    _s("role-*", token="orch"),
    _s("err-perm-*", token="none"),
)


def situation(name: str) -> Situation:
    return next((s for s in SITUATIONS if fnmatch.fnmatchcase(name, s.pattern)), Situation(name))


# --- recordings that are not replayed -------------------------------------------------------------------------

NOT_REPLAYED = {
    "timeline-*": "a polled sequence, not one request",
    "access-acl-*": "the lab keeps no directory of users, roles and ACLs that could be changed",
    "access-role*": "the lab keeps no directory of users, roles and ACLs that could be changed",
    "access-token-create": "the lab keeps no directory of users, roles and ACLs that could be changed",
    "access-user-create*": "the lab keeps no directory of users, roles and ACLs that could be changed",
    "bulk-migrate*": "not served: noout never moves guests in bulk",
    "migrateall*": "not served: noout never moves guests in bulk",
    "err-migrateall-noworkers": "not served: noout never moves guests in bulk",
    "cluster-bulk-action-guest": "not served: noout never moves guests in bulk",
    "ceph-restart-bulk*": "not served: it sets noout by itself",
    "ceph-crush": "recorded as a crash of a tool of the recorded machine",
    "ceph-log": "not served: the lab keeps no log of Ceph",
    "ceph-pool-create*": "not served: noout creates nothing in Ceph",
    "ceph-releases": "not served: noout installs nothing",
    "lxc-create*": "not served: the world's own laws create guests",
    "qemu-create*": "not served: the world's own laws create guests",
    "lxc-start*": "recorded as a failure of the recorded machine (no cgroups for containers)",
    "node-capabilities-machines": "recorded as a file missing on the recorded machine",
    "node-time": "recorded as a failure of the recorded machine (no timedatectl)",
    "role-syslog": "not served: the lab's nodes keep no system log",
}


def not_replayed(name: str) -> str | None:
    return next((why for p, why in NOT_REPLAYED.items() if fnmatch.fnmatchcase(name, p)), None)


# --- where the lab's answers may differ from the recorded ones ------------------------------------------------

# Of paths in the answer, by recording.
ALLOWED: dict[str, tuple[str, ...]] = {
    "ceph-status-*": (".data.pgmap.unknown_pgs_ratio",),  # recorded a moment after its pool was made
    "ceph-pool": (".data[[]].application_metadata.mgr_devicehealth",),  # a pool of Ceph 16 that newer ones lack
    "lxc-config": (".data.timezone",),  # a setting of the recorded container
    "*pending": (".data[[]].value",),  # of rows that the lab's guest does not have (kvm)
    "storage": (".data[[]].is_mountpoint",),  # a setting of the recorded storage
    "*": (
        ".data.kvm",  # the recorded machine had no hardware virtualisation
        ".data.mgrmap.active_clients*",
        ".data.mgrmap.standbys*.available_modules*",
        ".data.mgrmap.available_modules*",  # hundreds of options of every module, of no use to anybody here
        ".data.mgrmap.always_on_modules*",
    ),
}
# Reason phrases that name what only the recorded machine had.
REASONS: dict[str, str] = {}
# Lines of task logs (globs on patterns) that the lab does not write.
SKIPPED_LINES = (
    "*checking/canceling old backup job failed*",  # the recorded QEMU 7.2 lacks a command that PVE's own has
    "*migration active, transferred*",  # how many there are depends on sizes and speeds
    "*writing to tunnel failed: broken pipe*",
    "*records in",
    "*records out",
    "*copied, *",
    "Formatting *",
    "<time> Formatting *",
)


def allowed(name: str) -> tuple[str, ...]:
    return tuple(path for p, paths in ALLOWED.items() if fnmatch.fnmatchcase(name, p) for path in paths)
