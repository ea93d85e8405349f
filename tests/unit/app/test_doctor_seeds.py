"""The doctor names each of these misconfigurations, seeded one by one into a healthy lab, with its remedy.

Of a healthy lab it says nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from noout.lab.world.model import Cluster, GiB, Storage, Token, World
from tests.support.labsite import LabSite
from tests.unit.app.doctor_world import Seed, Tables, examined

TIB = 1024 * GiB


def cluster(change: Callable[[Cluster], object]) -> Callable[[World], None]:
    return lambda world: (change(world.clusters["ams1"]) and None) or None


def fault(name: str, **params: object) -> Callable[[LabSite], None]:
    return lambda lab: lab.laws.fault(lab.cluster, name, **params)


def table(change: Callable[[Tables], object]) -> Callable[[Tables], None]:
    return lambda tables: (change(tables["clusters"]["ams1"]) and None) or None


def node(name: str, **fields: object) -> Callable[[World], None]:
    def change(world: World) -> None:
        for key, value in fields.items():
            assert hasattr(world.clusters["ams1"].nodes[name], key)
            setattr(world.clusters["ams1"].nodes[name], key, value)

    return change


def pools(**fields: object) -> Callable[[World], None]:
    def change(world: World) -> None:
        ceph = world.clusters["ams1"].ceph
        assert ceph is not None
        for key, value in fields.items():
            assert hasattr(ceph.pools[2], key)
            setattr(ceph.pools[2], key, value)
        for pg in ceph.pgs.values():
            if pg.pgid.startswith("2."):
                pg.acting, pg.up = pg.acting[: ceph.pools[2].size], pg.up[: ceph.pools[2].size]

    return change


def fill(share: float) -> Callable[[World], None]:
    def change(world: World) -> None:
        ceph = world.clusters["ams1"].ceph
        assert ceph is not None
        for osd in ceph.osds.values():
            osd.used = int(share * osd.size)

    return change


def less(*lost: str) -> Callable[[World], None]:
    """noout's token without these privileges."""

    def change(world: World) -> None:
        tokens = world.clusters["ams1"].tokens
        own = next(token for token in tokens if (token.userid, token.name) == ("noout@pve", "lab"))
        tokens.append(Token("noout@pve", "less", own.secret, {"/": own.acl["/"] - set(lost)}))

    return change


def remote(kind: str, content: str) -> Callable[[World], None]:
    def change(world: World) -> None:
        here = world.clusters["ams1"]
        store = Storage("far", kind, True, content, TIB, {"": GiB}, server=here.nodes["pve2"].ip)
        here.storages["far"] = store

    return change


def moved_osds(world: World) -> None:
    """One OSD of pve3 sits under pve4's CRUSH host."""
    ceph = world.clusters["ams1"].ceph
    assert ceph is not None
    osd = next(each for each in ceph.osds.values() if each.host == "pve4")
    osd.machine = "pve3"


def three_mons(world: World) -> None:
    ceph = world.clusters["ams1"].ceph
    assert ceph is not None
    for name in ("pve4", "pve5"):
        del ceph.mons[name]


def no_consent(world: World) -> None:
    world.clusters["ams1"].guests[200].tags = []


def two_owners(tables: Tables) -> None:
    tables["customers"]["mercato"]["tags"] = ["prod"]


def no_probe(tables: Tables) -> None:
    del tables["probes"]["services"]["ams1/101"]


PVE2, PVE3, AMS1 = "ams1/pve2", "ams1/pve3", "ams1"
SEEDS = (
    # access
    Seed("no SSH to a node", "shell.unreachable", PVE2, lab=fault("ssh-refused", node="pve2")),
    Seed("a shell that refuses noout's commands", "shell.refused", AMS1,
         lab=fault("shell-error", pattern="^ceph .*mon dump", text="noout-shell: refused", exit=126),
         also=frozenset({"ceph.unreadable"})),
    Seed("no shell at all", "shell.missing", AMS1, tables=table(lambda t: t.pop("shell"))),
    Seed("a missing privilege", "token.privilege", AMS1, world=less("Sys.PowerMgmt"), token="less"),
    Seed("a privilege that a maintenance can do without", "token.onboot", AMS1, world=less("VM.Config.Options"),
         token="less"),
    Seed("a token that sees less than there is", "token.blind", AMS1, world=less("Pool.Audit"), token="less"),
    Seed("a token for looking only", "token.read-only", AMS1, token="plan"),
    Seed("one entry point", "entrypoint.single", AMS1, points=1),
    Seed("an entry point that does not answer", "entrypoint.silent", AMS1,
         lab=lambda lab: lab.network.unplugged.add(("pve6.ams1", 8006))),
    Seed("an SSH key that others can read", "secret.readable", "noout", key_mode=0o644),
    # the cluster
    Seed("two nodes", "cluster.quorum", PVE2, scenario="default", shape={"nodes": 2, "guests": 2},
         also=frozenset({"guest.ha-local-disks"})),
    Seed("three nodes", "cluster.no-vote-to-lose", PVE2, scenario="default", shape={"nodes": 3, "guests": 3}),
    Seed("HA disarmed", "cluster.ha-disarmed", AMS1,
         lab=lambda lab: setattr(lab.cluster.ha, "armed", False)),
    Seed("a node in maintenance already", "cluster.other-maintenance", AMS1,
         lab=lambda lab: lab.laws.crm_maintenance(lab.cluster, "pve6", True), wait_s=120),
    Seed("a version that nobody recorded", "cluster.version", AMS1,
         world=cluster(lambda c: setattr(c, "version", "9.4.1"))),
    Seed("nodes of two versions", "cluster.mixed-versions", AMS1, world=node("pve2", pve_version="9.2.9")),
    # Ceph
    Seed("a CRUSH host with another name", "ceph.crush-name", PVE3,
         tables=table(lambda t: t["ceph"].update(hosts={"pve3": "store3"}))),
    Seed("several CRUSH hosts on one node", "ceph.several-hosts", PVE3, world=moved_osds,
         also=frozenset({"ceph.crush-name"})),
    Seed("noout set by somebody", "ceph.noout-set", AMS1,
         lab=lambda lab: lab.laws.ceph_flag(lab.cluster, "noout", True)),
    Seed("noout set on a host by somebody", "ceph.host-flag-set", AMS1,
         lab=lambda lab: lab.laws.ceph_group_flags(lab.cluster, "pve5", ["noout"], True)),
    Seed("a size-2 pool", "ceph.pool-min-size", AMS1, world=pools(size=2, min_size=2),
         also=frozenset({"ceph.not-ok-to-stop"})),
    Seed("a pool that takes writes on one copy", "ceph.pool-min-size-one", AMS1, world=pools(size=2, min_size=1)),
    Seed("an erasure coded pool without reserve", "ceph.pool-min-size", AMS1,
         world=pools(kind="erasure", size=3, min_size=3), also=frozenset({"ceph.not-ok-to-stop"})),
    Seed("copies on several OSDs of one host", "ceph.failure-domain", AMS1,
         world=cluster(lambda c: c.ceph and c.ceph.domains.update({0: "osd"}))),
    Seed("copies spread over racks", "ceph.failure-domain", AMS1,
         world=cluster(lambda c: c.ceph and c.ceph.domains.update({0: "rack"}))),
    Seed("the third mon of three", "ceph.no-mon-to-lose", PVE3, world=three_mons),
    Seed("a mon down, of five", "ceph.mon-away", AMS1,
         lab=lambda lab: lab.laws.ceph_service(lab.cluster, "pve5", "stop", "mon.pve5", "root@pam"), wait_s=60),
    Seed("nearly full", "ceph.osd-nearfull", AMS1, world=fill(0.87)),
    Seed("no room to heal without a node", "ceph.no-room-to-heal", "ams1/pve2", world=fill(0.75)),
    Seed("a single mgr", "ceph.no-standby-mgr", "ams1/pve1",
         world=cluster(lambda c: c.ceph and c.ceph.mgrs.pop("pve2"))),
    Seed("clocks of mons apart", "ceph.clock-skew", AMS1, lab=fault("mon-clock-skew", mon="pve2", seconds=0.4)),
    Seed("an OSD down", "ceph.osd-away", AMS1, also=frozenset({"ceph.not-clean"}),
         lab=lambda lab: lab.laws.ceph_service(lab.cluster, "pve5", "stop", "osd.13", "root@pam"), wait_s=60),
    # nodes
    Seed("a node's clock", "node.clock", PVE2, world=node("pve2", clock_ahead=-30.0)),
    Seed("a kernel that waits for the next boot", "node.kernel-pending", PVE2,
         world=node("pve2", kernel_installed="6.17.4-1-pve")),
    Seed("network changes that wait for the next boot", "node.network-pending", PVE2,
         world=node("pve2", network_changes="--- /etc/network/interfaces\n+++ /etc/network/interfaces.new\n")),
    Seed("a failing system disk", "node.disk-failing", PVE2, world=node("pve2", boot_disk_health="FAILED")),
    Seed("a worn system disk", "node.disk-worn", PVE2, world=node("pve2", boot_disk_wearout=3)),
    Seed("guests' disks served by a node", "node.serves-storage", PVE2, world=remote("nfs", "images,iso")),
    Seed("a backup server on a node", "node.serves-storage", PVE2, world=remote("pbs", "backup")),
    Seed("the only exit node", "node.serves-sdn", PVE2, token="sdn",
         world=cluster(lambda c: (c.sdn_zones.append({"zone": "outside", "type": "evpn", "exitnodes": "pve2"}),
                                  c.tokens.append(Token("noout@pve", "sdn", "s", {"/": frozenset({"*"})}))))),
    Seed("a backup job bound to a node", "node.bound-job", PVE2,
         world=cluster(lambda c: c.backup_jobs.append(
             {"id": "backup-1", "node": "pve2", "enabled": 1, "schedule": "21:00", "type": "vzdump", "all": 1}))),
    Seed("a replication job", "node.bound-job", PVE2,
         world=cluster(lambda c: c.replication_jobs.append(
             {"id": "110-0", "guest": 110, "jobnum": 0, "source": "pve6", "target": "pve2", "type": "local"}))),
    Seed("the only gateway", "node.serves-ceph", PVE2,
         world=cluster(lambda c: c.ceph and c.ceph.services.append(("rgw", "pve2")))),
    # guests
    Seed("a backup that runs", "guest.locked-for-now", PVE3, lab=fault("backup-running", vmid=101)),
    Seed("an ISO of a node's own", "guest.local-iso", "ams1/pve5", scenario="default"),
    Seed("a container whose owner was not asked", "guest.lxc-relocation", PVE3, world=no_consent),
    Seed("a device of a node", "guest.passthrough", PVE3,
         world=cluster(lambda c: setattr(c.guests[106], "tags", []))),
    Seed("a service that HA gave up", "guest.ha-unsettled", PVE3,
         world=cluster(lambda c: setattr(c.ha.services["vm:101"], "state", "error"))),
    # boards
    Seed("a BMC that is silent", "bmc.silent", PVE2, lab=fault("bmc-mute", node="pve2")),
    Seed("no BMC in the configuration", "bmc.missing", PVE2, tables=table(lambda t: t["bmc"].pop("pve2"))),
    Seed("the BMC of another machine", "bmc.other-machine", PVE2,
         tables=table(lambda t: t["nodes"]["pve2"].update(serial="S123"))),
    Seed("a board that starts by itself", "bmc.power-restore", PVE2,
         world=cluster(lambda c: setattr(c.bmcs["pve2"], "power_restore_policy", "AlwaysOn"))),
    Seed("a fan that stops", "hardware.fault", PVE3, scenario="healthy", wait_s=7000,
         lab=fault("fan-flapping", node="pve3", fan="FAN3B", per_hour=30, seconds=4)),
    # people
    Seed("a guest of two customers", "customers.claimed-twice", AMS1, tables=two_owners),
    Seed("a guest that nobody probes", "probes.missing", AMS1, tables=no_probe),
)  # fmt: skip


@pytest.mark.parametrize("seed", SEEDS, ids=[each.name.replace(" ", "-") for each in SEEDS])
def test_what_is_wrong_is_named_with_its_remedy(seed: Seed, tmp_path: Path) -> None:
    found = examined(seed, tmp_path)
    named = [each for each in found.findings if (each.code, each.place) == (seed.finds, seed.place)]
    assert named, [(each.place, each.code) for each in found.findings]
    assert all(each.remedy for each in found.findings)
    blockers = {each.code for each in found.blockers}
    assert blockers <= {seed.finds} | seed.also, found.blockers


def test_a_healthy_cluster_is_left_in_peace(tmp_path: Path) -> None:
    found = examined(Seed("healthy", "", ""), tmp_path)
    assert found.findings == ()
    assert found.exit_code == 0
    assert found.looked
    assert all(look.whole for look in found.looked)
