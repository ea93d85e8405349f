"""/nodes: the machines themselves: status, power, configuration, hardware."""

from __future__ import annotations

import re
from typing import Any

from noout.lab.wire.pve.call import Call, Methods, Noted, PveError
from noout.lab.wire.pve.login import REPOID, version_document
from noout.lab.wire.pve.parameters import flag, text, vmid, whole
from noout.lab.wire.pve.rows import ROOT_DISK, digest, node_cpu, node_memory, node_row, root_used
from noout.lab.wire.pve.words import NETWORK_TYPES, NODE_INDEX
from noout.lab.world.model import Node

methods = Methods()
_SERVICES = {
    "chrony": "chrony, an NTP client/server",
    "corosync": "Corosync Cluster Engine",
    "cron": "Regular background program processing daemon",
    "ksmtuned": "Kernel Samepage Merging (KSM) Tuning Daemon",
    "postfix": "Postfix Mail Transport Agent",
    "pve-cluster": "The Proxmox VE cluster filesystem",
    "pve-firewall": "Proxmox VE firewall",
    "pve-ha-crm": "PVE Cluster HA Resource Manager Daemon",
    "pve-ha-lrm": "PVE Local HA Resource Manager Daemon",
    "pvedaemon": "PVE API Daemon",
    "pveproxy": "PVE API Proxy Server",
    "pvescheduler": "Proxmox VE scheduler",
    "pvestatd": "PVE Status Daemon",
    "spiceproxy": "PVE SPICE Proxy Server",
    "sshd": "OpenBSD Secure Shell server",
    "systemd-journald": "Journal Service",
}
_NODE_AUDIT = "/nodes/{node} Sys.Audit"


def fingerprint(node: Node) -> str:
    """Of the certificate on its socket; a made-up one where there is no socket."""
    if node.fingerprint:
        return node.fingerprint
    raw = digest("certificate", node.name) + digest("certificate again", node.name)[:24]
    return ":".join(re.findall("..", raw.upper()))


@methods.serve("GET", "/nodes")
def nodes(call: Call) -> Any:
    rows = []
    for member in call.cluster.nodes.values():
        audit = call.may(f"/nodes/{member.name}", "Sys.Audit")
        row = node_row(call.laws, call.cluster, member, audit)
        rows.append({**row, "ssl_fingerprint": fingerprint(member)} if audit else row)
    return rows


@methods.serve("GET", "/nodes/{node}")
def index(call: Call) -> Any:
    return [{"name": name} for name in NODE_INDEX]


@methods.serve("GET", "/nodes/{node}/version")
def version(call: Call) -> Any:
    return version_document(call)


@methods.serve("GET", "/nodes/{node}/status", perm=_NODE_AUDIT)
def status(call: Call) -> Any:
    node, cluster = call.node, call.cluster
    used = node_memory(cluster, node)
    cpu = node_cpu(cluster, node)
    root = root_used(node)
    kernel_build = "#1 SMP PREEMPT_DYNAMIC PMX"
    return {
        "boot-info": {"mode": "efi", "secureboot": 0},
        "cpu": cpu,
        "cpuinfo": {
            "cores": node.cores,
            "cpus": node.cores * 2,
            "family": "25",
            "flags": node.cpu_flags,
            "hvm": "1" if node.hvm else "",
            "mhz": "2794.750",
            "model": node.cpu_model,
            "sockets": 1,
            "user_hz": 100,
            "vendor": node.cpu_vendor,
        },
        "current-kernel": {
            "machine": "x86_64",
            "release": node.kernel,
            "sysname": "Linux",
            "version": kernel_build,
        },
        "idle": 0,
        "ksm": {"shared": 0},
        "kversion": f"Linux {node.kernel} {kernel_build}",
        "loadavg": [f"{cpu * node.cores * share:.2f}" for share in (1.0, 0.97, 0.95)],
        "memory": {"available": node.maxmem - used, "free": node.maxmem - used, "total": node.maxmem, "used": used},
        "pveversion": f"pve-manager/{node.pve_version or cluster.version}/{REPOID}",
        "rootfs": {"avail": ROOT_DISK - root, "free": ROOT_DISK - root, "total": ROOT_DISK, "used": root},
        "swap": {"free": 0, "total": 0, "used": 0},
        "uptime": int(call.now - (node.booted_at or call.now)),
        "wait": 0,
    }


@methods.serve(
    "POST",
    "/nodes/{node}/status",
    [text("command", enum=("reboot", "shutdown"), required=True)],
    perm="/nodes/{node} Sys.PowerMgmt",
)
def power(call: Call) -> Any:
    """Null at once, no task, and nothing is checked: guests still there are shut down with the node."""
    if call.params["command"] == "shutdown":
        call.laws.node_shutdown(call.cluster, call.node.name)
    else:
        call.laws.node_reboot(call.cluster, call.node.name)
    return None


@methods.serve("POST", "/nodes/{node}/wakeonlan", perm="/nodes/{node} Sys.PowerMgmt", proxied=False)
def wake(call: Call) -> Any:
    """Sent by the node that was asked, to the node of the path."""
    name = call.params["node"]
    if name == call.here.name:
        raise PveError(f"'{name}' is local node, cannot wake my self!")
    target = call.cluster.nodes.get(name)
    mac = "" if target is None else target.wakeonlan.split(",")[0].removeprefix("mac=")
    if target is None or not mac:
        raise PveError(f"No wake on LAN MAC address defined for '{name}'!")
    if not target.power:
        call.laws.bmc_reset(call.cluster, name, "On")
    return mac


@methods.serve("GET", "/nodes/{node}/time", perm=_NODE_AUDIT)
def time(call: Call) -> Any:
    now = int(call.now + call.node.clock_ahead)
    return {"localtime": now, "time": now, "timezone": "UTC"}


# --- configuration --------------------------------------------------------------------------------------------

_PROPERTIES = ["acme", *(f"acmedomain{i}" for i in range(6))]
_PROPERTIES += ["ballooning-target", "description", "location", "startall-onboot-delay", "wakeonlan"]


@methods.serve("GET", "/nodes/{node}/config", [text("property", enum=tuple(_PROPERTIES))], perm="/ Sys.Audit")
def config(call: Call) -> Any:
    found = {"description": call.node.description, "wakeonlan": call.node.wakeonlan}
    kept = {k: v for k, v in found.items() if v and call.params.get("property", k) == k}
    return {**kept, "digest": digest(call.node.name, found)} if kept else {}


@methods.serve(
    "PUT",
    "/nodes/{node}/config",
    [
        text("acme"),
        text("acmedomain[n]"),
        whole("ballooning-target", minimum=0, maximum=100),
        text("delete", format="pve-configid-list"),
        text("description", max_length=65536),
        text("digest", max_length=40),
        text("location", format="pve-node-location"),
        whole("startall-onboot-delay", minimum=0, maximum=300),
        text("wakeonlan"),
    ],
    perm="/ Sys.Modify",
)
def set_config(call: Call) -> Any:
    if call.params.get("digest", now := config(call).get("digest", "")) != now:
        raise PveError("detected modified configuration - file changed by other user? Try again.")
    changes = {k: v for k, v in call.params.items() if k not in ("node", "digest", "delete")}
    changes |= dict.fromkeys(filter(None, re.split(r"[,;\s]+", call.params.get("delete", ""))), "")
    for name, value in changes.items():
        if name not in ("description", "wakeonlan"):
            raise PveError(f"the lab does not keep '{name}' of a node's configuration")
        setattr(call.node, name, str(value))
    return None


# --- hardware and services ------------------------------------------------------------------------------------


@methods.serve(
    "GET",
    "/nodes/{node}/network",
    [text("type", enum=NETWORK_TYPES)],
)  # fmt: skip
def network(call: Call) -> Any:
    """Two ports, a bond of them, and the bridges on it. ``active`` is "switched on", not "has a carrier"."""
    ports = [
        {"active": 1, "exists": 1, "families": ["inet"], "iface": name, "method": "manual", "method6": "manual",
         "mtu": "1500", "priority": 3 + i, "type": "eth"}
        for i, name in enumerate(call.node.ports)
    ]  # fmt: skip
    bond = {
        "active": 1, "autostart": 1, "bond_miimon": "100", "bond_mode": "802.3ad", "families": ["inet"],
        "iface": "bond0", "method": "manual", "method6": "manual", "mtu": "1500", "priority": 5,
        "slaves": "eno1 eno2", "type": "bond",
    }  # fmt: skip
    rows: list[dict[str, Any]] = [*ports, bond]
    for i, bridge in enumerate(call.node.bridges):
        row: dict[str, Any] = {
            "active": 1, "autostart": 1, "bridge_fd": "0", "bridge_ports": "bond0", "bridge_stp": "off",
            "families": ["inet"], "iface": bridge, "method": "manual", "method6": "manual", "mtu": "1500",
            "priority": 6 + i, "type": "bridge",
        }  # fmt: skip
        if bridge in call.node.vlan_aware:
            row |= {"bridge_vids": "2-4094", "bridge_vlan_aware": 1}
        if i == 0:
            gateway = call.node.ip.rsplit(".", 1)[0] + ".254"
            row |= {"address": call.node.ip, "cidr": f"{call.node.ip}/24", "gateway": gateway, "method": "static"}
            row["netmask"] = "24"
        rows.append(row)
    wanted = call.params.get("type", "")
    if wanted.startswith("any_") or wanted == "include_sdn":
        wanted = "bridge"
    shown = [r for r in rows if wanted in ("", r["type"])]
    return Noted(shown, {"changes": call.node.network_changes}) if call.node.network_changes else shown


@methods.serve("GET", "/nodes/{node}/services", perm=_NODE_AUDIT)
def services(call: Call) -> Any:
    return [
        {
            "active-state": "active",
            "desc": description,
            "name": name,
            "service": name,
            "state": "running",
            "unit-state": "enabled",
        }
        for name, description in _SERVICES.items()
    ]


@methods.serve("GET", "/nodes/{node}/subscription")
def subscription(call: Call) -> Any:
    return {
        "message": "There is no subscription key",
        "serverid": None,
        "status": "notfound",
        "url": "https://www.proxmox.com/en/proxmox-virtual-environment/pricing",
    }


@methods.serve(
    "GET",
    "/nodes/{node}/disks/list",
    [flag("include-partitions"), flag("skipsmart"), text("type", enum=("unused", "journal_disks"))],
    perm="/ Sys.Audit or /nodes/{node} Sys.Audit",
)
def disks(call: Call) -> Any:
    """The system's disk and those of the node's OSDs, which are all in use."""
    if call.params.get("type") == "unused":
        return []
    own = [o for o in call.cluster.ceph.osds.values() if o.host == call.node.name] if call.cluster.ceph else []
    rows = [_disk(call.node, "/dev/sda", ROOT_DISK, "BIOS boot", [])]
    rows += [
        {**_disk(call.node, f"/dev/nvme{i}n1", o.size, "LVM", [o.id]), "health": o.disk_health}
        for i, o in enumerate(own)
    ]
    return rows[: len(rows) - call.node.disks_lost]


def _disk(node: Node, path: str, size: int, used: str, osds: list[int]) -> dict[str, Any]:
    serial = digest("disk", node.name, path)[:12].upper()
    row: dict[str, Any] = {
        "by_id_link": f"/dev/disk/by-id/lab-{serial}",
        "devpath": path,
        "gpt": int(not osds),
        "health": node.boot_disk_health,
        "mounted": 0,
        "model": "LAB-NVME" if osds else "LAB-BOOT",
        "osdid": osds[0] if osds else -1,
        "rpm": 0,
        "serial": serial,
        "size": size,
        "type": "nvme" if osds else "ssd",
        "used": used,
        "vendor": "unknown",
        "wearout": 96 if osds else node.boot_disk_wearout,
        "wwn": f"eui.{serial.lower()}",
    }
    if osds:
        row |= {"bluestore": 1, "osdencrypted": 0, "osdid-list": osds}
    else:
        row["osdid-list"] = None
    return row


@methods.serve(
    "GET",
    "/nodes/{node}/hardware/pci",
    [text("pci-class-blacklist", format="string-list"), flag("verbose")],
    perm="/ Sys.Audit|Sys.Modify",
)
def pci(call: Call) -> Any:
    """The two ports of the network card, and whatever guests of this node hold by passthrough."""
    rows = [_pci(f"0000:41:00.{i}", "0x020000", "0x1563", "Ethernet Controller X550", 30 + i) for i in (0, 1)]
    held = [r for g in call.cluster.guests.values() if g.node == call.node.name for r in g.local_resources]
    count = sum(r.startswith("hostpci") for r in held)
    return rows + [_pci(f"0000:8{i}:00.0", "0x0b4000", "0x37c8", "QuickAssist", 40 + i) for i in range(count)]


def _pci(address: str, kind: str, device: str, name: str, group: int) -> dict[str, Any]:
    intel = {"vendor": "0x8086", "vendor_name": "Intel Corporation"}
    sub = {"subsystem_device": "0x0001", "subsystem_vendor": "0x8086", "subsystem_vendor_name": "Intel Corporation"}
    return {"class": kind, "device": device, "device_name": name, "id": address, "iommugroup": group, **sub, **intel}


@methods.serve("GET", "/nodes/{node}/replication", [vmid("guest")])
def replication(call: Call) -> Any:
    return []
